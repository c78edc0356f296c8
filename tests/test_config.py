"""What a shape may be: every bad one is refused with its value."""

from dataclasses import FrozenInstanceError, replace

import pytest
from tiny import DYNAMIC, GPT2, LINEAR, LLAMA, LONGROPE, YARN, message, refuses

from llmcourse.config import PRESETS, ModelConfig

SIZES = "vocab_size d_model n_layers n_heads n_kv_heads d_head d_ff max_len".split()


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", [0, -1, 2.0, "8", None])
def test_sizes_are_whole_numbers_from_1_on(name, value):
    refuses(replace, LLAMA, **{name: value}, says=[name, repr(value)])


def test_kv_heads_divide_the_heads():
    refuses(replace, LLAMA, n_kv_heads=3, says=["n_heads 4", "n_kv_heads 3"])
    refuses(replace, LLAMA, n_kv_heads=8, says=["n_heads 4", "n_kv_heads 8"])


@pytest.mark.parametrize(
    ("name", "value"), [("norm", "batch"), ("ffn", "tanh"), ("positions", "alibi")]
)
def test_choices_are_known(name, value):
    refuses(replace, LLAMA, **{name: value}, says=[name, repr(value)])


@pytest.mark.parametrize("width", [0, 3, 10])
def test_rotary_width_is_even_and_fits_the_head(width):
    says = ["d_head 8", f"d_rotary {width}"]
    refuses(replace, LLAMA, d_rotary=width, says=says)


def test_an_odd_head_is_refused_with_rope_only():
    refuses(replace, LLAMA, d_head=7, says=["d_head 7", "d_rotary 7"])
    assert replace(GPT2, d_head=7).d_head == 7


def test_a_window_has_a_token():
    refuses(replace, LLAMA, window=0, says=["from 1 on", "got 0"])
    refuses(replace, LLAMA, window=2.5, says=["whole number", "2.5"])


def test_numbers_that_would_give_nan_are_refused():
    refuses(replace, LLAMA, rope_base=0, says=["rope_base", "above 0", "0"])
    refuses(replace, LLAMA, norm_eps=None, says=["norm_eps", "None"])
    refuses(replace, LLAMA, n_layers=True, says=["n_layers", "True"])
    refuses(replace, LLAMA, stop_ids=("a",), says=["stop_ids", "'a'"])


def test_rotary_width_is_the_head_if_not_given():
    assert LLAMA.rotary_width == 8
    assert replace(LLAMA, d_rotary=4).rotary_width == 4


def test_context_is_what_scaling_makes_of_it():
    for scaling, context in ((LINEAR, 256), (DYNAMIC, 256), (YARN, 64), (LONGROPE, 64)):
        assert replace(LLAMA, rope_scaling=scaling).context == context
    assert LLAMA.context == 64
    # Qwen2.5's own advice: the file says what was trained, the factor how far it goes.
    assert replace(LLAMA, rope_scaling=replace(YARN, factor=8.0)).context == 128


def test_a_config_cannot_be_changed():
    assert message(FrozenInstanceError, setattr, LLAMA, "d_model", 64)


def test_all_presets_are_valid_and_distinct():
    assert len(set(PRESETS.values())) == len(PRESETS)
    assert all(isinstance(c, ModelConfig) for c in PRESETS.values())
