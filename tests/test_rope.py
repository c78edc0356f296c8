"""RoPE: rotations by hand, both layouts, and what each scaling rule promises."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from tiny import DYNAMIC, LINEAR, LLAMA3, LONGROPE, YARN, draw, refuses

from llmcourse.rope import (
    RopeScaling,
    apply_rope,
    half_to_interleaved,
    interleaved_to_half,
    rope_angles,
    rope_frequencies,
)

LAYOUTS = ["half", "interleaved"]
SCALINGS = [LINEAR, DYNAMIC, LLAMA3, YARN, LONGROPE]


def rotate(x, positions, layout="half", R=None, **options):
    cos, sin = rope_angles(torch.as_tensor(positions), R or x.shape[-1], **options)
    return apply_rope(x, cos, sin, layout)


def by_loops(x, positions, layout, base=10000.0):
    """One 2x2 rotation a pair: counter-clockwise by position * base^(-2i/R)."""
    out, R = x.clone(), x.shape[-1]
    for t, position in enumerate(positions):
        for i in range(R // 2):
            a, b = (i, i + R // 2) if layout == "half" else (2 * i, 2 * i + 1)
            angle = position * base ** (-2 * i / R)
            c, s = math.cos(angle), math.sin(angle)
            out[..., t, a] = c * x[..., t, a] - s * x[..., t, b]
            out[..., t, b] = s * x[..., t, a] + c * x[..., t, b]
    return out


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rotation_equals_loops(layout):
    x, positions = draw(2, 3, 4, 8), [0, 1, 7, 30]
    wanted = by_loops(x, positions, layout)
    torch.testing.assert_close(rotate(x, positions, layout), wanted)


def test_interleaved_pairs_are_complex_numbers():
    x, positions = draw(5, 8), torch.arange(5)
    turned = torch.view_as_complex(x.view(5, 4, 2)) * torch.exp(
        1j * positions[:, None] * rope_frequencies(8, 10000.0)
    )
    wanted = torch.view_as_real(turned).flatten(1)
    torch.testing.assert_close(rotate(x, positions, "interleaved"), wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_position_0_changes_nothing_and_others_do(layout):
    x = draw(2, 8)
    turned = rotate(x, [0, 3], layout)
    assert torch.equal(turned[0], x[0])
    assert (turned[1] - x[1]).abs().max() > 0.1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lengths_are_kept(layout):
    x = draw(6, 8)
    torch.testing.assert_close(
        rotate(x, torch.arange(6) * 10, layout).norm(dim=-1), x.norm(dim=-1)
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scaling", [None, LINEAR, LLAMA3, YARN])
def test_scores_depend_on_the_distance_only(layout, scaling):
    q, k = draw(1, 8), draw(1, 8, seed=1)

    def score(at, back):
        options = dict(layout=layout, scaling=scaling)
        return (rotate(q, [at], **options) * rotate(k, [at - back], **options)).sum()

    for back in (0, 1, 5):
        torch.testing.assert_close(score(40, back), score(9, back))
    assert (score(9, 0) - score(9, 5)).abs() > 0.01


def test_two_positions_differ_from_their_mirror_image():
    q, k = draw(1, 8), draw(1, 8, seed=1)
    ahead = (rotate(q, [5]) * rotate(k, [2])).sum()
    behind = (rotate(q, [2]) * rotate(k, [5])).sum()
    assert (ahead - behind).abs() > 0.1


def test_partial_rotation_leaves_the_rest_alone():
    x = draw(2, 3, 8)
    turned = rotate(x, [4, 5, 6], R=4)
    assert torch.equal(turned[..., 4:], x[..., 4:])
    torch.testing.assert_close(turned[..., :4], rotate(x[..., :4], [4, 5, 6]))


def test_rows_may_have_their_own_positions():
    x = draw(2, 3, 8)
    both = rotate(x, [[0, 1, 2], [5, 6, 7]])
    torch.testing.assert_close(both[1], rotate(x[1], [5, 6, 7]))


def test_half_types_stay_half():
    x = draw(3, 8).bfloat16()
    assert rotate(x, [0, 1, 2]).dtype == torch.bfloat16


@pytest.mark.parametrize("shape", [(24, 5), (24,)])
def test_the_permutation_has_an_inverse(shape):
    weight = draw(*shape)
    assert torch.equal(half_to_interleaved(interleaved_to_half(weight, 3), 3), weight)
    assert torch.equal(interleaved_to_half(half_to_interleaved(weight, 3), 3), weight)
    assert not torch.equal(interleaved_to_half(weight, 3), weight)


def test_permuted_weights_give_the_same_scores():
    """x W_q and x W_k, rotated and multiplied, for 3 heads of width 8."""
    x, w_q, w_k, bias = draw(4, 5), draw(24, 5), draw(24, 5, seed=1), draw(24, seed=2)

    def scores(layout, change):
        q = x @ change(w_q, 3).T + change(bias, 3)  # (4, 24)
        k = x @ change(w_k, 3).T
        q, k = (t.view(4, 3, 8).transpose(0, 1) for t in (q, k))  # (3, 4, 8)
        positions = torch.arange(4)
        q, k = rotate(q, positions, layout), rotate(k, positions, layout)
        return q @ k.transpose(1, 2)

    meta = scores("interleaved", lambda w, n: w)
    torch.testing.assert_close(scores("half", interleaved_to_half), meta)
    hugging_face = scores("half", lambda w, n: w)
    torch.testing.assert_close(scores("interleaved", half_to_interleaved), hugging_face)
    assert (meta - hugging_face).abs().max() > 0.1


def test_frequencies_are_a_geometric_series_from_1():
    freqs = rope_frequencies(8, 10000.0)
    torch.testing.assert_close(freqs, torch.tensor([1.0, 0.1, 0.01, 0.001]))


def test_linear_scaling_squeezes_positions():
    x = draw(3, 8)
    squeezed = rotate(x, [0, 4, 8], scaling=LINEAR)
    torch.testing.assert_close(squeezed, rotate(x, [0, 1, 2]))


def test_dynamic_scaling_begins_beyond_the_trained_context():
    plain = rope_frequencies(8, 10000.0)
    for length in (0, 1, 16):
        assert torch.equal(rope_frequencies(8, 10000.0, DYNAMIC, length), plain)
    longer = rope_frequencies(8, 10000.0, DYNAMIC, 32)
    assert longer[0] == plain[0] and (longer[1:] < plain[1:]).all()
    # The slowest pair turns as much slower as the formula stretches the context.
    torch.testing.assert_close(plain[-1] / longer[-1], torch.tensor(4.0 * 2 - 3))


def test_llama3_scaling_keeps_fast_pairs_and_divides_slow_ones():
    s = RopeScaling("llama3", factor=8.0, original_max_len=8192)
    plain, scaled = rope_frequencies(128, 5e5), rope_frequencies(128, 5e5, s)
    turns = 8192 * plain / (2 * math.pi)
    fast, slow = turns > 4, turns < 1
    assert fast.sum() > 10 and slow.sum() > 10 and (~fast & ~slow).sum() > 2
    torch.testing.assert_close(scaled[fast], plain[fast])
    torch.testing.assert_close(scaled[slow], plain[slow] / 8)
    between = (plain / scaled)[~fast & ~slow]
    assert ((between > 1) & (between < 8)).all()


def test_yarn_scaling_keeps_fast_pairs_and_divides_slow_ones():
    s = RopeScaling("yarn", factor=8.0, original_max_len=8192)
    plain, scaled = rope_frequencies(128, 1e4), rope_frequencies(128, 1e4, s)
    turns = 8192 * plain / (2 * math.pi)
    torch.testing.assert_close(scaled[turns > 40], plain[turns > 40])
    torch.testing.assert_close(scaled[turns < 0.8], plain[turns < 0.8] / 8)
    between = (plain / scaled)[(turns < 25) & (turns > 1.2)]
    assert len(between) > 5 and ((between > 1) & (between < 8)).all()


def test_longrope_has_a_short_and_a_long_list():
    plain = rope_frequencies(8, 10000.0)
    short = rope_frequencies(8, 10000.0, LONGROPE, 16)
    long = rope_frequencies(8, 10000.0, LONGROPE, 17)
    torch.testing.assert_close(plain / short, torch.tensor(LONGROPE.short_factor))
    torch.testing.assert_close(plain / long, torch.tensor(LONGROPE.long_factor))


def test_magnitudes():
    assert LINEAR.magnitude == DYNAMIC.magnitude == LLAMA3.magnitude == 1
    assert YARN.magnitude == pytest.approx(0.1 * math.log(4) + 1)
    assert LONGROPE.magnitude == pytest.approx(math.sqrt(1.5))  # 1 + ln 4 / ln 16
    deepseek = replace(YARN, mscale=0.7, mscale_all_dim=1.0)
    log = 0.1 * math.log(4)
    assert deepseek.magnitude == pytest.approx((0.7 * log + 1) / (log + 1))
    for scaling in (YARN, LONGROPE):
        assert replace(scaling, attention_factor=1.25).magnitude == 1.25
        assert replace(scaling, factor=1.0).magnitude == 1


@pytest.mark.parametrize("scaling", [YARN, LONGROPE])
def test_the_magnitude_multiplies_cos_and_sin(scaling):
    x = draw(3, 8)
    longer = rotate(x, [0, 5, 9], scaling=scaling).norm(dim=-1) / x.norm(dim=-1)
    torch.testing.assert_close(longer, torch.full((3,), scaling.magnitude))


@pytest.mark.parametrize("scaling", SCALINGS, ids=lambda s: s.kind)
def test_lengths_of_one_regime_share_their_frequencies(scaling):
    of = {n: rope_frequencies(8, 1e4, scaling, n) for n in range(1, 64)}
    for a in of:
        for b in of:
            same = torch.equal(of[a], of[b])
            assert same == (scaling.regime(a) == scaling.regime(b)), (a, b)


@pytest.mark.parametrize("scaling", SCALINGS, ids=lambda s: s.kind)
def test_angles_follow_the_length(scaling):
    for length in (8, 16, 17, 40):
        freqs = rope_frequencies(8, 1e4, scaling, length)
        cos, sin = rope_angles(torch.arange(4), 8, 1e4, scaling, length)
        angles = torch.arange(4.0)[:, None] * freqs
        torch.testing.assert_close(cos, angles.cos() * scaling.magnitude)
        torch.testing.assert_close(sin, angles.sin() * scaling.magnitude)


def test_angles_made_in_inference_mode_can_be_trained_with():
    with torch.inference_mode():
        rope_angles(torch.arange(3), 8, 12345.0)
    x = draw(3, 8).requires_grad_()
    rotate(x, [0, 1, 2], base=12345.0).sum().backward()
    assert x.grad.isfinite().all()


def test_bad_shapes_are_refused():
    refuses(rope_frequencies, 7, 1e4, says=["even", "7"])
    refuses(rope_frequencies, 0, 1e4, says=["even", "0"])
    refuses(rope_frequencies, 8, -1.0, says=["above 0", "-1.0"])
    refuses(rope_frequencies, 2, 1e4, DYNAMIC, 20, says=["4", "2"])
    cos, sin = rope_angles(torch.arange(3), 8)
    refuses(apply_rope, draw(3, 6), cos, sin, says=["8", "6"])
    refuses(apply_rope, draw(3, 8), cos, sin, "pairs", says=["half", "pairs"])
    refuses(interleaved_to_half, draw(10, 4), 3, says=["10", "3"])
    refuses(half_to_interleaved, draw(9, 4), 3, says=["9", "3"])


def test_bad_scalings_are_refused():
    refuses(RopeScaling, "ntk", says=["linear", "'ntk'"])
    refuses(RopeScaling, "linear", factor=0.5, says=["at least 1", "0.5"])
    refuses(RopeScaling, "linear", factor=math.nan, says=["at least 1", "nan"])
    refuses(RopeScaling, "linear", attention_factor=-1.0, says=["above 0", "-1.0"])
    for kind in ("dynamic", "llama3", "yarn", "longrope"):
        refuses(RopeScaling, kind, factor=2.0, says=[kind, "original_max_len=0"])
    bad = dict(original_max_len=16, low_freq_factor=4.0, high_freq_factor=4.0)
    refuses(RopeScaling, "llama3", factor=2.0, **bad, says=["low_freq_factor 4.0"])
    yarn = partial(RopeScaling, "yarn", factor=2.0, original_max_len=16)
    refuses(yarn, beta_fast=0, says=["beta_slow 1.0", "beta_fast 0"])
    refuses(yarn, beta_slow="q", says=["beta_slow is a number", "'q'"])
    zero = dict(factor=2.0, short_factor=(1.0, 0.0), long_factor=(1.0, 1.0))
    longrope = partial(RopeScaling, "longrope", **zero)
    refuses(longrope, original_max_len=16, says=["short_factor", "0.0"])
    refuses(longrope, original_max_len=1, says=["at least 2", "1"])
    refuses(rope_frequencies, 10, 1e4, LONGROPE, 1, says=["short_factor", "4", "5"])
    refuses(rope_frequencies, 10, 1e4, LONGROPE, 20, says=["long_factor", "4", "5"])
