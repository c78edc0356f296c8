"""Facts of the world in many wordings, from ``text/facts.txt`` and its tables."""

import re
from functools import cache
from itertools import product
from typing import NamedTuple

from pocket.corpus import COURSE, HELD_OUT, TRAIN, Draw, sentences, split_of
from pocket.frames import VOWEL, read, table


class Relation(NamedTuple):
    name: str
    language: str
    rows: tuple[tuple[str, ...], ...]
    wordings: tuple[str, ...]  # sentences of its own, in all their variants
    ways: tuple[str, ...]  # its phrases, in all the ways of ways.en.txt or ways.zh.txt
    # What no document has, kept for evaluation: variants of sentences that training
    # knows in another variant, such ways, and sentences unknown in any variant.
    untold: tuple[str, ...]
    untold_ways: tuple[str, ...]
    unknown: tuple[str, ...]
    questions: tuple[tuple[str, str, str], ...]  # question, full answer, short answer


@cache
def relations() -> tuple[Relation, ...]:
    """The blocks of ``facts.txt``, each with the rows of its table."""
    found = []
    for block in "\n".join(read("facts.txt")).strip().split("\n\n"):
        head, *lines = block.strip().split("\n")
        name, language, rows = head.split()[1:]
        asked = [cells(x) for x in lines if x[0] == "?"]
        phrases = [cells(x) for x in lines if x[0] == "="]
        ways = [
            way.format(a=phrase, b=answer)
            for phrase, answer in phrases
            for way in read(f"ways.{language}.txt")
        ]
        own = [expanded(x) for x in lines if x[0] not in "?="]
        key = f"{name}|{language}"
        unknown = [said[0] for said in own if wholly_held_out(key, said[0])]
        known = [x for said in own if said[0] not in unknown for x in said]
        found.append(
            Relation(
                name=name,
                language=language,
                rows=table(f"tables/{rows}.txt"),
                wordings=of_split(TRAIN, key, known),
                ways=of_split(TRAIN, key, ways),
                untold=of_split(HELD_OUT, key, known),
                untold_ways=of_split(HELD_OUT, key, ways),
                unknown=tuple(unknown),
                questions=tuple(asked),
            )
        )
    return tuple(found)


def expanded(line: str) -> list[str]:
    """Every wording of a line in which each [one|another] is one of its parts.

    Raises:
        ValueError: if a bracket or a bar is left over, or a choice is none.
    """
    parts = re.split(r"\[([^\[\]]*)\]", line)
    choices = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
    if any(mark in part for part in parts[::2] for mark in "[]|"):
        raise ValueError(f"facts.txt: a bracket or a bar is left in {line!r}")
    if any(len(c) < 2 or len(set(c)) < len(c) for c in choices[1::2]):
        raise ValueError(f"facts.txt: a part of {line!r} is no choice")
    return ["".join(chosen) for chosen in product(*choices)]


def wholly_held_out(key: str, wording: str) -> bool:
    """Whether training has no variant of a line, told by the first: one in 64."""
    hashed = f"{key}|{wording}", f"line|{key}|{wording}"
    return all(split_of(x) == HELD_OUT for x in hashed)


def of_split(split: str, key: str, wordings: list[str]) -> tuple[str, ...]:
    """The wordings of a relation that belong to a split."""
    return tuple(x for x in wordings if split_of(f"{key}|{x}") == split)


def cells(line: str) -> tuple[str, ...]:
    """The parts of a line that begins with a mark."""
    return tuple(part.strip() for part in line[1:].split("|"))


def worded(wording: str, row: tuple[str, ...]) -> str:
    """A wording filled with a row, its first letter and its articles put right."""
    text = VOWEL.sub(r"\1n ", wording.format(*row))
    return text[:1].upper() + text[1:]


def keys(text: str) -> list[str]:
    """What places a fact in its split: its long sentences, or all of a short one."""
    return [] if sentences(text) else [text]


def stated(relation: Relation, draw: Draw) -> str:
    """One fact in one wording."""

    def make():
        wordings = relation.wordings
        if relation.ways and draw.chance(0.4):
            wordings = relation.ways
        text = worded(draw.one(wordings), draw.one(relation.rows))
        return text, text, *keys(text)

    return draw.keep(make)


@cache
def weighted() -> tuple[Relation, ...]:
    """The relations, those with more rows more often."""
    return tuple(r for r in relations() for _ in range(1 + len(r.rows) // 50))


def fact(draw: Draw) -> str:
    """One to five facts of one relation or language, or a sentence of the course."""
    if draw.chance(0.02) and draw.split == TRAIN:
        return draw.one(COURSE)
    first = draw.one(weighted())
    kin = [r for r in weighted() if r.language == first.language]
    if draw.chance(0.6):
        kin = [first]
    said = [stated(draw.one(kin), draw) for _ in range(draw.whole(1, 5))]
    return ("" if first.language == "zh" else " ").join(said)


MAKERS = {"fact": (66, fact)}
