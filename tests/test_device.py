"""The one device rule, and one answer on every device.

On a machine without an accelerator both sides run on the CPU; LLMCOURSE_DEVICE=cuda on
one that has it makes these tests compare the two.
"""

import pytest
import torch
from tiny import CONFIGS, draw, draw_ids, refuses, run, tiny

from llmcourse import device
from llmcourse.attention import both, causal, padding
from llmcourse.checkpoint import from_pretrained, save_pretrained
from llmcourse.generate import generate, generate_batch
from llmcourse.sampling import SamplingParams, next_token, sample

CLOSE = dict(atol=1e-4, rtol=0)  # sums come in another order
WARM = SamplingParams(0.9, top_k=20, top_p=0.9, min_p=0.01, repetition_penalty=1.2)


def prompt(T: int, seed: int = 0) -> list[int]:
    return draw_ids(1, T, seed=seed)[0].tolist()


def test_the_environment_names_the_device(monkeypatch):
    monkeypatch.setenv("LLMCOURSE_DEVICE", "cpu")
    assert device() == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LLMCOURSE_DEVICE", "cuda:1")
    assert device() == torch.device("cuda:1")
    monkeypatch.delenv("LLMCOURSE_DEVICE")
    assert device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["cuda:7", "gpu", "cuda:x", "cpu:1", "-"])
def test_a_device_that_is_not_there_is_refused(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LLMCOURSE_DEVICE", name)
    refuses(device, says=[repr(name), "2 CUDA"])


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_are_the_same_on_every_device(name):
    model, ids = tiny(name), draw_ids(3, 24)
    wanted = run(model, ids)
    there = model.to(device()).pack()
    got = run(there, ids.to(device()))
    assert got.device.type == device().type
    torch.testing.assert_close(got.cpu(), wanted, **CLOSE)


@pytest.mark.parametrize("name", ["llama", "gpt2", "mistral", "yarn"])
def test_padding_and_cache_on_every_device(name):
    model, ids, pad = tiny(name), draw_ids(2, 24), torch.tensor([0, 5])
    positions = (torch.arange(24) - pad[:, None]).clamp(min=0)
    wanted = run(model, ids, rule=both(causal, padding(pad)), positions=positions)
    there, at = model.to(device()), 0
    cache, rule = (
        there.new_cache(2, 4, grow=True),
        both(causal, padding(pad.to(device()))),
    )
    for T in (8, 1, 1, 6, 8):
        columns = slice(at, at + T)
        options = dict(rule=rule, positions=positions[:, columns].to(device()))
        got = run(there, ids[:, columns].to(device()), cache, **options)
        for b, n in enumerate(pad.tolist()):
            seen = max(n - at, 0)
            torch.testing.assert_close(
                got[b, seen:].cpu(), wanted[b, columns][seen:], **CLOSE
            )
        at += T


@pytest.mark.parametrize("name", ["llama", "gpt2", "mistral", "dynamic", "longrope"])
@pytest.mark.parametrize("sampling", [SamplingParams(), WARM], ids=["greedy", "warm"])
def test_ids_are_the_same_on_every_device(name, sampling):
    def written(model):
        random = torch.Generator().manual_seed(3)
        options = dict(max_new_tokens=16, stop_ids=(), sampling=sampling)
        return list(generate(model, prompt(9), generator=random, **options))

    model = tiny(name, seed=15)
    wanted = written(model)
    assert written(model.to(device())) == wanted
    assert len(set(wanted)) >= 3


def test_batches_on_every_device():
    model, prompts = tiny("qwen2", seed=16), [prompt(9), prompt(4, 1), prompt(6, 2)]
    options = dict(max_new_tokens=12, stop_ids=(), sampling=WARM)

    def written(model):
        random = torch.Generator().manual_seed(3)
        return generate_batch(model, prompts, generator=random, **options)

    wanted = written(model)
    assert written(model.to(device())) == wanted


def test_a_seed_draws_the_same_tokens_on_every_device():
    probs = draw(500, 40).softmax(-1)
    here, there = (
        sample(p, torch.Generator().manual_seed(1)) for p in (probs, probs.to(device()))
    )
    assert torch.equal(there.cpu(), here)


def test_bad_input_is_refused_on_every_device():
    model = tiny("llama").to(device())
    refuses(model, torch.tensor([[64]], device=device()), says=["id 64", "64"])
    nan = torch.full((2, 5), float("nan"), device=device())
    refuses(next_token, nan, SamplingParams(), says=["finite", "nan"])
    blind = run(
        model,
        draw_ids(1, 4).to(device()),
        rule=padding(torch.tensor([4], device=device())),
    )
    assert blind.isfinite().all()  # no token sees any: no NaN


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_folder_is_loaded_onto_the_device(dtype, tmp_path):
    model, ids = tiny("qwen2"), draw_ids(1, 9)
    save_pretrained(model, tmp_path)
    loaded = from_pretrained(tmp_path, dtype=dtype, device=device())
    assert {(p.device.type, p.dtype) for p in loaded.parameters()} == {
        (device().type, dtype)
    }
    near = dict(atol={torch.float32: 1e-4}.get(dtype, 0.1), rtol=0)
    got = run(loaded, ids.to(device())).float().cpu()
    torch.testing.assert_close(got, run(model, ids), **near)
