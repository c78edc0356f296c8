"""Pocket's corpus: seeded, split for good, and true to what it says of itself."""

import collections
import itertools
import json
import random
import re
from functools import partial

import pytest

from pocket import frames as frames_module
from pocket.chat import CONVERSATIONS, STYLES, as_text, quiz, styled
from pocket.corpus import (
    HELD_OUT,
    MARKER,
    PINNED,
    TRAIN,
    Draw,
    Stuck,
    documents,
    makers,
    only,
    sentences,
    split_of,
    unstuck,
)
from pocket.facts import expanded, relations, worded
from pocket.frames import TEXT, fill, frames, read, report, slots, table, variants
from pocket.patterns import (
    NAMED,
    SEPARATORS,
    SHOTS,
    TASKS,
    UNDER_A_HEAD,
    few_shot,
    pairs,
    shots,
    steps,
    terms,
)
from pocket.prose import sense, senses
from pocket.reference import PUZZLES, puzzle
from pocket.tokenizer import CHAT_TEMPLATE

FRAMES = sorted(
    p.name for p in TEXT.glob("*.??.txt") if not p.name.startswith(("slots", "senses"))
)
TABLES = sorted(p.name for p in (TEXT / "tables").glob("*.txt"))


def some(seed: int, split: str, n: int) -> list[str]:
    return [d.text for d in itertools.islice(documents(seed, split), n)]


def test_a_seed_gives_one_corpus():
    assert some(3, TRAIN, 300) == some(3, TRAIN, 300)
    assert some(3, TRAIN, 300) != some(4, TRAIN, 300)


def shared(train: list[str], held_out: list[str]) -> tuple[set[str], set[str]]:
    """The sentences of the held-out texts, and those that training has too."""
    ours, theirs = ({s for t in x for s in sentences(t)} for x in (train, held_out))
    return theirs, theirs & ours


def long_parts(texts: list[str]) -> set[str]:
    """What stands between full stops, if it is long, without case and marks.

    Not the corpus's own `sentences`, which the split is made with.
    """
    found = set()
    for part in re.split(r"[.!?。！？\n]", "\n".join(texts).lower()):
        part = re.sub(r"^(question|q): ", "", part.strip())  # a label is no part of it
        words, characters = (
            re.findall(kind, part) for kind in (r"[a-z0-9]+", r"[\u4e00-\u9fff]")
        )
        if len(words) >= 6 or len(characters) >= 10:
            found.add(" ".join(words + characters))
    return found


def test_the_splits_share_no_sentence():
    train, texts = some(0, TRAIN, 5_000), some(0, HELD_OUT, 500)
    held_out, both = shared(train, texts)
    assert len(held_out) > 700
    assert not both
    plain = long_parts(texts)
    assert len(plain) > 700
    assert not plain & long_parts(train)


def test_without_the_split_they_would(monkeypatch):
    def fits(split, n):
        return list(itertools.islice(only("fits", 0, split), n))

    assert not shared(fits(TRAIN, 4_000), fits(HELD_OUT, 400))[1]
    monkeypatch.setattr(Draw, "accepts", lambda *_: True)
    assert len(shared(fits(TRAIN, 4_000), fits(HELD_OUT, 400))[1]) > 50


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Yes. The dog barked at the old gate. No!", 1),
        ('"Where is the key of the door?" asked Tom in the dark hall.', 2),
        ("我可以拥有一杯咖啡吗？好的。", 1),
        ("<|im_start|>user\nWhat is the capital of France?<|im_end|>\n", 1),
        ("3 + 4 + 5 = 12", 1),
        ("", 0),
    ],
)
def test_sentences_are_those_of_six_words_or_ten_characters(text, count):
    found = sentences(text)
    assert len(found) == count
    assert not any("<|" in s or s != s.strip() for s in found)


def test_one_sentence_in_eight_is_held_out():
    held_out = sum(split_of(str(i)) == HELD_OUT for i in range(16_000))
    assert 1_850 < held_out < 2_150
    assert {split_of(s) for s in PINNED} == {TRAIN}


def test_no_held_out_pair_of_animals_is_trained_on_with_its_verb():
    def combinations(split):
        draw, found = Draw(7, split), set()
        for _ in range(1_500):
            made = unstuck(lambda: puzzle("animals", draw))
            said = made.said[0].lower() + made.said[1:]
            found.add(said[said.index("the ") :].split(" because ")[0])
        return found

    train, held_out = combinations(TRAIN), combinations(HELD_OUT)
    assert len(held_out) > 500
    assert not train & held_out


@pytest.mark.parametrize("kind", ["noticed", "noticed-zh"])
def test_no_held_out_pair_that_is_told_apart_is_trained_on(kind):
    def apart(split):
        draw = Draw(7, split)
        made = (unstuck(lambda: puzzle(kind, draw)) for _ in range(600))
        return {(p.meant, p.other) for p in made}

    train, held_out = apart(TRAIN), apart(HELD_OUT)
    assert len(held_out) > 20
    assert not train & held_out


def test_no_word_of_a_bare_held_out_list_is_in_one_of_training():
    def words(split):
        draw, found = Draw(0, split), set()
        for _ in range(3_000):
            task = draw.one(["plural", "opposite", "english to chinese"])
            found |= {(task, a) for a, _ in shots(draw, task, 2)}
        return found

    train, held_out = words(TRAIN), words(HELD_OUT)
    assert len(held_out) > 80
    assert not train & held_out


def test_no_person_of_a_held_out_story_is_in_that_story_in_training():
    def cast(split):
        draw, found = Draw(1, split), set()
        for i, frame in enumerate(frames("stories.en.txt")[60:90]):
            for _ in range(30):
                try:
                    text = frames_module.written(frame, draw, "en")[0]
                except Stuck:
                    continue
                words = re.findall(r"[A-Z]\w+", text)
                found |= {(i, w) for w in words if w in people}
        return found

    people = set(slots("en")["girl"] + slots("en")["boy"])
    train, held_out = cast(TRAIN), cast(HELD_OUT)
    assert len(held_out) > 20
    assert not train & held_out


@pytest.mark.parametrize("kind", PUZZLES)
def test_both_readings_are_equally_frequent(kind):
    draw = Draw(0, TRAIN)
    made = [puzzle(kind, draw) for _ in range(2_000)]
    first = 0
    for p in made:
        said = p.said.lower()
        first += said.index(p.meant.lower()) < said.index(p.other.lower())
    assert abs(first / len(made) - 0.5) < 0.04


@pytest.mark.parametrize("kind", PUZZLES)
def test_a_puzzle_is_answered_by_its_own_words(kind):
    draw = Draw(0, TRAIN)
    for _ in range(100):
        made = puzzle(kind, draw)
        assert made.meant.lower() in made.said.lower()
        assert made.other.lower() in made.said.lower()
        if not made.question:  # the animal's own act needs none
            assert kind.startswith(("told", "noticed")) and not made.answer
            acts = dict(table(f"tables/acts_{'zh' if kind[-2:] == 'zh' else 'en'}.txt"))
            assert made.said.strip(".。").endswith(acts[made.meant])
            continue
        answer = made.answer.lower().strip(" .。").removeprefix("the ")
        assert answer == made.meant.lower().removeprefix("the ")


def test_a_line_of_facts_is_each_of_its_wordings():
    line = "[Here|There] is{0}[| too|, too]."
    told = ["Here is{0}.", "Here is{0} too.", "Here is{0}, too."]
    assert expanded(line) == told + [x.replace("Here", "There") for x in told]
    assert expanded("{0} is {1}.") == ["{0} is {1}."]
    for line in ("[a|b is {0}.", "a|b] is {0}.", "a|b is {0}.", "[[a|b] is {0}."):
        with pytest.raises(ValueError, match="left in"):
            expanded(line)
    for line in ("[] is {0}.", "[a] is {0}.", "[a|b|a] is {0}."):
        with pytest.raises(ValueError, match="no choice"):
            expanded(line)


def test_every_wording_of_a_fact_can_be_filled():
    for r in relations():
        for wording in (*r.wordings, *r.ways, *r.untold, *r.untold_ways, *r.unknown):
            text = worded(wording, r.rows[0])
            assert "  " not in text and not re.search(r" [,.;!?]|[{}\[\]|]", text)
        for parts in r.questions:
            assert all(worded(part, r.rows[0]) for part in parts)


def test_of_an_unknown_sentence_training_has_no_variant():
    lines = [expanded(x) for x in read("facts.txt") if x and x[0] not in "@=?"]
    unknown = 0
    for relation in relations():
        known = {*relation.wordings, *relation.untold}
        for said in (x for x in lines if x[0] in relation.unknown):
            unknown += 1
            assert not known.intersection(said[1:])
        for said in (x for x in lines if x[0] in known):
            assert known.issuperset(said)
    assert unknown >= 8


@pytest.mark.parametrize("kind", ["", "test"])
def test_unknown_splits_and_kinds_are_refused(kind):
    with pytest.raises(ValueError, match="split is"):
        next(documents(0, kind))
    with pytest.raises(ValueError, match="the corpus has fact"):
        next(only(kind))


@pytest.mark.parametrize("kind", makers())
@pytest.mark.parametrize("split", [TRAIN, HELD_OUT])
def test_every_kind_can_be_written_in_both_splits(kind, split):
    texts = list(itertools.islice(only(kind, 0, split), 8))
    assert all(t and not re.search(r"[{}\[\]]\w*[=|]|  |\{\w", t) for t in texts)


@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_whole_and_varied(name):
    head, *poor = report(name).split("\n")
    lines = int(re.search(r"(\d+) lines", head)[1])
    assert len(poor) <= 0.1 * lines, "\n".join(poor)


def test_a_file_that_was_cut_short_is_refused(tmp_path, monkeypatch):
    whole = (TEXT / "stories.en.txt").read_text(encoding="utf-8")
    monkeypatch.setattr(frames_module, "TEXT", tmp_path)
    (tmp_path / "whole.txt").write_text(whole, encoding="utf-8")
    assert read("whole.txt")
    for cut in (whole[: len(whole) // 2], whole.replace("\n\n", "\n\nMore.\n", 1), ""):
        (tmp_path / "cut.txt").write_text(cut, encoding="utf-8")
        with pytest.raises(ValueError, match="cut.txt is cut short: .* lines"):
            read("cut.txt")


@pytest.mark.parametrize("size", range(1000, 1012))
def test_a_file_that_was_cut_inside_a_character_is_refused(size, tmp_path, monkeypatch):
    whole = (TEXT / "stories.zh.txt").read_bytes()
    monkeypatch.setattr(frames_module, "TEXT", tmp_path)
    (tmp_path / "cut.txt").write_bytes(whole[:size])
    with pytest.raises(ValueError, match="cut.txt is cut short"):
        read("cut.txt")


def test_slots_and_choices_keep_to_what_was_drawn():
    line = (
        "{a} saw a {beast} and a {beast2} in the [w=rain|sun], [w:wet|dry]; {a.He} {w}."
    )
    for seed in range(200):
        text = fill(line, Draw(seed, TRAIN), "en", {})
        name, one, other, weather, state, he, again = re.fullmatch(
            r"(\w+) saw an? (\w+) and an? (\w+) in the (\w+), (\w+); (\w+) (\w+)\.",
            text,
        ).groups()
        assert one != other and weather == again
        assert (weather, state) in {("rain", "wet"), ("sun", "dry")}
        assert he == ("She" if name in slots("en")["girl"] else "He")
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text)


def test_an_unknown_slot_is_named():
    with pytest.raises(ValueError, match="slot 'nothing' is no table of slots.en"):
        fill("the {nothing}", Draw(0, TRAIN), "en", {})


def test_variants_multiply():
    assert variants("[a|b] {season} [x=1|2|3] [x:p|q|r] {season}", "en") == 2 * 4 * 3


@pytest.mark.parametrize("name", TABLES)
def test_tables_have_rows_of_one_width_and_no_empty_cells(name):
    rows = table(f"tables/{name}")
    assert len({len(row) for row in rows}) == 1
    assert all(cell for row in rows for cell in row)


@pytest.mark.parametrize("task", SHOTS)
def test_a_question_of_a_list_has_one_answer(task):
    questions = collections.Counter(a for a, _ in pairs(task))
    assert questions.most_common(1)[0][1] == 1


def test_the_facts_are_many_and_worded_in_many_ways():
    assert sum(len(r.rows) for r in relations()) > 2_000
    assert all(len(r.wordings) >= 10 for r in relations())
    for relation in relations():
        for wording in relation.wordings:
            text = worded(wording, relation.rows[0])
            assert text[0] == text[0].upper() and "{" not in text


def test_the_text_is_varied():
    count = {
        lang: sum(len(frames(n)) for n in FRAMES if f".{lang}." in n)
        for lang in ("en", "zh")
    }
    assert min(count.values()) > 400
    text = " ".join(some(0, TRAIN, 8_000))
    assert len(set(re.findall(r"[a-z]+", text))) > 3_000


def test_additions_are_right():
    texts = [
        t
        for kind in ("sums", "additions")
        for t in itertools.islice(only(kind, 0, TRAIN), 300)
    ]
    found = [m for t in texts for m in re.findall(r"([\d +]*\d) = (\d+)", t)]
    assert len(found) > 1_000
    assert all(sum(map(int, left.split("+"))) == int(right) for left, right in found)
    assert steps([3, 4, 5]) == "3 + 4 = 7, 7 + 5 = 12"


def test_sums_of_the_splits_differ_in_both_forms():
    def numbers(split):
        draw = Draw(0, split)
        return {tuple(terms(draw)) for _ in range(2_000)}

    assert not numbers(TRAIN) & numbers(HELD_OUT)


def test_a_list_keeps_to_one_rule_and_one_separator():
    draw = Draw(0, TRAIN)
    answers = {task: dict(pairs(task)) for task in TASKS}
    heads = {head: task for task, (some, _) in NAMED.items() for head in some}
    forms = {}
    for task in TASKS:
        for form in ("{}", *NAMED[task][1]):
            forms.update({form.format(q): (q, task) for q in answers[task]})
    for _ in range(400):
        head, _, rest = (text := few_shot(draw)).partition("\n")
        asked = [heads[head]] if head in heads else TASKS
        marks = "|".join(map(re.escape, UNDER_A_HEAD if head in heads else SEPARATORS))
        lines = re.split(rf"\n|; |, (?=[^,;\n]+(?:{marks}))",
                         rest if head in heads else text)  # fmt: skip
        marks = {re.search(marks, x)[0] for x in lines}
        assert len(marks) == 1
        shown = [tuple(x.split(*marks)) for x in lines]
        bare = [(forms.get(q, (q,))[0], a) for q, a in shown]
        assert any(all(answers[t].get(q) == a for q, a in bare) for t in asked), text


def test_each_ambiguous_word_stands_once_in_each_of_its_texts():
    for language in ("en", "zh"):
        draw = Draw(0, TRAIN)
        for word, of in senses(language).items():
            for line in (x for lines in of.values() for x in lines):
                text = fill(line, draw, language, {})
                found = re.findall(rf"\b{word}\b" if language == "en" else word, text)
                assert len(found) == 1, text


@pytest.mark.parametrize(
    ("language", "mark"), [("en", r"\b{} \((.+?)\)"), ("zh", "(?<!小){}（(.+?)）")]
)
def test_the_name_of_a_sense_stands_right_after_its_word(language, mark):
    draw, named = Draw(0, TRAIN), 0
    texts = [unstuck(partial(sense, language, draw)) for _ in range(200)]
    for word, of in senses(language).items():
        for text in (t for t in texts if re.search(mark.format(word), t)):
            names = re.findall(mark.format(word), text)
            assert len({*names}) == 1 and names[0] in of, text
            assert draw.accepts(re.sub(r" \(.+?\)|（.+?）", "", text)), text
            named += 1
    assert 25 < named < 90


def test_a_sense_has_its_own_name_and_number(monkeypatch):
    lines = {"river": ("The river bank.",), "money": ("The money bank.",)}
    found = {"bank": lines, "one": {"only": ("Only one.",)}}
    monkeypatch.setattr("pocket.prose.senses", lambda language: found)
    draw = Draw(0, TRAIN)
    monkeypatch.setattr(draw, "some", lambda options, n: list(options[:1]))
    assert {sense("en", draw) for _ in range(400)} == {
        "The river bank.", "The river bank (river).", "The river bank¹.",
        "The money bank.", "The money bank (money).", "The money bank².",
        "Only one.", "Only one (only).",
    }  # fmt: skip


def test_a_system_line_changes_the_answer():
    asked = quiz(Draw(0, TRAIN), "en")
    answers = {
        form.format(full=asked.full, short=asked.short) for _, form in STYLES["en"]
    }
    assert len(answers) >= 7


def test_answers_in_json_are_json():
    draw, seen = Draw(0, TRAIN), 0
    for _ in range(400):
        turns = styled(draw, draw.one(["en", "zh"]))
        if "JSON" in turns[0][1] and turns[0][0] == "system":
            answers = [words for who, words in turns if who == "assistant"]
            assert answers
            for words in answers:
                assert list(json.loads(words)) == ["answer"], words
            seen += 1
    assert seen > 10


def test_conversations_are_those_of_the_template():
    jinja2 = pytest.importorskip("jinja2")
    template = jinja2.Template(CHAT_TEMPLATE)
    draw = Draw(0, TRAIN)
    for make in CONVERSATIONS:
        turns = make(draw)
        messages = [{"role": who, "content": words} for who, words in turns]
        assert template.render(messages=messages) == as_text(turns)
        assert [who for who, _ in turns if who != "system"] == ["user", "assistant"] * (
            len([1 for who, _ in turns if who == "user"])
        )
        assert not MARKER.search("".join(words for _, words in turns))


def test_random_draws_do_not_depend_on_the_global_generator():
    random.seed(0)
    first = some(5, TRAIN, 20)
    random.seed(1)
    assert some(5, TRAIN, 20) == first
