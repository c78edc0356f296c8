"""The KV cache: keys and values of past tokens, computed once. Chapter 09."""

from typing import NamedTuple

import torch
from torch import Tensor

from .config import ModelConfig


class KVCache:
    """Preallocated keys and values of all layers; the one owner of their length.

    batch_size: B, the rows that every call brings.
    max_len: how many tokens fit; the model's context if not given.
    grow: start with room for max_len and double it when it is full, up to the context;
        otherwise a token more than max_len is refused.
    With a sliding window, columns that no later query can see are dropped: at most two
    windows are held, but for a longer prompt, until the call after it.

    A model's forward calls `prepare` once, `append` in each layer and `advance` at the
    end, so that a call that fails in between leaves its length as it was (what a window
    has dropped stays dropped).
    """

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int = 1,
        max_len: int | None = None,
        *,
        grow: bool = False,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ):
        max_len = config.context if max_len is None else max_len
        if batch_size < 1:
            raise ValueError(f"a cache has at least 1 row, got {batch_size}")
        if not 1 <= max_len <= config.context:
            raise ValueError(
                f"a cache holds 1 to {config.context} tokens (the model's context), "
                f"got max_len {max_len}"
            )
        self.config, self.window = config, config.window
        self.batch_size = batch_size
        self.limit = config.context if grow else max_len
        capacity = min(max_len, 2 * self.window) if self.window else max_len
        G, K = config.n_kv_heads, config.d_head
        shape = (2, config.n_layers, batch_size, G, capacity, K)
        with torch.inference_mode(False):  # to be of use inside and outside of it
            self._kv = torch.empty(shape, dtype=dtype, device=device)
        self.layers = [LayerCache(self, i) for i in range(config.n_layers)]
        self.reset()

    def __len__(self) -> int:
        """Tokens seen so far: the position of the next one."""
        return self._length

    @property
    def start(self) -> int:
        """The position of the oldest column held; above 0 only with a window."""
        return self._start

    @property
    def nbytes(self) -> int:
        """Bytes allocated for keys and values."""
        return self._kv.nbytes

    def prepare(self, batch_size: int, T: int) -> int:
        """Make room for T more tokens, or refuse.

        Returns the position of the first column that `append` will give: with a window
        only those that one of the T tokens can see.
        """
        if batch_size != self.batch_size:
            raise ValueError(
                f"the cache holds {self.batch_size} rows, this call has {batch_size}"
            )
        if self._length + T > self.limit:
            raise ValueError(
                f"the cache is full: it holds {self._length} of {self.limit} tokens, "
                f"{T} more do not fit"
            )
        capacity, held = self._kv.shape[4], self._length - self._start
        if self.window:
            room = min(capacity, 2 * self.window)
            if held >= self.window and held + T > room:
                keep = self.window - 1  # what the next token sees besides itself
                self._move(held - keep, held, max(room, keep + T))
                self._start, held = self._length - keep, keep
        if held + T > self._kv.shape[4]:
            self._move(0, held, max(held + T, min(2 * capacity, self.limit)))
        self._first = max(0, held - (self.window - 1)) if self.window else 0
        return self._start + self._first

    def _move(self, first: int, end: int, capacity: int) -> None:
        """Put columns first .. end - 1 to the front of a buffer of this capacity."""
        columns = self._kv[..., first:end, :].clone()
        if capacity != self._kv.shape[4]:
            shape = (*self._kv.shape[:4], capacity, self._kv.shape[5])
            with torch.inference_mode(False):
                self._kv = torch.empty(
                    shape, dtype=columns.dtype, device=columns.device
                )
        self._kv[..., : end - first, :] = columns

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store k and v (B, G, T, K) of new tokens; return all in sight, (B, G, S, K).

        What is stored has no gradient: a cache is for inference.
        """
        held = self._length - self._start
        S = held + k.shape[2]
        keys, values = self._kv[0, layer], self._kv[1, layer]
        keys[:, :, held:S] = k.detach()
        values[:, :, held:S] = v.detach()
        return keys[:, :, self._first : S], values[:, :, self._first : S]

    def advance(self, T: int, regime: int = 0) -> None:
        """Count T tokens that every layer has appended.

        regime: the `RopeScaling.regime` that their keys are rotated for. It belongs to
        all that is held, and to what is left after a truncation.
        """
        self._length += T
        self.regime = regime

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        if not 0 <= length <= self._length:
            raise ValueError(f"cannot truncate {self._length} tokens to {length}")
        if self._start and length - (self.window - 1) < self._start:
            raise ValueError(
                f"cannot truncate to {length} tokens: with a window of {self.window} "
                f"those before {self._start} are gone"
            )
        self._length = length

    def reset(self) -> None:
        """Forget everything; the memory stays."""
        self._length = self._start = self._first = self.regime = 0


class LayerCache(NamedTuple):
    """One layer's view of a KVCache."""

    cache: KVCache
    index: int

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """See `KVCache.append`."""
        return self.cache.append(self.index, k, v)
