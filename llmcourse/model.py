"""The whole model: embeddings, a stack of blocks, a norm, and logits. Chapter 08."""

import torch
from torch import Tensor, nn

from .attention import Rule, both, build_mask, causal, window
from .cache import KVCache, LayerCache
from .config import ModelConfig
from .layers import FFN, Attention, GatedFFN, LayerNorm, RMSNorm, by_columns
from .rope import rope_angles


def _norm(config: ModelConfig) -> nn.Module:
    kind = RMSNorm if config.norm == "rms" else LayerNorm
    return kind(config.d_model, config.norm_eps)


class Block(nn.Module):
    """x + attention(norm(x)), then x + FFN(norm(x)): the pre-norm block."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.input_layernorm = _norm(config)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = _norm(config)
        self.mlp = GatedFFN(config) if config.ffn == "swiglu" else FFN(config)

    def forward(
        self,
        x: Tensor,
        rope: tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
        cache: LayerCache | None = None,
        maps: list | None = None,
    ) -> Tensor:
        """x: (B, T, D) -> (B, T, D); the rest as in `Attention.forward`."""
        x = x + self.self_attn(self.input_layernorm(x), rope, mask, cache, maps)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """From token ids to the last hidden states."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        if config.positions == "learned":
            self.embed_positions = nn.Embedding(config.max_len, config.d_model)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = _norm(config)

    def forward(
        self,
        ids: Tensor,
        positions: Tensor,
        length: int,
        mask: Tensor | None,
        cache: KVCache | None,
        maps: list | None,
    ) -> Tensor:
        """ids: (B, T) -> (B, T, D). `CausalLM.forward` says what the rest is."""
        config, rope = self.config, None
        x = self.embed_tokens(ids)  # (B, T, D)
        if config.positions == "learned":
            x = x + self.embed_positions(positions)
        else:
            width, base = config.rotary_width, config.rope_base
            cos_sin = rope_angles(positions, width, base, config.rope_scaling, length)
            rope = tuple(t.unsqueeze(-3) for t in cos_sin)  # (..., 1, T, R/2)
        for i, layer in enumerate(self.layers):
            x = layer(x, rope, mask, None if cache is None else cache.layers[i], maps)
        return self.norm(x)


class CausalLM(nn.Module):
    """A decoder-only language model: ids in, logits of the next token out."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tied:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(
        self,
        ids: Tensor,
        cache: KVCache | None = None,
        *,
        rule: Rule = causal,
        positions: Tensor | None = None,
        last_only: bool = False,
        maps: list | None = None,
    ) -> Tensor:
        """ids: (B, T) -> logits (B, T, V), or (B, 1, V) with last_only.

        cache: keys and values of the tokens before ids; those of ids are added to it.
        rule: who may see whom, over column numbers that count from the cache's first.
        positions: (T,) or (B, T) for RoPE or learned positions; the columns if None.
        maps: a list that receives each layer's attention weights (B, H, T, S).
        """
        B, T = self._check_ids(ids)
        past = len(cache) if cache is not None else 0
        length = past + T
        if positions is None:
            positions = torch.arange(past, length, device=ids.device)
        else:
            length = self._check_positions(positions, B, T)
        if length > self.config.context:
            raise ValueError(
                f"{length} tokens are more than the context of {self.config.context}"
            )
        if cache is not None:
            self._check_cache(cache, length)
        start = cache.prepare(B, T) if cache is not None else 0
        mask = self._mask(rule, T, past + T - start, start, ids.device)
        x = self.model(ids, positions, length, mask, cache, maps)  # (B, T, D)
        if cache is not None:
            cache.advance(T, self._regime(length))
        return self.lm_head(x[:, -1:] if last_only else x)

    def pack(self) -> "CausalLM":
        """Lay the weights out for decoding: the same numbers in fewer, faster reads."""
        for layer in self.model.layers:
            layer.self_attn.qkv.fuse()
            if self.config.ffn == "swiglu":
                layer.mlp.gate_up.fuse()
        for module in self.modules():
            # What `fuse` has laid out is no longer contiguous: leave it alone.
            if isinstance(module, nn.Linear) and module.weight.is_contiguous():
                module.weight.data = by_columns(module.weight.data)
        return self

    def new_cache(
        self, batch_size: int = 1, max_len: int | None = None, *, grow: bool = False
    ) -> KVCache:
        """An empty cache of this model's shape, type and device."""
        weight = self.model.norm.weight
        kind = dict(dtype=weight.dtype, device=weight.device)
        return KVCache(self.config, batch_size, max_len, grow=grow, **kind)

    def is_stale(self, cache: KVCache, length: int) -> bool:
        """Whether the keys of a cache are rotated wrongly for a text of `length`.

        Only dynamic and longrope scaling change frequencies with the length.
        """
        return len(cache) > 0 and cache.regime != self._regime(length)

    def _regime(self, length: int) -> int:
        scaling = self.config.rope_scaling
        return scaling.regime(length) if scaling else 0

    def _mask(self, rule, T, S, start, device):
        """None where plain causal will do, for which attention has a faster way."""
        width = self.config.window
        narrow = width is not None and S > width
        if rule is causal and not narrow:
            return None
        if narrow:
            rule = both(rule, window(width))
        return build_mask(rule, T, S, start=start, device=device)

    def _check_ids(self, ids: Tensor) -> tuple[int, int]:
        if not isinstance(ids, Tensor):
            raise ValueError(f"ids are a tensor (B, T), got a {type(ids).__name__}")
        if (
            ids.dim() != 2
            or 0 in ids.shape
            or ids.dtype not in (torch.int64, torch.int32)
        ):
            raise ValueError(
                f"ids are int64 or int32 of shape (B, T), both at least 1, "
                f"got {ids.dtype} {tuple(ids.shape)}"
            )
        if ids.device.type != "meta":
            low, high = (n.item() for n in ids.aminmax())
            if low < 0 or high >= self.config.vocab_size:
                raise ValueError(
                    f"id {low if low < 0 else high} is outside the vocabulary of "
                    f"{self.config.vocab_size}"
                )
        return ids.shape

    def _check_positions(self, positions: Tensor, B: int, T: int) -> int:
        if positions.shape not in ((T,), (B, T)):
            raise ValueError(
                f"positions have shape {(T,)} or {(B, T)}, got {tuple(positions.shape)}"
            )
        if positions.dtype not in (torch.int64, torch.int32):
            raise ValueError(f"positions are int64 or int32, got {positions.dtype}")
        if positions.min() < 0:
            raise ValueError(f"positions start at 0, got {positions.min().item()}")
        lengths = {n + 1 for n in positions.reshape(-1, T).amax(-1).tolist()}
        scaling = self.config.rope_scaling
        if scaling and len({scaling.regime(n) for n in lengths}) > 1:
            raise ValueError(
                f"rows of {min(lengths)} and {max(lengths)} tokens rotate at different "
                f"frequencies under {scaling.kind} scaling: run them apart"
            )
        return max(lengths)

    def _check_cache(self, cache: KVCache, length: int) -> None:
        if isinstance(cache, KVCache):  # another kind answers for itself
            for name in ("n_layers", "n_kv_heads", "d_head", "window"):
                theirs, ours = (getattr(c, name) for c in (cache.config, self.config))
                if theirs != ours:
                    raise ValueError(
                        f"the cache is made for {name} {theirs}, the model has {ours}"
                    )
        if self.is_stale(cache, length):
            raise ValueError(
                f"the cache's keys are rotated for a text of {cache.regime} tokens, "
                f"which is wrong for {length} under {self.config.rope_scaling.kind} "
                f"scaling: reset the cache and prefill"
            )
