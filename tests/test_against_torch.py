"""The package's parts against torch's own operators and modules."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tiny import GPT2, LLAMA, draw, redraw
from torch import nn
from torch.nn.attention.bias import causal_lower_right

from llmcourse.attention import (
    attention,
    attention_weights,
    bidirectional,
    both,
    build_mask,
    causal,
    packed,
    padding,
    prefix,
    window,
)
from llmcourse.layers import FFN, Attention, GatedFFN, LayerNorm, RMSNorm
from llmcourse.model import Block
from llmcourse.sampling import SamplingParams, probabilities

CLOSE = dict(atol=1e-6, rtol=1e-5)
DOCUMENTS = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 2], [0, 1, 1, 1, 1, 2, 2, 2]])
RULES = {
    "causal": causal,
    "prefix": prefix(3),
    "bidirectional": bidirectional,
    "window": both(causal, window(3)),
    "padding": both(causal, padding(torch.tensor([0, 2]))),
    "packed": both(causal, packed(DOCUMENTS)),
    "all": both(causal, window(2), packed(DOCUMENTS), padding(torch.tensor([1, 0]))),
}


def qkv(H: int, G: int, T: int, S: int):
    return draw(2, H, T, 8), draw(2, G, S, 8, seed=1), draw(2, G, S, 8, seed=2)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("G", [1, 2, 6])
@pytest.mark.parametrize("T", [1, 3, 8])
def test_attention_equals_scaled_dot_product_attention(rule, G, T):
    """Torch gets the same mask as numbers to add, which its kernels treat otherwise."""
    q, k, v = qkv(6, G, T, 8)
    mask = build_mask(RULES[rule], T, 8)
    blind = ~mask.any(-1, keepdim=True)  # what torch gives here is its own affair
    added = torch.zeros(mask.shape).masked_fill(~mask, float("-inf"))
    k_all, v_all = (t.repeat_interleave(6 // G, 1) for t in (k, v))
    theirs = F.scaled_dot_product_attention(q, k_all, v_all, added)
    theirs = theirs.masked_fill(blind, 0)
    torch.testing.assert_close(attention(q, k, v, mask), theirs, **CLOSE)
    weights = attention_weights(q, k, mask)
    torch.testing.assert_close(weights @ v_all, theirs, **CLOSE)


@pytest.mark.parametrize("G", [1, 2, 6])
def test_causal_attention_without_a_past_equals_torchs_flag(G):
    q, k, v = qkv(6, G, 8, 8)
    theirs = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(attention(q, k, v, is_causal=True), theirs, **CLOSE)


def test_causal_attention_with_a_past_is_not_torchs_flag():
    """Torch aligns top-left: its first query would see the first key only."""
    q, k, v = qkv(2, 2, 3, 8)
    lower_right = causal_lower_right(3, 8)
    theirs = F.scaled_dot_product_attention(q, k, v, lower_right)
    torch.testing.assert_close(attention(q, k, v, is_causal=True), theirs, **CLOSE)
    top_left = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert (theirs - top_left).abs().max() > 0.1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_attention_of_half_types(dtype):
    q, k, v = (t.to(dtype) for t in qkv(6, 2, 3, 8))
    mask = build_mask(causal, 3, 8)
    exact = attention(q.float(), k.float(), v.float(), mask)
    near = dict(atol=4 * torch.finfo(dtype).eps, rtol=0)
    torch.testing.assert_close(attention(q, k, v, mask).float(), exact, **near)


@pytest.mark.parametrize("causal_rule", [True, False])
def test_the_attention_module_equals_torchs(causal_rule):
    """nn.MultiheadAttention with the same weights: no RoPE, as many K/V heads."""
    ours = redraw(Attention(GPT2))
    theirs = nn.MultiheadAttention(32, 4, batch_first=True)
    maps = (ours.q_proj, ours.k_proj, ours.v_proj)
    theirs.in_proj_weight.data = torch.cat([m.weight.data for m in maps])
    theirs.in_proj_bias.data = torch.cat([m.bias.data for m in maps])
    theirs.out_proj.load_state_dict(ours.o_proj.state_dict())
    x = draw(2, 7, 32)
    mask = build_mask(causal if causal_rule else bidirectional, 7, 7)
    wanted, weights = theirs(x, x, x, attn_mask=~mask, average_attn_weights=False)
    maps = []
    torch.testing.assert_close(ours(x, mask=mask, maps=maps), wanted, **CLOSE)
    torch.testing.assert_close(maps[0], weights, **CLOSE)


@pytest.mark.parametrize("ffn", ["relu", "gelu"])
def test_a_block_equals_torchs_pre_norm_layer(ffn):
    config = replace(GPT2, ffn=ffn)
    ours = redraw(Block(config))
    theirs = nn.TransformerEncoderLayer(
        32, 4, 48, 0.0, ffn, config.norm_eps, batch_first=True, norm_first=True
    )
    maps = (ours.self_attn.q_proj, ours.self_attn.k_proj, ours.self_attn.v_proj)
    theirs.load_state_dict(
        {
            "self_attn.in_proj_weight": torch.cat([m.weight for m in maps]),
            "self_attn.in_proj_bias": torch.cat([m.bias for m in maps]),
            "self_attn.out_proj.weight": ours.self_attn.o_proj.weight,
            "self_attn.out_proj.bias": ours.self_attn.o_proj.bias,
            "linear1.weight": ours.mlp.up_proj.weight,
            "linear1.bias": ours.mlp.up_proj.bias,
            "linear2.weight": ours.mlp.down_proj.weight,
            "linear2.bias": ours.mlp.down_proj.bias,
            "norm1.weight": ours.input_layernorm.weight,
            "norm1.bias": ours.input_layernorm.bias,
            "norm2.weight": ours.post_attention_layernorm.weight,
            "norm2.bias": ours.post_attention_layernorm.bias,
        }
    )
    x = draw(2, 7, 32)
    mask = build_mask(causal, 7, 7)
    close = dict(atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours(x), theirs(x, src_mask=~mask), **close)


@pytest.mark.parametrize("eps", [1e-6, 1e-2])
@pytest.mark.parametrize("scale", [1e-2, 1.0, 100.0])
def test_norms_equal_torchs(eps, scale):
    x = scale * (draw(2, 3, 32) + 0.5)
    rms, layer = redraw(RMSNorm(32, eps)), redraw(LayerNorm(32, eps))
    theirs = nn.RMSNorm(32, eps)
    theirs.load_state_dict(rms.state_dict())
    torch.testing.assert_close(rms(x), theirs(x), **CLOSE)
    torch.testing.assert_close(rms(x), F.rms_norm(x, (32,), rms.weight, eps), **CLOSE)
    theirs = nn.LayerNorm(32, eps)
    theirs.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x), theirs(x), **CLOSE)


ACTIVATIONS = {
    "relu": nn.ReLU(),
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU(approximate="tanh"),
    "silu": nn.SiLU(),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_ffns_equal_torchs_layers(name):
    ours = redraw(FFN(replace(GPT2, ffn=name)))
    theirs = nn.Sequential(ours.up_proj, ACTIVATIONS[name], ours.down_proj)
    x = 3 * draw(2, 3, 32)
    assert torch.equal(ours(x), theirs(x))


def test_the_gated_ffn_equals_torchs_glu():
    """F.glu gates with a sigmoid; a * sigmoid(a) is silu."""
    ours = redraw(GatedFFN(LLAMA))
    x = draw(2, 3, 32)
    gate, up = ours.gate_proj(x), ours.up_proj(x)
    theirs = ours.down_proj(F.glu(torch.cat([gate * up, gate], -1)))
    torch.testing.assert_close(ours(x), theirs, **CLOSE)


def test_probabilities_equal_a_softmax():
    logits = 5 * draw(4, 30)
    for t in (0.3, 1.0, 2.5):
        ours = probabilities(logits, SamplingParams(temperature=t))
        torch.testing.assert_close(ours, F.softmax(logits / t, -1), **CLOSE)
