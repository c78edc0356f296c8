"""Train Pocket: ``python -m pocket.train`` makes the folder the course loads.

Stopped at any point, the same command goes on where the last checkpoint stood and
reaches the same weights (with the same number of threads): the corpus is a function of
its seed, so the step count is the whole position in the data. Several processes share
the rows of each step: ``torchrun --nproc-per-node 2 -m pocket.train``.
"""

import argparse
import hashlib
import io
import itertools
import math
import os
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from timeit import timeit

import torch
import torch.distributed as dist
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

import llmcourse
from llmcourse.attention import both, causal, packed
from llmcourse.checkpoint import save_pretrained
from llmcourse.config import ModelConfig
from llmcourse.model import CausalLM
from pocket.frames import TEXT
from pocket.packing import Batch, batches, encoded
from pocket.tokenizer import SPECIALS, START, sample, save_tokenizer, train_tokenizer

SHAPE = ModelConfig(
    vocab_size=8192,
    d_model=192,
    n_layers=6,
    n_heads=6,
    n_kv_heads=2,
    d_head=32,
    d_ff=512,
    max_len=512,
    norm="rms",
    norm_eps=1e-6,
    ffn="swiglu",
    rope_base=10000.0,
    qkv_bias=True,
    tied=True,
    model_type="qwen2",
    stop_ids=(0, 2),  # <|endoftext|> and <|im_end|>
)
WORK = Path("build/pocket")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides the weights, but for the corpus and the number of threads."""

    shape: ModelConfig = field(default_factory=lambda: SHAPE)
    seed: int = 0
    steps: int = 30_000
    rows: int = 8  # per optimizer step, of length tokens each
    pieces: int = 1  # a step's rows go through the model in so many pieces
    length: int = 256
    joined: float = 0.2  # share of steps with rows of twice the length
    lists: int = 50_000  # repeated lists among so many first pairs of texts
    rate: float = 3e-3
    warm_up: int = 300
    decay: float = 0.1
    clip: float = 1.0
    bfloat16: bool = True

    def __post_init__(self):
        for name in ("steps", "rows", "pieces", "length"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, and must be positive"
                )
        if self.rows % (2 * self.pieces):
            raise ValueError(
                f"rows {self.rows} is no multiple of twice pieces {self.pieces}"
            )


def initialise(model: CausalLM, seed: int) -> None:
    """Normal weights that keep the variance of what they multiply.

    Those that write into the residual stream are smaller by sqrt(2L): there are 2L
    writes, and each adds variance (Radford et al. 2019). The usual deviation of 0.02 is
    made for widths of a thousand; at 192 it delays learning.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if p.dim() == 2:
            deviation = p.shape[1] ** -0.5
            if "o_proj" in name or "down_proj" in name:
                deviation /= math.sqrt(2 * model.config.n_layers)
            p.data.copy_(torch.randn(p.shape, generator=generator) * deviation)
        elif name.endswith("bias"):
            nn.init.zeros_(p)


def make_optimizer(model: CausalLM, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays matrices only: norms and biases have nothing to shrink for."""
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.95), fused=True)


def rate_at(step: int, recipe: Recipe) -> float:
    """Straight up for warm_up steps, then a cosine down to a twentieth."""
    if step < recipe.warm_up:
        return recipe.rate * (step + 1) / recipe.warm_up
    done = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return recipe.rate * (0.05 + 0.95 * (1 + math.cos(math.pi * done)) / 2)


def bfloat16_is_faster(device: torch.device) -> bool:
    """Whether a product of training's size is clearly faster in bfloat16 here."""

    def seconds(dtype: torch.dtype) -> float:
        x = torch.ones(2048, 512, dtype=dtype, device=device)
        # The item() waits for a GPU to finish.
        return min(timeit(lambda: (x @ x.T)[0, 0].item(), number=1) for _ in range(5))

    return seconds(torch.bfloat16) < 0.8 * seconds(torch.float32)


def loss_of(model: nn.Module, batch: Batch, reduction: str = "sum") -> torch.Tensor:
    """Cross-entropy of the next tokens; none sees another document of its row."""
    rule = both(causal, packed(batch.documents))
    logits = model(batch.ids, rule=rule, positions=batch.positions)  # (B, T, V)
    return F.cross_entropy(
        logits.float().flatten(0, 1), batch.targets.flatten(), reduction=reduction
    )


def train_step(model, optimizer, batch: Batch, step: int, recipe: Recipe) -> float:
    """One update; returns the mean loss per token before it.

    With several processes each takes its own rows, and both the gradients and the loss
    are those of the whole batch.
    """
    device = next(model.parameters()).device
    count = int((batch.targets >= 0).sum())
    rank, world = (
        (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    )
    own = Batch(*(t[rank::world].to(device) for t in batch))
    total = torch.zeros((), device=device)
    for i, piece in enumerate(zip(*(t.chunk(recipe.pieces) for t in own), strict=True)):
        last = i == recipe.pieces - 1
        with (
            nullcontext() if last or world == 1 else model.no_sync(),
            torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16),
        ):
            loss = loss_of(model, Batch(*piece)) / count
            (loss * world).backward()  # the processes' gradients are averaged
        total += loss.detach()
    if world > 1:
        dist.all_reduce(total)
    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    for group in optimizer.param_groups:
        group["lr"] = rate_at(step, recipe)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total.item()


def digest(tokenizer: Tokenizer, seed: int) -> str:
    """What the training data is made of, in a word: the hand-written texts, the
    tokenizer, and 1,000 documents as ids, which change with the code that writes them.
    """
    known = hashlib.sha256(tokenizer.to_str().encode())
    for path in sorted(TEXT.rglob("*.txt")):
        known.update(path.read_bytes())
    first = list(itertools.islice(encoded(tokenizer, seed), 1000))
    known.update(str(first).encode())
    return known.hexdigest()[:16]


def write_whole(path: Path, content: bytes) -> None:
    """Write beside the old file, then put the new one in its place in one move.

    Raises:
        OSError: if the disk is full, say; the old file is as it was.
    """
    new = path.with_name(path.name + ".tmp")
    try:
        with open(new, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        kept = "the one before it is kept" if path.exists() else "there was none before"
        raise OSError(
            error.errno, f"{path} could not be written ({error.strerror}); {kept}"
        ) from error
    finally:
        new.unlink(missing_ok=True)


def save_checkpoint(path: Path, model, optimizer, header: dict, losses: list) -> None:
    """Model, optimizer and losses so far; header says what they were made with."""
    buffer = io.BytesIO()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(header | state | {"losses": losses}, buffer)
    write_whole(path, buffer.getvalue())


def load_checkpoint(path: Path, model, optimizer, header: dict) -> list[float]:
    """Put model and optimizer back where path left them; returns the losses so far.

    Raises:
        ValueError: if the file is cut short, or made with another recipe or corpus.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        then = state["recipe"] | {"corpus": state["corpus"]}
        weights, moments, losses = (state[k] for k in ("model", "optimizer", "losses"))
    except (RuntimeError, EOFError, KeyError, TypeError, UnpicklingError) as error:
        raise ValueError(
            f"{path} is not a whole checkpoint, remove it to begin anew: {error}"
        ) from error
    now = header["recipe"] | {"corpus": header["corpus"]}
    other = [k for k in then | now if then.get(k) != now.get(k)]
    if other:
        said = "; ".join(f"{k} {then.get(k)} then, {now.get(k)} now" for k in other)
        raise ValueError(f"{path} was made with another recipe: {said}")
    model.load_state_dict(weights)
    optimizer.load_state_dict(moments)
    return losses


def train(
    recipe: Recipe, tokenizer: Tokenizer, path: Path, *, every: int = 500,
    until: int | None = None, quiet: bool = False,
) -> tuple[CausalLM, list[float]]:  # fmt: skip
    """Train to step `until` (the recipe's last one if None), from path if it exists.

    Raises:
        ValueError: if the tokenizer does not fit the recipe's shape, or the rows cannot
            be shared by the processes; and what load_checkpoint raises.
    """
    check_tokenizer(tokenizer, recipe.shape)
    world = dist.get_world_size() if dist.is_initialized() else 1
    if recipe.rows % (2 * recipe.pieces * world):
        raise ValueError(
            f"rows {recipe.rows} cannot be shared by {world} processes in "
            f"{recipe.pieces} pieces"
        )
    model = CausalLM(recipe.shape)
    initialise(model, recipe.seed)
    model.to(llmcourse.device())
    optimizer = make_optimizer(model, recipe)
    header = {"recipe": asdict(recipe), "corpus": digest(tokenizer, recipe.seed)}
    losses = load_checkpoint(path, model, optimizer, header) if path.exists() else []
    parallel, first = model, True
    if dist.is_initialized():
        parallel, first = DistributedDataParallel(model), dist.get_rank() == 0
    shape = recipe.rows, recipe.length, recipe.joined, recipe.lists
    source = batches(tokenizer, recipe.seed, *shape)
    last = recipe.steps if until is None else until
    done = len(losses)
    silent = quiet or not first
    for _ in tqdm(range(done), "reading on", disable=silent or not done):
        next(source)
    bar = tqdm(total=last, initial=done, disable=silent, mininterval=5)
    for batch in itertools.islice(source, last - done):
        losses.append(train_step(parallel, optimizer, batch, len(losses), recipe))
        recent = losses[-50:]
        bar.set_postfix(loss=f"{sum(recent) / len(recent):.3f}", refresh=False)
        bar.update()
        if first and (len(losses) % every == 0 or len(losses) == last):
            save_checkpoint(path, model, optimizer, header, losses)
    bar.close()
    return model, losses


def check_tokenizer(tokenizer: Tokenizer, shape: ModelConfig) -> None:
    """Raise a ValueError if a tokenizer is not the one that a shape is made for."""
    stop = tuple(tokenizer.token_to_id(name) for name in SPECIALS if name != START)
    if stop != shape.stop_ids:
        raise ValueError(f"the model stops at {shape.stop_ids}, its tokens at {stop}")
    if tokenizer.get_vocab_size() != shape.vocab_size:
        raise ValueError(
            f"the tokenizer has {tokenizer.get_vocab_size()} tokens, the model "
            f"{shape.vocab_size}"
        )


def export(model: CausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the folder that the course and transformers load."""
    save_pretrained(model, folder, dtype=torch.float16)
    save_tokenizer(tokenizer, folder, model.config.max_len)


def draw_losses(losses: list[float], path: Path) -> None:
    """The loss of every step, and its mean over a hundred, as a picture."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    width = min(100, len(losses))
    mean = torch.tensor(losses).unfold(0, width, 1).mean(-1)
    with plt.rc_context({"svg.hashsalt": "pocket"}):  # the same losses, the same file
        figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
        axes.plot(losses, color="0.8", linewidth=0.5, label="one step")
        axes.plot(range(width - 1, len(losses)), mean, label=f"mean of {width} steps")
        axes.set(xlabel="step", ylabel="loss (nats per token)", yscale="log")
        axes.legend()
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def tokenizer_at(path: Path, seed: int, vocab_size: int) -> Tokenizer:
    """The tokenizer of a training that has begun, or a new one, written to path."""
    first = not dist.is_initialized() or dist.get_rank() == 0
    if first and not path.exists():
        tokenizer = train_tokenizer(sample(seed, 60_000), vocab_size)
        write_whole(path, tokenizer.to_str().encode())
    if dist.is_initialized():
        dist.barrier()
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more special
        raise ValueError(
            f"{path} is not a whole tokenizer, remove it to make it anew: {error}"
        ) from error


def main() -> None:
    parser = argparse.ArgumentParser(description="Train Pocket.")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, help="torch's own choice without it")
    parser.add_argument("--work", type=Path, default=WORK, help="for checkpoints")
    parser.add_argument("--out", type=Path, help="a folder; WORK/model without it")
    parser.add_argument(
        "--dtype",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="what products are computed in; auto: what is faster here",
    )
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    if dist.is_torchelastic_launched():  # by torchrun
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group()
    faster = [args.dtype == "bfloat16"]
    if args.dtype == "auto":
        faster = [bfloat16_is_faster(llmcourse.device())]
        if dist.is_initialized():
            dist.broadcast_object_list(faster)  # all do what the first one found
    recipe = Recipe(steps=args.steps, seed=args.seed, bfloat16=faster[0])
    tokenizer = tokenizer_at(
        args.work / "tokenizer.json", args.seed, recipe.shape.vocab_size
    )
    model, losses = train(recipe, tokenizer, args.work / "checkpoint.pt")
    if not dist.is_initialized() or dist.get_rank() == 0:
        draw_losses(losses, args.work / "loss.svg")
        export(model, tokenizer, args.out or args.work / "model")
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
