"""The layers of a block: norms, feed-forward networks, and the one attention module.

Attributes bear the names of Hugging Face checkpoints, so that weights load by name.
Chapter 07.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import attention, attention_weights, causal_mask
from .cache import LayerCache
from .config import ModelConfig
from .heads import merge_heads, split_heads
from .rope import apply_rope

ACTIVATIONS = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
    "swiglu": F.silu,
}


class LayerNorm(nn.Module):
    """(x - mean) / sqrt(variance + eps) * weight + bias, over D (Ba et al. 2016)."""

    def __init__(self, d_model: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight, over D (Zhang and Sennrich 2019).

    The mean of squares is taken in float32: squares of half types overflow.
    """

    def __init__(self, d_model: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x32 = x.float()
        scale = torch.rsqrt(x32.square().mean(-1, keepdim=True) + self.eps)
        return (x32 * scale).to(x.dtype) * self.weight


class SideBySide:
    """A module's linear maps of one input, side by side: x -> [a(x), b(x), ...].

    After `fuse` it is one product: the weights are stacked into one matrix, and each
    map's own weight becomes a view of its rows, so there is no second copy. Gradients,
    hooks, and maps or weights that have been replaced since take the way map by map.
    """

    def __init__(self, owner: nn.Module, *names: str):
        self.owner, self.names = owner, names
        self.fused = None  # (weight, bias, addresses of the parts)

    @property
    def maps(self) -> list[nn.Module]:
        """The maps as they are now: somebody may have put others in their place."""
        return [self.owner._modules[name] for name in self.names]

    def __call__(self, x: Tensor) -> Tensor:
        maps = self.maps
        if self.fused and not torch.is_grad_enabled() and all(map(_is_plain, maps)):
            weight, bias, addresses = self.fused
            if addresses == _addresses(maps):
                return F.linear(x, weight, bias)
            self.fused = None  # its memory is of no more use
        return torch.cat([m(x) for m in maps], -1)

    def fuse(self) -> None:
        """Stack the weights; the maps keep their numbers."""
        maps, bias = self.maps, None
        if not all(map(_is_plain, maps)):
            return
        weight = by_columns(_stack([m.weight for m in maps]))
        _make_views([m.weight for m in maps], weight)
        if maps[0].bias is not None:
            bias = _stack([m.bias for m in maps])
            _make_views([m.bias for m in maps], bias)
        self.fused = weight, bias, _addresses(maps)


def _is_plain(m: nn.Module) -> bool:
    return type(m) is nn.Linear and not m._forward_hooks and not m._forward_pre_hooks


def _addresses(maps: list[nn.Linear]) -> list[int]:
    # By name: `m.parameters()` would take a twentieth of a decode step.
    tensors = [t for m in maps for t in (m.weight, m.bias) if t is not None]
    return [t.data_ptr() for t in tensors]


def _stack(parts: list[nn.Parameter]) -> Tensor:
    return torch.cat([p.data for p in parts])


def _make_views(parts: list[nn.Parameter], whole: Tensor) -> None:
    for p, rows in zip(parts, whole.split([len(p) for p in parts]), strict=True):
        p.data = rows


def by_columns(weight: Tensor) -> Tensor:
    """The same matrix, in memory column by column where that pays: float32 on a CPU.

    One token times a matrix is bound by reading the matrix, and torch's product reads
    this layout faster there; half types would be slower (`make bench` shows both).
    """
    if weight.dtype != torch.float32 or weight.device.type != "cpu":
        return weight.contiguous()
    return weight.t().contiguous().t()


class FFN(nn.Module):
    """down(activation(up(x))): the same two maps for every token, D -> F -> D."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        D, F_, bias = config.d_model, config.d_ff, config.ffn_bias
        self.up_proj = nn.Linear(D, F_, bias=bias)
        self.down_proj = nn.Linear(F_, D, bias=bias)
        self.activation = ACTIVATIONS[config.ffn]

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.activation(self.up_proj(x)))


class GatedFFN(nn.Module):
    """down(silu(gate(x)) * up(x)), SwiGLU (Shazeer 2020): three maps instead of two."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        D, F_, bias = config.d_model, config.d_ff, config.ffn_bias
        self.gate_proj = nn.Linear(D, F_, bias=bias)
        self.up_proj = nn.Linear(D, F_, bias=bias)
        self.down_proj = nn.Linear(F_, D, bias=bias)
        self.gate_up = SideBySide(self, "gate_proj", "up_proj")
        self.activation = ACTIVATIONS[config.ffn]

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, -1)  # two of (B, T, F)
        return self.down_proj(self.activation(gate) * up)


class Attention(nn.Module):
    """H query heads that share G key/value heads: MHA is G = H, MQA is G = 1."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        D, H, G, K = config.d_model, config.n_heads, config.n_kv_heads, config.d_head
        self.n_heads, self.n_kv_heads = H, G
        self.q_proj = nn.Linear(D, H * K, bias=config.qkv_bias)
        self.k_proj = nn.Linear(D, G * K, bias=config.qkv_bias)
        self.v_proj = nn.Linear(D, G * K, bias=config.qkv_bias)
        self.o_proj = nn.Linear(H * K, D, bias=config.o_bias)
        self.qkv = SideBySide(self, "q_proj", "k_proj", "v_proj")

    def forward(
        self,
        x: Tensor,
        rope: tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
        cache: LayerCache | None = None,
        maps: list | None = None,
    ) -> Tensor:
        """x: (B, T, D) -> (B, T, D).

        rope: cos and sin (..., T, R/2); None leaves queries and keys unrotated.
        mask: bool, broadcast to (B, H, T, S); None is causal.
        maps: a list that receives this layer's weights (B, H, T, S).
        """
        H, G = self.n_heads, self.n_kv_heads
        heads = split_heads(self.qkv(x), H + 2 * G)  # (B, H + 2G, T, K)
        if rope is not None:  # queries and keys rotate alike, values do not
            rotated = apply_rope(heads[:, : H + G], *rope)
            q, k, v = rotated[:, :H], rotated[:, H:], heads[:, H + G :]
        else:
            q, k, v = heads.split((H, G, G), 1)  # (B, H, T, K), twice (B, G, T, K)
        if cache is not None:
            k, v = cache.append(k, v)  # (B, G, S, K)
        if maps is not None:
            seen = causal_mask(q.shape[2], k.shape[2]).to(x.device)
            maps.append(attention_weights(q, k, seen if mask is None else mask))
        x = attention(q, k, v, mask, is_causal=mask is None)  # (B, H, T, K)
        return self.o_proj(merge_heads(x))
