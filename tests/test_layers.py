"""Norms, FFNs, side-by-side maps, and the attention module, by hand."""

from dataclasses import replace

import pytest
import torch
from tiny import CONFIGS, GPT2, LLAMA, draw, draw_ids, redraw, run, tiny
from torch import nn

from llmcourse.attention import causal_mask
from llmcourse.layers import (
    FFN,
    Attention,
    GatedFFN,
    LayerNorm,
    RMSNorm,
    SideBySide,
)
from llmcourse.rope import apply_rope, rope_angles


def test_rms_norm_divides_by_the_root_of_the_mean_square():
    norm = redraw(RMSNorm(6, eps=0.5))
    x = draw(2, 3, 6) + 2
    root = (x.pow(2).mean(-1, keepdim=True) + 0.5).sqrt()
    torch.testing.assert_close(norm(x), x / root * norm.weight)


def test_layer_norm_removes_mean_and_spread():
    norm = redraw(LayerNorm(6, eps=0.5))
    x = draw(2, 3, 6) + 2
    centred = x - x.mean(-1, keepdim=True)
    spread = (centred.pow(2).mean(-1, keepdim=True) + 0.5).sqrt()
    torch.testing.assert_close(norm(x), centred / spread * norm.weight + norm.bias)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rms_norm_of_half_types_takes_its_statistics_in_float32(dtype):
    norm = RMSNorm(64, eps=1e-5).to(dtype)
    big = (1000 * draw(2, 64)).to(dtype)  # squares up to 10^7, float16 ends at 65504
    x = big.double()
    wanted = x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
    assert norm(big).dtype == dtype and norm(big).isfinite().all()
    rounding = torch.finfo(dtype).eps / 2
    torch.testing.assert_close(norm(big).double(), wanted, rtol=rounding * 1.1, atol=0)


ACTIVATIONS = {
    "relu": lambda x: x.clamp(min=0),
    "gelu": lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)),
    "gelu_tanh": lambda x: (
        0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))
    ),
    "silu": lambda x: x / (1 + torch.exp(-x)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_ffn_is_down_of_the_activation_of_up(name, bias):
    ffn = redraw(FFN(replace(GPT2, ffn=name, ffn_bias=bias)))
    x = draw(2, 3, 32) * 2
    up = x @ ffn.up_proj.weight.T + (ffn.up_proj.bias if bias else 0)
    wanted = ACTIVATIONS[name](up) @ ffn.down_proj.weight.T
    wanted = wanted + (ffn.down_proj.bias if bias else 0)
    torch.testing.assert_close(ffn(x), wanted, atol=1e-5, rtol=1e-5)


def test_the_two_gelus_differ():
    erf, tanh = (redraw(FFN(replace(GPT2, ffn=n))) for n in ("gelu", "gelu_tanh"))
    x = 2 * draw(2, 3, 32)
    assert (erf(x) - tanh(x)).abs().max() > 1e-4


@pytest.mark.parametrize("bias", [True, False])
def test_gated_ffn_gates_with_silu_of_gate(bias):
    ffn = redraw(GatedFFN(replace(LLAMA, ffn_bias=bias)))
    x = draw(2, 3, 32)
    gate, up = ffn.gate_proj(x), ffn.up_proj(x)
    wanted = ffn.down_proj(gate / (1 + torch.exp(-gate)) * up)
    torch.testing.assert_close(ffn(x), wanted)
    assert (ffn.down_proj.bias is not None) == bias


def maps(bias: bool) -> tuple[nn.Linear, nn.Linear]:
    pair = nn.Linear(6, 4, bias=bias), nn.Linear(6, 2, bias=bias)
    redraw(nn.ModuleList(pair))
    return pair


def beside(a: nn.Module, b: nn.Module) -> SideBySide:
    return SideBySide(nn.ModuleDict({"a": a, "b": b}), "a", "b")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_maps_give_the_same_numbers(bias, dtype):
    a, b = (m.to(dtype) for m in maps(bias))
    x = draw(2, 3, 6).to(dtype)
    side = beside(a, b)
    before = torch.cat([a(x), b(x)], -1)
    weights = a.weight.clone(), b.weight.clone()
    side.fuse()
    assert torch.equal(a.weight, weights[0]) and torch.equal(b.weight, weights[1])
    with torch.no_grad():
        torch.testing.assert_close(side(x), before)
    torch.testing.assert_close(side(x), before)


def test_fused_maps_share_their_memory():
    a, b = maps(True)
    side = beside(a, b)
    side.fuse()
    weight, bias, _ = side.fused
    assert weight.shape == (6, 6) and bias.shape == (6,)
    a.weight.data[0, 0] = 77.0
    assert weight[0, 0] == 77.0
    assert b.weight.untyped_storage().data_ptr() == weight.untyped_storage().data_ptr()


def replaced(kind: str) -> bool:
    """Whether a fused pair gives the outputs of weights that came after `fuse`."""
    a, b = maps(True)
    side, x = beside(a, b), draw(2, 6)
    side.fuse()
    new = draw(2, 6, seed=9)
    if kind == "parameter":
        b.weight = nn.Parameter(new)
    elif kind == "data":
        b.weight.data = new
    elif kind == "in place":
        b.weight.data.copy_(new)
    elif kind == "state":
        b.load_state_dict({"weight": new, "bias": b.bias.data})
    elif kind == "bias":
        b.bias.data, new = draw(2, seed=9), b.weight
    with torch.no_grad():
        wanted = torch.cat([a(x), x @ new.T + b.bias], -1)
        return torch.allclose(side(x), wanted, atol=1e-6)


@pytest.mark.parametrize("kind", ["parameter", "data", "in place", "state", "bias"])
def test_replaced_weights_are_noticed(kind):
    assert replaced(kind)


class Doubled(nn.Module):
    """As an adapter does: another module in the place of a map."""

    def __init__(self, inner: nn.Linear):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return 2 * self.inner(x)


@pytest.mark.parametrize("packed", [True, False])
def test_a_replaced_map_is_used(packed):
    model = tiny("llama")
    model = model.pack() if packed else model
    ids, attn = draw_ids(1, 5), model.model.layers[0].self_attn
    before = run(model, ids)
    attn.q_proj = Doubled(attn.q_proj)
    assert not torch.allclose(run(model, ids), before)
    assert not torch.allclose(run(model.pack(), ids), before)  # nothing to fuse there


def test_hooks_of_fused_maps_are_called():
    a, b = maps(True)
    side, called = beside(a, b), []
    side.fuse()
    b.register_forward_hook(lambda *args: called.append(args))
    with torch.no_grad():
        side(draw(2, 6))
    assert len(called) == 1


def test_fused_maps_follow_a_change_of_type():
    a, b = maps(True)
    side = beside(a, b)
    side.fuse()
    for m in (a, b):
        m.double()
    with torch.no_grad():
        assert side(draw(2, 6).double()).dtype == torch.float64


def test_gradients_reach_every_map_after_fusing():
    a, b = maps(True)
    side, x = beside(a, b), draw(2, 6)
    side.fuse()
    y = side(x)
    assert y.requires_grad
    y.square().sum().backward()
    for m in (a, b):
        wanted = 2 * m(x).T @ x
        torch.testing.assert_close(m.weight.grad, wanted)
        torch.testing.assert_close(m.bias.grad, 2 * m(x).sum(0))


def attention_by_hand(module: Attention, x, rope, mask):
    """One head after the other, with the module's own maps."""
    H, G = module.n_heads, module.n_kv_heads
    q, k, v = module.q_proj(x), module.k_proj(x), module.v_proj(x)
    K = q.shape[-1] // H
    heads = []
    for h in range(H):
        g = h // (H // G)
        q_h = q[..., h * K : h * K + K]
        k_g, v_g = (t[..., g * K : g * K + K] for t in (k, v))
        if rope is not None:
            q_h, k_g = apply_rope(q_h, *rope), apply_rope(k_g, *rope)
        scores = (q_h @ k_g.mT / K**0.5).masked_fill(~mask, float("-inf"))
        heads.append(scores.softmax(-1) @ v_g)
    return module.o_proj(torch.cat(heads, -1))


@pytest.mark.parametrize(
    "name", ["llama-mha", "llama", "llama-mqa", "llama-bias", "mistral-wide-heads"]
)
@pytest.mark.parametrize("rotated", [True, False])
def test_attention_module_equals_one_head_after_the_other(name, rotated):
    config = CONFIGS[name]
    module, x = redraw(Attention(config)), draw(2, 5, 32)
    rope = rope_angles(torch.arange(5), config.d_head) if rotated else None
    wanted = attention_by_hand(module, x, rope, causal_mask(5))
    torch.testing.assert_close(module(x, rope), wanted, atol=1e-5, rtol=1e-5)
    mask = causal_mask(5)
    mask[4, 2] = False
    wanted = attention_by_hand(module, x, rope, mask)
    torch.testing.assert_close(module(x, rope, mask), wanted, atol=1e-5, rtol=1e-5)


def test_a_list_receives_the_weights():
    module, x, maps = redraw(Attention(LLAMA)), draw(2, 5, 32), []
    module(x, maps=maps)
    assert [tuple(m.shape) for m in maps] == [(2, 4, 5, 5)]
    torch.testing.assert_close(maps[0].sum(-1), torch.ones(2, 4, 5))
    assert (maps[0][..., ~causal_mask(5)] == 0).all()
