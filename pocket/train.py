"""Train Pocket: ``python -m pocket.train`` makes the folder the course loads.

Stopped at any point, the same command goes on where the last checkpoint stood and
reaches the same weights (on the same device, with the same number of threads): the
corpus is a function of its seed, so the step count is the whole position in the data.
Several processes share the rows of each step: ``torchrun --nproc-per-node 2 -m
pocket.train``.
"""

import argparse
import hashlib
import itertools
import math
import os
import warnings
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
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
from pocket.checkpoint import (
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
    write_whole,
)
from pocket.frames import TEXT
from pocket.initial import initialise
from pocket.packing import Batch, batches
from pocket.tokenizer import SPECIALS, START, sample, save_tokenizer, train_tokenizer

SHAPE = ModelConfig(
    vocab_size=6144,
    d_model=192,
    n_layers=6,
    n_heads=6,
    n_kv_heads=2,
    d_head=64,
    d_ff=640,
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
    """All that decides the weights, but for the corpus, the device and the threads."""

    shape: ModelConfig = field(default_factory=lambda: SHAPE)
    seed: int = 0
    steps: int = 25_000
    batch_size: int = 8  # rows of an optimizer step
    gradient_accumulation_steps: int = 1  # parts in which they go through the model
    row_length: int = 256  # tokens
    joined: float = 0.1  # share of steps with rows of twice the length
    lists: int = 15_000  # training begins with so many repeated lists
    learning_rate: float = 3e-3
    embedding_learning_rate: float = 2.5e-3
    warmup_steps: int = 200
    embedding_warmup_steps: int = 1_000
    weight_decay: float = 0.05
    max_grad_norm: float = 1.0
    bfloat16: bool = True

    def __post_init__(self):
        for name in "steps batch_size gradient_accumulation_steps row_length".split():
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, and must be positive"
                )
        if self.lists < 0:
            raise ValueError(f"lists is {self.lists}, and must not be negative")
        if not 0 <= self.joined <= 1:
            raise ValueError(f"joined is {self.joined}, and must be from 0 to 1")
        if self.batch_size % (2 * self.gradient_accumulation_steps):
            raise ValueError(
                f"batch_size {self.batch_size} is no multiple of twice "
                f"gradient_accumulation_steps {self.gradient_accumulation_steps}"
            )


def make_optimizer(model: CausalLM, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays matrices only: norms and biases have nothing to shrink for.

    The embeddings have a rate and a warm-up of their own. Most tokens are rare: their
    gradients are small but agree from step to step, Adam makes full steps of them, and
    at a full rate all rare tokens drift together before copying has been learnt.
    """
    table = model.model.embed_tokens.weight
    matrices = [p for p in model.parameters() if p.dim() == 2 and p is not table]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
        {"params": [table], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=recipe.learning_rate, betas=(0.9, 0.99), fused=True
    )


def learning_rate_at(step: int, recipe: Recipe, embeddings: bool = False) -> float:
    """Straight up in the warm-up, then a cosine down to a twentieth of the peak."""
    peak, warmup = recipe.learning_rate, recipe.warmup_steps
    if embeddings:
        peak, warmup = recipe.embedding_learning_rate, recipe.embedding_warmup_steps
    if step < warmup:
        return peak * (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, recipe.steps - warmup))
    return peak * (0.05 + 0.95 * (1 + math.cos(math.pi * done)) / 2)


def warn_of_warmup(recipe: Recipe) -> None:
    """Warn if the steps end before both rates have reached their peaks."""
    longest = max(recipe.warmup_steps, recipe.embedding_warmup_steps)
    if recipe.steps < longest:
        warnings.warn(
            f"{recipe.steps} steps end in the warm-up of {longest}: a rate never "
            "reaches its peak",
            stacklevel=2,
        )


def bfloat16_is_faster(device: torch.device) -> bool:
    """Whether a product of training's size is clearly faster in bfloat16 here."""

    def seconds(dtype: torch.dtype) -> float:
        x = torch.ones(2048, 512, dtype=dtype, device=device)
        # The item() waits for a GPU to finish.
        return min(timeit(lambda: (x @ x.T)[0, 0].item(), number=1) for _ in range(5))

    return seconds(torch.bfloat16) < 0.8 * seconds(torch.float32)


def uses_bfloat16(dtype: str, checkpoint: Path) -> bool:
    """What "float32" and "bfloat16" say. "auto": as the training began, or what is
    faster here; all processes do what the first one found.
    """
    if dtype != "auto":
        return dtype == "bfloat16"
    if checkpoint.exists():
        return read_checkpoint(checkpoint)["recipe"]["bfloat16"]
    faster = [bfloat16_is_faster(llmcourse.device())]
    if dist.is_initialized():
        dist.broadcast_object_list(faster)
    return faster[0]


def loss_of(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Cross-entropy of the next tokens; none sees another document of its row."""
    rule = both(causal, packed(batch.documents))
    logits = model(batch.ids, rule=rule, positions=batch.positions)  # (B, T, V)
    return F.cross_entropy(
        logits.float().flatten(0, 1), batch.targets.flatten(), reduction="sum"
    )


def train_step(model, optimizer, batch: Batch, step: int, recipe: Recipe) -> float:
    """One update; returns the mean loss per token before it.

    With several processes each takes its own rows, and both the gradients and the loss
    are those of the whole batch.

    Raises:
        ValueError: if the loss or the norm of the gradients is not finite; the weights
            are then as they were.
    """
    device = next(model.parameters()).device
    count = int((batch.targets >= 0).sum())
    rank, world = (
        (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    )
    own = Batch(*(t[rank::world].to(device) for t in batch))
    total = torch.zeros((), device=device)
    parts = recipe.gradient_accumulation_steps
    for i, part in enumerate(zip(*(t.chunk(parts) for t in own), strict=True)):
        last = i == parts - 1
        with (
            nullcontext() if last or world == 1 else model.no_sync(),
            torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16),
        ):
            loss = loss_of(model, Batch(*part)) / count
            (loss * world).backward()  # the processes' gradients are averaged
        total += loss.detach()
    if world > 1:
        dist.all_reduce(total)
    norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
    check_finite(step, total.item(), norm.item())
    *others, table = optimizer.param_groups
    for group in others:
        group["lr"] = learning_rate_at(step, recipe)
    table["lr"] = learning_rate_at(step, recipe, embeddings=True)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total.item()


def check_finite(step: int, loss: float, norm: float) -> None:
    """Raise a ValueError before an update that would put nan into every weight."""
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise ValueError(
            f"step {step + 1}: the loss is {loss} and the norm of its gradients is "
            f"{norm}, and both must be finite; nothing of this step is kept"
        )


def digest(tokenizer: Tokenizer, seed: int) -> str:
    """What the training data is made of, in a word: the hand-written texts, the
    tokenizer, and some batches, which change with the code that writes them.
    """
    known = hashlib.sha256(tokenizer.to_str().encode())
    for path in sorted(TEXT.rglob("*.txt")):
        known.update(path.read_bytes())
    for batch in itertools.islice(batches(tokenizer, seed, 8, 256, 0.5, 100), 30):
        known.update(str([t.tolist() for t in batch]).encode())
    return known.hexdigest()[:16]


def train(
    recipe: Recipe, tokenizer: Tokenizer, path: Path, *, every: int = 500,
    until: int | None = None, quiet: bool = False,
) -> tuple[CausalLM, list[float]]:  # fmt: skip
    """Train to step `until` (the recipe's last one if None), from path if it exists.

    Raises:
        ValueError: if the tokenizer does not fit the recipe's shape, the rows cannot
            be shared by the processes, or path is past `until`; and what
            load_checkpoint and train_step raise.
    """
    check_tokenizer(tokenizer, recipe.shape)
    world = dist.get_world_size() if dist.is_initialized() else 1
    if recipe.batch_size % (2 * recipe.gradient_accumulation_steps * world):
        raise ValueError(
            f"batch_size {recipe.batch_size} cannot be shared by {world} processes in "
            f"{recipe.gradient_accumulation_steps} parts each"
        )
    model = CausalLM(recipe.shape)
    initialise(model, recipe.seed)
    device = llmcourse.device()
    model.to(device)
    optimizer = make_optimizer(model, recipe)
    header = {
        "recipe": asdict(recipe),
        "corpus": digest(tokenizer, recipe.seed),
        "threads": [torch.get_num_threads(), world, device.type],
    }
    losses = load_checkpoint(path, model, optimizer, header) if path.exists() else []
    done, last = len(losses), recipe.steps if until is None else until
    if done > last:
        raise ValueError(f"{path} is at step {done}, past {last}")
    parallel, first = model, True
    if dist.is_initialized():
        parallel, first = DistributedDataParallel(model), dist.get_rank() == 0
    shape = recipe.batch_size, recipe.row_length, recipe.joined, recipe.lists
    source = batches(tokenizer, recipe.seed, *shape)
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


def tokenizer_at(path: Path, seed: int, vocab_size: int, begun: bool) -> Tokenizer:
    """The tokenizer of a training that has begun, else a new one, written to path."""
    first = not dist.is_initialized() or dist.get_rank() == 0
    if first and not (begun and path.exists()):
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


def arguments() -> argparse.Namespace:
    """What the command line says."""
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
    if args.threads is not None and args.threads < 1:
        parser.error(f"--threads is {args.threads}, and must be positive")
    return args


def main() -> None:
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    if dist.is_torchelastic_launched():  # by torchrun
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group()
    checkpoint = args.work / "checkpoint.pt"
    begun = checkpoint.exists()
    recipe = Recipe(
        steps=args.steps,
        seed=args.seed,
        bfloat16=uses_bfloat16(args.dtype, checkpoint),
    )
    if not dist.is_initialized() or dist.get_rank() == 0:
        warn_of_warmup(recipe)
    file, size = args.work / "tokenizer.json", recipe.shape.vocab_size
    tokenizer = tokenizer_at(file, args.seed, size, begun)
    model, losses = train(recipe, tokenizer, checkpoint)
    if not dist.is_initialized() or dist.get_rank() == 0:
        draw_losses(losses, args.work / "loss.svg")
        export(model, tokenizer, args.out or args.work / "model")
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
