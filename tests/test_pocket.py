"""Pocket's corpus, tokenizer and training: seeded, lossless, resumable."""

import itertools
import random
from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer

import llmcourse
from llmcourse.checkpoint import from_pretrained
from pocket.corpus import HELD_OUT, TRAIN, documents, only, split_of
from pocket.evaluate import CONTINUATIONS, Reader, continuation, last_word
from pocket.packing import NOT_A_TARGET, batches, pack
from pocket.tokenizer import SPECIALS, cut, sample, save_tokenizer, train_tokenizer
from pocket.train import SHAPE, Recipe, train

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
RECIPE = Recipe(shape=TINY, steps=4, rows=4, length=64, warm_up=2, bfloat16=False)


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


def some(seed: int, split: str, n: int) -> list[str]:
    return [d.text for d in itertools.islice(documents(seed, split), n)]


def test_a_seed_gives_one_corpus():
    assert some(3, TRAIN, 500) == some(3, TRAIN, 500)
    assert some(3, TRAIN, 500) != some(4, TRAIN, 500)


def test_no_document_is_in_both_splits():
    train = set(some(0, TRAIN, 20_000))
    held_out = [t for seed in (0, 1) for t in some(seed, HELD_OUT, 2_000)]
    assert len(set(held_out)) > 1_000
    assert not train.intersection(held_out)


def test_no_held_out_combination_of_animals_is_trained_on():
    pairs = {
        split: {
            text.split(" because ")[0]
            for text in itertools.islice(only("animals", 0, split), 3_000)
        }
        for split in (TRAIN, HELD_OUT)
    }
    assert len(pairs[HELD_OUT]) > 100
    assert not pairs[TRAIN] & pairs[HELD_OUT]


def test_the_answer_is_each_animal_equally_often():
    first = 0
    texts = list(itertools.islice(only("animals", 0, TRAIN), 2_000))
    for text in texts:
        sentence = text.split(" because ")[0].split(". ")[-1]
        first += last_word(text)[1].strip(" .") == sentence.split()[1]
    assert abs(first / len(texts) - 0.5) < 0.04


@pytest.mark.parametrize("kind", ["", "test"])
def test_unknown_splits_and_kinds_are_refused(kind):
    with pytest.raises(ValueError, match="split is"):
        next(documents(0, kind))
    with pytest.raises(ValueError, match="the corpus has fact"):
        next(only(kind))


def test_split_is_one_in_ten():
    held_out = sum(split_of(str(i)) == HELD_OUT for i in range(10_000))
    assert 900 < held_out < 1_130


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
    assert cut("一位勇敢的探险家") == ["一位", "勇敢", "的", "探险家"]


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
    assert all(sum(map(len, row)) <= 10 for row in rows)
    whole = [tuple(text[:10]) for text in texts]
    assert all(tuple(text) in whole for row in rows for text in row)


def test_targets_stay_in_their_document(tokenizer):
    batch = next(batches(tokenizer, 0, rows=4, length=64, joined=0.0))
    for ids, targets, numbers, positions in zip(*batch, strict=True):
        for t in range(63):
            same = numbers[t] == numbers[t + 1] >= 0
            assert targets[t] == (ids[t + 1] if same else NOT_A_TARGET)
            assert positions[t + 1] == (positions[t] + 1 if same else 0)


def test_training_repeats_itself_and_learns(tokenizer, tmp_path):
    _, once = train(RECIPE, tokenizer, tmp_path / "a.pt", quiet=True)
    _, again = train(RECIPE, tokenizer, tmp_path / "b.pt", quiet=True)
    assert once == again
    assert len(once) == 4 and once[-1] < once[0]


def test_resuming_gives_the_uninterrupted_weights(tokenizer, tmp_path):
    whole, losses = train(RECIPE, tokenizer, tmp_path / "a.pt", quiet=True)
    path = tmp_path / "b.pt"
    train(RECIPE, tokenizer, path, until=2, quiet=True)
    resumed, rest = train(RECIPE, tokenizer, path, quiet=True)
    assert rest == losses
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_pieces_of_a_step_add_up_to_the_step(tokenizer, tmp_path):
    _, two = train(RECIPE, tokenizer, tmp_path / "a.pt", quiet=True)
    _, one = train(replace(RECIPE, pieces=1), tokenizer, tmp_path / "b.pt", quiet=True)
    assert one == pytest.approx(two, rel=1e-4)


def test_another_recipe_and_a_cut_checkpoint_are_refused(tokenizer, tmp_path):
    path = tmp_path / "a.pt"
    train(RECIPE, tokenizer, path, until=1, quiet=True)
    with pytest.raises(ValueError, match="rate 0.0015 then, 0.1 now"):
        train(replace(RECIPE, rate=0.1), tokenizer, path, quiet=True)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="not a whole checkpoint"):
        train(RECIPE, tokenizer, path, quiet=True)


def test_a_failed_write_leaves_the_old_checkpoint(tokenizer, tmp_path, monkeypatch):
    path = tmp_path / "a.pt"
    train(RECIPE, tokenizer, path, until=1, quiet=True)
    before = path.read_bytes()

    def full_disk(state, new):
        new.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        train(RECIPE, tokenizer, path, until=2, quiet=True)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pt"]


@pytest.fixture(scope="module")
def shipped():
    model = from_pretrained(llmcourse.POCKET, dtype=torch.float32)
    return Reader(model, Tokenizer.from_file(str(llmcourse.POCKET / "tokenizer.json")))


@pytest.mark.parametrize(("prompt", "wanted"), CONTINUATIONS)
def test_the_shipped_model_continues(shipped, prompt, wanted):
    found = continuation(shipped, prompt, wanted)
    assert found["good"], found["text"]
    assert found["p"] > 0.5


def test_the_shipped_model_has_the_shape_of_the_recipe(shipped):
    assert shipped.model.config == SHAPE
    assert sum(f.stat().st_size for f in llmcourse.POCKET.iterdir()) < 10e6


def test_transformers_gives_the_logits_of_the_shipped_model(shipped):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        llmcourse.POCKET, dtype=torch.float32
    ).eval()
    text = "The dog chased the squirrel because it was hungry. 我可以拥有一杯咖啡吗？"
    with torch.inference_mode():
        logits = theirs(torch.tensor([shipped.ids(text)])).logits[0]
    torch.testing.assert_close(shipped.logits(text), logits, rtol=1e-4, atol=1e-4)
