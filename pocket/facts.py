"""Facts of the world in many wordings, from ``text/facts.txt`` and its tables."""

from functools import cache
from itertools import compress
from typing import NamedTuple

from pocket.corpus import COURSE, TRAIN, Draw, sentences, split_of
from pocket.frames import VOWEL, read, table


class Relation(NamedTuple):
    name: str
    language: str
    rows: tuple[tuple[str, ...], ...]
    wordings: tuple[str, ...]  # sentences of its own
    ways: tuple[str, ...]  # its phrases, in all the ways of ways.en.txt or ways.zh.txt
    untold: tuple[str, ...]  # wordings that no document has: kept for evaluation
    untold_ways: tuple[str, ...]
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
        own = [x for x in lines if x[0] not in "?="]
        (said, untold), (in_ways, untold_ways) = (
            parted(name, language, wordings) for wordings in (own, ways)
        )
        found.append(
            Relation(
                name,
                language,
                table(f"tables/{rows}.txt"),
                said,
                in_ways,
                untold,
                untold_ways,
                tuple(asked),
            )
        )
    return tuple(found)


def parted(
    name: str, language: str, wordings: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Wordings of a relation that training may use, and those that it may not."""
    told = [split_of(f"{name}|{language}|{x}") == TRAIN for x in wordings]
    untold = [not yes for yes in told]
    return tuple(compress(wordings, told)), tuple(compress(wordings, untold))


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
        if relation.ways and draw.chance(0.5):
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
    if draw.split == TRAIN and draw.chance(0.02):
        return draw.one(COURSE)
    first = draw.one(weighted())
    kin = [r for r in weighted() if r.language == first.language]
    if draw.chance(0.6):
        kin = [first]
    said = [stated(draw.one(kin), draw) for _ in range(draw.whole(1, 5))]
    return ("" if first.language == "zh" else " ").join(said)


MAKERS = {"fact": (62, fact)}
