"""Hugging Face folders: what is written is read back, and nothing is ever lost."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import CONFIGS, LLAMA, draw_ids, message, refuses, run, tiny

from llmcourse import checkpoint
from llmcourse.checkpoint import (
    find_folder,
    from_pretrained,
    read_config,
    save_pretrained,
)
from llmcourse.families import config_from_hf, config_to_hf

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file in and under a folder, with its bytes."""
    files = (f for f in sorted(folder.rglob("*")) if f.is_file())
    return {str(f.relative_to(folder)): f.read_bytes() for f in files}


def edit_json(file: Path, **changes) -> None:
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({n: v for n, v in content.items() if v != "drop"}))


def edit_tensors(folder: Path, edit) -> None:
    state = load_file(folder / WEIGHTS)
    edit(state)
    save_file(state, folder / WEIGHTS)


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_saved_is_loaded(name, tmp_path):
    model, ids = tiny(name, stop_ids=(3, 5)), draw_ids(2, 12)
    save_pretrained(model, tmp_path / "m")
    loaded = from_pretrained(tmp_path / "m")
    assert loaded.config == model.config
    assert not loaded.training
    for n, p in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[n], p), n
    close = dict(atol=1e-5, rtol=0)
    torch.testing.assert_close(run(loaded, ids), run(model, ids), **close)


@pytest.mark.parametrize("name", ["llama", "qwen2", "phi3", "gpt2"])
def test_saving_twice_gives_the_same_bytes(name, tmp_path):
    save_pretrained(tiny(name), tmp_path / "a")
    save_pretrained(from_pretrained(tmp_path / "a"), tmp_path / "b")
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


@pytest.mark.parametrize("name", ["llama", "phi3", "gpt2"])
def test_shards(name, tmp_path):
    model = tiny(name)
    save_pretrained(model, tmp_path, max_shard_size=20_000)
    names = sorted(f.name for f in tmp_path.iterdir())
    shards = [n for n in names if n.endswith(".safetensors")]
    assert len(shards) > 2 and checkpoint.INDEX in names and WEIGHTS not in names
    ids = draw_ids(2, 12)
    close = dict(atol=1e-5, rtol=0)
    torch.testing.assert_close(
        run(from_pretrained(tmp_path), ids), run(model, ids), **close
    )
    save_pretrained(model, tmp_path)  # in one file again: no old shard may stay
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        CONFIG,
        "generation_config.json",
        WEIGHTS,
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_types_are_kept_or_changed_as_told(dtype, tmp_path):
    save_pretrained(tiny("qwen2"), tmp_path, dtype=dtype)
    assert {t.dtype for t in load_file(tmp_path / WEIGHTS).values()} == {dtype}
    said = json.loads((tmp_path / CONFIG).read_text())["torch_dtype"]
    assert f"torch.{said}" == str(dtype)
    assert {p.dtype for p in from_pretrained(tmp_path).parameters()} == {dtype}
    for other in (torch.float32, torch.bfloat16, torch.float16):
        loaded = from_pretrained(tmp_path, dtype=other)
        assert {p.dtype for p in loaded.parameters()} == {other}
        assert run(loaded, draw_ids(1, 5)).isfinite().all()


def test_a_tied_head_is_stored_once(tmp_path):
    save_pretrained(tiny("qwen2"), tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / WEIGHTS)
    loaded = from_pretrained(tmp_path)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight


def test_a_tied_head_that_is_stored_too_must_agree(tmp_path):
    model, ids = tiny("qwen2"), draw_ids(1, 9)
    save_pretrained(model, tmp_path)
    head = model.lm_head.weight.detach().clone()
    edit_tensors(tmp_path, lambda state: state.update({"lm_head.weight": head}))
    close = dict(atol=1e-5, rtol=0)
    torch.testing.assert_close(
        run(from_pretrained(tmp_path), ids), run(model, ids), **close
    )
    edit_tensors(tmp_path, lambda state: state["lm_head.weight"].add_(1))
    says = ["lm_head.weight", "model.embed_tokens.weight", "different"]
    refuses(from_pretrained, tmp_path, says=says)


def test_a_loaded_model_is_ready_to_decode_fast(tmp_path):
    save_pretrained(tiny("llama"), tmp_path)
    layer = from_pretrained(tmp_path).model.layers[0]
    assert layer.self_attn.qkv.fused and layer.mlp.gate_up.fused


def test_stop_ids_are_those_of_the_generation_config(tmp_path):
    save_pretrained(tiny("llama", stop_ids=(3,)), tmp_path)
    assert json.loads((tmp_path / CONFIG).read_text())["eos_token_id"] == 3
    assert checkpoint.read_config(tmp_path).stop_ids == (3,)
    edit_json(tmp_path / "generation_config.json", eos_token_id=[3, 9])
    assert checkpoint.read_config(tmp_path).stop_ids == (3, 9)
    (tmp_path / "generation_config.json").unlink()
    assert checkpoint.read_config(tmp_path).stop_ids == (3,)
    edit_json(tmp_path / CONFIG, eos_token_id=[4, 5])
    assert checkpoint.read_config(tmp_path).stop_ids == (4, 5)
    edit_json(tmp_path / CONFIG, eos_token_id=None)
    assert checkpoint.read_config(tmp_path).stop_ids == ()


# Nothing is lost.


def test_other_files_of_the_folder_survive_a_save(tmp_path):
    folder = tmp_path / "m"
    (folder / "notes").mkdir(parents=True)
    others = {"tokenizer.json": "{}", "README.md": "card", "notes/a.txt": "deep"}
    for name, text in others.items():
        (folder / name).write_text(text)
    (folder / "model-00001-of-00002.safetensors").write_text("an old shard")
    save_pretrained(tiny("llama"), folder)
    found = snapshot(folder)
    for name, text in others.items():
        assert found[name] == text.encode()
    assert set(found) == {*others, CONFIG, "generation_config.json", WEIGHTS}
    assert [f.name for f in tmp_path.iterdir()] == ["m"]


class Stop(Exception):
    """Raised on purpose, and by nothing else."""


def fail_at(monkeypatch, where: str) -> None:
    """Let the next save stop half-way, after it has written something."""

    def after(function):
        def broken(*args, **options):
            function(*args, **options)
            raise Stop(where)

        return broken

    if where.startswith("replace"):  # one file has its place already, or two
        count = [0]

        def replace_some(*args):
            count[0] += 1
            if str(count[0]) == where[-1]:
                raise Stop(where)
            return real_replace(*args)

        real_replace = os.replace
        monkeypatch.setattr(os, "replace", replace_some)
    else:
        monkeypatch.setattr(checkpoint, where, after(getattr(checkpoint, where)))


WHERE = ["save_torch_state_dict", "_write_json", "replace 1", "replace 2", "replace 3"]


@pytest.mark.parametrize("where", WHERE)
def test_a_failed_save_leaves_the_folder_as_it_was(where, tmp_path, monkeypatch):
    folder = tmp_path / "m"
    save_pretrained(tiny("qwen2", seed=1), folder)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_text("deep")
    before = snapshot(tmp_path)
    with monkeypatch.context() as patch:
        fail_at(patch, where)
        assert message(Stop, save_pretrained, tiny("llama"), folder) == where
    assert snapshot(tmp_path) == before
    assert [f.name for f in tmp_path.iterdir()] == ["m"]
    save_pretrained(tiny("llama"), folder)
    assert from_pretrained(folder).config == LLAMA


@pytest.mark.parametrize("where", WHERE)
def test_a_failed_first_save_leaves_nothing(where, tmp_path, monkeypatch):
    fail_at(monkeypatch, where)
    assert message(Stop, save_pretrained, tiny("llama"), tmp_path / "m") == where
    assert not list(tmp_path.iterdir())


def test_a_config_that_no_json_can_say_is_refused_before_writing(tmp_path):
    impossible = {
        "norm": replace(LLAMA, norm="layer"),
        "qkv_bias": replace(LLAMA, model_type="mistral", qkv_bias=True),
        "window": replace(LLAMA, window=5),
        "d_rotary": replace(LLAMA, d_rotary=4),
        "activation": replace(CONFIGS["gpt2"], ffn="swiglu"),
        "n_kv_heads": replace(CONFIGS["gpt2"], n_kv_heads=2),
        "model_type": replace(LLAMA, model_type="bert"),
    }
    for name, config in impossible.items():
        says = [name, "swiglu" if name == "activation" else config.model_type]
        refuses(save_pretrained, tiny(config), tmp_path / "m", says=says)
        assert not list(tmp_path.iterdir())


def test_only_the_model_s_own_weights_are_replaced(tmp_path):
    names = ["model_ema.safetensors", "model.safetensors.bak", "model-1.safetensors"]
    for name in names:
        (tmp_path / name).write_text("mine")
    (tmp_path / "gone").symlink_to("nowhere")
    save_pretrained(tiny("llama"), tmp_path)
    save_pretrained(tiny("llama"), tmp_path, max_shard_size=4000)
    assert all((tmp_path / name).read_text() == "mine" for name in names)
    assert (tmp_path / "gone").is_symlink()
    assert from_pretrained(tmp_path).config == LLAMA


def test_the_folder_one_stands_in_can_be_saved_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        save_pretrained(tiny("llama"), ".")
    assert from_pretrained(".").config == LLAMA


def test_files_are_as_open_as_the_umask_says(tmp_path):
    before = os.umask(0o077)
    try:
        save_pretrained(tiny("llama"), tmp_path / "m")
    finally:
        os.umask(before)
    assert {f.stat().st_mode & 0o777 for f in (tmp_path / "m").iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("kinds", "window"),
    [(["sliding_attention"] * 2, 5), (["full_attention"] * 2, None)],
)
def test_layer_types_of_transformers_5_count(kinds, window, tmp_path):
    save_pretrained(tiny("qwen2"), tmp_path)
    options = dict(use_sliding_window=True, sliding_window=5, layer_types=kinds)
    edit_json(tmp_path / CONFIG, **options)
    assert read_config(tmp_path).window == window
    edit_json(tmp_path / CONFIG, layer_types=["full_attention", "sliding_attention"])
    refuses(read_config, tmp_path, says=["some layers", "of 2"])


def test_rope_scaling_comes_before_rope_parameters(tmp_path):
    """As in transformers: it is what one adds by hand to a saved config."""
    save_pretrained(tiny("llama"), tmp_path)
    plain = {"rope_type": "default", "rope_theta": 77.0}
    edit_json(
        tmp_path / CONFIG,
        rope_parameters=plain,
        rope_scaling={"rope_type": "linear", "factor": 4.0},
    )
    assert read_config(tmp_path).rope_scaling.kind == "linear"


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": None},
        {"hidden_size": "32"},
        {"num_attention_heads": 0},
        {"rms_norm_eps": "small"},
        {"rope_scaling": "linear"},
        {"rope_theta": "x"},
        {"max_position_embeddings": 10**30},
        {"eos_token_id": "x"},
        {"quantization_config": {"bits": 4}},
    ],
    ids=str,
)
def test_values_of_the_wrong_kind_are_refused(change, tmp_path):
    save_pretrained(tiny("llama"), tmp_path)
    edit_json(tmp_path / CONFIG, **change)
    refuses(read_config, tmp_path, says=[])


@pytest.mark.parametrize("text", ["[]", "null", "5", '"a"'])
@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
def test_a_file_without_named_values_is_refused(file, text, tmp_path):
    save_pretrained(tiny("llama"), tmp_path)
    (tmp_path / file).write_text(text)
    refuses(read_config, tmp_path, says=[file])


@pytest.mark.parametrize("index", [None, [1], {"a": 5}, {"a": "../x"}, {"a": "/x"}])
def test_an_index_names_files_of_its_own_folder(index, tmp_path):
    save_pretrained(tiny("llama"), tmp_path)
    (tmp_path / WEIGHTS).unlink()
    (tmp_path / checkpoint.INDEX).write_text(json.dumps({"weight_map": index}))
    refuses(from_pretrained, tmp_path, says=["index.json"])


def test_a_config_that_nests_without_end_is_refused(tmp_path):
    save_pretrained(tiny("llama"), tmp_path)
    (tmp_path / CONFIG).write_text('{"a":' * 100_000)
    refuses(read_config, tmp_path, says=[CONFIG])


def test_types_that_the_model_cannot_compute_in_are_refused(tmp_path):
    folder = saved(tmp_path)
    for dtype in (torch.int32, torch.float8_e4m3fn, torch.complex64):
        refuses(
            from_pretrained, folder, dtype=dtype, says=["torch.float16", str(dtype)]
        )
    small = torch.float8_e4m3fn
    edit_tensors(folder, lambda s: s.update({n: t.to(small) for n, t in s.items()}))
    refuses(from_pretrained, folder, says=["torch.float16", str(small)])


def test_a_name_that_is_empty_is_refused():
    refuses(from_pretrained, "", says=["empty name"])


def test_weights_of_other_kinds_are_refused(tmp_path):
    folder = saved(tmp_path)
    edit_tensors(
        folder, lambda s: s.update({"model.norm.weight": torch.ones(32).int()})
    )
    refuses(from_pretrained, folder, says=["model.norm.weight", "torch.int32"])
    edit_tensors(
        folder, lambda s: s.update({"model.norm.weight": torch.ones(32).half()})
    )
    refuses(from_pretrained, folder, says=["torch.float16", "torch.float32", "dtype"])
    assert from_pretrained(folder, dtype=torch.float32).config == LLAMA


# What is missing or broken is named.


def saved(folder: Path, name: str = "llama") -> Path:
    save_pretrained(tiny(name), folder)
    return folder


def test_missing_surplus_and_misshapen_tensors_are_named(tmp_path):
    folder = saved(tmp_path)

    def edit(state):
        del state["model.layers.0.mlp.up_proj.weight"]
        state["model.layers.7.extra"] = torch.zeros(2)
        state["model.norm.weight"] = torch.zeros(31)

    edit_tensors(folder, edit)
    says = [
        "missing model.layers.0.mlp.up_proj.weight",
        "surplus model.layers.7.extra",
        "model.norm.weight is (31,) and must be (32,)",
        folder,
    ]
    refuses(from_pretrained, folder, says=says)


def test_a_missing_bias_or_head_is_named(tmp_path):
    for name, tensor in (
        ("llama-bias", "model.layers.1.self_attn.k_proj.bias"),
        ("llama", "lm_head.weight"),
        ("qwen2", "model.embed_tokens.weight"),
    ):
        folder = saved(tmp_path / name, name)
        edit_tensors(folder, lambda state, tensor=tensor: state.pop(tensor))
        refuses(from_pretrained, folder, says=[f"missing {tensor}"])


@pytest.mark.parametrize(
    ("name", "tensor", "rows"),
    [
        ("phi3", "model.layers.1.self_attn.qkv_proj.weight", 64),
        ("phi3", "model.layers.0.mlp.gate_up_proj.weight", 96),
        ("gpt2", "transformer.h.1.attn.c_attn.weight", 96),
        ("gpt2", "transformer.h.1.attn.c_attn.bias", 96),
    ],
)
def test_misshapen_fused_tensors_are_named(name, tensor, rows, tmp_path):
    folder = saved(tmp_path, name)

    def edit(state):
        wide = name == "gpt2" and tensor.endswith("weight")
        cut = state[tensor][:, :-1] if wide else state[tensor][:-1]
        state[tensor] = cut.contiguous()

    edit_tensors(folder, edit)
    text = message(ValueError, from_pretrained, folder)
    assert str(rows - 1) in text and str(rows) in text, text
    assert tensor.split(".")[-2].removeprefix("c_").split("_proj")[0] in text


def test_many_problems_are_counted(tmp_path):
    folder = saved(tmp_path)
    edit_tensors(folder, lambda state: state.clear() or state.update(a=torch.ones(1)))
    refuses(from_pretrained, folder, says=["missing lm_head.weight", "more)"])


def test_shards_that_the_index_misses_are_named(tmp_path):
    save_pretrained(tiny("llama"), tmp_path, max_shard_size=20_000)
    gone = sorted(tmp_path.glob("*.safetensors"))[1]
    gone.unlink()
    refuses(from_pretrained, tmp_path, says=[checkpoint.INDEX, gone.name])


def test_truncated_and_corrupt_files_are_named(tmp_path):
    file = saved(tmp_path) / WEIGHTS
    whole = file.read_bytes()
    for broken in (
        whole[:-100],
        whole[:100],
        whole[:4],
        b"",
        b"\xff" * 8 + whole[8:],
        whole[:8] + b"not json" + whole[16:],
        b"PK\x03\x04" + bytes(200),
    ):
        file.write_bytes(broken)
        refuses(from_pretrained, tmp_path, says=[file, "no whole safetensors"])
    file.write_bytes(whole)
    assert from_pretrained(tmp_path).config == LLAMA


def test_truncated_shards_are_named(tmp_path):
    save_pretrained(tiny("llama"), tmp_path, max_shard_size=20_000)
    shard = sorted(tmp_path.glob("*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-10])
    refuses(from_pretrained, tmp_path, says=[shard])


def test_pickles_are_refused_unread(tmp_path):
    folder, marker = saved(tmp_path / "m"), tmp_path / "opened"

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    (folder / WEIGHTS).unlink()
    torch.save({"w": Trap()}, folder / "pytorch_model.bin")
    refuses(from_pretrained, folder, says=["pickle", ".bin", "safetensors", folder])
    assert not marker.exists()


def test_missing_files_are_named(tmp_path):
    refuses(from_pretrained, tmp_path, says=[tmp_path / CONFIG])
    saved(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    refuses(from_pretrained, tmp_path, says=[tmp_path, WEIGHTS])
    (tmp_path / CONFIG).write_text('{"model_type": ')
    refuses(from_pretrained, tmp_path, says=[tmp_path / CONFIG])


def test_other_settings_of_an_existing_folder_stay(tmp_path):
    folder = tmp_path / "model"
    save_pretrained(tiny("llama", stop_ids=(3,)), folder)
    settings = folder / "generation_config.json"
    settings.write_text('{"eos_token_id": 9, "temperature": 0.7}')
    save_pretrained(tiny("llama", stop_ids=(4, 5)), folder)
    assert json.loads(settings.read_text()) == {
        "eos_token_id": [4, 5],
        "temperature": 0.7,
    }


def test_a_missing_folder_is_named(tmp_path):
    for name in (tmp_path / "no", "no-such-folder", "./no/folder", "../no", "a/b/c"):
        refuses(find_folder, name, says=[repr(str(name)), "owner/name"])


def test_a_hub_that_cannot_be_reached_is_an_error_of_one_line(tmp_path):
    """In its own process, because the hub client reads its settings on import."""
    code = (
        "from llmcourse.checkpoint import from_pretrained\n"
        "try:\n    from_pretrained('llmcourse/no-such-model')\n"
        "except ValueError as error:\n    print(error)"
    )
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | offline,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "'llmcourse/no-such-model'" in done.stdout and "hub" in done.stdout
    assert done.stdout.count("\n") == 1


def test_whatever_the_hub_client_raises_is_an_error_of_one_line(monkeypatch):
    for error in (OSError("no route\nto host"), RuntimeError(""), KeyError("x")):

        def download(*args, error=error, **options):
            raise error

        monkeypatch.setattr(checkpoint, "snapshot_download", download)
        refuses(find_folder, "a/b", says=["'a/b'", type(error).__name__])


# The config file.


def hf_config(**changes) -> dict:
    hf = config_to_hf(LLAMA) | changes
    return {n: v for n, v in hf.items() if v != "drop"}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_survives_the_round_trip(name):
    config = replace(CONFIGS[name], stop_ids=(1, 2))
    assert config_from_hf(json.loads(json.dumps(config_to_hf(config)))) == config


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(model_type="bert"), ["'bert'", "llama"]),
        (dict(model_type="drop"), ["None", "llama"]),
        (dict(hidden_size="drop"), ["llama", "hidden_size"]),
        (dict(num_hidden_layers="drop"), ["llama", "num_hidden_layers"]),
        (dict(hidden_size=33), ["33", "4"]),
        (dict(num_key_value_heads=3), ["4", "3"]),
        (dict(num_hidden_layers=0), ["n_layers", "0"]),
        (dict(hidden_act="gelu"), ["'silu'", "'gelu'"]),
        (dict(head_dim=7), ["7"]),
        (dict(rope_scaling={"rope_type": "ntk", "factor": 2.0}), ["linear", "'ntk'"]),
        (dict(rope_scaling={"rope_type": "linear", "factor": 0.5}), ["1", "0.5"]),
        (dict(rope_scaling={"rope_type": "linear"}), ["linear", "factor"]),
        (
            dict(rope_scaling={"rope_type": "llama3", "factor": 8.0}),
            ["llama3", "low_freq_factor, high_freq_factor"],
        ),
        (dict(model_type="phi3", partial_rotary_factor=0.4), ["8", "3"]),
        (dict(model_type="phi3", partial_rotary_factor="a"), ["partial", "'a'"]),
        (
            dict(model_type="qwen2", use_sliding_window=True, layer_types=["x"] * 2),
            ["full_attention", "'x'"],
        ),
        (
            dict(
                model_type="qwen2",
                use_sliding_window=True,
                layer_types=["full_attention"] * 3,
            ),
            ["each of 2 layers", "got 3"],
        ),
        (
            dict(
                model_type="qwen2",
                use_sliding_window=True,
                sliding_window=5,
                max_window_layers=1,
            ),
            ["max_window_layers 1", "of 2"],
        ),
    ],
    ids=str,
)
def test_bad_configs_are_refused(changes, says):
    refuses(config_from_hf, hf_config(**changes), says=says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(n_embd=33), ["33", "4"]),
        (dict(activation_function="tanh"), ["gelu_new", "'tanh'"]),
        (dict(scale_attn_weights=False), ["sqrt(K)"]),
        (dict(scale_attn_by_inverse_layer_idx=True), ["sqrt(K)"]),
        (dict(n_layer="drop"), ["gpt2", "n_layer"]),
    ],
    ids=str,
)
def test_bad_gpt2_configs_are_refused(changes, says):
    hf = config_to_hf(CONFIGS["gpt2"]) | changes
    hf = {n: v for n, v in hf.items() if v != "drop"}
    refuses(config_from_hf, hf, says=says)


def test_defaults_of_old_config_files():
    old = hf_config(num_key_value_heads="drop", rope_theta="drop", rms_norm_eps="drop")
    config = config_from_hf(old)
    assert (config.n_kv_heads, config.rope_base, config.norm_eps) == (4, 1e4, 1e-6)
    old = config_to_hf(CONFIGS["gpt2"])
    old |= {"n_inner": None, "n_ctx": old.pop("n_positions")}
    assert config_from_hf(old) == replace(CONFIGS["gpt2"], d_ff=128)


def test_dynamic_scaling_begins_at_the_context_of_the_config():
    """Whatever else the file names as the original context, as transformers does."""
    rope = {"rope_type": "dynamic", "factor": 2.0}
    for other in (
        dict(rope_scaling=rope),
        dict(rope_scaling=rope, original_max_position_embeddings=32),
        dict(rope_scaling=rope | {"original_max_position_embeddings": 32}),
    ):
        assert config_from_hf(hf_config(**other)).rope_scaling.original_max_len == 64


def test_partial_rotation_is_read_where_transformers_reads_it():
    assert config_from_hf(hf_config(partial_rotary_factor=0.5)) == LLAMA
    phi3 = hf_config(model_type="phi3", partial_rotary_factor=0.5)
    assert config_from_hf(phi3).d_rotary == 4
