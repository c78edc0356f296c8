"""Pocket's tokenizer, packing and training: lossless, seeded, resumable, shared."""

import copy
import itertools
import os
import random
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from llmcourse.model import CausalLM
from pocket import train as train_module
from pocket.checkpoint import load_checkpoint, read_checkpoint, save_checkpoint
from pocket.initial import initialise
from pocket.packing import NOT_A_TARGET, Batch, batches, columns, lesson, pack
from pocket.tokenizer import SPECIALS, cut, sample, save_tokenizer, train_tokenizer
from pocket.train import (
    SHAPE,
    Recipe,
    draw_losses,
    learning_rate_at,
    loss_of,
    make_optimizer,
    tokenizer_at,
    train,
    train_step,
    uses_bfloat16,
    warn_of_warmup,
)

TINY = replace(
    SHAPE,
    vocab_size=400,
    d_model=16,
    n_layers=2,
    n_heads=2,
    n_kv_heads=1,
    d_head=8,
    d_ff=32,
)
RECIPE = Recipe(
    shape=TINY,
    steps=4,
    batch_size=4,
    row_length=64,
    warmup_steps=2,
    lists=50,
    bfloat16=False,
)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(sample(0, 300), TINY.vocab_size)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("LLMCOURSE_DEVICE", "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_any_text_comes_back_exactly(tokenizer):
    rng = random.Random(0)
    ranges = [(0, 0x80), (0x80, 0xD800), (0x4E00, 0x9FFF), (0x1F300, 0x1FAFF)]
    texts = [
        "".join(
            chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randrange(40))
        )
        for _ in range(300)
    ]
    texts += [
        "",
        " ",
        "  two  spaces ",
        "\r\n\t\x00\x1b",
        "a\u0301e\u0301",
        "123 + 456",
        *SPECIALS,
    ]
    for text in texts:
        ids = tokenizer.encode(text).ids
        assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_digits_stand_alone_and_specials_come_first(tokenizer):
    assert [tokenizer.token_to_id(s) for s in SPECIALS] == [0, 1, 2]
    assert tokenizer.encode("2048").tokens == list("2048")


def test_chinese_is_cut_into_words():
    assert cut("一位勇敢的探险家") == ["一位", "勇敢的", "探险家"]


def test_transformers_loads_the_tokenizer(tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    save_tokenizer(tokenizer, tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = "The  dog , 狗！ 12"
    assert theirs(text).input_ids == tokenizer.encode(text).ids
    chat = theirs.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert chat == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert (theirs.eos_token, theirs.model_max_length) == (SPECIALS[0], 512)


def test_packing_keeps_documents_whole():
    texts = [[i] * n for i, n in enumerate([5, 9, 3, 8, 2, 7, 30, 1, 6, 4] * 5)]
    rows = list(pack(texts, 10, open_rows=3))
    assert 200 < sum(len(text) for row in rows for text in row) <= 380
    assert all(sum(map(len, row)) <= 10 for row in rows)
    whole = [tuple(text[:10]) for text in texts]
    assert all(tuple(text) in whole for row in rows for text in row)


def test_targets_stay_in_their_document(tokenizer):
    batch = next(batches(tokenizer, 0, rows=4, length=64, joined=0.0))
    assert batch.ids.shape == (4, 64)
    for ids, targets, numbers, positions in zip(*batch, strict=True):
        for t in range(63):
            same = numbers[t] == numbers[t + 1] >= 0
            assert targets[t] == (ids[t + 1] if same else NOT_A_TARGET)
            assert positions[t + 1] == (positions[t] + 1 if same else 0)


def test_a_row_of_two_documents():
    ids, targets, numbers, positions = columns([[5, 6, 7], [8, 9]], 7)
    assert ids == [5, 6, 7, 8, 9, 0, 0]
    assert targets == [6, 7, NOT_A_TARGET, 9, NOT_A_TARGET, NOT_A_TARGET, NOT_A_TARGET]
    assert numbers == [0, 0, 0, 1, 1, -1, -1]
    assert positions == [0, 1, 2, 0, 1, 0, 0]


def test_a_packed_row_costs_what_its_documents_cost_alone():
    model = CausalLM(TINY)
    initialise(model, 0)
    generator = torch.Generator().manual_seed(0)
    texts = [torch.randint(400, (n,), generator=generator).tolist() for n in (9, 14, 5)]

    def loss(row, length):
        table = torch.tensor([columns(row, length)])
        return loss_of(model, Batch(*table.unbind(1)))

    alone = sum(loss([text], len(text)) for text in texts)
    torch.testing.assert_close(loss(texts, 40), alone, rtol=1e-5, atol=1e-4)
    together = loss([sum(texts, [])], 40)
    assert abs(together - alone) > 1  # without the mask it would be another one


def test_joined_rows_are_twice_as_long_and_run_on(tokenizer):
    batch = next(batches(tokenizer, 0, rows=4, length=64, joined=1.0))
    assert batch.ids.shape == (2, 128)
    for ids, targets, numbers, positions in zip(*batch, strict=True):
        used = int((numbers >= 0).sum())
        assert used > 64 and set(numbers[:used].tolist()) == {0}
        assert positions[:used].tolist() == list(range(used))
        assert targets[: used - 1].tolist() == ids[1:used].tolist()


def test_a_lesson_begins_with_repeated_lists():
    texts = (document.text for document in lesson(0, 200))
    first, mixed, late = (list(itertools.islice(texts, n)) for n in (200, 400, 400))
    kinds = [document.kind for document in itertools.islice(lesson(0, 20), 1_000)]

    def repeats(text):
        half = len(text) // 2
        return any(text[i : i + 8] in text[i + 8 :] for i in range(0, half, 4))

    assert sum(map(repeats, first)) > 190
    assert sum(map(repeats, mixed[1::2])) > 190
    assert sum(map(repeats, late)) < 200
    after = 20 + 2 * 20 + 12 * 20
    assert {*kinds[after::20]} == {"repeated"}
    assert kinds[20:after:2].count("repeated") < 40 < len(kinds[60:after])


@pytest.mark.parametrize("rows", [3, 6])
def test_rows_that_cannot_be_cut_are_refused(rows):
    with pytest.raises(ValueError, match=f"batch_size {rows} is no multiple .* 2$"):
        replace(RECIPE, batch_size=rows, gradient_accumulation_steps=2)


def attention_at_the_start(ids: list[int]) -> torch.Tensor:
    """(L, H, T, T) of the recipe's shape before its first step."""
    model, maps = CausalLM(SHAPE), []
    initialise(model, 0)
    with torch.no_grad():
        model(torch.tensor([ids]), maps=maps)
    return torch.cat(maps)


def test_training_begins_with_heads_that_look_back():
    generator = torch.Generator().manual_seed(1)
    ids = torch.randperm(SHAPE.vocab_size, generator=generator)[:24].tolist()
    maps = attention_at_the_start(ids)
    for head in range(SHAPE.n_heads // SHAPE.n_kv_heads):
        back = maps[0, head].diagonal(-1 - head)
        assert back[8:].min() > 0.5, head
    assert maps[0, 3:].diagonal(-1, 1, 2).mean() < 0.5


def test_training_begins_with_a_head_that_looks_for_what_came_after():
    generator = torch.Generator().manual_seed(1)
    ids = torch.randperm(SHAPE.vocab_size, generator=generator)[:12].tolist()
    maps = attention_at_the_start(ids * 2)
    # Token 12 + t is token t again: what followed it is token t + 1.
    after = maps[1].diagonal(-11, 1, 2)[:, 1:].mean(-1)  # (H,)
    assert after.argmax() == 0 and after[0] > 3 * after[1:].max()


def test_a_single_layer_cannot_copy():
    with pytest.raises(ValueError, match="takes 2 layers, the model has 1"):
        initialise(CausalLM(replace(TINY, n_layers=1)), 0)


def test_the_optimizer_decays_matrices_and_spares_the_embeddings():
    model, recipe = CausalLM(TINY), replace(RECIPE, weight_decay=0.3)
    optimizer = make_optimizer(model, recipe)
    found = {
        id(p): group["weight_decay"]
        for group in optimizer.param_groups
        for p in group["params"]
    }
    for name, p in model.named_parameters():
        spared = "embed_tokens" in name or p.dim() == 1
        assert found.pop(id(p)) == (0.0 if spared else 0.3), name
    assert not found


def test_the_embeddings_have_a_rate_of_their_own(tokenizer, tmp_path, monkeypatch):
    seen = []

    def remembered(model, recipe):
        seen.append(optimizer := make_optimizer(model, recipe))
        return optimizer

    monkeypatch.setattr(train_module, "make_optimizer", remembered)
    recipe = replace(RECIPE, embedding_learning_rate=0.1, embedding_warmup_steps=4)
    train(recipe, tokenizer, tmp_path / "a.pt", until=3, quiet=True)
    rates = {
        id(p): group["lr"] for group in seen[0].param_groups for p in group["params"]
    }
    model = seen[0].param_groups[-1]["params"]
    assert [p.shape for p in model] == [(TINY.vocab_size, TINY.d_model)]
    assert rates.pop(id(model[0])) == pytest.approx(0.1 * 3 / 4)
    assert set(rates.values()) == {learning_rate_at(2, recipe)}


def test_training_repeats_itself(tokenizer, tmp_path):
    _, once = train(RECIPE, tokenizer, tmp_path / "a.pt", quiet=True)
    _, again = train(RECIPE, tokenizer, tmp_path / "b.pt", quiet=True)
    assert len(once) == 4 and once == again


def test_training_learns(tokenizer, tmp_path):
    fast = dict(learning_rate=0.02, embedding_learning_rate=0.02)
    fast |= dict(embedding_warmup_steps=2)
    recipe = replace(RECIPE, steps=20, **fast)
    _, losses = train(recipe, tokenizer, tmp_path / "a.pt", quiet=True)
    assert sum(losses[-3:]) / 3 < losses[0] - 0.5


def test_resuming_gives_the_uninterrupted_weights(tokenizer, tmp_path):
    whole, losses = train(RECIPE, tokenizer, tmp_path / "a.pt", quiet=True)
    path = tmp_path / "b.pt"
    train(RECIPE, tokenizer, path, until=2, quiet=True)
    resumed, rest = train(RECIPE, tokenizer, path, quiet=True)
    assert rest == losses
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_parts_of_a_step_add_up_to_the_step(tokenizer, tmp_path):
    halved = replace(RECIPE, gradient_accumulation_steps=2)
    _, two = train(halved, tokenizer, tmp_path / "a.pt", quiet=True)
    _, one = train(RECIPE, tokenizer, tmp_path / "b.pt", quiet=True)
    assert one == pytest.approx(two, rel=1e-4)


def test_a_step_in_bfloat16_is_near_the_one_in_float32(tokenizer):
    batch = next(batches(tokenizer, 0, rows=4, length=64, joined=0.0))

    def step(bfloat16: bool) -> tuple[float, torch.Tensor]:
        model = CausalLM(TINY)
        initialise(model, 0)
        recipe = replace(RECIPE, bfloat16=bfloat16)
        loss = train_step(model, make_optimizer(model, recipe), batch, 0, recipe)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        return loss, torch.cat([p.detach().flatten() for p in model.parameters()])

    (loss, weights), (exact, exact_weights) = step(True), step(False)
    assert loss != exact and loss == pytest.approx(exact, rel=1e-3)
    assert not torch.equal(weights, exact_weights)
    # Adam's first step moves a weight by the rate at most, up or down.
    most = 2.01 * learning_rate_at(0, RECIPE)
    torch.testing.assert_close(weights, exact_weights, rtol=0, atol=most)


def test_auto_goes_on_in_what_the_training_began_in(tokenizer, tmp_path, monkeypatch):
    path = tmp_path / "a.pt"
    for faster in (True, False):
        monkeypatch.setattr(train_module, "bfloat16_is_faster", lambda _, f=faster: f)
        assert uses_bfloat16("auto", path) is faster
    for began in (True, False):
        recipe = replace(RECIPE, bfloat16=began)
        monkeypatch.setattr(
            train_module, "bfloat16_is_faster", lambda _, b=began: not b
        )
        train(recipe, tokenizer, path, until=1, quiet=True)
        assert uses_bfloat16("auto", path) is began
        assert uses_bfloat16("bfloat16", path) and not uses_bfloat16("float32", path)
        path.unlink()


def test_a_loss_that_is_nan_is_not_saved(tokenizer, tmp_path):
    path = tmp_path / "a.pt"
    wild = replace(RECIPE, learning_rate=1e30, embedding_learning_rate=1e30)
    with pytest.raises(ValueError, match="step 2: the loss is nan and the norm"):
        train(wild, tokenizer, path, every=1, quiet=True)
    assert len(read_checkpoint(path)["losses"]) == 1


def test_gradients_that_are_nan_leave_the_weights(tokenizer, monkeypatch):
    def blind(model, batch):
        return 0 * sum(p.sum() for p in model.parameters()).mul(0).sqrt() + 3.0

    model = CausalLM(TINY)
    initialise(model, 0)
    before = copy.deepcopy(model.state_dict())
    batch = next(batches(tokenizer, 0, rows=4, length=64, joined=0.0))
    monkeypatch.setattr(train_module, "loss_of", blind)
    with pytest.raises(ValueError, match=r"step 8: the loss is [\d.]+ and .* nan,"):
        train_step(model, make_optimizer(model, RECIPE), batch, 7, RECIPE)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def checkpoint_with(tmp_path: Path, threads: list):
    """A function that loads a checkpoint made with `threads`, with others."""
    model = CausalLM(TINY)
    optimizer, path = make_optimizer(model, RECIPE), tmp_path / "a.pt"
    header = {"recipe": {"seed": 0}, "corpus": "some", "threads": threads}
    save_checkpoint(path, model, optimizer, header, [2.0, 1.0])
    return lambda now: load_checkpoint(
        path, model, optimizer, header | {"threads": now}
    )


@pytest.mark.parametrize("now", [[2, 1, "cpu"], [1, 2, "cpu"], [1, 1, "cuda"]])
def test_other_threads_processes_and_devices_are_told(tmp_path, now):
    load = checkpoint_with(tmp_path, [1, 1, "cpu"])
    with pytest.warns(UserWarning) as told:
        assert load(now) == [2.0, 1.0]
    assert f"[1, 1, 'cpu'], now they are {now}" in str(told[0].message)


def test_a_checkpoint_that_names_no_device_goes_on(tmp_path):
    load = checkpoint_with(tmp_path, [1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load([1, 1, "cpu"]) == [2.0, 1.0]
    with pytest.warns(UserWarning, match="now they are"):
        load([2, 1, "cpu"])


def test_a_checkpoint_says_its_threads_processes_and_device(tokenizer, tmp_path):
    train(RECIPE, tokenizer, tmp_path / "a.pt", until=1, quiet=True)
    assert read_checkpoint(tmp_path / "a.pt")["threads"] == [1, 1, "cpu"]


def test_a_checkpoint_past_the_last_step_is_refused(tokenizer, tmp_path):
    path = tmp_path / "a.pt"
    _, losses = train(RECIPE, tokenizer, path, until=2, quiet=True)
    with pytest.raises(ValueError, match="a.pt is at step 2, past 1$"):
        train(RECIPE, tokenizer, path, until=1, quiet=True)
    assert train(RECIPE, tokenizer, path, until=2, quiet=True)[1] == losses


def plain_steps(model, recipe):
    """Adam and clipping hide the size of a gradient; plain steps show it."""
    return torch.optim.SGD(model.parameters(), lr=0.1)


def shared_training(rank: int, folder: Path, recipe: Recipe) -> None:
    """What each of two processes does."""
    torch.set_num_threads(1)
    train_module.make_optimizer = plain_steps
    store = f"file://{folder / 'store'}"
    dist.init_process_group("gloo", store, rank=rank, world_size=2)
    tokenizer = train_tokenizer(sample(0, 300), TINY.vocab_size)
    _, losses = train(recipe, tokenizer, folder / "shared.pt", quiet=True)
    torch.save(losses, folder / f"losses{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_share_a_step(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(train_module, "make_optimizer", plain_steps)
    recipe = replace(RECIPE, batch_size=8, joined=0.5, max_grad_norm=1e9)
    alone, losses = train(recipe, tokenizer, tmp_path / "alone.pt", quiet=True)
    halved = replace(recipe, gradient_accumulation_steps=2)
    mp.spawn(shared_training, (tmp_path, halved), nprocs=2)
    for rank in (0, 1):
        theirs = torch.load(tmp_path / f"losses{rank}.pt")
        assert theirs == pytest.approx(losses, rel=1e-4)
    weights = torch.load(tmp_path / "shared.pt")["model"]
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-4, atol=1e-5)


# What torchrun starts: `main` for a tiny model. The first process copies its folder as
# it is after step 2, which is what a training stopped there leaves; `main` goes on with
# the copy in the same processes, since to start them takes most of the time.
TORCHRUN = """
import shutil, sys
from pathlib import Path
import torch.distributed as dist
folder, tests = sys.argv[1:]
sys.path.insert(0, tests)
from test_pocket_training import TINY
from pocket import checkpoint, tokenizer, train as module

def save(path, model, optimizer, header, losses):
    checkpoint.save_checkpoint(path, model, optimizer, header, losses)
    if len(losses) == 2:
        shutil.copytree(path.parent, folder + "/stopped")

def noted(recipe, *args):
    Path(folder, f"dtype{dist.get_rank()}").write_text(str(recipe.bfloat16))
    return train(recipe, *args, every=1, quiet=True)

train, module.train = module.train, noted
module.SHAPE, module.save_checkpoint = TINY, save
module.sample = lambda seed, count: tokenizer.sample(seed, 300)
module.bfloat16_is_faster = lambda device: dist.get_rank() > 0
module.digest = lambda tokenizer, seed: "some texts"  # slow, and tested elsewhere
module.draw_losses = lambda losses, path: None
destroy, dist.destroy_process_group = dist.destroy_process_group, lambda: None
for work in ("/whole", "/stopped"):
    sys.argv[1:] = ["--steps", "4", "--work", folder + work]
    module.main()
    dist.init_process_group = lambda: None  # processes can meet only once
destroy()
"""


def torchrun(script: Path, *args: str) -> str:
    """Start two processes of a script on the CPU; returns what they complain of."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", script, *args]
    root = str(Path(__file__).parent.parent)
    alone = {"LLMCOURSE_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": root}
    env = os.environ | alone | {"OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stderr=pipe, text=True) as process:
        try:
            _, said = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.terminate()  # torchrun then ends its processes too
            raise
    assert process.returncode == 0, said[-3000:]
    return said


def test_torchrun_goes_on_where_it_was_stopped(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(TORCHRUN, encoding="utf-8")
    said = torchrun(script, str(tmp_path), str(Path(__file__).parent))
    whole, resumed = (
        read_checkpoint(tmp_path / work / "checkpoint.pt")
        for work in ("whole", "stopped")
    )
    assert resumed["losses"] == whole["losses"] and len(whole["losses"]) == 4
    assert resumed["threads"] == whole["threads"] == [1, 2, "cpu"]
    for name, tensor in whole["model"].items():
        assert torch.equal(tensor, resumed["model"][name]), name
    assert (tmp_path / "stopped/model/model.safetensors").exists()
    # What the first process finds faster is what both compute in.
    assert [(tmp_path / f"dtype{rank}").read_text() for rank in (0, 1)] == ["False"] * 2
    assert "4 steps end in the warm-up of 1000" in said


def test_another_recipe_another_corpus_and_a_cut_checkpoint_are_refused(
    tokenizer, tmp_path, monkeypatch
):
    path = tmp_path / "a.pt"
    train(RECIPE, tokenizer, path, until=1, quiet=True)
    with pytest.raises(ValueError, match="learning_rate 0.003 then, 0.1 now"):
        train(replace(RECIPE, learning_rate=0.1), tokenizer, path, quiet=True)
    with monkeypatch.context() as patch:
        texts = tmp_path / "text"
        shutil.copytree(train_module.TEXT, texts)
        story = texts / "stories.zh.txt"
        story.write_text(story.read_text(encoding="utf-8") + "#\n", encoding="utf-8")
        patch.setattr(train_module, "TEXT", texts)
        with pytest.raises(ValueError, match="corpus .* then, .* now"):
            train(RECIPE, tokenizer, path, quiet=True)
    whole = path.read_bytes()
    for part in (whole[:1000], whole[: len(whole) // 2], b""):
        path.write_bytes(part)
        with pytest.raises(ValueError, match="a.pt is not a whole checkpoint"):
            train(RECIPE, tokenizer, path, quiet=True)
        assert path.read_bytes() == part


def test_a_full_disk_leaves_the_old_checkpoint(tokenizer, tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.pt"
    train(RECIPE, tokenizer, path, until=1, quiet=True)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OSError, match="a.pt could not be written .* is kept"):
            train(RECIPE, tokenizer, path, until=2, quiet=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]
    _, losses = train(RECIPE, tokenizer, path, quiet=True)
    assert len(losses) == RECIPE.steps


def test_a_tokenizer_that_does_not_fit_is_refused(tokenizer, tmp_path):
    larger = replace(RECIPE, shape=replace(TINY, vocab_size=500))
    with pytest.raises(ValueError, match="has 400 tokens, the model 500"):
        train(larger, tokenizer, tmp_path / "a.pt", quiet=True)
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer.to_str()[:500], encoding="utf-8")
    with pytest.raises(ValueError, match="tokenizer.json is not a whole tokenizer"):
        tokenizer_at(path, 0, 400, begun=True)


@pytest.mark.parametrize(
    "name",
    ["steps", "batch_size", "gradient_accumulation_steps", "row_length"],
)
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0, and must be positive"):
        replace(RECIPE, **{name: 0})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("joined", 2, "joined is 2, and must be from 0 to 1"),
        ("joined", -0.1, "joined is -0.1, and must be from 0 to 1"),
        ("joined", float("nan"), "joined is nan, and must be from 0 to 1"),
        ("lists", -1, "lists is -1, and must not be negative"),
    ],
)
def test_shares_and_counts_out_of_range_are_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        replace(RECIPE, **{name: value})


@pytest.mark.parametrize("threads", ["0", "-2"])
def test_threads_below_one_are_refused(threads, monkeypatch, tmp_path, capsys):
    def never(*args):
        raise AssertionError("the training began")

    work = tmp_path / "work"
    monkeypatch.setattr(train_module, "tokenizer_at", never)
    words = ["train", f"--threads={threads}", "--work", str(work), "--dtype", "float32"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        train_module.main()
    assert f"--threads is {threads}, and must be positive" in capsys.readouterr().err
    assert not work.exists()


def test_steps_that_end_in_the_warm_up_are_told():
    short = Recipe(steps=100, warmup_steps=50, embedding_warmup_steps=101)
    with pytest.warns(UserWarning, match="100 steps end in the warm-up of 101"):
        warn_of_warmup(short)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_warmup(replace(short, embedding_warmup_steps=100))
        warn_of_warmup(Recipe())


def test_the_rate_rises_and_falls():
    recipe = Recipe(steps=1_000, warmup_steps=100, learning_rate=1.0)
    rates = [learning_rate_at(step, recipe) for step in range(1_000)]
    assert rates[0] == 0.01 and rates[99] == 1.0
    assert rates[:100] == sorted(rates[:100])
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert learning_rate_at(2_000, recipe) == pytest.approx(0.05)
    recipe = replace(recipe, embedding_learning_rate=2.0, embedding_warmup_steps=400)
    assert learning_rate_at(399, recipe, embeddings=True) == 2.0
    assert learning_rate_at(700, recipe, embeddings=True) == pytest.approx(1.05)
    assert rates[550] == pytest.approx(0.525) and rates[999] == pytest.approx(
        0.05, 1e-3
    )


def test_the_losses_are_drawn(tmp_path):
    draw_losses([3.0, 2.0, 1.5, 1.2], tmp_path / "loss.svg")
    text = (tmp_path / "loss.svg").read_text(encoding="utf-8")
    assert text.count("<path") > 10
    draw_losses([3.0, 2.0, 1.5, 1.2], tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text(encoding="utf-8") == text
