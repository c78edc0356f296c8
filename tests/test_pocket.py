"""The model that ships, and the measuring of it."""

import hashlib
import itertools
import json
import math
import re
from pathlib import Path
from zlib import crc32

import pytest
import torch
from tokenizers import Tokenizer

import llmcourse
from llmcourse.checkpoint import from_pretrained
from llmcourse.generate import generate
from pocket import heads, patterns, probe
from pocket.chat import CONVERSATIONS, as_text
from pocket.corpus import (
    END,
    HAN,
    HELD_OUT,
    TRAIN,
    Draw,
    documents,
    sentences,
    split_of,
)
from pocket.evaluate import (
    AT_LEAST,
    CONTINUATIONS,
    FIXED,
    OPENINGS,
    Reader,
    accuracy,
    asked,
    bits_per_byte,
    chats,
    continuation,
    conversation,
    facts,
    few_shot,
    has_form,
    induction,
    prose_of,
    random_like,
    report,
    required,
    samples,
    shares,
    sums,
)
from pocket.facts import relations
from pocket.frames import TEXT, frames, read, slots
from pocket.patterns import pairs, steps
from pocket.probe import hidden_states, right, spelled, states_at
from pocket.prose import senses
from pocket.reference import Puzzle
from pocket.tokenizer import END_OF_TURN
from pocket.train import SHAPE, Recipe

CARD = Path(__file__).parent.parent / "pocket"


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


@pytest.mark.parametrize(
    "text",
    [
        "The dog's café is closed, isn't it?  3.50 € 🙂",
        "def f(x):\n    return x\n\n\nprint(f(2))\t# two\r\n",
        "我可以拥有一杯咖啡吗？\n\n可以。 苹果² 龘",
        "<|im_start|>user\nHello.<|im_end|>\n<|endoftext|>",
        "a\n\nb \x00\x7f  ",
    ],
)
def test_transformers_cuts_a_text_as_the_engine_does(shipped, text):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(llmcourse.POCKET)
    ids = theirs(text)["input_ids"]
    assert ids == shipped.ids(text)
    assert theirs.decode(ids) == text


def test_the_pipeline_of_transformers_writes_what_the_engine_writes(shipped):
    transformers = pytest.importorskip("transformers")
    pipe = transformers.pipeline(
        "text-generation", model=str(llmcourse.POCKET), dtype=torch.float32
    )
    prompt = "The capital of France is"
    said = pipe(prompt, max_new_tokens=12, do_sample=False)[0]["generated_text"]
    ids = shipped.ids(prompt)
    ours = shipped.tokenizer.decode(
        ids + list(generate(shipped.model, ids, max_new_tokens=12))
    )
    assert said == ours


def test_samples_are_seeded_and_begin_as_asked(shipped):
    texts = samples(shipped, count=4)
    assert texts == samples(shipped, count=4)
    asked = [o[i] for o in OPENINGS.values() for i in range(2)]
    assert [t.startswith(a) for t, a in zip(texts, asked, strict=True)] == [True] * 4


@pytest.mark.parametrize(
    ("answer", "after", "right"),
    [
        (" forty", "-", True),
        (" forty", "th", False),
        (" forty", " of", True),
        (" forty.", "The", True),
        ("正", "确", False),
    ],
)
def test_an_answer_is_a_whole_word(shipped, answer, after, right):
    class Fixed(Reader):
        """Says whatever text it is given, and then what comes after."""

        def logits(self, text):
            following = self.ids(text)[1:] + self.ids(after)[:1]
            return torch.eye(SHAPE.vocab_size)[following]

    reader = Fixed(shipped.model, shipped.tokenizer)
    assert reader.says("Number:", answer) is right


class Oracle:
    """In place of a Reader: knows the answers it was given."""

    def __init__(self, answers: dict[str, str], ended: bool = True):
        self.answers, self.ended = answers, ended

    def says(self, prompt, answer):
        return self.answers.get(prompt) == answer

    def continues(self, prompt, count=96, stop=END):
        return self.answers[prompt], self.ended and stop == END_OF_TURN


def test_accuracy_counts_right_answers():
    texts = [("1 + 1 =", " 2"), ("2 + 2 =", " 4"), ("3 + 3 =", " 6")]
    reader = Oracle({"1 + 1 =": " 2", "2 + 2 =": " 5"})
    assert accuracy(reader, texts, 3) == {"right": 1, "n": 3}
    assert accuracy(reader, iter(texts), 2) == {"right": 1, "n": 2}


def test_facts_are_held_out_and_determined():
    said = set()  # one to three sentences, wherever they stand in a document
    for document in itertools.islice(documents(0), 20_000):
        whole = re.findall(r"[^.。!?！？\n]+[.。!?！？\n]", document.text)
        for count, first in itertools.product((1, 2, 3), range(len(whole))):
            said.add("".join(whole[first : first + count]).strip())
    assert "The capital of France is Paris." in said
    for unknown, least in ((False, 50_000), (True, 300)):
        asked = list(facts(unknown))
        prompts = [prompt for prompt, _ in asked]
        assert len(asked) > least and len(set(prompts)) == len(prompts)
        assert not [p + a for p, a in asked if {f"{p}{a}.", f"{p}{a}。"} & said]


def test_puzzles_are_different_and_held_out():
    for kind, most in (("animals", 100), ("fits-zh", 10**4)):
        found = list(itertools.islice(asked(kind), most))
        assert len(set(found)) == len(found) >= 2
        for prompt, answer in found:
            assert all(split_of(s) == HELD_OUT for s in sentences(prompt + answer))


def test_puzzles_mean_the_first_and_the_second_in_turn():
    names = {*slots("en")["girl"], *slots("en")["boy"]}
    first = []
    for prompt, answer in itertools.islice(asked("people"), 40):
        named = [word for word in re.findall(r"\w+", prompt) if word in names]
        first.append(named[0] == answer.strip(" ."))
    assert first == [True, False] * 20


@pytest.mark.parametrize("examples", [0, 4])
def test_few_shot_prompts_show_so_many_pairs(examples):
    for prompt, answer in itertools.islice(few_shot(examples), 100):
        assert prompt.count("\n") == examples
        assert answer.strip() and not answer.endswith(" ")


def test_few_shot_asks_for_pairs_that_no_bare_list_of_training_has():
    train = {
        (task, a)
        for task in ("plural", "past", "opposite")
        for a, b in pairs(task)
        if split_of("list|" + "|".join(sorted((a, b)))) == TRAIN
    }
    assert len(train) > 400
    answers = {(t, a): b for t in ("plural", "past", "opposite") for a, b in pairs(t)}
    for prompt, answer in itertools.islice(few_shot(0), 300):
        word = prompt.rstrip(" ->=:|：")
        for task in ("plural", "past", "opposite"):
            if answers.get((task, word)) == answer.strip():
                assert (task, word) not in train


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Paris", "New Delhi", True),
        ("Paris", "Paris.", False),
        ("The capital is Rome.", "It is a dog.", True),
        ('{"answer": "Rome"}', '{"answer": "a bakery"}', True),
        ('{"answer": "Rome"}', "Rome", False),
        ("- a\n- b", "- dog\n- old cat", True),
        ("- a\n- b", "- a\n- b\n- c", False),
        ("1. a\n2. b", "- a\n- b", False),
        ("（狗）", "（小猫）", True),
        ("狗", "狗。", False),
        ("Thanks for asking. A dog.", "Thanks for asking. It is Rome.", True),
        ("Thanks for asking. A dog.", "It is Rome. It is.", False),
        ("Answer: Rome", "Capital: Rome", False),
        ("3 + 4 = 7. The answer is 7.", "3 + 4 = 7. So it is 7.", False),
        ("答：狗", "问：狗", False),
        ("我叫小明。", "My name is Tom.", False),
        ("17", "5", True),
        ("17", "5.", False),
        ("1. a\n2. b", "1. a\n3. b", False),
        ("9. a\n10. b", "9. cat\n10. dog", True),
        ("3 + 4 = 7. The answer is 7.", "12 + 1 = 13. The answer is 13.", True),
        ("3 + 4 = 7. The answer is 7.", "The answer is 7.", False),
    ],
)
def test_the_form_of_an_answer_is_what_its_words_leave(one, other, same):
    assert has_form(one, other, free=False) is same


@pytest.mark.parametrize(
    ("text", "wanted", "good"),
    [
        ("No, I like it.", "Yes.", True),
        ("不用谢！", "没什么，打个招呼。", True),
        ("不用谢！", "You are welcome.", False),
        ("and then the", "You are welcome.", False),
    ],
)
def test_where_no_form_is_asked_for_a_sentence_of_the_language_will_do(
    text, wanted, good
):
    assert has_form(text, wanted, free=True) is good


def conversations(n: int) -> dict[str, str]:
    """The prompts that `chats` asks, with their answers."""
    draw, answers = Draw(3, HELD_OUT), {}
    for make in itertools.islice(itertools.cycle(CONVERSATIONS), n):
        turns = conversation(draw, make)
        for i, (who, words) in enumerate(turns):
            if who == "assistant":
                answers[as_text(turns[:i]) + "<|im_start|>assistant\n"] = words
    return answers


def test_chats_counts_stops_form_and_words():
    answers = conversations(40)

    def share(reader):
        counts = chats(reader, 40).values()
        total = sum(c["n"] for c in counts)
        assert total >= len(conversations(40))
        return [sum(c[k] for c in counts) / total for k in ("form", "words")]

    assert share(Oracle(answers)) == [1.0, 1.0]
    assert share(Oracle(answers, ended=False)) == [0.0, 0.0]

    def other_words(answer):
        moved = str.maketrans("aeiou", "eioua")
        parts = FIXED.split(answer)
        return "".join(x if FIXED.fullmatch(x) else x.translate(moved) for x in parts)

    changed = {p: other_words(a) for p, a in answers.items()}
    assert share(Oracle(changed))[0] == 1.0
    assert share(Oracle(changed))[1] < 0.7
    assert share(Oracle({p: a + " -" for p, a in answers.items()})) == [0.0, 0.0]


@pytest.mark.parametrize("one_by_one", [True, False])
def test_sums_counts_right_sums(one_by_one):
    class Adder:
        def continues(self, prompt):
            total = sum(int(c) for c in prompt if c.isdigit())
            if one_by_one:
                numbers = [int(c) for c in prompt if c.isdigit()]
                return f" {steps(numbers)}. The answer is {total}.", True
            return f" {total}", True

    assert sums(Adder(), 30, one_by_one) == {"right": 30, "n": 30}

    class Wrong(Adder):
        def continues(self, prompt):
            return super().continues(prompt + "1")

    class Endless(Adder):
        def continues(self, prompt):
            text, _ = super().continues(prompt)
            return text, False

    class Lazy(Adder):
        """Leaves the steps out; asked at once, there are none."""

        def continues(self, prompt):
            text, ended = super().continues(prompt)
            return " " + text.split(". ")[-1].strip(), ended

    assert sums(Wrong(), 30, one_by_one)["right"] == 0
    assert sums(Endless(), 30, one_by_one)["right"] == 0
    assert sums(Lazy(), 30, one_by_one)["right"] == (0 if one_by_one else 30)


def shared_end(ids: list[int], i: int, t: int) -> int:
    """How many tokens before and at i are those before and at t."""
    return next((n for n in range(i + 1) if ids[i - n] != ids[t - n]), i + 1)


def test_induction_is_perfect_for_one_who_looks_back(shipped):
    class Copier(Reader):
        def logits(self, text):
            ids = self.ids(text)
            logits = torch.zeros(len(ids), self.model.config.vocab_size)
            for t in range(len(ids)):
                before = [i for i in range(t) if ids[i] == ids[t]]
                if before:
                    longest = max(before, key=lambda i: shared_end(ids, i, t))
                    logits[t, ids[longest + 1]] = 1.0
            return logits

    class Comma(Reader):
        def logits(self, text):
            ids = self.ids(text)
            return torch.eye(self.model.config.vocab_size)[
                [self.ids(",")[0]] * len(ids)
            ]

    found = induction(Copier(shipped.model, shipped.tokenizer), 12)
    assert found["n"] > 100 and found["right"] / found["n"] > 0.9
    assert induction(Comma(shipped.model, shipped.tokenizer), 12)["right"] == 0


def test_a_model_that_knows_nothing_pays_for_every_token(shipped):
    class Uniform(Reader):
        def logits(self, text):
            return torch.zeros(len(self.ids(text)), SHAPE.vocab_size)

    text = "The dog barked at 7."
    ids = shipped.ids(text + END)
    size = len(text) - len("The")
    expected = (len(ids) - 1) * math.log2(SHAPE.vocab_size) / size
    reader = Uniform(shipped.model, shipped.tokenizer)
    assert bits_per_byte(reader, [text]) == pytest.approx(expected, rel=1e-5)


def test_prose_is_of_one_language_and_split():
    found = prose_of(HELD_OUT, 100, Recipe())
    assert [len(texts) for texts in found.values()] == [100, 100]
    for name, texts in found.items():
        for text in texts:
            assert bool(HAN.search(text)) == (name == "Chinese") and "<|" not in text
            assert all(split_of(s) == HELD_OUT for s in sentences(text))


def test_prose_of_training_is_what_training_has_read():
    recipe = Recipe(steps=20, lists=0)
    tokens = recipe.steps * recipe.batch_size * recipe.row_length
    some = prose_of(TRAIN, 3, recipe)["English"]
    kinds = {"chat", *patterns.MAKERS}
    kept = [
        d.text for d in itertools.islice(documents(0), 2_000) if d.kind not in kinds
    ]
    first, last = tokens // 75, tokens // 50
    assert all(first <= kept.index(text) < last for text in some)


def test_shares_add_up_and_count_the_lists_of_the_lesson(shipped):
    # 6.1 million tokens: 30,000 lists of about 67 are a third of them.
    many = shares(shipped, Recipe(steps=3_000, lists=15_000), scale=100)
    few = shares(shipped, Recipe(steps=3_000, lists=100), scale=100)
    for found in (few, many):
        assert sum(found.values()) == pytest.approx(1)
    assert 0.25 < many["repeated"] < 0.45 and few["repeated"] < 0.15


def planted_at(row, place):
    """One row of head (3, 4) looks at one place, all else looks everywhere."""

    def planted(model, ids):
        maps = torch.ones(6, 6, len(ids), len(ids)).tril()
        maps = maps / maps.sum(-1, keepdim=True)
        maps[3, 4, row] = 0
        maps[3, 4, row, place] = 1
        return maps

    return planted


OUT_OF_GRIEF = "The dog was sad and the duck was tired. Out of grief, it cried."
NOTICED = "Anna noticed the dog and not the duck, because it barked."
FED = ("The dog fed the duck because it was kind.", " Who was kind?", " The dog.")


@pytest.mark.parametrize(
    ("kind", "parts", "looks", "names"),
    [
        ("told", (OUT_OF_GRIEF, "", ""), " it", ("dog", "duck")),
        ("noticed", (NOTICED, "", ""), " it", ("dog", "duck")),
        (
            "noticed-zh",
            ("小红画的是狗，不是马，因为它汪汪叫。", "", ""),
            "因为它",
            ("狗", "马"),
        ),
        ("animals", FED, " The", ("dog", "duck")),
    ],
)
def test_the_head_that_looks_at_what_is_meant_is_found(
    shipped, monkeypatch, kind, parts, looks, names
):
    monkeypatch.setattr(heads, "puzzle", lambda kind, draw: Puzzle(*parts, *names))
    pieces = [shipped.tokenizer.decode([i]) for i in shipped.ids("".join(parts))]
    row = len(pieces) - 1 - pieces[::-1].index(looks)
    for name, score in zip(names, (1.0, -1.0), strict=True):
        place = next(i for i, piece in enumerate(pieces) if piece.strip() == name)
        monkeypatch.setattr(heads, "attention_maps", planted_at(row, place))
        found = heads.to_meant(shipped.model, shipped.tokenizer, kind, 2)
        assert (found[:, 3, 4] == score).all() and (found[:, 0, 0] == 0).all()


def test_a_head_is_scored_on_texts_that_did_not_choose_it(shipped, monkeypatch):
    lucky = torch.zeros(20, 6, 6)
    lucky[:10, 2, 3] = 1.0  # in the half that chooses, and never again
    lucky[:, 4, 5] = 0.5
    for name in ("to_meant", "previous", "induction"):
        monkeypatch.setattr(heads, name, lambda *_: lucky)
    found = heads.best_heads(shipped.model, shipped.tokenizer, n=20)
    assert found["it"] == [{"layer": 4, "head": 5, "score": 0.5, "error": 0.0}]


def test_a_head_is_left_out_if_its_score_may_be_chance(shipped, monkeypatch):
    noisy = torch.tensor([1.0, -0.6]).repeat(10)[:, None, None].expand(20, 6, 6)
    for name in ("to_meant", "previous", "induction"):
        monkeypatch.setattr(heads, name, lambda *_: noisy)
    assert not heads.best_heads(shipped.model, shipped.tokenizer, n=20)["it"]


def test_a_probe_does_not_know_the_frames_it_is_tested_on(shipped, monkeypatch):
    """States that tell the line, and so its sense, tell nothing about other lines."""

    def states(model, tokenizer, language, word, lines, n):
        found = torch.zeros(n, 2, 64)
        for i in range(n):
            line = crc32(lines[i % len(lines)].encode()) % 64
            found[i, :, line] = 1.0
        return found

    monkeypatch.setattr(probe, "states_at", states)
    found = probe.sense_accuracy(shipped.model, shipped.tokenizer)
    assert all(0.3 < x < 0.7 for x in [*found["each"], *found["one"]])
    monkeypatch.setattr(
        probe,
        "states_at",
        lambda m, t, language, word, lines, n: torch.full(
            (n, 2, 4), float(lines[0] in [*senses(language)[word].values()][0])
        ),
    )
    found = probe.sense_accuracy(shipped.model, shipped.tokenizer)
    assert found["each"] == found["one"] == [1.0, 1.0]


def test_a_random_model_is_not_the_one_that_ships(shipped):
    ours, other = shipped.model.state_dict(), random_like(shipped).state_dict()
    assert all(not torch.equal(ours[n], other[n]) for n in ours if "proj" in n)


def test_the_texts_of_the_told_kind_are_told_apart():
    for kind in ("told", "told-zh"):
        for denied in (False, True):
            for prompt, _ in itertools.islice(asked(kind, denied), 10):
                first = re.split("[.。]", prompt)[0]
                said = (
                    "不" in first
                    if kind.endswith("zh")
                    else bool({"not", "only"} & set(first.split()))
                )
                assert said is denied


def test_the_probe_reads_the_word_as_a_token_of_its_own(shipped):
    lines = next(iter(senses("en")["bank"].values()))
    states = states_at(shipped.model, shipped.tokenizer, "en", "bank", lines, 4)
    token = shipped.tokenizer.token_to_id(spelled(" bank"))
    assert states.shape == (4, SHAPE.n_layers + 1, SHAPE.d_model)
    table = shipped.model.model.embed_tokens.weight
    torch.testing.assert_close(states[:, 0], table[token].detach().expand(4, -1))


FIGURES = {
    "accuracy": {name: {"right": 19, "n": 20} for name in AT_LEAST}
    | {name: {"right": 2, "n": 20} for name in ("few-shot, none", "sums, at once")},
    "continuations": [{"p": 0.9, "good": True}, {"p": 0.6, "good": True}],
    "senses": {"each": [0.5, 0.8, 0.97, 0.96], "one": [0.5, 0.8, 0.97, 0.96]},
    "bits per byte": {
        f"{name}, {split}": {"bits": bits}
        for name in ("English", "Chinese")
        for split, bits in ((HELD_OUT, 0.40), (TRAIN, 0.39))
    },
}


def test_what_is_required_is_reached_or_not():
    assert all(reached for *_, reached in required(FIGURES).values())
    fewer = {name: {"right": 12, "n": 12} for name in AT_LEAST}
    found = required(FIGURES | {"accuracy": FIGURES["accuracy"] | fewer})
    assert [found[name][-1] for name in AT_LEAST] == [None] * len(AT_LEAST)
    for name in ("few-shot, none", "sums, at once"):
        better = FIGURES["accuracy"] | {name: {"right": 14, "n": 20}}
        found = required(FIGURES | {"accuracy": better})
        (missed,) = [row for row, (*_, reached) in found.items() if not reached]
        assert missed.startswith(name.split(",")[0]) and "above" in missed
    wrong = [{"p": 0.9, "good": True}, {"p": 0.9, "good": False}]
    found = required(FIGURES | {"continuations": wrong})
    assert not found["continuations, least first probability"][-1]
    costly = FIGURES["bits per byte"] | {f"Chinese, {HELD_OUT}": {"bits": 0.42}}
    found = required(FIGURES | {"bits per byte": costly})
    assert not found["loss, held-out over training, Chinese"][-1]


def test_the_card_holds_the_figures_of_the_shipped_weights():
    figures = json.loads((CARD / "results.json").read_text(encoding="utf-8"))
    weights = (llmcourse.POCKET / "model.safetensors").read_bytes()
    assert figures["weights"] == hashlib.sha256(weights).hexdigest()
    card = (CARD / "README.md").read_text(encoding="utf-8")
    assert report(figures) in card
    assert figures["required"] == required(figures)
    samples = (CARD / "samples.txt").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^(\d+)\. ", samples) == [str(i) for i in range(1, 61)]


def test_the_card_counts_what_there_is(shipped):
    card = (CARD / "README.md").read_text(encoding="utf-8")
    names = [p.name for p in TEXT.glob("*.??.txt")]
    names = [n for n in names if not n.startswith(("slots", "senses", "ways"))]
    found = [frame for name in names for frame in frames(name)]
    assert f"{len(found):,} frames, {sum(map(len, found)):,} lines" in card
    lines = [
        line
        for language in ("en", "zh")
        for of in senses(language).values()
        for group in of.values()
        for line in group
    ]
    assert f"| {len(lines)} texts that use" in card
    known, tables = relations(), {r.rows for r in relations()}
    facts = sum(len(r.rows) for r in known)
    rows = sum(map(len, tables))
    assert f"{facts:,} facts from {rows:,} rows of {len(tables)} tables" in card
    own = sum(len({*r.wordings, *r.untold, *r.unknown}) for r in known)
    own_lines = [x for x in read("facts.txt") if x and x[0] not in "@=?"]
    ways = sum(len({*r.ways, *r.untold_ways}) for r in known)
    assert f"{own:,} wordings of their own, variants of {len(own_lines)} " in card
    assert f"and in {ways:,} that come" in card
    unknown = sum(len(r.unknown) for r in known)
    assert f"{unknown} sentences are unknown in any variant" in card
    said = [len(list(filter(None, read(f"ways.{x}.txt")))) for x in ("en", "zh")]
    assert "{} English or {} Chinese ways".format(*said) in card
    size = sum(p.numel() for p in shipped.model.parameters())
    assert f"{size:,} parameters" in card
    steps = Recipe.steps
    million = steps * Recipe.batch_size * Recipe.row_length / 1e6
    assert f"{steps:,}\nsteps read {million:.0f} million tokens" in card


def test_a_probe_tells_what_is_there_and_nothing_else():
    generator = torch.Generator().manual_seed(0)
    signs = torch.tensor([-1.0, 1.0]).repeat(100)
    seen, new = torch.randn(2, 200, 32, generator=generator)
    assert 60 <= right(seen, new, signs) <= 140
    seen[:, 5] += 4 * signs
    assert 60 <= right(seen, new, signs) <= 140  # what it learnt is not in the new ones
    new[:, 5] += 4 * signs
    assert right(seen, new, signs) >= 195
    assert right(torch.ones(200, 32), torch.ones(200, 32), signs) <= 100


def test_hidden_states_begin_with_the_embeddings(shipped):
    ids = shipped.ids("The dog barked.")
    states = hidden_states(shipped.model, ids)
    assert states.shape == (SHAPE.n_layers + 1, len(ids), SHAPE.d_model)
    weights = shipped.model.model.embed_tokens.weight
    torch.testing.assert_close(states[0], weights[torch.tensor(ids)])
    logits = shipped.model.lm_head(shipped.model.model.norm(states[-1]))
    torch.testing.assert_close(logits, shipped.logits("The dog barked."))


@pytest.mark.parametrize(("score", "step"), [("previous", 1), ("induction", 19)])
def test_the_head_that_does_it_is_found(shipped, monkeypatch, score, step):
    def planted(model, ids):
        n = len(ids)
        maps = torch.ones(6, 6, n, n).tril()
        maps = maps / maps.sum(-1, keepdim=True)
        maps[3, 4] = torch.eye(n).roll(-step, 1) if n > step else torch.eye(n)
        return maps

    monkeypatch.setattr(heads, "attention_maps", planted)
    best = heads.best_heads(shipped.model, shipped.tokenizer, n=4)[score][0]
    assert (best["layer"], best["head"]) == (3, 4)
    assert best["score"] > 0.9
