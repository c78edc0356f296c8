"""From logits to a token: each step by what it must do, and the draw by counting."""

import math
from unittest import mock

import pytest
import torch
from tiny import draw, refuses

from llmcourse.sampling import (
    SamplingParams,
    min_p,
    next_token,
    probabilities,
    repetition_penalty,
    sample,
    temperature,
    top_k,
    top_p,
)

INF = float("inf")
LOGITS = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03]).log()


def kept(logits) -> list[int]:
    return logits.isfinite().nonzero().flatten().tolist()


def test_temperature_divides_differences():
    cold, hot = temperature(LOGITS, 0.5), temperature(LOGITS, 2.0)
    torch.testing.assert_close(cold - cold[1], (LOGITS - LOGITS[1]) * 2)
    torch.testing.assert_close(hot - hot[1], (LOGITS - LOGITS[1]) / 2)
    torch.testing.assert_close(temperature(LOGITS, 1.0).softmax(-1), LOGITS.exp())


def test_temperature_0_keeps_the_largest():
    logits = draw(7, 20)
    only = temperature(logits, 0)
    assert (only.isfinite().sum(-1) == 1).all()
    assert torch.equal(only.argmax(-1), logits.argmax(-1))
    assert kept(temperature(torch.tensor([1.0, 3.0, 3.0]), 0)) == [1]  # the first


@pytest.mark.parametrize("value", [1e-4, 1e-30, 1e-42, 1e-300, 5e-324])
def test_a_tiny_temperature_is_nearly_greedy(value):
    logits = torch.tensor([[3.0, 900.0, -INF, 899.0]])
    probs = probabilities(logits, SamplingParams(temperature=value))
    assert probs.tolist() == [[0, 1, 0, 0]]


@pytest.mark.parametrize("k", [1, 2, 5, 19])
def test_top_k_keeps_exactly_the_k_largest(k):
    logits = draw(6, 20)
    cut = top_k(logits, k)
    assert (cut.isfinite().sum(-1) == k).all()
    largest = logits.sort(-1, descending=True).indices[:, :k]
    assert (cut.gather(-1, largest) == logits.gather(-1, largest)).all()


def test_top_k_of_0_or_all_changes_nothing():
    assert torch.equal(top_k(LOGITS, 0), LOGITS)
    assert torch.equal(top_k(LOGITS, 5), LOGITS)
    assert torch.equal(top_k(LOGITS, 50), LOGITS)


def test_top_k_keeps_ties():
    assert kept(top_k(torch.tensor([1.0, 2.0, 3.0, 2.0]), 2)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("p", "wanted"),
    [(0.01, 1), (0.49, 1), (0.51, 2), (0.74, 2), (0.76, 3), (0.96, 4), (0.98, 5)],
)
def test_top_p_keeps_the_token_that_crosses(p, wanted):
    assert kept(top_p(LOGITS, p)) == list(range(wanted))


def test_top_p_keeps_the_smallest_set_that_reaches_p():
    logits = 2 * draw(40, 30)
    for p in (0.1, 0.5, 0.9, 0.99):
        probs, cut = logits.softmax(-1), top_p(logits, p)
        for row, keep in zip(probs, cut.isfinite(), strict=True):
            assert row[keep].sum() >= p - 1e-6
            assert row[keep].sum() - row[keep].min() < p + 1e-6  # one fewer is too few
            assert not (~keep).any() or row[keep].min() >= row[~keep].max()
    assert torch.equal(top_p(logits, 1.0), logits)


def test_min_p_compares_with_the_likeliest():
    assert kept(min_p(LOGITS, 0.0)) == [0, 1, 2, 3, 4]
    assert kept(min_p(LOGITS, 0.1)) == [0, 1, 2, 3]
    assert kept(min_p(LOGITS, 0.29)) == [0, 1, 2]
    assert kept(min_p(LOGITS, 1.0)) == [0]


def test_repetition_penalty_pushes_down_whatever_the_sign():
    logits = torch.tensor([[2.0, -2.0, 2.0, -2.0]])
    seen = torch.tensor([[True, True, False, False]])
    wanted = torch.tensor([[1.0, -4.0, 2.0, -2.0]])
    assert torch.equal(repetition_penalty(logits, seen, 2.0), wanted)
    assert torch.equal(repetition_penalty(logits, seen, 1.0), logits)


def by_hand(
    logits: list[float], params: SamplingParams, seen: list[int]
) -> list[float]:
    """The fixed order in plain Python: penalty, temperature, top-k, top-p, min-p."""
    penalty = params.repetition_penalty
    for i in seen:
        logits[i] = logits[i] / penalty if logits[i] > 0 else logits[i] * penalty
    powers = [math.exp(x / params.temperature) for x in logits]
    order = sorted(range(len(powers)), key=lambda i: -powers[i])
    order = order[: params.top_k or None]
    total, reached, keep = sum(powers[i] for i in order), 0.0, []
    for i in order:
        if reached < params.top_p:
            keep.append(i)
        reached += powers[i] / total
    keep = [i for i in keep if powers[i] >= params.min_p * powers[keep[0]]]
    total = sum(powers[i] for i in keep)
    return [powers[i] / total if i in keep else 0.0 for i in range(len(powers))]


PARAMS = [
    SamplingParams(temperature=1.0),
    SamplingParams(temperature=0.7, top_k=5),
    SamplingParams(temperature=2.0, top_p=0.8),
    SamplingParams(temperature=0.5, top_p=0.8),
    SamplingParams(temperature=1.5, min_p=0.2),
    SamplingParams(temperature=1.3, top_k=6, top_p=0.85, min_p=0.1),
    SamplingParams(temperature=0.8, top_k=7, top_p=0.9, repetition_penalty=1.7),
]


@pytest.mark.parametrize("params", PARAMS, ids=str)
def test_steps_come_in_the_fixed_order(params):
    logits = 2 * draw(30, 12)
    seen = draw(30, 12, seed=1) > 0.5
    probs = probabilities(logits, params, seen)
    for row, said, got in zip(logits.tolist(), seen, probs, strict=True):
        wanted = by_hand(row, params, said.nonzero().flatten().tolist())
        torch.testing.assert_close(got, torch.tensor(wanted), atol=1e-6, rtol=1e-5)


def test_the_order_of_temperature_and_top_p_matters():
    hot = SamplingParams(temperature=2.0, top_p=0.7)
    assert (probabilities(LOGITS, hot) > 0).sum() == 3
    assert kept(top_p(LOGITS, 0.7)) == [0, 1]


def test_probabilities_are_float32_and_sum_to_1():
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        probs = probabilities(draw(3, 50).to(dtype), SamplingParams(temperature=0.9))
        assert probs.dtype == torch.float32
        torch.testing.assert_close(probs.sum(-1), torch.ones(3))


def chi_square(counts, probs, n: int) -> float:
    expected = probs.double() * n
    return ((counts - expected) ** 2 / expected).sum().item()


def test_draws_follow_the_distribution():
    """Of 10 tokens, 9 degrees of freedom: chi-square exceeds 27.88 once in 1000."""
    random = torch.Generator().manual_seed(0)
    probs, n = draw(10, seed=3).softmax(-1), 50_000
    counts = sample(probs.expand(n, 10), random).bincount(minlength=10)
    assert chi_square(counts, probs, n) < 27.88


def test_draws_of_sampling_steps_follow_their_distribution():
    """Of the 4 tokens kept, 3 degrees of freedom: above 16.27 once in 1000."""
    random = torch.Generator().manual_seed(0)
    params = SamplingParams(temperature=1.5, top_k=4)
    logits, n = draw(10, seed=3), 50_000
    ids = next_token(logits.expand(n, 10), params, generator=random)
    probs = probabilities(logits, params)
    counts = ids.bincount(minlength=10)
    assert (counts[probs == 0] == 0).all() and (probs > 0).sum() == 4
    assert chi_square(counts[probs > 0], probs[probs > 0], n) < 16.27


def test_rows_are_drawn_independently():
    """Pairs of two rows over 2 x 2 outcomes, 3 degrees of freedom."""
    random = torch.Generator().manual_seed(0)
    probs, n = torch.tensor([[0.3, 0.7], [0.6, 0.4]]), 20_000
    draws = sample(probs.expand(n, 2, 2), random)  # (n, 2)
    assert draws.shape == (n, 2)
    counts = (2 * draws[:, 0] + draws[:, 1]).bincount(minlength=4)
    joint = (probs[0][:, None] * probs[1]).flatten()
    assert chi_square(counts, joint, n) < 16.27


def test_a_token_without_probability_is_never_drawn():
    random = torch.Generator().manual_seed(0)
    probs = torch.tensor([0.0, 0.0, 1e-7, 0.5, 0.0, 0.5, 0.0, 0.0])
    ids = sample(probs.expand(100_000, 8), random)
    assert set(ids.tolist()) <= {2, 3, 5}
    one = torch.zeros(1000, 5)
    one[:, 4] = 1
    assert (sample(one, random) == 4).all()


@pytest.mark.parametrize("u", [0.0, 0.5, 1 - 2**-53])
def test_the_ends_of_the_uniform_number_are_fine(u):
    probs = torch.tensor([[0.0, 0.0, 0.5, 0.0, 0.5, 0.0], [0, 0.3, 0.3, 0.3, 0.3, 0]])
    number = torch.full((2, 1), u, dtype=torch.float64)
    with mock.patch.object(torch, "rand", return_value=number):
        ids = sample(probs)
    assert ids.tolist() == {0.0: [2, 1], 0.5: [4, 3]}.get(u, [4, 4])


def test_every_token_of_a_large_vocabulary_is_drawn():
    """The uniform number has more steps than there are tokens."""
    random, V = torch.Generator().manual_seed(0), 3000
    probs = torch.full((1, V), 1 / V).expand(40_000, V)
    ids = torch.cat([sample(p, random) for p in probs.split(2000)])
    assert len(ids.unique()) >= V - 2  # e^-13 of them are expected to be missed


def test_a_fixed_generator_gives_fixed_ids():
    probs = draw(20, 30).softmax(-1)

    def ids(seed):
        return sample(probs, torch.Generator().manual_seed(seed)).tolist()

    assert ids(0) == ids(0) != ids(1)


def test_greedy_takes_the_largest_and_draws_nothing():
    logits, random = draw(9, 30), torch.Generator().manual_seed(0)
    state = random.get_state()
    ids = next_token(logits, SamplingParams(), generator=random)
    assert torch.equal(ids, logits.argmax(-1))
    assert torch.equal(random.get_state(), state)


def test_greedy_agrees_with_its_probabilities():
    logits, seen = draw(50, 12), draw(50, 12, seed=1) > 0
    params = SamplingParams(repetition_penalty=1.8)
    probs = probabilities(logits, params, seen)
    assert torch.equal(next_token(logits, params, seen), probs.argmax(-1))
    assert (next_token(logits, params, seen) != logits.argmax(-1)).any()


def test_steps_do_not_change_their_input():
    logits, seen = draw(4, 20), draw(4, 20, seed=1) > 0
    before = logits.clone()
    probabilities(logits, PARAMS[-1], seen)
    next_token(logits, SamplingParams(repetition_penalty=2.0), seen)
    assert torch.equal(logits, before)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (dict(temperature=-0.1), ["temperature", "-0.1"]),
        (dict(temperature=math.nan), ["temperature", "nan"]),
        (dict(temperature=INF), ["temperature", "inf"]),
        (dict(top_k=-1), ["top-k", "-1"]),
        (dict(top_k=2.0), ["top-k", "2.0"]),
        (dict(top_p=0.0), ["top-p", "0.0"]),
        (dict(top_p=1.1), ["top-p", "1.1"]),
        (dict(top_p=-0.5), ["top-p", "-0.5"]),
        (dict(top_p=math.nan), ["top-p", "nan"]),
        (dict(min_p=-0.1), ["min-p", "-0.1"]),
        (dict(min_p=1.5), ["min-p", "1.5"]),
        (dict(repetition_penalty=0.0), ["repetition penalty", "0.0"]),
        (dict(repetition_penalty=-1.0), ["repetition penalty", "-1.0"]),
        (dict(repetition_penalty=math.nan), ["repetition penalty", "nan"]),
    ],
    ids=str,
)
def test_bad_values_are_refused_at_once(options, says):
    refuses(SamplingParams, **options, says=says)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([0.0, math.nan, 1.0], "nan"),
        ([-INF, -INF, -INF], "-inf"),
        ([0.0, INF, 1.0], "inf"),
    ],
)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_logits_without_a_finite_maximum_are_refused(row, says, value):
    logits = torch.tensor([[0.0, 1.0, 2.0], row])
    params = SamplingParams(temperature=value)
    refuses(next_token, logits, params, says=["finite", f"got {says}"])
    refuses(probabilities, logits, params, says=["finite", f"got {says}"])


def test_some_minus_infinities_are_fine():
    logits = torch.tensor([[-INF, 1.0, -INF, 0.0]])
    for params in PARAMS:
        seen = torch.zeros_like(logits, dtype=torch.bool)
        assert probabilities(logits, params, seen)[0, [0, 2]].tolist() == [0, 0]


def test_seen_must_fit_the_logits():
    seen = torch.zeros(3, 5, dtype=torch.bool)
    refuses(repetition_penalty, draw(2, 5), seen, 2.0, says=["(3, 5)", "(2, 5)"])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_penalty_without_seen_is_refused(value):
    params = SamplingParams(temperature=value, repetition_penalty=1.3)
    for call in (next_token, probabilities):
        refuses(call, draw(2, 5), params, says=["1.3", "seen", "None"])


@pytest.mark.parametrize("row", [[0.0, 0.0], [math.nan, 1.0], [1.5, -0.5]], ids=str)
def test_what_is_no_distribution_is_not_drawn_from(row):
    refuses(sample, torch.tensor(row), says=["0 or more", "row 0"])
    rows = torch.tensor([[0.5, 0.5], row])
    refuses(sample, rows, says=["0 or more", "row 1"])


def test_nothing_and_infinity_are_not_drawn_from():
    refuses(sample, torch.empty(2, 0), says=["nothing", "(2, 0)"])
    refuses(sample, torch.tensor([1.0, math.inf]), says=["finite", "row 0", "inf"])


@pytest.mark.parametrize(("penalty", "logits"), [(1e39, -1.0), (1e-45, 2.0)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_penalty_that_leaves_no_number_is_refused(penalty, logits, value):
    params = SamplingParams(temperature=value, repetition_penalty=penalty)
    logits, seen = torch.full((3,), logits), torch.ones(3, dtype=torch.bool)
    for call in (next_token, probabilities):
        refuses(call, logits, params, seen, says=["finite maximum", "inf"])
