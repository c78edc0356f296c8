"""The package against transformers, on tiny random models of every family.

All parameters are redrawn, because fresh ones hide mistakes: biases of 0, gains of 1.
"""

import json
import os
import tempfile
from functools import cache
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_tokenizer import BYTES, TEXTS
from tiny import CONFIGS, draw, draw_ids, redraw, run, tiny
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    PreTrainedTokenizerFast,
    Qwen2Config,
)
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.utils import logging

from llmcourse import sampling
from llmcourse.attention import both, causal, padding
from llmcourse.checkpoint import from_pretrained, read_config, save_pretrained
from llmcourse.config import PRESETS
from llmcourse.families import config_from_hf, config_to_hf
from llmcourse.generate import generate, generate_batch
from llmcourse.model import CausalLM
from llmcourse.rope import rope_frequencies

logging.disable_progress_bar()

CLOSE = dict(atol=1e-5, rtol=0)
SIZES = dict(
    vocab_size=64,
    hidden_size=48,
    intermediate_size=56,
    num_hidden_layers=2,
    num_attention_heads=6,
    num_key_value_heads=2,
    max_position_embeddings=64,
    rms_norm_eps=1e-3,  # large enough to be seen
    bos_token_id=None,
    eos_token_id=None,
    pad_token_id=None,
)
GPT2 = dict(
    n_embd=48,
    n_layer=2,
    n_head=6,
    vocab_size=64,
    n_positions=64,
    layer_norm_epsilon=1e-3,
    bos_token_id=None,
    eos_token_id=None,
)
SHORT, LONG = [1.0, 1.1, 1.2, 1.3], [2.0, 2.5, 3.0, 3.5]
LLAMA3 = dict(
    rope_type="llama3",
    factor=8.0,
    low_freq_factor=0.5,
    high_freq_factor=2.0,
    original_max_position_embeddings=16,
)
YARN = dict(
    rope_type="yarn",
    factor=4.0,
    original_max_position_embeddings=16,
    beta_fast=2.0,
    beta_slow=0.2,
)
LONGROPE = dict(rope_type="longrope", short_factor=SHORT, long_factor=LONG)
DYNAMIC = dict(rope_type="dynamic", factor=4.0)

CASES = {
    "llama": (LlamaConfig, {}),
    "llama-bias": (LlamaConfig, dict(attention_bias=True, mlp_bias=True)),
    "llama-mha": (LlamaConfig, dict(num_key_value_heads=6)),
    "llama-mqa": (LlamaConfig, dict(num_key_value_heads=1, rope_theta=500.0)),
    "llama-tied": (LlamaConfig, dict(tie_word_embeddings=True)),
    "linear": (LlamaConfig, dict(rope_scaling=dict(rope_type="linear", factor=4.0))),
    "dynamic": (
        LlamaConfig,
        dict(rope_scaling=DYNAMIC, max_position_embeddings=16),
    ),
    "llama3": (LlamaConfig, dict(rope_scaling=LLAMA3, rope_theta=500.0)),
    "yarn": (Qwen2Config, dict(rope_scaling=YARN)),
    "qwen2": (Qwen2Config, dict(rope_theta=1e6)),
    "qwen2-tied": (Qwen2Config, dict(tie_word_embeddings=True)),
    "qwen2-window": (
        Qwen2Config,
        dict(use_sliding_window=True, sliding_window=7, max_window_layers=0),
    ),
    "mistral": (MistralConfig, dict(sliding_window=7)),
    "mistral-wide-heads": (MistralConfig, dict(sliding_window=None, head_dim=16)),
    "phi3": (Phi3Config, dict(sliding_window=7)),
    "phi3-partial": (Phi3Config, dict(partial_rotary_factor=0.5)),
    "longrope": (
        Phi3Config,
        dict(rope_scaling=LONGROPE, original_max_position_embeddings=16),
    ),
    "gpt2": (GPT2Config, {}),
    "gpt2-erf": (GPT2Config, dict(activation_function="gelu")),
    "gpt2-untied": (
        GPT2Config,
        dict(tie_word_embeddings=False, activation_function="relu", n_inner=40),
    ),
}
# Prompts whose greedy text varies, its best two logits at least 0.05 apart.
SEEDS = {
    "llama": 24,
    "llama-bias": 28,
    "llama-mha": 23,
    "llama-mqa": 23,
    "llama-tied": 26,
    "linear": 9,
    "dynamic": 28,
    "llama3": 4,
    "yarn": 2,
    "qwen2": 23,
    "qwen2-tied": 8,
    "qwen2-window": 15,
    "mistral": 35,
    "mistral-wide-heads": 6,
    "phi3": 27,
    "phi3-partial": 9,
    "longrope": 9,
    "gpt2": 26,
    "gpt2-erf": 26,
    "gpt2-untied": 32,
}
SCALED = ["linear", "dynamic", "llama3", "yarn", "longrope"]
STATEFUL = "dynamic"  # transformers keeps the longest length it has seen


@cache
def folder(name: str) -> Path:
    """A folder that transformers has written; it is removed when the process ends."""
    kind, changes = CASES[name]
    sizes = GPT2 if kind is GPT2Config else SIZES
    config = kind(**(sizes | json.loads(json.dumps(changes))))  # a copy: it is changed
    model = redraw(AutoModelForCausalLM.from_config(config), seed=11)
    path = tempfile.TemporaryDirectory()
    KEEP.append(path)
    model.save_pretrained(path.name)
    return Path(path.name)


KEEP = []


def theirs(where, **options):
    """The model of transformers; eager attention is its plainest."""
    path = folder(where) if isinstance(where, str) else where
    return AutoModelForCausalLM.from_pretrained(
        path, attn_implementation="eager", **options
    ).eval()


def their_logits(model, ids, **options):
    with torch.no_grad():
        return model(ids, **options).logits


@pytest.mark.parametrize("name", CASES)
def test_logits(name):
    ours, reference = from_pretrained(folder(name)), theirs(name)
    for T in (1, 12, 16, 17, 40):  # in growing order, for the stateful one
        ids = draw_ids(2, T, seed=T)
        wanted = their_logits(reference, ids)
        torch.testing.assert_close(run(ours, ids), wanted, **CLOSE)
    assert wanted.std() > 0.5  # large enough for the tolerance to mean something


def their_text(model, ids, n, **options) -> list[list[int]]:
    # Without a mask, generate takes every id 0 of a prompt for padding.
    options.setdefault("attention_mask", torch.ones_like(ids))
    out = model.generate(
        ids,
        max_new_tokens=n,
        min_new_tokens=n,
        do_sample=False,
        pad_token_id=0,
        **options,
    )
    return out[:, ids.shape[1] :].tolist()


@pytest.mark.parametrize("name", CASES)
def test_greedy_ids_with_and_without_cache(name):
    """From within the window and the trained context to beyond them."""
    ids, n = draw_ids(1, 9, seed=SEEDS[name]), 20
    ours = from_pretrained(folder(name))
    wanted = their_text(theirs(name), ids, n, use_cache=False)[0]
    assert len(set(wanted)) >= 5
    if name != STATEFUL:  # with a cache it mixes keys of several frequencies
        assert their_text(theirs(name), ids, n, use_cache=True) == [wanted]
    options = dict(max_new_tokens=n, stop_ids=())
    assert list(generate(ours, ids[0].tolist(), **options)) == wanted
    assert list(generate(ours, ids[0].tolist(), use_cache=False, **options)) == wanted


@pytest.mark.parametrize("name", [n for n in CASES if n not in SCALED[:2]])
def test_left_padded_batches(name):
    ours, reference = from_pretrained(folder(name)), theirs(name)
    ids, pad = draw_ids(3, 12), torch.tensor([0, 3, 7])
    real = torch.arange(12) >= pad[:, None]
    positions = (torch.arange(12) - pad[:, None]).clamp(min=0)
    rule = both(causal, padding(pad))
    got = run(ours, ids, rule=rule, positions=positions)
    mask = dict(attention_mask=real.long(), position_ids=positions)
    wanted = their_logits(reference, ids, **mask)
    torch.testing.assert_close(got[real], wanted[real], **CLOSE)


@pytest.mark.parametrize("name", ["llama", "qwen2", "mistral", "phi3", "gpt2", "yarn"])
def test_left_padded_batches_write_the_same_ids(name):
    ids, pad = draw_ids(3, 9, seed=5), [0, 2, 6]
    prompts = [row[n:] for row, n in zip(ids.tolist(), pad, strict=True)]
    real = (torch.arange(9) >= torch.tensor(pad)[:, None]).long()
    wanted = their_text(theirs(name), ids, 12, attention_mask=real)
    ours = from_pretrained(folder(name))
    got = generate_batch(ours, prompts, max_new_tokens=12, stop_ids=())
    assert got == wanted
    assert len({tuple(row) for row in got}) == 3


@pytest.mark.parametrize("name", ["llama", "qwen2", "mistral", "phi3", "gpt2"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_are_as_near_to_float32_as_theirs(name, dtype):
    ids = draw_ids(4, 40)
    exact = their_logits(theirs(name), ids)
    their_error = their_logits(theirs(name, dtype=dtype), ids) - exact
    ours = run(from_pretrained(folder(name), dtype=dtype), ids)
    error = ours - exact
    assert ours.dtype == dtype
    assert 0 < error.square().mean() < 1.5 * their_error.square().mean()


@pytest.mark.parametrize("name", ["llama", "qwen2-tied", "phi3", "gpt2"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("shards", [False, True])
def test_files_of_every_type_and_in_shards(name, dtype, shards):
    with tempfile.TemporaryDirectory() as path:
        size = "20KB" if shards else "5GB"
        theirs(name).to(dtype).save_pretrained(path, max_shard_size=size)
        assert (len(list(Path(path).glob("*.safetensors"))) > 2) == shards
        ours, ids = from_pretrained(path), draw_ids(2, 12)
        assert {p.dtype for p in ours.parameters()} == {dtype}
        wanted = their_logits(theirs(Path(path), dtype=torch.float32), ids)
        got = run(from_pretrained(path, dtype=torch.float32), ids)
        torch.testing.assert_close(got, wanted, **CLOSE)


def old_spelling(hf: dict) -> dict:
    """A config.json of transformers 5 as transformers 4 wrote it."""
    rope = dict(hf.pop("rope_parameters"))
    hf["rope_theta"] = rope.pop("rope_theta")
    share = rope.pop("partial_rotary_factor", None)
    if hf["model_type"] == "phi3":
        hf["partial_rotary_factor"] = 1.0 if share is None else share
        rope.pop("original_max_position_embeddings", None)
    kind = rope.pop("rope_type")
    hf["rope_scaling"] = {"type": kind, **rope} if kind != "default" else None
    hf["torch_dtype"] = hf.pop("dtype", "float32")
    for new in ("layer_types", "attention_bias", "mlp_bias"):
        if not hf.get(new) or new == "layer_types":
            hf.pop(new, None)
    return hf


@pytest.mark.parametrize("name", [n for n in CASES if not n.startswith("gpt2")])
def test_old_and_new_spelling_of_the_config(name):
    new = json.loads((folder(name) / "config.json").read_text())
    assert "rope_parameters" in new and "rope_scaling" not in new
    old = old_spelling(dict(new))
    assert config_from_hf(old) == config_from_hf(new)
    if name == "longrope":
        for kind in ("su", "yarn"):  # what the first Phi-3 files called it
            old["rope_scaling"]["type"] = kind
            assert config_from_hf(old) == config_from_hf(new)


@pytest.mark.parametrize("name", ["llama-mqa", "llama3", "yarn", "longrope"])
def test_transformers_reads_the_old_spelling_alike(name):
    """So that the translation above is not only our own idea of it."""
    ids = draw_ids(2, 40)
    with tempfile.TemporaryDirectory() as path:
        theirs(name).save_pretrained(path)
        file = Path(path) / "config.json"
        old = old_spelling(json.loads(file.read_text()))
        file.write_text(json.dumps(old))
        wanted = their_logits(theirs(Path(path)), ids)
        torch.testing.assert_close(run(from_pretrained(path), ids), wanted, **CLOSE)
        torch.testing.assert_close(their_logits(theirs(name), ids), wanted, **CLOSE)


def test_gpt2_files_without_prefix_and_with_stored_masks():
    """As the very first files on the hub are."""
    ids = draw_ids(2, 12)
    with tempfile.TemporaryDirectory() as path:
        theirs("gpt2").save_pretrained(path)
        file = Path(path) / "model.safetensors"
        state = {
            name.removeprefix("transformer."): tensor
            for name, tensor in load_file(file).items()
        }
        assert "wte.weight" in state and "h.0.attn.c_attn.weight" in state
        for i in range(2):
            state[f"h.{i}.attn.bias"] = torch.ones(1, 1, 64, 64).tril()
            state[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
        save_file(state, file, metadata={"format": "pt"})
        wanted = their_logits(theirs("gpt2"), ids)
        torch.testing.assert_close(run(from_pretrained(path), ids), wanted, **CLOSE)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("size", ["5GB", 20_000])
def test_transformers_loads_what_is_saved(name, size):
    ours = tiny(name, seed=3, stop_ids=(7,))
    with tempfile.TemporaryDirectory() as path:
        save_pretrained(ours, path, max_shard_size=size)
        reference, report = AutoModelForCausalLM.from_pretrained(
            path, attn_implementation="eager", output_loading_info=True
        )
        assert not any(report.values()), report
        for T in (9, 24):
            ids = draw_ids(2, T)
            wanted = their_logits(reference.eval(), ids)
            torch.testing.assert_close(run(ours, ids), wanted, **CLOSE)
        assert reference.generation_config.eos_token_id == 7
        assert sum(p.numel() for p in ours.parameters()) == reference.num_parameters()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_transformers_loads_half_types(dtype):
    with tempfile.TemporaryDirectory() as path:
        save_pretrained(tiny("qwen2"), path, dtype=dtype)
        reference = theirs(Path(path), dtype="auto")
        assert reference.dtype == dtype
        for n, p in from_pretrained(path).model.named_parameters():
            assert torch.equal(p, reference.model.state_dict()[n])


@pytest.mark.parametrize("name", CASES)
def test_there_and_back(name):
    """Loaded, saved and loaded by transformers again: the same config and logits."""
    ids = draw_ids(2, 24)
    with tempfile.TemporaryDirectory() as path:
        save_pretrained(from_pretrained(folder(name)), path)
        assert read_config(path) == read_config(folder(name))
        wanted = their_logits(theirs(name), ids)
        again = their_logits(theirs(Path(path)), ids)
        torch.testing.assert_close(again, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "name", ["gpt2", "qwen2.5-0.5b", "llama-3-8b", "mistral-7b", "phi-3-mini"]
)
def test_presets_have_the_parameters_of_their_models(name):
    hf = config_to_hf(PRESETS[name])
    with torch.device("meta"):
        reference = AutoModelForCausalLM.from_config(AutoConfig.for_model(**hf))
        ours = CausalLM(PRESETS[name])
    assert sum(p.numel() for p in ours.parameters()) == reference.num_parameters()


# RoPE scaling.

ROPES = {
    "linear": dict(rope_type="linear", factor=2.5),
    "dynamic": dict(rope_type="dynamic", factor=3.0),
    "llama3": dict(
        rope_type="llama3",
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=256,
    ),
    "yarn": dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=256),
    "yarn-not-truncated": dict(
        rope_type="yarn",
        factor=4.0,
        original_max_position_embeddings=256,
        truncate=False,
        beta_fast=20.0,
        beta_slow=2.0,
    ),
    "yarn-mscale": dict(
        rope_type="yarn",
        factor=4.0,
        original_max_position_embeddings=256,
        mscale=0.7,
        mscale_all_dim=1.2,
    ),
    "yarn-given-magnitude": dict(
        rope_type="yarn",
        factor=4.0,
        original_max_position_embeddings=256,
        attention_factor=1.3,
    ),
    "yarn-by-ratio": dict(
        rope_type="yarn", factor=None, original_max_position_embeddings=256
    ),
    "longrope": dict(
        rope_type="longrope",
        original_max_position_embeddings=256,
        short_factor=[1 + i / 10 for i in range(32)],
        long_factor=[2 + i / 5 for i in range(32)],
    ),
    "longrope-with-factor": dict(
        rope_type="longrope",
        factor=6.0,
        original_max_position_embeddings=256,
        short_factor=[1 + i / 10 for i in range(32)],
        long_factor=[2 + i / 5 for i in range(32)],
    ),
}


@pytest.mark.parametrize("name", ROPES)
@pytest.mark.parametrize("base", [10000.0, 500000.0])
def test_rope_frequencies_and_magnitudes(name, base):
    hf = LlamaConfig(
        hidden_size=256,
        num_attention_heads=4,
        max_position_embeddings=1024,
        rope_parameters={"rope_theta": base, **ROPES[name]},
    )
    ours = config_from_hf(hf.to_dict())
    plain = rope_frequencies(64, base)
    for length in (1, 256, 257, 1024, 1025, 3000):
        function = ROPE_INIT_FUNCTIONS[ROPES[name]["rope_type"]]
        wanted, magnitude = function(hf, "cpu", seq_len=length)
        got = rope_frequencies(64, ours.rope_base, ours.rope_scaling, length)
        torch.testing.assert_close(got, wanted, rtol=2e-6, atol=0)
        assert ours.rope_scaling.magnitude == pytest.approx(magnitude, rel=1e-12)
    assert (wanted - plain).abs().max() > 1e-4


# Sampling.


def same_choice(ours, reference) -> None:
    torch.testing.assert_close(ours.softmax(-1), reference.softmax(-1), **CLOSE)
    assert torch.equal(ours.isfinite(), reference.isfinite())


@pytest.mark.parametrize("seed", range(5))
def test_sampling_steps_equal_the_logits_processors(seed):
    logits, V = 3 * draw(20, 50, seed=seed), 50
    for t in (0.3, 1.0, 1.7):
        wanted = TemperatureLogitsWarper(t)(None, logits)
        same_choice(sampling.temperature(logits, t), wanted)
    for k in (1, 3, 49, 50):
        same_choice(sampling.top_k(logits, k), TopKLogitsWarper(k)(None, logits))
    for p in (0.05, 0.5, 0.9, 0.999):
        same_choice(sampling.top_p(logits, p), TopPLogitsWarper(p)(None, logits))
    for p in (0.01, 0.3, 1.0):
        same_choice(sampling.min_p(logits, p), MinPLogitsWarper(p)(None, logits))
    ids = draw_ids(20, 9, V, seed=seed)
    seen = torch.zeros(20, V, dtype=torch.bool).scatter_(1, ids, True)
    for penalty in (0.7, 1.3, 4.0):
        wanted = RepetitionPenaltyLogitsProcessor(penalty)(ids, logits.clone())
        got = sampling.repetition_penalty(logits, seen, penalty)
        torch.testing.assert_close(got, wanted)


def test_all_steps_in_a_row_equal_the_logits_processors():
    logits, ids = 3 * draw(40, 50), draw_ids(40, 9, 50)
    seen = torch.zeros(40, 50, dtype=torch.bool).scatter_(1, ids, True)
    params = sampling.SamplingParams(1.4, 20, 0.9, 0.02, 1.3)
    got = sampling.probabilities(logits, params, seen)
    scores = RepetitionPenaltyLogitsProcessor(1.3)(ids, logits.clone())
    for step in (
        TemperatureLogitsWarper(1.4),
        TopKLogitsWarper(20),
        TopPLogitsWarper(0.9),
        MinPLogitsWarper(0.02),
    ):
        scores = step(ids, scores)
    torch.testing.assert_close(got, scores.softmax(-1), **CLOSE)


@pytest.mark.parametrize("penalty", [1.2, 3.0])
def test_greedy_ids_with_a_repetition_penalty(penalty):
    ids = draw_ids(1, 9)
    wanted = their_text(theirs("qwen2"), ids, 16, repetition_penalty=penalty)[0]
    params = sampling.SamplingParams(repetition_penalty=penalty)
    got = generate(
        from_pretrained(folder("qwen2")),
        ids[0].tolist(),
        max_new_tokens=16,
        sampling=params,
        stop_ids=(),
    )
    assert list(got) == wanted


def test_the_tokenizer_encodes_and_chats_alike():
    template = BYTES.config["chat_template"]
    reference = PreTrainedTokenizerFast(
        tokenizer_object=BYTES.backend, eos_token="</s>", chat_template=template
    )
    for text in TEXTS:
        assert BYTES.encode(text) == reference(text)["input_ids"]
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Ho"},
        {"role": "user", "content": "<b>龙</b>"},
    ]
    for prompt in (True, False):
        wanted = reference.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=prompt
        )
        assert BYTES.chat(messages, prompt) == wanted
