"""The KV cache: whatever is done with it, logits are those of the whole text."""

from dataclasses import replace

import pytest
import torch
from tiny import CONFIGS, LLAMA, ONE_REGIME, draw_ids, message, refuses, run, tiny

from llmcourse.accounting import kv_bytes
from llmcourse.attention import both, causal, padding, prefix
from llmcourse.cache import KVCache
from llmcourse.generate import prefill

CLOSE = dict(atol=1e-5, rtol=0)
WINDOWED = [n for n, c in CONFIGS.items() if c.window]
STALE = ["dynamic", "longrope"]


def in_chunks(model, ids, sizes, cache) -> torch.Tensor:
    return torch.cat([run(model, x, cache) for x in ids.split(sizes, 1)], 1)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    "sizes", [[15], [1] * 15, [8, 7], [1, 14], [14, 1], [3, 1, 1, 6, 4]], ids=str
)
def test_any_split_of_the_prompt_gives_the_same_logits(name, sizes):
    model, ids = tiny(name), draw_ids(2, 15)
    cache = model.new_cache(2)
    got = in_chunks(model, ids, sizes, cache)
    torch.testing.assert_close(got, run(model, ids), **CLOSE)
    assert len(cache) == 15


@pytest.mark.parametrize("name", ONE_REGIME)
def test_long_texts_in_chunks_of_all_sizes(name):
    model, ids = tiny(name).pack(), draw_ids(2, 60)
    cache = model.new_cache(2)
    got = in_chunks(model, ids, [5, 1, 1, 9, 2, 1, 17, 1, 1, 1, 1, 20], cache)
    torch.testing.assert_close(got, run(model, ids), **CLOSE)


@pytest.mark.parametrize("name", STALE)
def test_chunks_within_one_regime(name):
    model, ids = tiny(name), draw_ids(1, 40)
    sizes = [16] if name == "dynamic" else [17, 1, 20, 2]  # 17 on: all long factors
    cache = model.new_cache()
    got = in_chunks(model, ids[:, : sum(sizes)], sizes, cache)
    torch.testing.assert_close(got, run(model, ids[:, : sum(sizes)]), **CLOSE)


@pytest.mark.parametrize("name", WINDOWED)
@pytest.mark.parametrize("max_len", [None, 64, 8, 60])
def test_a_window_forgets_what_no_one_sees(name, max_len):
    model, ids = tiny(name), draw_ids(2, 60)
    whole = run(model, ids)
    cache = model.new_cache(2, max_len, grow=True)
    for T, at in ((1, 0), (3, 1), (1, 4), (30, 5), (1, 35), (6, 36)):
        got = run(model, ids[:, at : at + T], cache)
        torch.testing.assert_close(got, whole[:, at : at + T], **CLOSE)
    for at in range(42, 60):
        got = run(model, ids[:, at : at + 1], cache)
        torch.testing.assert_close(got, whole[:, at : at + 1], **CLOSE)
    assert len(cache) == 60 and cache.start > 0


def test_a_long_prompt_does_not_slow_down_what_follows():
    """Its columns beyond the window are dropped at the next step, not much later."""
    model = tiny("mistral")
    cache = model.new_cache(1)
    run(model, draw_ids(1, 40), cache)
    run(model, draw_ids(1, 1), cache)
    assert cache.start == 40 - (model.config.window - 1)


def test_a_long_prompt_leaves_no_large_buffer():
    model = tiny("mistral")
    cache = model.new_cache(1)
    run(model, draw_ids(1, 60), cache)
    run(model, draw_ids(1, 1), cache)
    assert cache.nbytes == kv_bytes(model.config, 64, bytes_per_number=4)


def test_a_grown_cache_may_leave_inference_mode():
    model, ids = tiny("llama"), draw_ids(1, 12)
    with torch.inference_mode():
        cache = model.new_cache(1, 4, grow=True)
        model(ids[:, :6], cache)
    got = run(model, ids[:, 6:], cache)
    torch.testing.assert_close(got, run(model, ids)[:, 6:], **CLOSE)


def test_a_window_bounds_the_memory_of_decoding():
    model = tiny("mistral")
    cache, ids = model.new_cache(), draw_ids(1, 64)
    in_chunks(model, ids, [1] * 64, cache)
    # 2 x layers x G x K x 4 bytes a column, and room for two windows
    assert cache.nbytes == 2 * 2 * 2 * 8 * 4 * (2 * 7)


@pytest.mark.parametrize("name", ["llama", "gpt2", "mistral", "yarn"])
def test_truncate_and_go_on_equals_never_having_gone_on(name):
    model, ids = tiny(name), draw_ids(2, 24)
    cache = model.new_cache(2)
    in_chunks(model, ids[:, :10], [9, 1], cache)
    run(model, draw_ids(2, 3, seed=7), cache)  # a path that is given up
    cache.truncate(10)
    assert len(cache) == 10
    got = in_chunks(model, ids[:, 10:], [1, 5, 8], cache)
    torch.testing.assert_close(got, run(model, ids)[:, 10:], **CLOSE)


def test_reset_makes_an_empty_cache():
    for name in ("llama", "mistral", "dynamic"):
        model, ids = tiny(name), draw_ids(2, 14)
        cache = model.new_cache(2)
        run(model, draw_ids(2, 30, seed=7), cache)
        cache.reset()
        assert len(cache) == cache.start == 0
        torch.testing.assert_close(run(model, ids, cache), run(model, ids), **CLOSE)


def test_truncating_to_nothing_is_a_reset():
    for name in ("llama", "dynamic", "longrope"):
        model, ids = tiny(name), draw_ids(1, 9)
        cache = model.new_cache()
        run(model, draw_ids(1, 20, seed=7), cache)
        cache.truncate(0)
        torch.testing.assert_close(run(model, ids, cache), run(model, ids), **CLOSE)


def test_impossible_truncations_are_refused():
    model = tiny("mistral")
    cache = model.new_cache()
    run(model, draw_ids(1, 5), cache)
    refuses(cache.truncate, 6, says=["5", "6"])
    refuses(cache.truncate, -1, says=["5", "-1"])
    in_chunks(model, draw_ids(1, 30), [1] * 30, cache)
    start = cache.start
    assert start > 0
    refuses(cache.truncate, start + 5, says=[start + 5, "window of 7", start])
    cache.truncate(start + 6)
    assert len(cache) == start + 6


def test_a_padded_batch_decodes_as_each_row_alone():
    for name in ("llama", "gpt2", "mistral", "yarn"):
        model, ids, pad = tiny(name), draw_ids(3, 30), torch.tensor([4, 0, 9])
        cache = model.new_cache(3)
        rule = both(causal, padding(pad))
        at = 0
        for T in (12, 1, 1, 5, 1, 10):
            columns = torch.arange(at, at + T)
            positions = (columns - pad[:, None]).clamp(min=0)
            new = ids[:, at : at + T]
            got = run(model, new, cache, rule=rule, positions=positions)
            at += T
            for b, n in enumerate(pad.tolist()):
                alone = run(model, ids[b : b + 1, n:at])[0, -1]
                torch.testing.assert_close(got[b, -1], alone, **CLOSE)


def test_rules_count_columns_from_the_first_of_the_cache():
    model, ids = tiny("llama"), draw_ids(1, 12)
    cache = model.new_cache()
    got = [run(model, x, cache, rule=prefix(4)) for x in ids.split([5, 1, 6], 1)]
    whole = run(model, ids, rule=prefix(4))
    torch.testing.assert_close(torch.cat(got, 1), whole, **CLOSE)


def test_a_growing_cache_doubles_up_to_the_context():
    model, ids = tiny("llama"), draw_ids(1, 64)
    cache = model.new_cache(1, 4, grow=True)
    column = cache.nbytes // 4
    sizes = []
    for x in ids.split([3, 1, 1, 4, 20, 35], 1):
        run(model, x, cache)
        sizes.append(cache.nbytes // column)
    assert sizes == [4, 4, 8, 16, 32, 64]
    cache.reset()
    got = in_chunks(model, ids, [3, 1, 1, 4, 20, 35], cache)
    torch.testing.assert_close(got, run(model, ids), **CLOSE)
    small = model.new_cache(1, 4, grow=True)
    got = in_chunks(model, ids, [3, 1, 1, 4, 20, 35], small)
    torch.testing.assert_close(got, run(model, ids), **CLOSE)


def test_a_full_cache_refuses_and_stays_as_it_was():
    model, ids = tiny("llama"), draw_ids(1, 9)
    cache = model.new_cache(1, 8)
    run(model, ids[:, :6], cache)
    refuses(model, ids[:, 6:], cache, says=["holds 6 of 8", "3 more"])
    assert len(cache) == 6
    got = run(model, ids[:, 6:8], cache)
    torch.testing.assert_close(got, run(model, ids)[:, 6:8], **CLOSE)
    refuses(model, ids[:, 8:], cache, says=["holds 8 of 8", "1 more"])


def test_a_batch_that_does_not_match_is_refused():
    model = tiny("llama")
    cache = model.new_cache(2)
    refuses(model, draw_ids(3, 4), cache, says=["2 rows", "3"])
    assert len(cache) == 0


@pytest.mark.parametrize("max_len", [0, -1, 65])
def test_a_cache_of_impossible_size_is_refused(max_len):
    refuses(KVCache, LLAMA, 1, max_len, says=["64", f"got max_len {max_len}"])
    refuses(KVCache, LLAMA, 1, max_len, grow=True, says=[f"got max_len {max_len}"])


def test_a_cache_without_rows_is_refused():
    refuses(KVCache, LLAMA, 0, says=["at least 1", "0"])


class Broken(torch.nn.Module):
    def forward(self, *args):
        raise RuntimeError("broken on purpose")


@pytest.mark.parametrize("name", ["llama", "mistral", "dynamic"])
@pytest.mark.parametrize("layer", [0, 1])
def test_a_failed_forward_leaves_the_cache_as_it_was(name, layer):
    model, ids = tiny(name), draw_ids(1, 16)
    cache = model.new_cache(1, 16, grow=True)
    in_chunks(model, ids[:, :14], [13, 1], cache)
    whole, mlp = model.model.layers[layer], model.model.layers[layer].mlp
    whole.mlp = Broken()
    for T in (1, 2):
        text = message(RuntimeError, run, model, draw_ids(1, T, seed=3), cache)
        assert text == "broken on purpose" and len(cache) == 14
    whole.mlp = mlp
    got = run(model, ids[:, 14:], cache)
    torch.testing.assert_close(got, run(model, ids)[:, 14:], **CLOSE)


def test_refused_input_leaves_the_cache_as_it_was():
    model, ids = tiny("llama"), draw_ids(1, 9)
    cache = model.new_cache(1)
    run(model, ids[:, :5], cache)
    refuses(model, torch.tensor([[64]]), cache, says=["64"])
    refuses(model, ids[:, 5:], cache, positions=torch.arange(2), says=["(4,)", "(2,)"])
    rule = padding(torch.zeros(3, dtype=torch.long))  # three rows, not one
    refuses(model, ids[:, 5:], cache, rule=rule, says=["(3, 1, 4, 9)"])
    assert len(cache) == 5
    got = run(model, ids[:, 5:], cache)
    torch.testing.assert_close(got, run(model, ids)[:, 5:], **CLOSE)


@pytest.mark.parametrize("name", STALE)
def test_keys_of_another_rope_regime_are_refused(name):
    model, ids = tiny(name), draw_ids(1, 30)
    cache = model.new_cache()
    run(model, ids[:, :16], cache)
    refuses(model, ids[:, 16:18], cache, says=["16", "18", name])
    assert len(cache) == 16
    cache.reset()
    torch.testing.assert_close(run(model, ids, cache), run(model, ids), **CLOSE)


@pytest.mark.parametrize("name", STALE)
def test_truncated_keys_keep_their_rope_regime(name):
    """They were rotated for the long text, and truncating does not rotate them back."""
    model, ids = tiny(name), draw_ids(1, 30)
    cache = model.new_cache()
    run(model, ids[:, :20], cache)
    cache.truncate(10)
    refuses(model, ids[:, 10:12], cache, says=["12", name])
    cache.reset()
    got = run(model, ids[:, :12], cache)
    torch.testing.assert_close(got, run(model, ids[:, :12]), **CLOSE)


def test_a_cache_may_leave_inference_mode():
    model, ids = tiny("llama"), draw_ids(1, 30)
    cache = model.new_cache(1, 4, grow=True)
    prefill(model, ids[:, :9], cache)  # grows in inference mode
    got = model(ids[:, 9:], cache)  # with gradients on
    torch.testing.assert_close(got, run(model, ids)[:, 9:], **CLOSE)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_cache_has_the_type_of_its_model(dtype):
    model, ids = tiny("qwen2").to(dtype), draw_ids(1, 12)
    cache = model.new_cache()
    assert cache.nbytes == 2 * 2 * 2 * 8 * 64 * 2
    got = in_chunks(model, ids, [5, 1, 6], cache)
    assert got.dtype == dtype
    near = dict(atol=0.25 if dtype == torch.bfloat16 else 0.03, rtol=0)
    torch.testing.assert_close(got, run(model, ids), **near)


def test_bytes_are_those_allocated():
    cache = KVCache(replace(LLAMA, n_layers=3), 2, 10, dtype=torch.float16)
    assert cache.nbytes == 2 * 3 * 2 * 2 * 10 * 8 * 2
