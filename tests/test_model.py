"""The whole model: a naive program with the same weights, and what must never leak."""

import copy
from dataclasses import replace
from functools import partial

import pytest
import torch
from tiny import CONFIGS, ONE_REGIME, draw_ids, refuses, run, tiny
from torch import nn

from llmcourse.attention import (
    bidirectional,
    both,
    build_mask,
    causal,
    packed,
    padding,
    prefix,
    window,
)
from llmcourse.cache import KVCache
from llmcourse.layers import ACTIVATIONS
from llmcourse.rope import apply_rope, rope_angles

CLOSE = dict(atol=1e-5, rtol=0)


def naive(model, ids):
    """Logits (B, T, V) by the formulas: no cache, no fused operator, no shared code
    but RoPE and the activations, which have their own loops in other tests.
    """
    c = model.config
    w = {n: p.detach() for n, p in model.state_dict().items()}
    B, T = ids.shape
    mask = build_mask(both(causal, window(c.window or T)), T, T)

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0)

    def norm(x, name):
        if c.norm == "layer":
            x = x - x.mean(-1, keepdim=True)
        x = x / (x.square().mean(-1, keepdim=True) + c.norm_eps).sqrt()
        return x * w[f"{name}.weight"] + w.get(f"{name}.bias", 0)

    def heads(x, n):
        return x.view(B, T, n, c.d_head).transpose(1, 2)

    x = w["model.embed_tokens.weight"][ids]
    if c.positions == "learned":
        x = x + w["model.embed_positions.weight"][:T]
    for i in range(c.n_layers):
        at = f"model.layers.{i}"
        y = norm(x, f"{at}.input_layernorm")
        q = heads(linear(y, f"{at}.self_attn.q_proj"), c.n_heads)
        k = heads(linear(y, f"{at}.self_attn.k_proj"), c.n_kv_heads)
        v = heads(linear(y, f"{at}.self_attn.v_proj"), c.n_kv_heads)
        if c.positions == "rope":
            angles = (torch.arange(T), c.rotary_width, c.rope_base, c.rope_scaling, T)
            q, k = (apply_rope(t, *rope_angles(*angles)) for t in (q, k))
        k, v = (t.repeat_interleave(c.n_heads // c.n_kv_heads, 1) for t in (k, v))
        scores = (q @ k.mT / c.d_head**0.5).masked_fill(~mask, float("-inf"))
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, -1)
        x = x + linear(y, f"{at}.self_attn.o_proj")
        y = norm(x, f"{at}.post_attention_layernorm")
        up = linear(y, f"{at}.mlp.up_proj")
        act = ACTIVATIONS[c.ffn]
        if c.ffn == "swiglu":
            up = act(linear(y, f"{at}.mlp.gate_proj")) * up
        else:
            up = act(up)
        x = x + linear(up, f"{at}.mlp.down_proj")
    return linear(norm(x, "model.norm"), "lm_head")


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_equal_the_naive_program(name):
    model = tiny(name)
    for T in (5, 24):
        ids = draw_ids(2, T)
        wanted = naive(model, ids)
        torch.testing.assert_close(run(model, ids), wanted, **CLOSE)
    torch.testing.assert_close(run(model.pack(), ids), wanted, **CLOSE)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_later_token_never_changes_an_earlier_logit(name):
    model, ids = tiny(name), draw_ids(2, 20)
    before = run(model, ids)
    for at in (1, 10, 19):
        changed = ids.clone()
        changed[:, at] = (changed[:, at] + 1) % 64
        after = run(model, changed)
        torch.testing.assert_close(after[:, :at], before[:, :at], **CLOSE)
        assert ((after[:, at] - before[:, at]).abs().amax(-1) > 1e-2).all()


@pytest.mark.parametrize("name", ONE_REGIME)
def test_a_shorter_text_has_the_logits_of_the_longer_one(name):
    model, ids = tiny(name), draw_ids(2, 20)
    torch.testing.assert_close(run(model, ids[:, :9]), run(model, ids)[:, :9], **CLOSE)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_row_does_not_depend_on_its_neighbours(name):
    model, ids = tiny(name), draw_ids(3, 12)
    together = run(model, ids)
    for b in range(3):
        alone = run(model, ids[b : b + 1])
        torch.testing.assert_close(alone[0], together[b], **CLOSE)


@pytest.mark.parametrize("name", CONFIGS)
def test_left_padding_changes_nothing(name):
    model, ids, pad = tiny(name), draw_ids(3, 12), torch.tensor([0, 3, 7])
    positions = (torch.arange(12) - pad[:, None]).clamp(min=0)
    rule = both(causal, padding(pad))
    padded = run(model, ids, rule=rule, positions=positions)
    assert padded.isfinite().all()
    for b, n in enumerate(pad.tolist()):
        alone = run(model, ids[b : b + 1, n:])
        torch.testing.assert_close(padded[b, n:], alone[0], **CLOSE)


@pytest.mark.parametrize("name", ONE_REGIME)
def test_packed_documents_equal_each_alone(name):
    model, ids = tiny(name), draw_ids(1, 20)
    lengths = [6, 3, 11]
    documents = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))
    positions = torch.cat([torch.arange(n) for n in lengths])
    rule = both(causal, packed(documents))
    together = run(model, ids, rule=rule, positions=positions).split(lengths, 1)
    for document, logits in zip(ids.split(lengths, 1), together, strict=True):
        torch.testing.assert_close(run(model, document), logits, **CLOSE)


def test_prefix_rule_lets_the_prefix_see_ahead_and_nothing_else():
    model, ids = tiny("llama"), draw_ids(1, 10)
    before = run(model, ids, rule=prefix(4))
    changed = ids.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 64
    after = run(model, changed, rule=prefix(4))
    assert ((after - before).abs().amax(-1) > 1e-3).all()  # all see token 3
    changed = ids.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 64
    after = run(model, changed, rule=prefix(4))
    torch.testing.assert_close(after[:, :7], before[:, :7], **CLOSE)
    torch.testing.assert_close(run(model, ids, rule=prefix(1)), run(model, ids))


def test_bidirectional_rule_lets_the_first_token_see_the_last():
    model, ids = tiny("llama"), draw_ids(1, 6)
    changed = ids.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 64
    a, b = (run(model, x, rule=bidirectional) for x in (ids, changed))
    assert ((a - b).abs().amax(-1) > 1e-3).all()


def test_positions_given_as_columns_change_nothing():
    for name in ("llama", "gpt2", "mistral"):
        model, ids = tiny(name), draw_ids(2, 9)
        for positions in (torch.arange(9), torch.arange(9).expand(2, 9)):
            given = run(model, ids, positions=positions)
            torch.testing.assert_close(given, run(model, ids), **CLOSE)


def test_rope_knows_distances_only_and_learned_positions_more():
    ids = draw_ids(1, 9)
    for name, same in (("llama", True), ("gpt2", False)):
        model = tiny(name)
        moved = run(model, ids, positions=torch.arange(9) + 20)
        assert torch.allclose(moved, run(model, ids), atol=1e-4) == same


def test_last_only_gives_the_last_logits():
    model, ids = tiny("qwen2"), draw_ids(2, 9)
    last = run(model, ids, last_only=True)
    assert last.shape == (2, 1, 64)
    torch.testing.assert_close(last, run(model, ids)[:, -1:], **CLOSE)


def test_a_list_receives_the_weights_of_every_layer():
    model, ids, maps = tiny("llama"), draw_ids(2, 9), []
    cache = model.new_cache(2)
    run(model, ids[:, :5], cache)
    logits = run(model, ids[:, 5:], cache, maps=maps)
    assert [tuple(m.shape) for m in maps] == [(2, 4, 4, 9)] * 2
    whole = []
    run(model, ids, maps=whole)
    for late, all_rows in zip(maps, whole, strict=True):
        torch.testing.assert_close(late, all_rows[:, :, 5:], **CLOSE)
    torch.testing.assert_close(logits, run(model, ids)[:, 5:], **CLOSE)


def test_the_tied_head_is_the_embedding():
    for name, tied in (("qwen2", True), ("llama", False)):
        model = tiny(name)
        assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied


@pytest.mark.parametrize("name", ["llama-bias", "gpt2", "qwen2"])
def test_gradients_reach_every_parameter_of_a_packed_model(name):
    model, ids = tiny(name), draw_ids(2, 9)
    wanted = grads(model, ids)
    got = grads(model.pack(), ids)
    assert got.keys() == wanted.keys()
    for n in wanted:
        torch.testing.assert_close(got[n], wanted[n], **CLOSE)
        assert n.endswith("k_proj.bias") or (wanted[n] != 0).any(), n


def grads(model, ids):
    model.zero_grad()
    logits = model(ids)[:, :-1].flatten(0, 1)
    nn.functional.cross_entropy(logits, ids[:, 1:].flatten()).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters()}


def test_a_packed_model_follows_new_weights():
    model, other, ids = tiny("qwen2").pack(), tiny("qwen2", seed=5), draw_ids(2, 9)
    model.load_state_dict(other.state_dict())
    torch.testing.assert_close(run(model, ids), run(other, ids), **CLOSE)


def test_a_copy_of_a_packed_model_has_its_own_weights():
    model, ids = tiny("qwen2").pack(), draw_ids(2, 9)
    before, twin = run(model, ids), copy.deepcopy(model)
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    torch.testing.assert_close(run(twin, ids), before)
    assert (run(model, ids) == 0).all()


def test_packing_twice_changes_nothing():
    model, ids = tiny("llama-bias"), draw_ids(2, 9)
    before = run(model, ids)
    torch.testing.assert_close(run(model.pack().pack(), ids), before, **CLOSE)


def test_ids_are_checked():
    model = tiny("llama")
    refuses(model, torch.tensor([[3, 64]]), says=["id 64", "vocabulary of 64"])
    refuses(model, torch.tensor([[-1, 3]]), says=["id -1", "vocabulary of 64"])
    refuses(model, torch.zeros(1, 0, dtype=torch.long), says=["at least 1", "(1, 0)"])
    refuses(model, torch.zeros(3, dtype=torch.long), says=["(B, T)", "(3,)"])
    refuses(model, torch.zeros(1, 3), says=["int64", "torch.float32"])
    refuses(model, torch.zeros(0, 3, dtype=torch.long), says=["at least 1", "(0, 3)"])
    refuses(model, torch.zeros(1, 3, dtype=torch.bool), says=["int64", "torch.bool"])


def test_texts_longer_than_the_context_are_refused():
    for name in ("llama", "gpt2"):
        model = tiny(name)
        says = ["65 tokens", "context of 64"]
        refuses(model, draw_ids(1, 65), says=says)
        positions = torch.arange(5) + 60
        refuses(model, draw_ids(1, 5), positions=positions, says=says)
    cache = model.new_cache()
    run(model, draw_ids(1, 60), cache)
    refuses(model, draw_ids(1, 5), cache, says=["65 tokens", "context of 64"])


def test_positions_of_wrong_shape_or_sign_are_refused():
    model, ids = tiny("llama"), draw_ids(2, 5)
    refuses(model, ids, positions=torch.arange(4), says=["(2, 5)", "(4,)"])
    refuses(model, ids, positions=torch.zeros(3, 5), says=["(2, 5)", "(3, 5)"])
    refuses(model, ids, positions=torch.arange(5) - 1, says=["0", "-1"])


@pytest.mark.parametrize("name", ["dynamic", "longrope"])
def test_rows_of_two_rope_regimes_are_refused(name):
    positions = torch.stack([torch.arange(20), (torch.arange(20) - 9).clamp(min=0)])
    says = ["11", "20", name]
    refuses(tiny(name), draw_ids(2, 20), positions=positions, says=says)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_layers", 3), ("n_kv_heads", 1), ("d_head", 6), ("window", 7)],
)
def test_a_cache_of_another_shape_or_window_is_refused(name, value):
    model = tiny("llama")
    cache = KVCache(replace(model.config, **{name: value}))
    ours = getattr(model.config, name)
    says = [f"{name} {value}", f"the model has {ours}"]
    refuses(model, draw_ids(1, 4), cache, says=says)


def test_ids_and_positions_of_another_kind_are_refused():
    model, ids = tiny("llama"), draw_ids(1, 4)
    refuses(model, ids.tolist(), says=["tensor", "list"])
    places = torch.ones(4, dtype=torch.bool)
    refuses(partial(model, positions=places), ids, says=["int64", "torch.bool"])
