"""Texts that reward looking back: repeated lists, lists of pairs, sums."""

from collections.abc import Callable
from functools import cache

from pocket.corpus import TRIES, Draw, Stuck
from pocket.frames import made_up, slots, table

SEPARATORS = [" -> ", ": ", " = ", " => ", " - ", " | ", "："]
# Marks of the lists under a head. (A list that says its rule in each line has those of
# bare lists: "the opposite of wet -> dry" ends in a line that bare lists may not show.)
UNDER_A_HEAD = [" / ", " · ", " — "]
JOINTS = ["\n", "\n", "\n", "; ", ", "]


@cache
def vocabulary(language: str) -> tuple[str, ...]:
    """Every single word of the translations and the slots of one language."""
    cell = 0 if language == "en" else 1
    words = {row[cell] for row in table("tables/translations.txt")}
    words |= {w.split("/")[0] for row in slots(language).values() for w in row}
    return tuple(sorted(w for w in words if " " not in w))


def strung(draw: Draw, make: Callable[[list[str]], list[str]]) -> tuple[list[str], str]:
    """Random words, put together by make, and what stands between them.

    One text in six is of made-up words, one of Chinese words, the others of English
    ones. Most have nothing but a space between them, so that words follow words.
    """

    def attempt():
        kind, mark = draw.whole(0, 5), " "
        if kind == 0:
            words = [made_up(draw, "en").lower() for _ in range(24)]
        else:
            words = draw.some(vocabulary("zh" if kind == 1 else "en"), 24)
        if kind == 1:
            mark = draw.one(["", "", "", " ", "，"])
        elif draw.chance(0.3):
            mark = draw.one([", ", "\n", " / "])
        said = make(words)
        return (said, mark), mark.join(said)

    return draw.keep(attempt)


def twice(draw: Draw, shortest: int = 2, copies: int = 2) -> tuple[list[str], str]:
    """A list of random words, given twice or more often."""
    count = draw.whole(shortest, 20)
    return strung(draw, lambda words: words[:count] * copies)


def phrases(draw: Draw) -> tuple[list[str], str]:
    """Phrases of random words that come back in a random order.

    Only what followed a word before tells what follows it now: counting does not help.
    """

    def make(words: list[str]) -> list[str]:
        words = list(words)
        sizes = [draw.whole(2, 4) for _ in range(draw.whole(2, 6))]
        chunks = [[words.pop() for _ in range(size)] for size in sizes]
        return [word for _ in range(draw.whole(8, 18)) for word in draw.one(chunks)]

    return strung(draw, make)


def repeated(draw: Draw) -> str:
    """Random words that come back."""
    chunked = draw.chance(0.6)
    words, mark = phrases(draw) if chunked else twice(draw, copies=draw.whole(2, 3))
    return mark.join(words)


# task: table, cells of the question and of the answer
SHOTS = {
    "english to chinese": ("translations", 0, 1),
    "chinese to english": ("translations", 1, 0),
    "opposite": ("opposites", 0, 1),
    "opposite, chinese": ("opposites_zh", 0, 1),
    "plural": ("plurals", 0, 1),
    "past": ("pasts", 0, 1),
    "comparative": ("comparatives", 0, 1),
    "capital": ("capitals", 0, 1),
    "capital, chinese": ("capitals", 2, 3),
    "number": ("numbers", 0, 1),
    "young animal": ("animals", 0, 3),
}
OFTEN = ["english to chinese", "chinese to english", "opposite", "plural"]
TASKS = [*SHOTS, *OFTEN]


@cache
def pairs(task: str) -> tuple[tuple[str, str], ...]:
    """The questions and answers of a task; opposites are asked both ways."""
    name, question, answer = SHOTS[task]
    found = [(row[question], row[answer]) for row in table(f"tables/{name}.txt")]
    if task.startswith("opposite"):
        found += [(b, a) for a, b in found]
    return tuple(found)


def listed(draw: Draw, pair: tuple[str, str]) -> bool:
    """Whether lists of this split that do not say their rule may show a pair."""
    return draw.accepts("", "list|" + "|".join(sorted(pair)))


def shots(
    draw: Draw, task: str, count: int, named: bool = False
) -> list[tuple[str, str]]:
    """Different pairs of a task; a list that says its rule may show all of them."""
    chosen: list[tuple[str, str]] = []
    for _ in range(TRIES):
        pair = draw.one(pairs(task))
        new = not any(set(pair) & set(other) for other in chosen)
        if new and (named or listed(draw, pair)):
            chosen.append(pair)
        if len(chosen) == count:
            return chosen
    raise Stuck(task)


# What a list may say at its head, and what a line may ask instead of a bare word: the
# words in which facts are told, so that a list and a sentence call for one memory.
NAMED = {
    "english to chinese": (
        ("Each word in Chinese:", "English to Chinese:", "Say it in Chinese:"),
        ("the Chinese word for {}", "{} in Chinese"),
    ),
    "chinese to english": (
        ("每个词的英文：", "中文翻译成英文：", "用英文说："),
        ("{}的英文", "{}用英文说"),
    ),
    "opposite": (
        ("The opposite of each word:", "Opposites:", "Say the opposite:"),
        ("the opposite of {}", "opposite of {}"),
    ),
    "opposite, chinese": (
        ("每个词的反义词：", "反义词：", "反过来说："),
        ("{}的反义词", "和{}相反的词"),
    ),
    "plural": (
        ("The plural of each word:", "Plurals:", "More than one:"),
        ("the plural of {}", "more than one {}"),
    ),
    "past": (
        ("The past of each verb:", "Past forms:", "It happened yesterday:"),
        ("the past of {}", "{} in the past"),
    ),
    "comparative": (
        ("The comparative of each word:", "Comparatives:", "Say the comparative:"),
        ("the comparative of {}", "comparative of {}"),
    ),
    "capital": (
        ("The capital of each country:", "Capitals:", "Country and capital:"),
        ("the capital of {}", "capital of {}"),
    ),
    "capital, chinese": (
        ("每个国家的首都：", "首都：", "国家和首都："),
        ("{}的首都", "{}，首都"),
    ),
    "number": (
        ("Each number in words:", "Numbers in words:", "Spell the number:"),
        ("the number {} in words", "{} in words"),
    ),
    "young animal": (
        ("The baby of each animal:", "Baby animals:", "Animals and their young:"),
        ("the word for a baby {}", "a baby {}"),
    ),
}


def few_shot(draw: Draw) -> str:
    """Pairs that follow one rule, with one separator throughout.

    Half of the lists show bare words only, the others say the rule at their head or in
    each line.
    """
    task, mark = draw.one(TASKS), draw.one(SEPARATORS)
    heads, phrases_of = NAMED[task]
    place, head, phrase = draw.whole(0, 3), "", "{}"
    if place == 0:
        head, mark = draw.one(heads) + "\n", draw.one(UNDER_A_HEAD)
    elif place == 1:
        phrase = draw.one(phrases_of)
    named = place < 2
    found = shots(draw, task, draw.whole(1 if named else 2, 6 if named else 8), named)
    lines = [f"{phrase.format(a)}{mark}{b}" for a, b in found]
    return head + draw.one(JOINTS).join(lines)


AT_ONCE = [
    "{} = {}",
    "What is {}? At once: {}",
    "{} 直接算：{}",
]
STEP_BY_STEP = [
    "{}: {}. The answer is {}.",
    "What is {}? Step by step: {}. The answer is {}.",
    "{} 一步一步算：{}。答案是{}。",
]


def steps(numbers: list[int]) -> str:
    """A sum worked out from left to right: ``3 + 4 = 7, 7 + 5 = 12``."""
    total, done = numbers[0], []
    for n in numbers[1:]:
        done.append(f"{total} + {n} = {total + n}")
        total += n
    return ", ".join(done)


def terms(draw: Draw, count: int | None = None) -> list[int]:
    """One-digit numbers to add, in any order kept to the split; two to five of them."""

    def make():
        numbers = [draw.whole(0, 9) for _ in range(count or draw.whole(2, 5))]
        return numbers, "", f"sum|{sorted(numbers)}"

    return draw.keep(make)


def sums(draw: Draw) -> str:
    """A sum answered at once, or with its steps written down."""
    numbers = terms(draw)
    asked = " + ".join(map(str, numbers))
    if draw.chance(0.5):
        return draw.one(AT_ONCE).format(asked, sum(numbers))
    return draw.one(STEP_BY_STEP).format(asked, steps(numbers), sum(numbers))


def additions(draw: Draw) -> str:
    """The single steps by themselves: a number below 50 and a one-digit one."""
    rows = [(draw.whole(0, 49), draw.whole(0, 9)) for _ in range(draw.whole(1, 6))]
    return draw.one(["\n", ", "]).join(f"{a} + {b} = {a + b}" for a, b in rows)


MAKERS = {
    "repeated": (2, repeated), "few-shot": (34, few_shot), "sums": (7, sums),
    "additions": (3, additions),
}  # fmt: skip
