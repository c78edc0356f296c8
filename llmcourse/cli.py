"""The command line: `llmcourse generate` and `llmcourse info`."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import torch

from . import POCKET, __version__, device
from .accounting import (
    count_parameters,
    decode_flops,
    kv_bytes,
    kv_bytes_per_token,
    prefill_flops,
)
from .checkpoint import find_folder, from_pretrained, read_config
from .config import PRESETS, ModelConfig
from .generate import generate
from .sampling import SamplingParams
from .tokenizer import Tokenizer

DTYPES = {n: getattr(torch, n) for n in ("float32", "bfloat16", "float16")}


def main(argv: list[str] | None = None) -> int:
    """Run a command; a mistake of the caller is one line on stderr and exit code 2."""
    args = _parser().parse_args(argv)
    try:
        code = args.run(args)
        sys.stdout.flush()  # here, where a reader that has left can be dealt with
        return code
    except BrokenPipeError:  # the reader of our output has left
        _discard_output()
        return 141
    except (ValueError, OSError) as error:
        if isinstance(error, OSError):
            _discard_output()
        print("llmcourse:", " ".join(str(error).splitlines()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130


def _discard_output() -> None:
    """What is still buffered would fail once more when Python exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmcourse", description="Run and measure the course's language models."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    gen = commands.add_parser("generate", help="continue a text")
    gen.set_defaults(run=_generate)
    gen.add_argument("prompt", help="the text to continue; - reads it from stdin")
    gen.add_argument(
        "--model", default="pocket", help="folder or hub id (default: %(default)s)"
    )
    gen.add_argument("--chat", action="store_true", help="ask it as a chat message")
    for name, letter, default, says in (
        ("--max-new-tokens", "N", 64, "write so many tokens at most"),
        ("--temperature", "X", 0.0, "how freely to draw; 0 is greedy"),
        ("--top-k", "K", 0, "draw from the K likeliest; 0 is off"),
        ("--top-p", "P", 1.0, "draw from those that add up to P; 1 is off"),
        ("--min-p", "P", 0.0, "draw from P times the likeliest on; 0 is off"),
        ("--repetition-penalty", "X", 1.0, "push tokens away that were seen; 1 is off"),
    ):
        gen.add_argument(
            name,
            type=type(default),
            default=default,
            metavar=letter,
            help=f"{says} (default: %(default)s)",
        )
    gen.add_argument("--seed", type=int, help="the same seed gives the same text")
    gen.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="end before TEXT"
    )
    gen.add_argument(
        "--dtype", choices=DTYPES, default="float32", help="what to compute in"
    )
    gen.add_argument("--json", action="store_true", help="one JSON object at the end")

    info = commands.add_parser("info", help="shape, parameters, FLOPs and KV bytes")
    info.set_defaults(run=_info)
    info.add_argument(
        "model",
        nargs="?",
        default="pocket",
        help=f"pocket (default), folder, hub id, or one of: {', '.join(PRESETS)}",
    )
    info.add_argument(
        "--tokens", type=int, help="length of the text (1024, or the whole context)"
    )
    info.add_argument("--json", action="store_true")
    return parser


def _generate(args) -> int:
    sampling = SamplingParams(
        args.temperature, args.top_k, args.top_p, args.min_p, args.repetition_penalty
    )
    prompt = args.prompt
    if prompt == "-":  # `echo` adds a newline that nobody meant
        prompt = sys.stdin.read().removesuffix("\n")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the prompt is no valid text: {error}") from error
    if args.seed is not None and not 0 <= args.seed < 2**63:
        raise ValueError(f"--seed is from 0 to {2**63 - 1}, got {args.seed}")
    if args.model in PRESETS:
        raise ValueError(
            f"{args.model!r} is a shape for `llmcourse info`, without weights: "
            f"give a folder or a hub id such as Qwen/Qwen2.5-0.5B"
        )
    folder = _folder(args.model, weights=True)
    tokenizer = Tokenizer.from_pretrained(folder)
    model = from_pretrained(folder, dtype=DTYPES[args.dtype], device=device())
    if args.chat:
        prompt = tokenizer.chat([{"role": "user", "content": prompt}])
    random = torch.Generator()
    random.seed() if args.seed is None else random.manual_seed(args.seed)
    ids = tokenizer.encode(prompt, add_special_tokens=not args.chat)
    started, new_ids = time.perf_counter(), []

    def tokens():
        for token in generate(
            model,
            ids,
            max_new_tokens=args.max_new_tokens,
            sampling=sampling,
            generator=random,
        ):
            new_ids.append(token)
            yield token

    text = ""
    for piece in tokenizer.stream(tokens(), args.stop):
        text += piece
        if not args.json:
            print(piece, end="", flush=True)
    if not args.json:
        print()
        return 0
    result = {
        "model": args.model,
        "prompt": prompt,
        "text": text,
        "prompt_ids": ids,
        "ids": new_ids,
        "end": _end(args, tokenizer, model, ids, new_ids),
        "seed": random.initial_seed(),
        "seconds": round(time.perf_counter() - started, 3),
    }
    print(json.dumps(result, ensure_ascii=False))
    return 0


def _end(args, tokenizer, model, ids, new_ids) -> str:
    """Why a text has ended."""
    text = tokenizer.decode(new_ids)
    if any(stop in text for stop in args.stop):
        return "stop text"
    if len(new_ids) == args.max_new_tokens:
        return "limit"
    if len(ids) + len(new_ids) == model.config.context:
        return "context"
    return "stop id"


def _folder(name: str, *, weights: bool = False) -> Path:
    return POCKET if name.lower() == "pocket" else find_folder(name, weights=weights)


def _info(args) -> int:
    name = args.model.lower()
    hub_or_folder = "/" in name or Path(args.model).exists()
    if name not in {"pocket", *PRESETS} and not hub_or_folder:
        raise ValueError(
            f"there is no folder {args.model!r}, and no shape of that name: "
            f"pocket, {', '.join(PRESETS)}"
        )
    config = PRESETS.get(name) or read_config(_folder(args.model))
    tokens = min(1024, config.context) if args.tokens is None else args.tokens
    if not 1 <= tokens <= config.context:
        raise ValueError(
            f"--tokens {tokens} is outside 1 to the context of {config.context}"
        )
    facts = _facts(config, tokens)
    if args.json:
        print(json.dumps(facts))
        return 0
    width = max(map(len, facts))
    for name, value in facts.items():
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        print(f"{name:<{width}}  {shown:>26}")
    return 0


def _facts(config: ModelConfig, tokens: int) -> dict:
    parameters = count_parameters(config)
    return {
        "family": config.model_type,
        "layers": config.n_layers,
        "width D": config.d_model,
        "query heads H": config.n_heads,
        "key/value heads G": config.n_kv_heads,
        "head width K": config.d_head,
        "FFN width F": config.d_ff,
        "vocabulary V": config.vocab_size,
        "context": config.context,
        "window": config.window or "none",
        "parameters": parameters.total,
        "parameters without embeddings": parameters.without_embeddings,
        f"FLOPs, prefill of {tokens} tokens": prefill_flops(config, tokens),
        f"FLOPs, decode step {tokens}": decode_flops(config, tokens),
        "KV bytes per token (16-bit)": kv_bytes_per_token(config),
        f"KV bytes, {tokens} tokens (16-bit)": kv_bytes(config, tokens),
    }
