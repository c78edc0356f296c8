"""Documents packed into rows of one length, and rows into training batches."""

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from pocket.corpus import END, TRAIN, documents

NOT_A_TARGET = -100  # the value that cross_entropy ignores


class Batch(NamedTuple):
    """Four tensors of shape (B, T)."""

    ids: Tensor
    targets: Tensor  # the next token of the same document, or NOT_A_TARGET
    documents: Tensor  # which document of its row a token belongs to
    positions: Tensor  # counted from 0 in each document


def encoded(tokenizer: Tokenizer, seed: int, split: str = TRAIN) -> Iterator[list[int]]:
    """Endless documents as ids, each closed by the end marker."""
    source = documents(seed, split)
    while True:
        texts = [d.text + END for d in itertools.islice(source, 1000)]
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
    tokenizer: Tokenizer, seed: int, rows: int, length: int, joined: float
) -> Iterator[Batch]:
    """Endless batches of (rows, length); the same arguments give the same ones.

    joined: the share of rows whose documents run on as one text, so that late
    positions and long distances are met in training too.
    """
    rng = random.Random(f"{seed}/joined")
    packed = pack(encoded(tokenizer, seed), length)
    while True:
        chosen = list(itertools.islice(packed, rows))
        chosen = [[sum(r, [])] if rng.random() < joined else r for r in chosen]
        table = torch.tensor([columns(r, length) for r in chosen])  # (rows, 4, length)
        yield Batch(*table.unbind(1))
