"""Rotary position embedding (RoPE): a position is a rotation of pairs of numbers.

Source: Su et al. 2021, RoFormer, equations 14 to 16 and 34. Chapter 06 derives it.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

KINDS = ("linear", "dynamic", "llama3", "yarn", "longrope")
REALS = (
    "factor low_freq_factor high_freq_factor beta_fast beta_slow mscale mscale_all_dim"
).split()


@dataclass(frozen=True)
class RopeScaling:
    """How frequencies change so that a model reads more than it was trained on.

    kind: linear (Chen 2023), dynamic NTK (emozilla 2023), llama3 (Llama 3.1),
        yarn (Peng 2023, section 3), longrope (Ding 2024; Phi-3).
    factor: how many times longer the context becomes.
    original_max_len: tokens of context in training; linear does not use it.
    attention_factor: multiplies cos and sin; None derives it as the paper says.
    The other fields each belong to one kind and carry its published name.
    """

    kind: str
    factor: float = 1.0
    original_max_len: int = 0
    attention_factor: float | None = None
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True
    mscale: float = 0.0
    mscale_all_dim: float = 0.0
    short_factor: tuple[float, ...] = ()
    long_factor: tuple[float, ...] = ()

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"RoPE scaling is one of {KINDS}, got {self.kind!r}")
        for name in REALS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name} is a number, got {value!r}")
        if not 1 <= self.factor < math.inf:
            raise ValueError(f"RoPE scaling factor is at least 1, got {self.factor}")
        if self.attention_factor is not None and not self.attention_factor > 0:
            raise ValueError(
                f"attention_factor is above 0, or None, got {self.attention_factor}"
            )
        if self.kind != "linear" and self.original_max_len < 1:
            raise ValueError(
                f"{self.kind} scaling needs the trained context length, "
                f"got original_max_len={self.original_max_len}"
            )
        if self.kind == "yarn" and not self.beta_fast > self.beta_slow > 0:
            raise ValueError(
                f"beta_slow {self.beta_slow} must be above 0 and below "
                f"beta_fast {self.beta_fast}"
            )
        if self.kind == "longrope" and self.original_max_len < 2:
            raise ValueError(
                f"longrope needs a trained context of at least 2 tokens, "
                f"got {self.original_max_len}"
            )
        for name in ("short_factor", "long_factor"):
            for divisor in getattr(self, name):
                if not divisor > 0:
                    raise ValueError(f"{name} divides by {divisor}, not above 0")
        if self.kind == "llama3" and self.low_freq_factor >= self.high_freq_factor:
            raise ValueError(
                f"low_freq_factor {self.low_freq_factor} must be below "
                f"high_freq_factor {self.high_freq_factor}"
            )

    @property
    def magnitude(self) -> float:
        """What cos and sin are multiplied by, so that scores keep their spread."""
        if self.attention_factor is not None:
            return self.attention_factor
        if self.kind == "longrope" and self.factor > 1:
            return math.sqrt(
                1 + math.log(self.factor) / math.log(self.original_max_len)
            )
        if self.kind == "yarn" and self.factor > 1:
            log = 0.1 * math.log(self.factor)
            if self.mscale and self.mscale_all_dim:
                return (self.mscale * log + 1) / (self.mscale_all_dim * log + 1)
            return log + 1
        return 1.0

    @property
    def depends_on_length(self) -> bool:
        """Whether the frequencies change while a text grows."""
        return self.kind in ("dynamic", "longrope")

    def regime(self, length: int) -> int:
        """The part of a sequence's length that the frequencies depend on.

        Two lengths with one regime have the same frequencies. Only dynamic and
        longrope have more than one: their cached keys go stale between regimes.
        """
        if self.kind == "dynamic":
            return max(length, self.original_max_len)
        if self.kind == "longrope":
            return self.original_max_len + (length > self.original_max_len)
        return 0


def rope_frequencies(
    d_rotary: int, base: float, scaling: RopeScaling | None = None, length: int = 0
) -> Tensor:
    """Radians per position for each of the R/2 pairs: base^(-2i/R), then scaled.

    d_rotary: R, how many of a head's K numbers rotate; even.
    length: tokens in the whole sequence; only dynamic and longrope look at it.
    Returns (R/2,) float32.
    """
    if d_rotary < 2 or d_rotary % 2:
        raise ValueError(f"RoPE rotates pairs: its width is even, got {d_rotary}")
    if not 0 < base < math.inf:
        raise ValueError(f"RoPE's base is a number above 0, got {base}")
    freqs = _plain(d_rotary, base)
    if scaling is None:
        return freqs
    rules = {
        "linear": lambda: freqs / scaling.factor,
        "dynamic": lambda: _dynamic(d_rotary, base, scaling, length),
        "llama3": lambda: _llama3(freqs, scaling),
        "yarn": lambda: _yarn(freqs, base, scaling),
        "longrope": lambda: _longrope(freqs, scaling, length),
    }
    return rules[scaling.kind]()


def _plain(d_rotary: int, base: float) -> Tensor:
    exponents = torch.arange(0, d_rotary, 2, dtype=torch.float32) / d_rotary
    return 1.0 / base**exponents


def _dynamic(d_rotary: int, base: float, s: RopeScaling, length: int) -> Tensor:
    """A larger base, so that the slowest pair just covers the length at hand."""
    if d_rotary < 4:
        raise ValueError(f"dynamic scaling needs a RoPE width of 4, got {d_rotary}")
    ratio = s.regime(length) / s.original_max_len
    stretch = s.factor * ratio - (s.factor - 1)
    return _plain(d_rotary, base * stretch ** (d_rotary / (d_rotary - 2)))


def _llama3(freqs: Tensor, s: RopeScaling) -> Tensor:
    """Fast pairs stay, slow pairs are divided, and between them a straight line."""
    turns = s.original_max_len * freqs / (2 * math.pi)  # within the trained context
    keep = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor)
    keep = keep.clamp(0, 1)
    return keep * freqs + (1 - keep) * freqs / s.factor


def _yarn(freqs: Tensor, base: float, s: RopeScaling) -> Tensor:
    """As llama3, but the line runs over the pair's index and not over its turns."""
    R = 2 * len(freqs)

    def pair_with(turns: float) -> float:  # the index whose pair makes so many turns
        wavelength = s.original_max_len / (2 * math.pi * turns)
        return R / 2 * math.log(wavelength, base)

    first, last = pair_with(s.beta_fast), pair_with(s.beta_slow)
    if s.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, R - 1)
    index = torch.arange(len(freqs), dtype=torch.float32)
    keep = 1 - ((index - first) / max(last - first, 0.001)).clamp(0, 1)
    return keep * freqs + (1 - keep) * freqs / s.factor


def _longrope(freqs: Tensor, s: RopeScaling, length: int) -> Tensor:
    """One searched divisor a pair: a short list and, beyond training, a long one."""
    name = "long_factor" if length > s.original_max_len else "short_factor"
    divisors = getattr(s, name)
    if len(divisors) != len(freqs):
        raise ValueError(f"{name} has {len(divisors)} numbers for {len(freqs)} pairs")
    return freqs / torch.tensor(divisors, dtype=torch.float32)


@lru_cache(maxsize=32)
def _frequencies_on(d_rotary, base, scaling, regime, device):
    return rope_frequencies(d_rotary, base, scaling, regime).to(device)


def rope_angles(
    positions: Tensor,
    d_rotary: int,
    base: float = 10000.0,
    scaling: RopeScaling | None = None,
    length: int = 0,
) -> tuple[Tensor, Tensor]:
    """cos and sin of every position's angles: (..., T) -> two of (..., T, R/2)."""
    regime = scaling.regime(length) if scaling else 0
    freqs = _frequencies_on(d_rotary, base, scaling, regime, positions.device)
    angles = positions[..., None].float() * freqs  # (..., T, R/2)
    magnitude = scaling.magnitude if scaling else 1.0
    if magnitude == 1.0:
        return angles.cos(), angles.sin()
    return angles.cos() * magnitude, angles.sin() * magnitude


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor, layout: str = "half") -> Tensor:
    """Rotate the first R numbers of each head, pair by pair; the rest pass through.

    x: (..., T, K); cos, sin: (..., T, R/2), broadcast over the heads.
    layout: which two numbers are a pair. "half" (Hugging Face): i and i + R/2;
        "interleaved" (RoFormer, Meta's own Llama files): 2i and 2i + 1.
    """
    R = 2 * cos.shape[-1]
    if R > x.shape[-1]:
        raise ValueError(f"RoPE width {R} is more than the head width {x.shape[-1]}")
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    if layout == "half":
        x1, x2 = x[..., : R // 2], x[..., R // 2 : R]
        rotated = torch.cat((x1 * cos - x2 * sin, x2 * cos + x1 * sin), -1)
    elif layout == "interleaved":
        x1, x2 = x[..., 0:R:2], x[..., 1:R:2]
        rotated = torch.stack((x1 * cos - x2 * sin, x2 * cos + x1 * sin), -1)
        rotated = rotated.flatten(-2)  # (..., T, R)
    else:
        raise ValueError(f"layout is 'half' or 'interleaved', got {layout!r}")
    return rotated if R == x.shape[-1] else torch.cat((rotated, x[..., R:]), -1)


def interleaved_to_half(weight: Tensor, n_heads: int) -> Tensor:
    """Reorder the rows of W_Q or W_K so that "half" gives what "interleaved" gave.

    weight: (n_heads * K, ...) -> the same shape; a bias is reordered the same way.
    """
    pairs = _per_head(weight, n_heads).unflatten(1, (-1, 2))  # (heads, K/2, 2, ...)
    return pairs.transpose(1, 2).reshape(weight.shape)


def half_to_interleaved(weight: Tensor, n_heads: int) -> Tensor:
    """The inverse of `interleaved_to_half`."""
    halves = _per_head(weight, n_heads).unflatten(1, (2, -1))  # (heads, 2, K/2, ...)
    return halves.transpose(1, 2).reshape(weight.shape)


def _per_head(weight: Tensor, n_heads: int) -> Tensor:
    if weight.shape[0] % (2 * n_heads):
        raise ValueError(f"{weight.shape[0]} rows are no {n_heads} heads of even width")
    return weight.unflatten(0, (n_heads, -1))
