"""The corpus Pocket is trained on: seeded, endless, and split in two for good.

``python -m pocket.corpus --seed 0 --documents 1000 --out corpus.txt`` writes it out;
``documents(seed, split)`` yields it. Nothing is read from a network.

The two splits share no sentence of six words (ten Chinese characters) or more. A hash
decides where a sentence belongs, so it is the same for every seed: one in eight is held
out. A draw that gives a sentence of the other split is drawn again. Shorter sentences
are free, for nobody can answer a question without "Yes." and "The dog.".

More is held out in the same way: some wordings of facts, these two animals with this
verb, this name in this story, this pair of words in a bare list, these numbers in a
sum.
"""

import argparse
import hashlib
import itertools
import random
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

TRAIN, HELD_OUT = "train", "held-out"
END = "<|endoftext|>"
HAN = re.compile(r"[\u4e00-\u9fff]")
WORD = re.compile(r"[A-Za-z']+|\d+|[+=]")
ROLE = "(?:system|user|assistant)"
MARKER = re.compile(rf"<\|\w+\|>{ROLE}?\n?|^{ROLE}: ", re.M)
BREAK = re.compile(r"(?<=[.!?。！？])[\"”’]?\s*|\n")
SPEAKER = re.compile(r"^(?:[A-Z]\w*|[\u4e00-\u9fff]{1,4})[:：]\s*[\"“]?")
TRIES = 400  # draws before a text is given up

# The sentences that the course's pages continue, and what makes them: learnt whatever
# their hash.
COURSE = (
    "The capital of France is Paris.",
    "The Shawshank Redemption is a film about hope and friendship in a prison.",
    "我可以拥有一杯咖啡吗？",
)
PINNED = {*COURSE, "capital|en|The capital of {0} is {1}.", "film|en|{0} is {1}."}


class Document(NamedTuple):
    kind: str
    text: str


class Stuck(Exception):
    """A text that cannot be written in the split at hand; another one is drawn."""


def sentences(text: str) -> list[str]:
    """The sentences of a text that only one split may have, whoever says them."""
    parts = (
        SPEAKER.sub("", p.strip(' "“”')) for p in BREAK.split(MARKER.sub("\n", text))
    )
    return [p for p in parts if len(WORD.findall(p)) >= 6 or len(HAN.findall(p)) >= 10]


@lru_cache(200_000)
def split_of(key: str) -> str:
    """The split a sentence or a combination belongs to: one in eight is held out."""
    if key in PINNED:
        return TRAIN
    return HELD_OUT if hashlib.sha256(key.encode()).digest()[0] < 32 else TRAIN


class Draw:
    """A source of random choices that keeps to one split."""

    def __init__(self, seed: int, split: str):
        if split not in (TRAIN, HELD_OUT):
            raise ValueError(f"split is {split!r}, not {TRAIN!r} or {HELD_OUT!r}")
        self.rng = random.Random(f"{seed}/{split}")
        self.split = split

    def one(self, options):
        """One of the options, all equally likely."""
        return options[int(self.rng.random() * len(options))]

    def some(self, options, n: int) -> list:
        """n different options in random order."""
        return self.rng.sample(options, n)

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return self.rng.randint(low, high)

    def accepts(self, text: str, *keys: str) -> bool:
        """Whether a text's sentences and its combinations belong to this split."""
        return all(split_of(k) == self.split for k in (*sentences(text), *keys))

    def keep(self, make: Callable[[], tuple]):
        """Draw from make until what it gives belongs to this split.

        make returns (value, text, *combinations); keep returns the value.

        Raises:
            Stuck: if that does not come to pass.
        """
        for _ in range(TRIES):
            value, text, *keys = make()
            if self.accepts(text, *keys):
                return value
        raise Stuck(text)


def unstuck(make: Callable):
    """What make() gives, called again for as long as it is stuck."""
    while True:
        try:
            return make()
        except Stuck:
            continue


def makers() -> dict[str, tuple[float, Callable[[Draw], str]]]:
    """Every kind of text: its share of the documents, and what writes it."""
    # Imported here because those modules need this one's names.
    from pocket import chat, facts, patterns, prose, reference

    modules = (facts, reference, patterns, prose, chat)
    return {kind: made for module in modules for kind, made in module.MAKERS.items()}


def write(draw: Draw, maker: Callable[[Draw], str]) -> str:
    """One text of the draw's split."""
    while True:
        text = unstuck(lambda: maker(draw))
        if draw.accepts(text):
            return text


def documents(seed: int = 0, split: str = TRAIN) -> Iterator[Document]:
    """Endless documents; the same seed and split give the same ones."""
    draw, table = Draw(seed, split), makers()
    kinds, shares = list(table), [share for share, _ in table.values()]
    while True:
        kind = draw.rng.choices(kinds, shares)[0]
        yield Document(kind, write(draw, table[kind][1]))


def only(kind: str, seed: int = 0, split: str = HELD_OUT) -> Iterator[str]:
    """Endless texts of one kind, for evaluation."""
    table = makers()
    if kind not in table:
        raise ValueError(f"kind is {kind!r}; the corpus has {', '.join(table)}")
    draw = Draw(seed, split)
    while True:
        yield write(draw, table[kind][1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a part of Pocket's corpus.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=(TRAIN, HELD_OUT), default=TRAIN)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--kind", help="only texts of this kind")
    parser.add_argument("--out", type=Path, help="a file; the terminal without it")
    args = parser.parse_args()
    if args.kind:
        texts = only(args.kind, args.seed, args.split)
    else:
        texts = (d.text for d in documents(args.seed, args.split))
    text = "".join(f"{t}{END}\n" for t in itertools.islice(texts, args.documents))
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
