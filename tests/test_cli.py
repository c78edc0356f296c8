"""The command line: what it prints, and one line of error with exit code 2."""

import io
import json
import os
import select
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch
from test_tokenizer import BYTES, saved
from tiny import LLAMA, tiny

from llmcourse import __version__, checkpoint, cli
from llmcourse.accounting import count_parameters, decode_flops, prefill_flops
from llmcourse.checkpoint import save_pretrained
from llmcourse.cli import main
from llmcourse.config import PRESETS
from llmcourse.generate import generate


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny random model with its tokenizer."""
    path = tmp_path_factory.mktemp("model")
    save_pretrained(tiny(LLAMA, seed=3, vocab_size=len(BYTES)), path)
    saved(path, config=BYTES.config)
    return str(path)


@pytest.fixture
def command(folder, capsys, monkeypatch):
    """Run a command in this process: (exit code, stdout, stderr)."""
    monkeypatch.setenv("LLMCOURSE_DEVICE", "cpu")

    def call(*args: str) -> tuple[int, str, str]:
        code = main([a.replace("MODEL", folder) for a in args])
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


GENERATE = ("generate", "The cat", "--model", "MODEL", "--max-new-tokens", "12")


def test_generate_continues_a_text(command):
    model = tiny(LLAMA, seed=3, vocab_size=len(BYTES))
    ids = generate(model, BYTES.encode("The cat"), max_new_tokens=12)
    wanted = BYTES.decode(ids)
    assert len(wanted) > 5
    assert command(*GENERATE) == (0, wanted + "\n", "")


def test_json_is_one_object(command):
    code, out, err = command(*GENERATE, "--json", "--temperature", "1", "--seed", "5")
    result = json.loads(out)
    assert code == 0 and err == "" and out.count("\n") == 1
    assert result["prompt"] == "The cat" and result["seed"] == 5
    assert result["prompt_ids"] == BYTES.encode("The cat")
    assert len(result["ids"]) == 12 and result["text"] == BYTES.decode(result["ids"])


def test_json_says_why_the_text_ended(command):
    def end(*more):
        return json.loads(command(*GENERATE, "--json", *more)[1])["end"]

    text = json.loads(command(*GENERATE, "--json")[1])["text"]
    assert end() == "limit"
    assert end("--stop", text[2:4]) == "stop text"
    assert end("--max-new-tokens", "500") in ("stop id", "context")


def test_an_unknown_shape_is_told_the_known_ones(command):
    code, out, err = command("info", "llama-9")
    assert code == 2 and not out and "'llama-9'" in err and "llama-3-8b" in err


def test_a_seed_gives_the_same_text(command):
    warm = (*GENERATE, "--temperature", "1.5", "--top-k", "50", "--seed")
    assert command(*warm, "1") == command(*warm, "1")
    assert command(*warm, "1") != command(*warm, "2")
    free = [command(*GENERATE, "--temperature", "2", "--json")[1] for _ in range(2)]
    assert json.loads(free[0])["seed"] != json.loads(free[1])["seed"]


def test_options_reach_the_sampling(command):
    greedy = command(*GENERATE)
    hot = ("--temperature", "5", "--seed", "1")
    assert command(*GENERATE, *hot) != greedy
    for narrow in (["--top-k", "1"], ["--top-p", "1e-6"], ["--min-p", "1"]):
        assert command(*GENERATE, *hot, *narrow) == greedy
    assert command(*GENERATE, "--repetition-penalty", "9") != greedy


def test_text_ends_before_a_stop_string(command):
    text = command(*GENERATE)[1][:-1]
    stop = text[4:6]
    code, out, _ = command(*GENERATE, "--stop", stop)
    assert (code, out) == (0, text[: text.index(stop)] + "\n")


def test_the_prompt_may_come_from_stdin(command, monkeypatch):
    wanted = command(*GENERATE)
    monkeypatch.setattr(sys, "stdin", io.StringIO("The cat\n"))  # as `echo` does
    assert command("generate", "-", *GENERATE[2:]) == wanted


def test_a_chat_is_written_by_the_template(command):
    out = command(*GENERATE, "--chat", "--json")[1]
    assert json.loads(out)["prompt"] == "<s>user: The cat</s>\n<s>assistant: "


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_every_type_generates(command, dtype):
    code, out, err = command(*GENERATE, "--dtype", dtype)
    assert code == 0 and len(out) > 5 and err == ""


def test_text_is_shown_as_it_comes(folder):
    """Seen from outside: the first piece arrives while the model is still at work."""
    code = (
        "import sys, time; import llmcourse.cli as cli; real = cli.generate\n"
        "def slow(*a, **k):\n"
        "    for i, token in enumerate(real(*a, **k)):\n"
        "        yield token\n"
        "        if i == 5: time.sleep(600)\n"
        "cli.generate = slow; cli.main(sys.argv[1:])"
    )
    args = [sys.executable, "-c", code, *(a.replace("MODEL", folder) for a in GENERATE)]
    process = subprocess.Popen(args, stdout=subprocess.PIPE, env=cpu())
    try:
        ready, _, _ = select.select([process.stdout], [], [], 60)
        assert ready and process.stdout.read(1) and process.poll() is None
    finally:
        process.kill()
        process.communicate()


def test_info_is_a_table_of_the_accounting(command):
    code, out, err = command("info", "llama-3-8b", "--tokens", "2048")
    assert code == 0 and err == ""
    config = PRESETS["llama-3-8b"]
    for number in (
        count_parameters(config).total,
        count_parameters(config).without_embeddings,
        prefill_flops(config, 2048),
        decode_flops(config, 2048),
        131_072,
        2048 * 131_072,
    ):
        assert f" {number:,}\n" in out
    assert len({len(line) for line in out.splitlines()}) == 1  # the columns align


def test_info_of_a_folder(command):
    code, out, _ = command("info", "MODEL", "--tokens", "64", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["width D"] == 32 and facts["context"] == 64
    wanted = tiny(LLAMA, vocab_size=len(BYTES))
    assert facts["parameters"] == sum(p.numel() for p in wanted.parameters())


def test_info_knows_presets_in_any_case_and_the_shipped_model(command):
    assert command("info", "Qwen2.5-32B") == command("info", "qwen2.5-32b")
    assert command("info") == command("info", "Pocket")
    code, out, _ = command("info")
    assert code == 0 and "prefill of 512 tokens" in out  # its whole context


BAD = {
    "empty prompt": (["generate", "", "--model", "MODEL"], ["at least 1 token", "0"]),
    "long prompt": (
        ["generate", "x" * 100, "--model", "MODEL"],
        ["100 tokens", "context of 64"],
    ),
    "temperature": ([*GENERATE, "--temperature", "-1"], ["temperature", "-1.0"]),
    "no temperature": ([*GENERATE, "--temperature", "nan"], ["temperature", "nan"]),
    "top-p 0": ([*GENERATE, "--top-p", "0"], ["top-p", "0.0"]),
    "top-p 2": ([*GENERATE, "--top-p", "2"], ["top-p", "2.0"]),
    "top-k": ([*GENERATE, "--top-k", "-3"], ["top-k", "-3"]),
    "min-p": ([*GENERATE, "--min-p", "-0.5"], ["min-p", "-0.5"]),
    "penalty": ([*GENERATE, "--repetition-penalty", "0"], ["penalty", "0.0"]),
    "length": ([*GENERATE[:4], "--max-new-tokens", "-1"], ["max_new_tokens", "-1"]),
    "stop": ([*GENERATE, "--stop", ""], ["stop string", "''"]),
    "missing folder": (
        ["generate", "a", "--model", "no/such/folder"],
        ["no/such/folder"],
    ),
    "a shape without weights": (
        ["generate", "a", "--model", "gpt2"],
        ["'gpt2'", "hub"],
    ),
    "seed": ([*GENERATE, "--seed", str(2**63)], ["--seed", str(2**63)]),
    "broken prompt": (["generate", "\udcff", "--model", "MODEL"], ["no valid text"]),
    "info of nothing": (["info", "no-such-model"], ["'no-such-model'"]),
    "tokens 0": (["info", "gpt2", "--tokens", "0"], ["0", "1024"]),
    "tokens": (["info", "gpt2", "--tokens", "2000"], ["2000", "1024"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_one_line_and_exit_code_2(command, case):
    args, says = BAD[case]
    code, out, err = command(*args)
    assert (code, out) == (2, "")
    assert err.startswith("llmcourse: ") and err.endswith("\n") and err.count("\n") == 1
    assert all(part in err for part in says), err


def test_broken_files_are_one_line_and_exit_code_2(command, folder, tmp_path):
    for file in ("model.safetensors", "config.json", "tokenizer.json"):
        copy = tmp_path / file.split(".")[0]
        copy.mkdir()
        for name in os.listdir(folder):
            content = (open(os.path.join(folder, name), "rb")).read()
            (copy / name).write_bytes(content[:50] if name == file else content)
        code, out, err = command("generate", "The cat", "--model", str(copy))
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert str(copy) in err


def test_an_error_message_of_many_lines_is_put_on_one(command, monkeypatch):
    def fail(*args, **options):
        raise ValueError("first\nsecond")

    monkeypatch.setattr(cli, "from_pretrained", fail)
    assert command(*GENERATE) == (2, "", "llmcourse: first second\n")


def cpu() -> dict[str, str]:
    """The environment, without the one setting that would flush all output for us."""
    kept = {n: v for n, v in os.environ.items() if n != "PYTHONUNBUFFERED"}
    return kept | {"LLMCOURSE_DEVICE": "cpu", "HF_HUB_OFFLINE": "1"}


def run_module(*args: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "llmcourse", *args]
    return subprocess.run(command, capture_output=True, text=True, env=cpu())


def test_python_m_llmcourse_is_the_same_command(command):
    done = run_module("info", "gpt2")
    assert (done.returncode, done.stdout, done.stderr) == command("info", "gpt2")
    done = run_module("generate", "a", "--model", "owner/missing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "owner/missing" in done.stderr


def test_a_reader_that_leaves_ends_the_program_quietly(folder):
    args = [a.replace("MODEL", folder) for a in GENERATE]
    process = subprocess.Popen(
        [sys.executable, "-m", "llmcourse", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=cpu(),
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has /dev/full")
def test_a_full_disk_is_one_line_and_exit_code_2():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "llmcourse", "info", "gpt2"],
            stdout=full, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONUNBUFFERED": ""},
        )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr


def test_a_model_of_the_hub_comes_with_its_weights(
    command, folder, tmp_path, monkeypatch
):
    """The hub is a folder here, of which only the files asked for are fetched."""

    def fetch(name, *, allow_patterns, ignore_patterns):
        for file in Path(folder).iterdir():
            if any(fnmatch(file.name, pattern) for pattern in allow_patterns):
                shutil.copy(file, tmp_path / file.name)
        return str(tmp_path)

    monkeypatch.setattr(checkpoint, "snapshot_download", fetch)
    assert command("info", "owner/model")[0] == 0
    assert not list(tmp_path.glob("*.safetensors"))  # a table needs no weights
    hub = ["owner/model" if a == "MODEL" else a for a in GENERATE]
    assert command(*hub) == command(*GENERATE)


def test_version(capsys):
    try:
        main(["--version"])
    except SystemExit as done:
        assert done.code == 0
    assert capsys.readouterr().out.strip() == __version__


def test_the_default_model_is_the_shipped_one(capsys, monkeypatch):
    """One of two tests that read llmcourse/data/pocket."""
    monkeypatch.setenv("LLMCOURSE_DEVICE", "cpu")
    assert main(["generate", "The", "--max-new-tokens", "3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["model"] == "pocket" and len(result["ids"]) <= 3
    assert torch.is_grad_enabled()
