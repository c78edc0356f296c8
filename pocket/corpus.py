"""The corpus Pocket is trained on: seeded, endless, and split in two for good.

``python -m pocket.corpus --seed 0 --documents 1000 --out corpus.txt`` writes it out;
``documents(seed, split)`` yields it. Nothing is read from a network or from a file.

Two splits never meet. What is held out is decided by a hash, so it is the same for
every seed: the hash of a *combination* (this country in this wording, these two
animals with this verb) where a text has one, else the hash of the whole text.
"""

import argparse
import hashlib
import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

TRAIN, HELD_OUT = "train", "held-out"
END = "<|endoftext|>"

# Combinations that must be learnt, whatever their hash: the course's own sentences.
PINNED = {
    "France|The capital of {} is {}.",
    "The Shawshank Redemption|{} is {}.",
    "咖啡|我可以拥有一杯{}吗？",
}


class Document(NamedTuple):
    kind: str
    text: str


def split_of(key: str) -> str:
    """The split a combination or a text belongs to: one in ten is held out."""
    if key in PINNED:
        return TRAIN
    digest = hashlib.sha256(key.encode()).digest()
    return HELD_OUT if digest[0] * 10 < 256 else TRAIN


class Draw:
    """A source of random choices that keeps to one split."""

    def __init__(self, seed: int, split: str):
        if split not in (TRAIN, HELD_OUT):
            raise ValueError(f"split is {split!r}, not {TRAIN!r} or {HELD_OUT!r}")
        self.rng = random.Random(f"{seed}/{split}")
        self.split = split
        self.keyed = False  # whether the text at hand was placed by its combinations

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

    def keep(self, make: Callable[["Draw"], tuple]):
        """Draw from make, which returns (value, key), until the key is in the split."""
        self.keyed = True
        while True:
            value, key = make(self)
            if split_of(key) == self.split:
                return value


def makers() -> dict[str, tuple[float, Callable[[Draw], str]]]:
    """Every kind of text: its share of the documents, and what writes it."""
    # Imported here because those modules need this one's names.
    from pocket import facts, reference, stories

    return {**facts.MAKERS, **reference.MAKERS, **stories.MAKERS}


def write(draw: Draw, maker: Callable[[Draw], str]) -> str:
    """One text of the draw's split."""
    while True:
        draw.keyed = False
        text = maker(draw)
        if draw.keyed or split_of(text) == draw.split:
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
    parser.add_argument("--out", type=Path, help="a file; the terminal without it")
    args = parser.parse_args()
    chosen = itertools.islice(documents(args.seed, args.split), args.documents)
    text = "".join(f"{d.text}{END}\n" for d in chosen)
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
