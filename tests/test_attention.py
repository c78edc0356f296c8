"""Masks and attention: what each rule allows, and attention by loops."""

import math

import pytest
import torch
from tiny import draw, refuses

from llmcourse.attention import (
    attention,
    attention_weights,
    bidirectional,
    both,
    build_mask,
    causal,
    causal_mask,
    packed,
    padding,
    prefix,
    window,
)


def rows(mask) -> list[str]:
    return ["".join("x" if m else "." for m in row) for row in mask.tolist()]


def test_causal_mask_is_aligned_bottom_right():
    assert rows(causal_mask(3)) == ["x..", "xx.", "xxx"]
    assert rows(causal_mask(3, 5)) == ["xxx..", "xxxx.", "xxxxx"]
    assert rows(causal_mask(1, 4)) == ["xxxx"]


def test_prefix_tokens_see_each_other():
    assert rows(build_mask(prefix(2), 4, 4)) == ["xx..", "xx..", "xxx.", "xxxx"]


def test_bidirectional_sees_everything():
    assert build_mask(bidirectional, 3, 5).all()


def test_window_counts_the_token_itself():
    rule = both(causal, window(2))
    assert rows(build_mask(rule, 4, 4)) == ["x...", "xx..", ".xx.", "..xx"]
    assert rows(build_mask(rule, 1, 4)) == ["..xx"]
    assert rows(build_mask(both(causal, window(1)), 3, 3)) == ["x..", ".x.", "..x"]


def test_padding_hides_the_columns_at_the_left_of_its_row():
    mask = build_mask(both(causal, padding(torch.tensor([0, 2]))), 3, 3)
    assert mask.shape == (2, 1, 3, 3)
    assert rows(mask[0, 0]) == ["x..", "xx.", "xxx"]
    assert rows(mask[1, 0]) == ["...", "...", "..x"]


def test_packed_documents_do_not_see_each_other():
    documents = torch.tensor([0, 0, 1, 1])
    assert rows(build_mask(both(causal, packed(documents)), 4, 4)) == [
        "x...",
        "xx..",
        "..x.",
        "..xx",
    ]
    batch = torch.stack([documents, torch.tensor([0, 1, 1, 1])])
    mask = build_mask(both(causal, packed(batch)), 2, 4)
    assert mask.shape == (2, 1, 2, 4)
    assert rows(mask[0, 0]) == ["..x.", "..xx"]
    assert rows(mask[1, 0]) == [".xx.", ".xxx"]


def test_any_rules_conjoin():
    pad = torch.tensor([1])
    documents = torch.tensor([0, 0, 0, 1, 1, 1])
    rule = both(causal, window(2), padding(pad), packed(documents))
    for q in range(6):
        for k in range(6):
            wanted = k <= q and q - k < 2 and k >= 1 and (q < 3) == (k < 3)
            assert bool(build_mask(rule, 6, 6)[0, 0, q, k]) == wanted


def test_a_mask_that_starts_late_is_a_piece_of_the_whole():
    rule = both(causal, window(3), padding(torch.tensor([0, 4])))
    whole = build_mask(rule, 8, 8)
    assert torch.equal(build_mask(rule, 2, 5, start=3), whole[..., 6:, 3:])


def by_loops(q, k, v, mask):
    """softmax(q k^T / sqrt(K)) v, a loop for every letter; zero where none is seen."""
    B, H, T, K = q.shape
    share = H // k.shape[1]  # neighbouring query heads share a K/V head
    out = torch.zeros(B, H, T, v.shape[-1])
    for b in range(B):
        for h in range(H):
            for t in range(T):
                seen = [s for s in range(k.shape[2]) if mask[t][s]]
                keys = k[b, h // share]
                powers = [math.exp(q[b, h, t] @ keys[s] / math.sqrt(K)) for s in seen]
                for s, power in zip(seen, powers, strict=True):
                    out[b, h, t] += power / sum(powers) * v[b, h // share, s]
    return out


@pytest.mark.parametrize("G", [1, 2, 4])
def test_attention_equals_loops(G):
    q, k, v = draw(2, 4, 3, 8), draw(2, G, 5, 8, seed=1), draw(2, G, 5, 8, seed=2)
    mask = causal_mask(3, 5)
    wanted = by_loops(q, k, v, mask)
    torch.testing.assert_close(attention(q, k, v, mask), wanted, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        attention(q, k, v, is_causal=True), wanted, atol=1e-6, rtol=0
    )
    weights = attention_weights(q, k, mask)
    by_hand = weights @ v.repeat_interleave(4 // G, 1)
    torch.testing.assert_close(by_hand, wanted, atol=1e-6, rtol=0)


def test_weights_sum_to_one_and_are_zero_where_nothing_may_be_seen():
    weights = attention_weights(draw(1, 2, 3, 8), draw(1, 1, 5, 8), causal_mask(3, 5))
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2, 3))
    assert (weights[..., ~causal_mask(3, 5)] == 0).all()
    assert (weights[..., causal_mask(3, 5)] > 0).all()


def test_huge_scores_do_not_override_the_mask():
    q, k = 100 * torch.ones(1, 1, 2, 8), 100 * torch.ones(1, 1, 2, 8)
    v = torch.tensor([[1.0], [9.0]]).expand(1, 1, 2, 1)
    assert attention(q, k, v, causal_mask(2))[0, 0, 0, 0] == 1
    assert attention_weights(q, k, causal_mask(2))[0, 0, 0, 1] == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_row_with_nothing_to_see_gives_zeros(dtype):
    q, k, v = draw(3, 1, 2, 3, 8).to(dtype)
    mask = causal_mask(3)
    mask[1] = False
    x = attention(q, k, v, mask)
    assert (x[:, :, 1] == 0).all() and x.isfinite().all()
    weights = attention_weights(q, k, mask)
    assert (weights[:, :, 1] == 0).all() and weights.isfinite().all()
    whole = attention(q, k, v, causal_mask(3))
    torch.testing.assert_close(x[:, :, [0, 2]], whole[:, :, [0, 2]])


def test_gradients_flow_through_rows_that_see_something():
    q = draw(1, 2, 3, 8).requires_grad_()
    k, v = draw(1, 2, 3, 8, seed=1), draw(1, 2, 3, 8, seed=2)
    attention(q, k, v, causal_mask(3)).sum().backward()
    assert q.grad.isfinite().all() and (q.grad[:, :, 1:] != 0).any()


Q, KV = draw(2, 4, 3, 8), draw(2, 2, 5, 8)


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (torch.zeros(3, 5), ["torch.bool", "torch.float32"]),
        (torch.ones(3, 5, dtype=torch.int64), ["torch.bool", "torch.int64"]),
        (causal_mask(3, 4), ["(3, 4)", "(2, 4, 3, 5)"]),
        (causal_mask(2, 5), ["(2, 5)", "(2, 4, 3, 5)"]),
        (causal_mask(3, 5).expand(3, 1, 3, 5), ["(3, 1, 3, 5)", "(2, 4, 3, 5)"]),
        (causal_mask(3, 5).expand(2, 2, 3, 5), ["(2, 2, 3, 5)", "(2, 4, 3, 5)"]),
        (causal_mask(3, 5).expand(1, 2, 4, 3, 5), ["(1, 2, 4, 3, 5)"]),
    ],
)
def test_masks_of_wrong_type_or_shape_are_refused(mask, says):
    refuses(attention, Q, KV, KV, mask, says=says)
    refuses(attention_weights, Q, KV, mask, says=says)


def test_shapes_that_do_not_fit_are_refused():
    shapes = ["(2, 4, 3, 8)", "(2, 2, 5, 6)"]
    refuses(attention, Q, draw(2, 2, 5, 6), draw(2, 2, 5, 6), says=shapes)
    refuses(
        attention_weights, Q, draw(2, 3, 5, 8), says=["4 query heads", "3 K/V heads"]
    )
    refuses(attention, Q, KV, KV, causal_mask(3, 5), is_causal=True, says=["both"])


def test_large_float16_products_are_scaled_before_they_overflow():
    q = torch.full((1, 1, 2, 64), 40.0).half()
    weights = attention_weights(q, q)
    torch.testing.assert_close(weights @ q, attention(q, q, q))
    assert not weights.isnan().any()


def test_no_rule_at_all_is_refused():
    refuses(both, says=["at least 1", "0"])


def test_values_that_do_not_fit_their_keys_are_refused():
    """Torch's operator would read beyond the keys, or leave some out, in silence."""
    q, k = draw(1, 4, 2, 8), draw(1, 2, 5, 8)
    for shape in ((1, 2, 4, 8), (1, 2, 1, 8), (1, 4, 5, 8)):
        says = [(1, 2, 5, 8), shape]
        refuses(attention, q, k, draw(*shape), says=says)
    refuses(attention_weights, q, k[:, :0], says=["0 K/V heads"])
    refuses(attention_weights, q.half(), k, says=["torch.float16", "torch.float32"])


def test_a_mask_of_one_row_or_column_is_broadcast():
    q, k, v = draw(2, 4, 3, 8), draw(2, 2, 5, 8, seed=1), draw(2, 2, 5, 8, seed=2)
    seen = torch.tensor([True, True, False, True, False])
    whole = attention(q, k, v, seen.expand(3, 5))
    torch.testing.assert_close(attention(q, k, v, seen[None]), whole)
    assert (attention_weights(q, k, seen[None])[..., ~seen] == 0).all()


def test_more_queries_than_keys_are_refused():
    refuses(causal_mask, 4, 3, says=["4 queries", "3"])
    more = draw(2, 4, 6, 8)
    refuses(attention, more, KV, KV, is_causal=True, says=["6 queries", "5"])


def test_a_window_of_no_token_is_refused():
    refuses(window, 0, says=["from 1 on", "got 0"])
    refuses(window, 2.5, says=["whole", "got 2.5"])
    refuses(prefix, -1, says=["0 tokens or more", "got -1"])
