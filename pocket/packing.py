"""Documents packed into rows of one length, and rows into training batches."""

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from pocket.corpus import END, TRAIN, Document, documents, only

NOT_A_TARGET = -100  # the value that cross_entropy ignores


class Batch(NamedTuple):
    """Four tensors of shape (B, T)."""

    ids: Tensor
    targets: Tensor  # the next token of the same document, or NOT_A_TARGET
    documents: Tensor  # which document of its row a token belongs to, -1 for none
    positions: Tensor  # counted from 0 in each document


def lesson(seed: int, lists: int) -> Iterator[Document]:
    """Endless documents of the training split, the first of them repeated lists.

    After so many lists, as many again stand between other texts. Then texts come as
    they are drawn; once the lists are long past, one in twenty is a list again.

    Copying what stands earlier in the context is learnt from lists; questions about a
    text, lists of pairs and chats rest on it. Without lists it is slowly forgotten.
    """
    texts = documents(seed)
    repeated = (Document("repeated", text) for text in only("repeated", seed, TRAIN))
    yield from itertools.islice(repeated, lists)
    pairs = zip(texts, repeated, strict=False)
    yield from itertools.chain.from_iterable(itertools.islice(pairs, lists))
    yield from itertools.islice(texts, 12 * lists)
    for again in repeated:
        yield again
        yield from itertools.islice(texts, 19)


def encoded(tokenizer: Tokenizer, seed: int, lists: int = 0) -> Iterator[list[int]]:
    """The texts of a lesson as ids, each closed by the end marker."""
    source = lesson(seed, lists)
    while True:
        texts = [document.text + END for document in itertools.islice(source, 1000)]
        for encoding in tokenizer.encode_batch(texts):
            yield encoding.ids


def pack(
    texts: Iterable[list[int]], length: int, open_rows: int = 16
) -> Iterator[list[list[int]]]:
    """Whole documents, put together so that each row holds at most length ids.

    A document goes to the first open row with room; without one, the fullest row is
    closed. A document longer than a row is cut.
    """
    rows: list[list[list[int]]] = [[] for _ in range(open_rows)]
    room = [length] * open_rows
    for text in texts:
        text = text[:length]
        i = next((i for i, left in enumerate(room) if len(text) <= left), None)
        if i is None:
            i = room.index(min(room))
            yield rows[i]
            rows[i], room[i] = [], length
        rows[i].append(text)
        room[i] -= len(text)


def columns(row: list[list[int]], length: int) -> list[list[int]]:
    """One row as the four lists of a Batch, filled up to length."""
    ids, targets, numbers, positions = [], [], [], []
    for number, text in enumerate(row):
        ids += text
        targets += text[1:] + [NOT_A_TARGET]
        numbers += [number] * len(text)
        positions += range(len(text))
    left = length - len(ids)
    return [
        ids + [0] * left,
        targets + [NOT_A_TARGET] * left,
        numbers + [-1] * left,
        positions + [0] * left,
    ]


def batches(
    tokenizer: Tokenizer,
    seed: int,
    rows: int,
    length: int,
    joined: float,
    lists: int = 0,
) -> Iterator[Batch]:
    """Endless batches of (rows, length); the same arguments give the same ones.

    joined: the share of batches of (rows / 2, 2 length) instead, in whose rows the
    documents run on as one text, so that late positions and long distances are met in
    training too. Short rows are cheaper: what attention costs grows with their square.
    """
    rng = random.Random(f"{seed}/joined")
    packed = pack(encoded(tokenizer, seed, lists), length)
    while True:
        chosen, width = list(itertools.islice(packed, rows)), length
        if rng.random() < joined:
            halves = zip(chosen[::2], chosen[1::2], strict=True)
            chosen, width = [[sum(a + b, [])] for a, b in halves], 2 * length
        table = torch.tensor([columns(r, width) for r in chosen])  # (B, 4, T)
        yield Batch(*table.unbind(1))
