"""Decode speed and memory of this machine, side by side with `transformers`.

    python benchmarks/decode.py [--threads N] [--rounds N] [--json FILE]

Random models of two shapes, equal weights on both sides, one process, one text at a
time, the likeliest token. README.md says how to read the numbers. Times are printed
and never asserted: the exit status is 0 unless the generated ids differ.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor

from llmcourse.accounting import count_parameters, kv_bytes
from llmcourse.checkpoint import from_pretrained, save_pretrained
from llmcourse.config import ModelConfig
from llmcourse.generate import decode_step, generate, prefill
from llmcourse.model import CausalLM

PROMPT, NEW = 32, 100  # tokens
QWEN2 = dict(max_len=512, qkv_bias=True, tied=True, model_type="qwen2")
SHAPES = {
    "2 M": ModelConfig(
        vocab_size=4096, d_model=192, n_layers=4, n_heads=6, n_kv_heads=2, d_head=32,
        d_ff=512, **QWEN2,
    ),
    "15 M": ModelConfig(
        vocab_size=8192, d_model=384, n_layers=8, n_heads=6, n_kv_heads=2, d_head=64,
        d_ff=1024, **QWEN2,
    ),
}  # fmt: skip
TARGETS = {"2 M": 1.8, "15 M": 1.2}  # times the tokens a second of transformers
NO_CACHE_TARGETS = {"15 M": 1 / 3}  # below this share of the speed with a cache
STREAM_BYTES = 256 * 2**20  # larger than the caches of most machines

Runs = dict[str, Callable[[], object]]


def interleaved(runs: Runs, rounds: int) -> dict[str, list[float]]:
    """Seconds of each run in each round: a, b, c, a, b, c, ... after one warm-up."""
    for run in runs.values():
        run()
    seconds = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def medians(seconds: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in seconds.items()}


def random_model(config: ModelConfig) -> CausalLM:
    """All parameters drawn, wide enough for greedy text to vary."""
    model = CausalLM(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.uniform_(0.5, 1.5, generator=generator)
            else:
                p.normal_(0, 0.02 if "embed" in name else 0.1, generator=generator)
    return model


def unpacked(model: CausalLM) -> CausalLM:
    """The same weights without `pack`: row by row in memory, no two of them fused."""
    fresh = CausalLM(model.config).to(model.lm_head.weight.dtype)
    fresh.load_state_dict(model.state_dict())
    return fresh.eval()


def our_run(model: CausalLM, prompt: list[int], **options) -> Callable[[], list[int]]:
    return lambda: list(generate(model, prompt, max_new_tokens=NEW, **options))


@torch.inference_mode()
def their_text(model, prompt: list[int]):
    """What `transformers` generates, with its cache."""
    ids = torch.tensor([prompt])
    return model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=NEW,
        do_sample=False,
        return_dict_in_generate=True,
    )


def their_run(model, prompt: list[int]) -> Callable[[], list[int]]:
    return lambda: their_text(model, prompt).sequences[0, PROMPT:].tolist()


def load(config: ModelConfig) -> tuple[CausalLM, CausalLM, torch.nn.Module]:
    """One folder, loaded three times: ours in float32 and bfloat16, transformers'."""
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(random_model(config), folder)
        half = from_pretrained(folder, dtype=torch.bfloat16)
        theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
        return from_pretrained(folder), half, theirs.eval()


def check_ids(runs: Runs) -> int:
    """How many different ids the text has; exits with 1 if two ways differ."""
    texts = {name: run() for name, run in runs.items()}
    ours = texts["ours"]
    for name, text in texts.items():
        if text != ours:
            sys.exit(f"the ids differ\nours: {ours}\n{name}: {text}")
    if len(ours) != NEW or len(set(ours)) < 10:
        sys.exit(f"the text is too short or too uniform to compare: {ours}")
    return len(set(ours))


def measure_decode(config: ModelConfig, rounds: int) -> dict:
    """Every way to generate, in turn: sections 1 and 2, parts of 3, 4 and 5."""
    ours, half, theirs = load(config)
    generator = torch.Generator().manual_seed(1)
    prompt = torch.randint(config.vocab_size, (PROMPT,), generator=generator).tolist()
    runs = {
        "ours": our_run(ours, prompt),
        "transformers": their_run(theirs, prompt),
        "no cache": our_run(ours, prompt, use_cache=False),
        "unpacked": our_run(unpacked(ours), prompt),
    }
    distinct = check_ids(runs)
    runs["bfloat16"] = our_run(half, prompt)  # other ids: rounding differs
    runs["bfloat16 unpacked"] = our_run(unpacked(half), prompt)
    return {
        "distinct_ids": distinct,
        "seconds": interleaved(runs, rounds),
        "cache_bytes": cache_bytes(ours, theirs, prompt),
    }


def cache_bytes(ours: CausalLM, theirs, prompt: list[int]) -> dict[str, int]:
    """Bytes that the caches hold at the end of the text, and the prediction."""
    out = their_text(theirs, prompt)
    growing = ours.new_cache(1, PROMPT, grow=True)
    prefill(ours, out.sequences[:, :PROMPT], growing)
    for ids in out.sequences[:, PROMPT:].unbind(1):
        decode_step(ours, ids, growing)
    layers = out.past_key_values.layers  # the newest token is not in it yet
    return {
        "accounting.kv_bytes": kv_bytes(ours.config, PROMPT + NEW, bytes_per_number=4),
        "preallocated": ours.new_cache(1, PROMPT + NEW).nbytes,
        "growing": growing.nbytes,
        "transformers": sum(x.keys.nbytes + x.values.nbytes for x in layers),
    }


def weight_bytes(config: ModelConfig, bytes_per_number: int) -> int:
    """Bytes of weights that a decode step reads: all, a tied embedding as the head."""
    return count_parameters(config).total * bytes_per_number


def bytes_per_token(config: ModelConfig, bytes_per_number: int) -> int:
    """What a decode step reads in the middle of the text: weights, keys, values."""
    middle = PROMPT + NEW // 2
    cached = kv_bytes(config, middle, bytes_per_number=bytes_per_number)
    return weight_bytes(config, bytes_per_number) + cached


def measure_bandwidth(nbytes: int, rounds: int) -> dict[str, float]:
    """GB/s of summing a float32 tensor of nbytes, and of copying it to another.

    Reading counts the tensor once; copying twice, as it is read and written.
    """
    x = torch.ones(nbytes // 4)
    y = torch.empty_like(x)
    read = interleaved({"read": x.sum}, 5 * rounds)
    copy = interleaved({"copy": lambda: y.copy_(x)}, 5 * rounds)
    seconds = medians(read | copy)
    return {
        "read": x.nbytes / seconds["read"] / 1e9,
        "copy": 2 * x.nbytes / seconds["copy"] / 1e9,
    }


def matrices(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """(rows, columns) of the products of a packed decode step."""
    c = config
    return {
        "q, k, v": ((c.n_heads + 2 * c.n_kv_heads) * c.d_head, c.d_model),
        "gate, up": (2 * c.d_ff, c.d_model),
        "down": (c.d_model, c.d_ff),
        "head": (c.vocab_size, c.d_model),
    }


def products(
    rows: int, columns: int, dtype: torch.dtype, nbytes: int
) -> tuple[Runs, int]:
    """One token times each of n matrices that fill nbytes, in both layouts; and n."""
    n = max(1, nbytes // (rows * columns * dtype.itemsize))
    by_rows = [torch.rand(rows, columns).to(dtype) for _ in range(n)]
    by_columns = [w.t().contiguous().t() for w in by_rows]
    x = torch.rand(1, columns).to(dtype)

    def visit(weights: list[Tensor]) -> None:
        for w in weights:
            F.linear(x, w)

    return {"rows": lambda: visit(by_rows), "columns": lambda: visit(by_columns)}, n


@torch.inference_mode()
def measure_layout(config: ModelConfig, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of one product, for each matrix and type by rows and by columns."""
    result = {}
    for name, (rows, columns) in matrices(config).items():
        for dtype in (torch.float32, torch.bfloat16):
            nbytes = weight_bytes(config, dtype.itemsize)
            runs, n = products(rows, columns, dtype, nbytes)
            seconds = medians(interleaved(runs, 5 * rounds))
            key = f"{name} {str(dtype).removeprefix('torch.')}"
            result[key] = {layout: s / n for layout, s in seconds.items()}
            result[key] |= {"nbytes": rows * columns * dtype.itemsize}
    return result


def measure(rounds: int) -> dict:
    result = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "bandwidth": measure_bandwidth(STREAM_BYTES, rounds),
        "shapes": {},
    }
    for name, config in SHAPES.items():
        shape = measure_decode(config, rounds)
        shape["parameters"] = count_parameters(config).total
        shape["bandwidth"] = measure_bandwidth(weight_bytes(config, 4), rounds)
        shape["layout"] = measure_layout(config, rounds)
        result["shapes"][name] = shape
    return result


def table(title: str, header: str, rows: list[tuple]) -> None:
    """Columns are separated by | in the header; the first one is aligned left."""
    lines = [tuple(header.split("|")), *[tuple(map(str, row)) for row in rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(f"\n{title}")
    for line in lines:
        first, *rest = (c.rjust(w) for c, w in zip(line, widths, strict=True))
        print("  " + "  ".join([line[0].ljust(len(first)), *rest]))


def verdict(met: bool) -> str:
    return "met" if met else "not met"


def print_decode(shapes: dict) -> None:
    rows = []
    for name, shape in shapes.items():
        times, mid = shape["seconds"], medians(shape["seconds"])
        pairs = zip(times["transformers"], times["ours"], strict=True)
        paired = statistics.median(theirs / ours for theirs, ours in pairs)
        ratio, target = mid["transformers"] / mid["ours"], TARGETS[name]
        rows.append((
            name, f"{shape['parameters']:,}", shape["distinct_ids"],
            f"{NEW / mid['ours']:.0f}", f"{NEW / mid['transformers']:.0f}",
            f"{ratio:.2f}", f"{paired:.2f}", f"{target:.1f} {verdict(ratio >= target)}",
        ))  # fmt: skip
    header = "model|parameters|distinct ids|ours tok/s|transformers tok/s"
    header += "|ratio of medians|median of ratios|target"
    table("1. Decode against transformers: float32, same ids", header, rows)


def print_no_cache(shapes: dict) -> None:
    rows = []
    for name, shape in shapes.items():
        mid = medians(shape["seconds"])
        share, target = mid["ours"] / mid["no cache"], NO_CACHE_TARGETS.get(name)
        goal = f"below {target:.2f} {verdict(share < target)}" if target else "none"
        rows.append((
            name, f"{NEW / mid['ours']:.0f}", f"{NEW / mid['no cache']:.0f}",
            f"{share:.2f}", goal,
        ))  # fmt: skip
    header = "model|cache tok/s|no cache tok/s|share of the speed|target"
    table("2. Without the cache", header, rows)


def print_bandwidth(bandwidth: dict, shapes: dict) -> None:
    rows = []
    for name, shape in shapes.items():
        mid, near = medians(shape["seconds"]), shape["bandwidth"]["read"]
        for dtype, run, width in (("float32", "ours", 4), ("bfloat16", "bfloat16", 2)):
            nbytes = bytes_per_token(SHAPES[name], width)
            speed = nbytes * NEW / mid[run] / 1e9
            rows.append((
                f"{name} {dtype}", f"{nbytes / 1e6:.1f}", f"{NEW / mid[run]:.0f}",
                f"{speed:.1f}", f"{speed / bandwidth['read']:.0%}",
                f"{near:.1f}", f"{speed / near:.0%}",
            ))  # fmt: skip
    title = "3. Memory bandwidth that decode reaches. This machine, "
    title += f"{STREAM_BYTES / 2**20:.0f} MiB of float32: sum reads "
    title += f"{bandwidth['read']:.1f} GB/s, copy moves {bandwidth['copy']:.1f} GB/s"
    header = "model|MB per token|tok/s|GB/s|share of the sum"
    header += "|sum of model's size GB/s|share of it"
    table(title, header, rows)


def print_layout(shapes: dict) -> None:
    rows = []
    for name, shape in shapes.items():
        for key, t in shape["layout"].items():
            speeds = [t["nbytes"] / t[layout] / 1e9 for layout in ("rows", "columns")]
            rows.append((
                f"{name} {key}", f"{t['rows'] * 1e6:.1f}", f"{t['columns'] * 1e6:.1f}",
                *[f"{speed:.1f}" for speed in speeds],
                f"{t['rows'] / t['columns']:.2f}",
            ))  # fmt: skip
    title = "4a. One token times a matrix: row by row in memory, column by column"
    table(title, "matrix|rows us|columns us|rows GB/s|columns GB/s|gain", rows)


def print_pack(shapes: dict) -> None:
    rows = []
    for name, shape in shapes.items():
        mid = medians(shape["seconds"])
        for dtype, run, loose in (
            ("float32", "ours", "unpacked"),
            ("bfloat16", "bfloat16", "bfloat16 unpacked"),
        ):
            rows.append((
                f"{name} {dtype}", f"{NEW / mid[run]:.0f}", f"{NEW / mid[loose]:.0f}",
                f"{mid[loose] / mid[run]:.2f}",
            ))  # fmt: skip
    table("4b. Decode with pack()", "model|packed tok/s|unpacked tok/s|gain", rows)


def print_cache_bytes(shapes: dict) -> None:
    names = list(next(iter(shapes.values()))["cache_bytes"])
    rows = [
        (name, *[f"{shape['cache_bytes'][n]:,}" for n in names])
        for name, shape in shapes.items()
    ]
    title = f"5. Bytes of the KV cache after {PROMPT} + {NEW} tokens, float32"
    table(title, "model|" + "|".join(names), rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    threads = torch.get_num_threads()
    parser.add_argument("--threads", type=int, default=threads, help="torch's threads")
    parser.add_argument("--rounds", type=int, default=9, help="repetitions of all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every time")
    return parser.parse_args()


def main() -> None:
    args = parse()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    result = measure(args.rounds)
    print(f"torch {result['torch']}, transformers {result['transformers']}")
    print(f"{result['machine']}, {args.threads} threads, {args.rounds} rounds")
    print_decode(result["shapes"])
    print_no_cache(result["shapes"])
    print_bandwidth(result["bandwidth"], result["shapes"])
    print_layout(result["shapes"])
    print_pack(result["shapes"])
    print_cache_bytes(result["shapes"])
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
