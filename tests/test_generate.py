"""The loop: the same ids with and without a cache, alone and in a batch."""

import pytest
import torch
from tiny import CONFIGS, draw_ids, refuses, run, tiny

from llmcourse.generate import decode_step, generate, generate_batch, prefill
from llmcourse.sampling import SamplingParams

# Models whose greedy text varies, its best two logits at least 0.005 apart.
SEEDS = {
    "llama": 15,
    "llama-bias": 34,
    "llama-mha": 31,
    "llama-mqa": 31,
    "linear": 4,
    "dynamic": 34,
    "llama3": 26,
    "yarn": 23,
    "qwen2": 16,
    "qwen2-window": 31,
    "mistral": 7,
    "mistral-wide-heads": 2,
    "phi3": 7,
    "phi3-partial": 39,
    "longrope": 11,
    "gpt2": 20,
    "gpt2-relu": 20,
    "gpt2-gelu": 20,
    "gpt2-silu": 13,
}
WARM = SamplingParams(temperature=1.0, top_k=20)


def prompt(T: int, seed: int = 0) -> list[int]:
    return draw_ids(1, T, seed=seed)[0].tolist()


def written(model, ids, n=24, **options) -> list[int]:
    options = dict(max_new_tokens=n, stop_ids=()) | options
    return list(generate(model, ids, **options))


def greedy_by_hand(model, ids: list[int], n: int) -> list[int]:
    """Read the whole text anew for each token, and take the likeliest."""
    ids = list(ids)
    for _ in range(n):
        logits = run(model, torch.tensor([ids]))[0, -1]
        ids.append(logits.argmax().item())
    return ids[-n:]


@pytest.mark.parametrize("name", CONFIGS)
def test_greedy_ids_with_and_without_cache(name):
    """Long enough to leave the window, and the trained context of the scaled ones."""
    model, ids = tiny(name, seed=SEEDS[name]), prompt(9)
    wanted = greedy_by_hand(model, ids, 24)
    assert len(set(wanted)) >= 5
    assert written(model, ids) == wanted
    assert written(model, ids, use_cache=False) == wanted
    assert written(model.pack(), ids) == wanted


def test_prefill_and_decode_step_give_the_last_logits():
    model, ids = tiny("qwen2"), draw_ids(2, 9)
    cache, whole = model.new_cache(2), run(model, ids)
    close = dict(atol=1e-5, rtol=0)
    torch.testing.assert_close(prefill(model, ids[:, :7], cache), whole[:, 6], **close)
    for t in (7, 8):
        got = decode_step(model, ids[:, t], cache)
        torch.testing.assert_close(got, whole[:, t], **close)
    torch.testing.assert_close(prefill(model, ids, None), whole[:, -1], **close)


@pytest.mark.parametrize("name", [n for n in CONFIGS if n not in ("dynamic",)])
def test_a_batch_writes_what_each_prompt_alone_gives(name):
    model = tiny(name, seed=15)
    lengths = [9, 3, 12] if name != "longrope" else [9, 9, 9]
    prompts = [prompt(T, seed=T + i) for i, T in enumerate(lengths)]
    wanted = [written(model, ids, 16) for ids in prompts]
    assert len({tuple(ids) for ids in wanted}) == 3
    got = generate_batch(model, prompts, max_new_tokens=16, stop_ids=())
    assert got == wanted


def test_a_short_row_goes_on_when_a_long_one_has_filled_the_context():
    model = tiny("llama", seed=15)
    prompts = [prompt(60), prompt(5, seed=1), prompt(58, seed=2), prompt(5, seed=3)]
    wanted = [written(model, ids, 20) for ids in prompts]
    assert [len(ids) for ids in wanted] == [4, 20, 6, 20]
    stop = (wanted[3][9],)
    wanted = [written(model, ids, 20, stop_ids=stop) for ids in prompts]
    got = generate_batch(model, prompts, max_new_tokens=20, stop_ids=stop)
    assert got == wanted and len(got[3]) < 10


def test_the_penalty_of_a_batch_is_that_of_each_row():
    model = tiny("llama", seed=15)
    params = SamplingParams(repetition_penalty=1.5)
    prompts = [prompt(9), prompt(4, seed=1)]
    wanted = [written(model, ids, sampling=params) for ids in prompts]
    got = generate_batch(
        model, prompts, max_new_tokens=24, stop_ids=(), sampling=params
    )
    assert got == wanted
    assert wanted[0] != written(model, prompts[0])


def test_the_penalty_does_not_count_padding():
    """Padding is the id 0; this row is without it, and 0 is what comes next."""
    model = tiny("llama", seed=15)
    short = next(
        ids
        for ids in (prompt(4, seed) for seed in range(1000))
        if 0 not in ids and written(model, ids, 1) == [0]
    )
    long = [token or 1 for token in prompt(9)]
    params = SamplingParams(repetition_penalty=50.0)
    options = dict(max_new_tokens=1, stop_ids=(), sampling=params)
    assert generate_batch(model, [short, long], **options)[0] == [0]


def test_a_penalty_counts_prompt_and_new_tokens():
    model, ids = tiny("llama", seed=15), prompt(9)
    params = SamplingParams(repetition_penalty=1e6)
    new = written(model, ids, sampling=params)
    assert len(set(new)) == len(new) and not set(new) & set(ids)


def test_a_fixed_generator_gives_fixed_ids():
    model, ids = tiny("llama").pack(), prompt(5)

    def draws(seed, **options):
        random = torch.Generator().manual_seed(seed)
        return written(model, ids, sampling=WARM, generator=random, **options)

    assert draws(0) == draws(0)
    assert draws(0) == draws(0, use_cache=False)
    assert draws(0) != draws(1)
    assert len(set(draws(0))) >= 10


def test_first_draws_follow_the_distribution():
    """4 outcomes and the rest, 4 degrees of freedom: above 18.47 once in 1000."""
    model, ids, n = tiny("llama"), prompt(5), 2000
    random = torch.Generator().manual_seed(0)
    rows = generate_batch(
        model,
        [ids] * n,
        max_new_tokens=1,
        stop_ids=(),
        sampling=SamplingParams(temperature=1.0),
        generator=random,
    )
    probs = run(model, torch.tensor([ids]))[0, -1].softmax(-1).double()
    counts = torch.tensor([row[0] for row in rows]).bincount(minlength=64)
    top = probs.topk(4).indices
    seen = torch.cat([counts[top], n - counts[top].sum(0, keepdim=True)])
    expected = torch.cat([probs[top], 1 - probs[top].sum(0, keepdim=True)]) * n
    assert ((seen - expected) ** 2 / expected).sum() < 18.47


def test_a_stop_id_ends_the_text_and_is_not_part_of_it():
    model, ids = tiny("llama", seed=15), prompt(9)
    free = written(model, ids)
    stop = free[6]
    until = free.index(stop)
    assert until > 0
    assert written(model, ids, stop_ids=(stop,)) == free[:until]
    assert written(model, ids, stop_ids=(stop, free[0])) == []
    config_stops = tiny("llama", seed=15, stop_ids=(63, stop))
    assert written(config_stops, ids, stop_ids=None) == free[:until]
    assert written(config_stops, ids, stop_ids=()) == free


def test_each_row_of_a_batch_stops_by_itself():
    model = tiny("llama", seed=15)
    prompts = [prompt(9), prompt(9, seed=1), prompt(4, seed=2)]
    stop = (written(model, prompts[1])[3],)
    wanted = [written(model, ids, stop_ids=stop) for ids in prompts]
    assert len({len(ids) for ids in wanted}) > 1
    assert generate_batch(model, prompts, max_new_tokens=24, stop_ids=stop) == wanted


def test_no_more_than_max_new_tokens():
    model, ids = tiny("llama"), prompt(9)
    for n in (0, 1, 5):
        assert len(written(model, ids, n)) == n


def test_the_context_ends_the_text():
    for name in ("llama", "gpt2", "mistral"):
        assert len(written(tiny(name), prompt(60), 50)) == 4


def test_ids_come_one_by_one():
    """The second token is not computed before it is asked for."""
    model, calls = tiny("llama"), []
    model.register_forward_hook(lambda *args: calls.append(1))
    ids = generate(model, prompt(5), max_new_tokens=10, stop_ids=())
    assert calls == []
    next(ids)
    assert len(calls) == 1
    next(ids)
    assert len(calls) == 2


def test_the_cache_lets_the_model_read_one_token_a_step():
    model, lengths = tiny("llama"), []
    model.register_forward_pre_hook(lambda m, args: lengths.append(args[0].shape[1]))
    written(model, prompt(5), 4)
    assert lengths == [5, 1, 1, 1]
    lengths.clear()
    written(model, prompt(5), 4, use_cache=False)
    assert lengths == [5, 6, 7, 8]


@pytest.mark.parametrize("name", ["dynamic", "longrope"])
def test_the_cache_is_filled_anew_where_rope_changes(name):
    model, lengths = tiny(name, seed=15), []
    model.register_forward_pre_hook(lambda m, args: lengths.append(args[0].shape[1]))
    written(model, prompt(14), 6)
    anew = [17, 18, 19] if name == "dynamic" else [17, 1, 1]
    assert lengths == [14, 1, 1, *anew]


def test_generating_leaves_no_gradients():
    model = tiny("llama")
    written(model, prompt(5))
    assert all(p.grad is None for p in model.parameters())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("generator", [generate, None])
def test_bad_prompts_are_refused_at_the_call(generator):
    model = tiny("llama")

    def call(ids, n=5):
        if generator is None:
            return generate_batch(model, [[1, 2], ids], max_new_tokens=n)
        return generate(model, ids, max_new_tokens=n)

    refuses(call, [], says=["at least 1 token", "got 0"])
    refuses(call, prompt(64), says=["64 tokens", "context of 64"])
    refuses(call, prompt(70), says=["70 tokens", "context of 64"])
    refuses(call, [1, 64], says=["id 64", "vocabulary of 64"])
    refuses(call, [1, -1], says=["id -1", "vocabulary of 64"])
    refuses(call, [1], -1, says=["max_new_tokens", "-1"])
    refuses(call, [1], 1.5, says=["whole", "1.5"])


def test_a_batch_without_prompts_is_refused():
    refuses(generate_batch, tiny("llama"), [], max_new_tokens=3, says=["no prompt"])


@pytest.mark.parametrize("prompt", ["The capital", [[1, 2]], [1.5]], ids=str)
def test_what_is_no_row_of_ids_is_refused(prompt):
    says = [repr(prompt[0]), "encode"]
    refuses(generate, tiny("llama"), prompt, max_new_tokens=3, says=says)


@pytest.mark.parametrize("pad", [[5, 0], [-1, 0]], ids=str)
def test_padding_that_leaves_no_token_is_refused(pad):
    model, ids = tiny("llama"), draw_ids(2, 5)
    refuses(prefill, model, ids, None, torch.tensor(pad), says=["0 to 4", str(pad)])


def test_the_cache_grows_with_the_text_and_not_with_its_limit(monkeypatch):
    model = tiny("llama")
    made = []
    new_cache = model.new_cache
    monkeypatch.setattr(
        model, "new_cache", lambda *a, **o: made.append(new_cache(*a, **o)) or made[-1]
    )
    monkeypatch.setattr("llmcourse.generate.ROOM", 2)
    many = dict(max_new_tokens=20, stop_ids=[])
    slow = list(generate(model, [3, 4, 5], use_cache=False, **many))
    assert list(generate(model, [3, 4, 5], **many)) == slow
    one = model.new_cache(1, 1).nbytes
    assert made[0].nbytes < 41 * one
    next(iter(generate(model, [3, 4, 5], **many)))
    assert made[2].nbytes == 5 * one


@pytest.mark.parametrize("name", ["dynamic", "longrope"])
def test_rows_that_reach_another_rope_regime_apart_equal_each_alone(name):
    model, prompts = tiny(name), [prompt(12), prompt(9)]
    options = dict(max_new_tokens=10, stop_ids=())
    alone = [list(generate(model, ids, **options)) for ids in prompts]
    assert generate_batch(model, prompts, **options) == alone


def test_stop_ids_may_be_a_tensor():
    model = tiny("llama")
    ids = written(model, prompt(5), n=6)
    short = generate(
        model, prompt(5), max_new_tokens=6, stop_ids=torch.tensor(ids[3:4])
    )
    assert list(short) == ids[: ids.index(ids[3])]


def test_a_prompt_is_one_row():
    ids = torch.ones(1, 3, dtype=torch.long)
    refuses(generate, tiny("llama"), ids, max_new_tokens=1, says=["(T,)", "(1, 3)"])


def test_a_prompt_may_fill_the_context_if_nothing_is_to_follow():
    assert list(generate(tiny("llama"), prompt(64), max_new_tokens=0)) == []


def test_nan_weights_are_not_generated_from():
    model = tiny("llama")
    with torch.no_grad():
        model.lm_head.weight[3] = float("nan")
    refuses(lambda: written(model, prompt(4)), says=["finite", "nan"])
