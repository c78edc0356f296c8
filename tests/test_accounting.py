"""Predicted costs equal published totals, models on the meta device, and the cache."""

from dataclasses import replace

import pytest
import torch
from tiny import CONFIGS, LLAMA, draw_ids, refuses, run, tiny
from torch.utils.flop_counter import FlopCounterMode

from llmcourse.accounting import (
    count_parameters,
    decode_flops,
    forward_flops,
    kv_bytes,
    kv_bytes_per_token,
    prefill_flops,
)
from llmcourse.cache import KVCache
from llmcourse.config import PRESETS
from llmcourse.model import CausalLM

TOTALS = {
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "llama-2-7b": 6_738_415_616,
    "llama-2-70b": 68_976_648_192,
    "llama-3-8b": 8_030_261_248,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3-70b": 70_553_706_496,
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-7b": 7_615_616_512,
    "qwen2.5-32b": 32_763_876_352,
    "qwen2-72b": 72_706_203_648,
    "phi-3-mini": 3_821_079_552,
    "mistral-7b": 7_241_732_096,
}


@pytest.mark.parametrize("name", TOTALS)
def test_published_totals(name):
    assert count_parameters(PRESETS[name]).total == TOTALS[name]


def test_gpt3_in_two_ways_of_counting():
    tied = PRESETS["gpt3-175b"]
    assert count_parameters(tied).total == 174_604_259_328
    assert count_parameters(replace(tied, tied=False)).matrices == 175_181_291_520


def meta(config) -> CausalLM:
    with torch.device("meta"):
        return CausalLM(config)


def sizes(model: CausalLM) -> dict[str, int]:
    """Parameters by part, from the modules themselves; a tied head counts once."""
    found = dict.fromkeys(
        "embedding positions head attention ffn biases norms".split(), 0
    )
    for name, p in model.named_parameters():
        if "norm" in name:
            part = "norms"
        elif name.endswith("bias"):
            part = "biases"
        elif "self_attn" in name:
            part = "attention"
        elif "mlp" in name:
            part = "ffn"
        else:
            part = {"tokens": "embedding", "positions": "positions"}.get(
                name.removeprefix("model.embed_").split(".")[0], "head"
            )
        found[part] += p.numel()
    return found


@pytest.mark.parametrize("name", PRESETS)
def test_parameters_equal_a_model_on_the_meta_device(name):
    predicted = count_parameters(PRESETS[name])
    found = sizes(meta(PRESETS[name]))
    assert vars(predicted) == found
    assert predicted.total == sum(found.values())
    work = found["attention"] + found["ffn"] + found["biases"] + found["norms"]
    assert predicted.without_embeddings == work


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_of_every_choice(name):
    config = CONFIGS[name]
    assert vars(count_parameters(config)) == sizes(meta(config))


def counted(config, B: int, T: int, **options) -> int:
    """torch's own count of a forward pass, on the meta device.

    There F.scaled_dot_product_attention stays one operator whose formula knows shared
    K/V heads. On the CPU a short text takes a kernel that the counter has no formula
    for, so that its attention counts as nothing.
    """
    ids = torch.zeros(B, T, dtype=torch.long, device="meta")
    model = meta(config)
    with FlopCounterMode(display=False) as counter:
        model(ids, **options)
    return counter.get_total_flops()


@pytest.mark.parametrize("name", CONFIGS)
def test_flops_equal_those_that_torch_counts(name):
    config = CONFIGS[name]
    assert counted(config, 1, 13) == forward_flops(config, 13)
    assert counted(config, 3, 13) == 3 * forward_flops(config, 13)
    assert counted(config, 1, 13, last_only=True) == prefill_flops(config, 13)


@pytest.mark.parametrize("name", ["gpt2", "llama-3-8b", "qwen2.5-0.5b", "mistral-7b"])
def test_flops_of_published_models(name):
    config = PRESETS[name]
    assert counted(config, 1, 1000, last_only=True) == prefill_flops(config, 1000)


@pytest.mark.parametrize("name", ["llama", "llama-mqa", "gpt2", "yarn", "mistral"])
@pytest.mark.parametrize("past", [0, 1, 20])
def test_flops_of_a_decode_step(name, past):
    config = CONFIGS[name]
    model = meta(config)
    cache = KVCache(config, device=torch.device("meta"))
    if past:
        model(torch.zeros(1, past, dtype=torch.long, device="meta"), cache)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 1, dtype=torch.long, device="meta"), cache)
    assert counter.get_total_flops() == decode_flops(config, past + 1)
    seen = min(past + 1, config.window or past + 1)
    assert decode_flops(config, past + 1) == forward_flops(config, 1, seen)


def test_a_window_bounds_the_work_of_decoding():
    config = CONFIGS["mistral"]
    assert decode_flops(config, 7) == decode_flops(config, 60)
    assert decode_flops(config, 6) < decode_flops(config, 7)


def test_flops_by_hand():
    """2 layers, D 32, H 4, G 2, K 8, F 48, V 64, for 3 tokens that see 5."""
    maps = 2 * (32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 48)
    scores = 2 * 4 * 8 * 5 * 2
    wanted = 2 * 3 * (maps + scores + 32 * 64)
    assert forward_flops(LLAMA, 3, 5) == wanted


def test_kv_bytes_of_published_models():
    # 2 tensors x layers x G x K x 2 bytes
    assert kv_bytes_per_token(PRESETS["llama-2-7b"]) == 2 * 32 * 32 * 128 * 2 == 524_288
    assert kv_bytes_per_token(PRESETS["llama-3-8b"]) == 131_072
    assert kv_bytes_per_token(PRESETS["qwen2.5-7b"], 4) == 2 * 28 * 4 * 128 * 4
    assert kv_bytes(PRESETS["llama-2-7b"], 4096) == 2 * 2**30
    assert kv_bytes(PRESETS["mistral-7b"], 32768) == 2 * 4096 * 131_072
    assert kv_bytes(PRESETS["llama-3-8b"], 10, 3) == 30 * 131_072


@pytest.mark.parametrize("name", ["llama", "llama-mqa", "mistral-wide-heads", "gpt2"])
def test_kv_bytes_equal_a_cache(name):
    config = CONFIGS[name]
    for B, length in ((1, 1), (3, 17)):
        cache = KVCache(config, B, length)
        assert kv_bytes(config, length, B, 4) == cache.nbytes
    model = tiny(name)
    cache = model.new_cache(2, 9)
    run(model, draw_ids(2, 9), cache)
    assert 9 * 2 * kv_bytes_per_token(config, 4) == cache.nbytes


def test_costs_of_what_cannot_be_are_refused():
    refuses(forward_flops, LLAMA, 10, 3, says=["10 tokens", "got 3"])
    refuses(prefill_flops, LLAMA, 0, says=["at least 1 token", "0"])
    refuses(kv_bytes, LLAMA, 5, 1, -2, says=["at least 1 byte", "-2"])
    refuses(kv_bytes, LLAMA, -5, says=["got -5 in 1"])
    refuses(kv_bytes, LLAMA, 5, 0, says=["got 5 in 0"])
