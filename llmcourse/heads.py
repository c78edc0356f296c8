"""Heads: one width cut into several, each with its own attention, and put back.

Source: Vaswani et al. 2017, section 3.2.2; Ainslie et al. 2023 for shared K/V heads.
Chapters 04 and 05.
"""

from torch import Tensor


def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """(B, T, n_heads * K) -> (B, n_heads, T, K): consecutive numbers make a head."""
    B, T, width = x.shape
    if n_heads < 1 or width % n_heads:
        raise ValueError(f"width {width} does not divide into {n_heads} heads")
    return x.view(B, T, n_heads, width // n_heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, H, T, K) -> (B, T, H * K), the inverse of `split_heads`."""
    return x.transpose(1, 2).flatten(2)


def repeat_kv(x: Tensor, n_repeat: int) -> Tensor:
    """(..., G, S, K) -> (..., G * n_repeat, S, K): each K/V head serves n_repeat
    neighbouring query heads, so copies stand side by side (a a b b, never a b a b).
    """
    if n_repeat < 1:
        raise ValueError(f"a K/V head serves at least 1 query head, got {n_repeat}")
    if n_repeat == 1:
        return x
    return x.repeat_interleave(n_repeat, dim=-3)
