"""From logits to probabilities to a token. Chapter 10.

The order is fixed: repetition penalty, temperature, top-k, top-p, min-p, softmax, draw.
Each step is a pure function on logits (..., V); a removed token has the logit -inf.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def repetition_penalty(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Push tokens that already occurred away: Keskar et al. 2019, section 4.1.

    seen: bool, the shape of logits. Positive logits of seen tokens are divided by
    the penalty, negative ones multiplied; 1 changes nothing.
    """
    if not 0 < penalty < math.inf:
        raise ValueError(f"repetition penalty is a number above 0, got {penalty}")
    if seen.shape != logits.shape:
        raise ValueError(
            f"seen {tuple(seen.shape)} must have the shape of logits "
            f"{tuple(logits.shape)}"
        )
    penalised = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(seen, penalised, logits)


def temperature(logits: Tensor, value: float) -> Tensor:
    """logits / value. At 0, the limit: everything but the largest logit is removed."""
    if not 0 <= value < math.inf:
        raise ValueError(f"temperature is a number from 0 on, got {value}")
    if value == 0:
        best = torch.zeros_like(logits, dtype=torch.bool)
        best.scatter_(-1, logits.argmax(-1, keepdim=True), True)
        return logits.masked_fill(~best, float("-inf"))
    # Only differences count: with the largest at 0, a tiny temperature cannot overflow.
    # Below 1e-30 nothing changes any more, but 1 / value is no float32 in the end.
    return (logits - logits.amax(-1, keepdim=True)) / max(value, 1e-30)


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k largest logits, and those equal to the smallest kept. 0 keeps all."""
    if not isinstance(k, int) or k < 0:
        raise ValueError(f"top-k is a whole number, 0 (off) or more, got {k}")
    if k == 0 or k >= logits.shape[-1]:
        return logits
    smallest = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < smallest, float("-inf"))


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the fewest most likely tokens whose probabilities reach p.

    The token that crosses p is kept (Holtzman et al. 2020, section 3.1). 1 keeps all.
    """
    if not 0 < p <= 1:
        raise ValueError(f"top-p is above 0 and at most 1, got {p}")
    if p == 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probs = ordered.softmax(-1)
    before = probs.cumsum(-1) - probs  # what the more likely tokens add up to
    drop = torch.zeros_like(logits, dtype=torch.bool)
    drop.scatter_(-1, order, before >= p)
    return logits.masked_fill(drop, float("-inf"))


def min_p(logits: Tensor, p: float) -> Tensor:
    """Keep tokens at least p times as likely as the likeliest (Nguyen et al. 2024)."""
    if not 0 <= p <= 1:
        raise ValueError(f"min-p is from 0 to 1, got {p}")
    if p == 0:
        return logits
    probs = logits.softmax(-1)
    return logits.masked_fill(probs < p * probs.amax(-1, keepdim=True), float("-inf"))


@dataclass(frozen=True)
class SamplingParams:
    """How the next token is chosen. As it stands here: the likeliest one (greedy)."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0

    def __post_init__(self):
        # A dry run of every step, so that a bad value is refused before any work.
        logits = torch.zeros(2, device="cpu")
        probabilities(logits, self, seen=logits.bool())


def probabilities(
    logits: Tensor, params: SamplingParams, seen: Tensor | None = None
) -> Tensor:
    """The distribution that a token is drawn from: (..., V) -> (..., V) float32.

    seen: bool, the shape of logits: the tokens that the repetition penalty is for.
    """
    logits = _penalised(logits.float(), params, seen)
    logits = temperature(logits, params.temperature)
    logits = top_p(top_k(logits, params.top_k), params.top_p)
    return min_p(logits, params.min_p).softmax(-1)


def sample(probs: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw one token a row: (..., V) -> (...). One uniform number, looked up in the
    running sum of the probabilities, which need not be 1 in the end.

    The number is drawn on the CPU, so that a seed gives the same ids on every device.
    """
    shape = (*probs.shape[:-1], 1)
    u = torch.rand(shape, generator=generator, dtype=torch.float64, device="cpu")
    if probs.shape[-1] == 0:
        raise ValueError(f"there is nothing to draw from in {tuple(probs.shape)}")
    sums = probs.double().cumsum(-1)
    total = sums[..., -1].flatten()
    good = (probs >= 0).all(-1).flatten() & (total > 0) & total.isfinite()
    if not good.all():
        row = good.tolist().index(False)
        raise ValueError(
            f"probabilities are 0 or more, finite and not all 0; those of row {row} "
            f"go down to {probs.min(-1).values.flatten()[row]:.3g} and add up to "
            f"{total[row]:.3g}"
        )
    # u is below 1, so u times the total stays below the last sum that adds anything.
    u = u.to(probs.device) * sums[..., -1:]
    return torch.searchsorted(sums, u, right=True).squeeze(-1)


def next_token(
    logits: Tensor,
    params: SamplingParams,
    seen: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Choose one id a row: (..., V) -> (...). At temperature 0 nothing is drawn."""
    if params.temperature > 0:
        return sample(probabilities(logits, params, seen), generator)
    return _penalised(logits.float(), params, seen).argmax(-1)


def _penalised(logits: Tensor, params: SamplingParams, seen: Tensor | None) -> Tensor:
    if seen is not None:
        logits = repetition_penalty(logits, seen, params.repetition_penalty)
    elif params.repetition_penalty != 1:
        raise ValueError(
            f"repetition penalty {params.repetition_penalty} needs `seen`, the tokens "
            "that it is for; got None"
        )
    _check_logits(logits)  # afterwards: a penalty can take them out of range
    return logits


def _check_logits(logits: Tensor) -> None:
    """Refuse rows without a finite maximum: NaN, all -inf, or +inf somewhere."""
    best = logits.amax(-1)
    if not torch.isfinite(best).all():
        row = best.flatten()[~torch.isfinite(best.flatten())][0].item()
        raise ValueError(f"logits need a finite maximum in each row, got {row}")
