"""Attention: every query scores all keys it may see, then averages their values.

Source: Vaswani et al. 2017, equation 1. Chapter 03 derives it; 12 covers the masks.

A mask is boolean and True means "may attend". It is made from a rule: a predicate on
two column numbers, the query's and the key's. The newest query stands in the newest
column, so a (T, S) mask is aligned bottom-right whether or not there is a past.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .heads import repeat_kv

Rule = Callable[[Tensor, Tensor], Tensor]  # q (T, 1), k (S,) -> (T, S) or (B, T, S)


def causal(q: Tensor, k: Tensor) -> Tensor:
    """A token sees itself and what stands before it."""
    return k <= q


def bidirectional(q: Tensor, k: Tensor) -> Tensor:
    """Every token sees every token, as in an encoder."""
    return (k >= 0) & (q >= 0)


def prefix(n: int) -> Rule:
    """The first n tokens see each other both ways; the rest is causal (T5, UniLM)."""
    if n < 0:
        raise ValueError(f"a prefix has 0 tokens or more, got {n}")
    return lambda q, k: (k <= q) | (k < n)


def window(width: int) -> Rule:
    """A token sees at most `width` tokens, itself counted; use it with `causal`."""
    if not isinstance(width, int) or width < 1:
        raise ValueError(f"a window is a whole number of tokens from 1 on, got {width}")
    return lambda q, k: (q - k) < width


def padding(pad: Tensor) -> Rule:
    """Row b begins with pad[b] columns that nobody may see. pad: (B,) int."""
    return lambda q, k: (k >= pad[:, None, None]) & (q >= 0)


def packed(documents: Tensor) -> Rule:
    """Tokens see their own document only. documents: (B, S) or (S,), an id a column."""
    return lambda q, k: documents[..., q] == documents[..., None, k]


def both(*rules: Rule) -> Rule:
    """A token sees what every one of the rules lets it see."""
    if not rules:
        raise ValueError("give at least 1 rule to combine, got 0")

    def conjunction(q: Tensor, k: Tensor) -> Tensor:
        allowed = rules[0](q, k)
        for rule in rules[1:]:
            allowed = allowed & rule(q, k)
        return allowed

    return conjunction


def build_mask(
    rule: Rule, T: int, S: int, *, start: int = 0, device: torch.device | None = None
) -> Tensor:
    """The mask of T queries over S keys that stand in columns start .. start + S - 1.

    Returns (T, S) bool, or (B, 1, T, S) where the rule differs from row to row.
    """
    if T > S:
        raise ValueError(f"{T} queries need at least as many keys, got {S}")
    k = torch.arange(start, start + S, device=device)
    mask = rule(k[S - T :, None], k)
    return mask[:, None] if mask.dim() == 3 else mask


def causal_mask(T: int, S: int | None = None) -> Tensor:
    """(T, S) bool: query i of T sees the first S - T + i + 1 keys. S is T if not given.

    >>> causal_mask(3, 5).int().tolist()
    [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    """
    return build_mask(causal, T, T if S is None else S)


def attention_weights(q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
    """Score, mask, softmax: how much each query takes from each key.

    q: (..., H, T, K); k: (..., G, S, K) with H a multiple of G; mask: bool,
    broadcast to (..., H, T, S). Returns (..., H, T, S); a row sums to 1, or to 0 where
    its query may see nothing.
    """
    _check(q, k, mask)
    k = repeat_kv(k, q.shape[-3] // k.shape[-3])
    # Scaled first: in float16 the products themselves may be too large.
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # (..., H, T, S)
    if mask is None:
        return scores.softmax(-1)
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
    return weights.masked_fill(~mask, 0.0)  # a row of only -inf came out as NaN


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    is_causal: bool = False,
) -> Tensor:
    """softmax(q k^T / sqrt(K)) v in one operator, which need not store the weights.

    q: (..., H, T, K); k, v: (..., G, S, K); mask: bool, broadcast to (..., H, T, S).
    is_causal: the causal mask without building it where torch can do that. Torch's own
    flag is aligned top-left, which is wrong as soon as there is a past; this is not.
    Returns (..., H, T, K), zero where a query may see nothing.
    """
    T, S = q.shape[-2], k.shape[-2]
    if is_causal and mask is not None:
        raise ValueError("give either a mask or is_causal=True, got both")
    if is_causal and T > 1 and T != S:
        mask = build_mask(causal, T, S, device=q.device)
    _check(q, k, mask)
    if v.shape[:-1] != k.shape[:-1]:
        raise ValueError(
            f"keys and values share G and S, got {tuple(k.shape)} and {tuple(v.shape)}"
        )
    x = F.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=mask,
        is_causal=is_causal and T == S,
        enable_gqa=q.shape[-3] != k.shape[-3],
    )
    if mask is None:
        return x
    # What a row without keys gives is left to torch's backends; here it is zero.
    return x.masked_fill(~mask.any(-1, keepdim=True), 0.0)


def _check(q: Tensor, k: Tensor, mask: Tensor | None) -> None:
    sizes = min(q.dim(), k.dim()) >= 3 and q.shape[:-3] == k.shape[:-3]
    if not sizes or q.shape[-1] != k.shape[-1] or q.dtype != k.dtype:
        raise ValueError(
            f"queries (..., H, T, K) and keys (..., G, S, K) share type, batch and K, "
            f"got {q.dtype} {tuple(q.shape)} and {k.dtype} {tuple(k.shape)}"
        )
    if k.shape[-3] == 0 or q.shape[-3] % k.shape[-3]:
        raise ValueError(
            f"{q.shape[-3]} query heads cannot share {k.shape[-3]} K/V heads"
        )
    if mask is None:
        return
    if mask.dtype != torch.bool:
        raise ValueError(f"a mask is torch.bool (True = may attend), got {mask.dtype}")
    wanted = (*q.shape[:-1], k.shape[-2])
    shape = (1,) * (len(wanted) - mask.dim()) + tuple(mask.shape)
    if len(shape) != len(wanted) or any(
        m not in (1, w) for m, w in zip(shape, wanted, strict=True)
    ):
        raise ValueError(f"mask {tuple(mask.shape)} does not fit scores {wanted}")
