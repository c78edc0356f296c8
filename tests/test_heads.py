"""Cutting a width into heads, putting it back, and sharing K/V heads."""

import torch
from tiny import draw, refuses

from llmcourse.heads import merge_heads, repeat_kv, split_heads


def test_a_head_is_consecutive_numbers():
    x = torch.arange(2 * 3 * 8).view(2, 3, 8)
    heads = split_heads(x, 4)
    assert heads.shape == (2, 4, 3, 2)
    for h in range(4):
        assert torch.equal(heads[:, h], x[..., 2 * h : 2 * h + 2])


def test_merge_is_the_inverse_of_split():
    x = draw(2, 3, 12)
    assert torch.equal(merge_heads(split_heads(x, 3)), x)


def test_copies_of_a_kv_head_stand_side_by_side():
    x = draw(2, 3, 5, 4)
    repeated = repeat_kv(x, 2)
    assert repeated.shape == (2, 6, 5, 4)
    for h in range(6):
        assert torch.equal(repeated[:, h], x[:, h // 2])


def test_repeating_once_copies_nothing():
    x = draw(1, 2, 3, 4)
    assert repeat_kv(x, 1) is x


def test_a_width_that_does_not_divide_is_refused():
    refuses(split_heads, draw(1, 2, 10), 4, says=["10", "4"])
    refuses(split_heads, draw(1, 2, 10), 0, says=["10", "0"])
    refuses(repeat_kv, draw(1, 2, 3, 4), 0, says=["at least 1", "0"])
