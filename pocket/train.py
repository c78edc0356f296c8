"""Train Pocket: ``python -m pocket.train`` makes the folder the course loads.

Stopped at any point, the same command goes on where the last checkpoint stood and
reaches the same weights (with the same number of threads): the corpus is a function of
its seed, so the step count is the whole position in the data.
"""

import argparse
import csv
import itertools
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import nn
from tqdm import tqdm

import llmcourse
from llmcourse.attention import both, causal, packed
from llmcourse.checkpoint import save_pretrained
from llmcourse.config import ModelConfig
from llmcourse.model import CausalLM
from pocket.packing import Batch, batches
from pocket.tokenizer import SPECIALS, START, sample, save_tokenizer, train_tokenizer

SHAPE = ModelConfig(
    vocab_size=4096,
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
    steps: int = 4000
    rows: int = 4  # per optimizer step
    pieces: int = 2  # a step's rows go through the model in so many pieces
    length: int = 512
    joined: float = 0.25
    rate: float = 1.5e-3
    warm_up: int = 200
    decay: float = 0.1
    clip: float = 1.0
    bfloat16: bool = True


def initialise(model: CausalLM, seed: int) -> None:
    """Normal weights of deviation 0.02, those that write into the residual smaller.

    Each of the 2L writes adds variance, hence 1 / sqrt(2L) (Radford et al. 2019).
    """
    generator = torch.Generator().manual_seed(seed)
    small = 0.02 / math.sqrt(2 * model.config.n_layers)
    for name, p in model.named_parameters():
        if p.dim() == 2:
            deviation = small if "o_proj" in name or "down_proj" in name else 0.02
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


def loss_of(model: CausalLM, batch: Batch, reduction: str = "sum") -> torch.Tensor:
    """Cross-entropy of the next tokens; no token sees another document."""
    rule = both(causal, packed(batch.documents))
    logits = model(batch.ids, rule=rule, positions=batch.positions)  # (B, T, V)
    return F.cross_entropy(
        logits.float().flatten(0, 1), batch.targets.flatten(), reduction=reduction
    )


def train_step(model, optimizer, batch: Batch, step: int, recipe: Recipe) -> float:
    """One update; returns the mean loss per token before it."""
    count, total = int((batch.targets >= 0).sum()), 0.0
    for piece in zip(*(t.chunk(recipe.pieces) for t in batch), strict=True):
        device = next(model.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16):
            loss = loss_of(model, Batch(*(t.to(device) for t in piece))) / count
        loss.backward()
        total += loss.item()
    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    for group in optimizer.param_groups:
        group["lr"] = rate_at(step, recipe)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total


def save_checkpoint(path: Path, model, optimizer, recipe: Recipe, losses: list) -> None:
    """Write beside the old checkpoint, then put it in its place in one move."""
    state = {
        "recipe": asdict(recipe),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "losses": losses,
    }
    new = path.with_suffix(".tmp")
    try:
        torch.save(state, new)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def load_checkpoint(path: Path, model, optimizer, recipe: Recipe) -> list[float]:
    """Put model and optimizer back where path left them; returns the losses so far."""
    try:
        state = torch.load(path, weights_only=True)
        then = state["recipe"]
    except Exception as error:
        raise ValueError(f"{path} is not a whole checkpoint: {error}") from error
    now = asdict(recipe)
    other = [k for k in then | now if then.get(k) != now.get(k)]
    if other:
        said = "; ".join(f"{k} {then.get(k)} then, {now.get(k)} now" for k in other)
        raise ValueError(f"{path} was made with another recipe: {said}")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["losses"]


def train(
    recipe: Recipe, tokenizer: Tokenizer, path: Path, *, every: int = 500,
    until: int | None = None, quiet: bool = False,
) -> tuple[CausalLM, list[float]]:  # fmt: skip
    """Train to step `until` (the recipe's last one if None), from path if it exists."""
    model = CausalLM(recipe.shape)
    initialise(model, recipe.seed)
    model.to(llmcourse.device())
    optimizer = make_optimizer(model, recipe)
    losses = load_checkpoint(path, model, optimizer, recipe) if path.exists() else []
    source = batches(tokenizer, recipe.seed, recipe.rows, recipe.length, recipe.joined)
    last = recipe.steps if until is None else until
    bar = tqdm(total=last, initial=len(losses), disable=quiet, mininterval=5)
    for batch in itertools.islice(source, len(losses), last):
        losses.append(train_step(model, optimizer, batch, len(losses), recipe))
        recent = losses[-50:]
        bar.set_postfix(loss=f"{sum(recent) / len(recent):.3f}", refresh=False)
        bar.update()
        if len(losses) % every == 0 or len(losses) == last:
            save_checkpoint(path, model, optimizer, recipe, losses)
    bar.close()
    return model, losses


def export(model: CausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the folder that the course and transformers load."""
    stop = tuple(tokenizer.token_to_id(name) for name in SPECIALS if name != START)
    if stop != model.config.stop_ids:
        raise ValueError(
            f"the model stops at {model.config.stop_ids}, its tokens at {stop}"
        )
    save_pretrained(model, folder, dtype=torch.float16)
    save_tokenizer(tokenizer, folder, model.config.max_len)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train Pocket.")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, help="torch's own choice without it")
    parser.add_argument("--work", type=Path, default=WORK, help="for checkpoints")
    parser.add_argument("--out", type=Path, default=llmcourse.POCKET, help="a folder")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(steps=args.steps, seed=args.seed)
    tokenizer = train_tokenizer(sample(args.seed, 50_000), recipe.shape.vocab_size)
    model, losses = train(recipe, tokenizer, args.work / "checkpoint.pt")
    with open(args.work / "loss.csv", "w", newline="") as file:
        csv.writer(file).writerows([("step", "loss"), *enumerate(losses)])
    export(model, tokenizer, args.out)


if __name__ == "__main__":
    main()
