"""Measure Pocket on held-out text: ``python -m pocket.evaluate``.

Prints a table, the best attention heads and a few sampled texts; ``--json file`` also
writes the figures. Whatever is measured here is text of the held-out split.
"""

import argparse
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

import llmcourse
from llmcourse.checkpoint import from_pretrained
from llmcourse.generate import generate
from llmcourse.model import CausalLM
from llmcourse.sampling import SamplingParams
from pocket.corpus import END, HELD_OUT, TRAIN, documents, only, split_of
from pocket.facts import CAPITAL, CAPITAL_ZH
from pocket.heads import best_heads
from pocket.tokenizer import HAN
from pocket.words import CAPITALS

CONTINUATIONS = [
    ("The capital of France is", " Paris"),
    ("The Shawshank", " Redemption"),
    ("我可以拥有一杯", "咖啡"),
    ("有一天，一位勇敢的", "探险家"),
]
OPENINGS = ["One day", "The dog", "Once upon a time", "有一天", "小明", "猫"]


class Reader:
    """A model with its tokenizer, asked about texts."""

    def __init__(self, model: CausalLM, tokenizer: Tokenizer):
        self.model, self.tokenizer = model, tokenizer

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text).ids

    @torch.inference_mode()
    def logits(self, text: str) -> Tensor:
        """(T, V): what the model expects after each token of the text."""
        ids = torch.tensor([self.ids(text)], device=self.model.lm_head.weight.device)
        return self.model(ids)[0].float().cpu()

    def says(self, prompt: str, answer: str) -> bool:
        """Whether the greedy continuation of prompt begins with answer."""
        start, ids = len(self.ids(prompt)), self.ids(prompt + answer)
        best = self.logits(prompt + answer).argmax(-1)[start - 1 : -1]
        return best.tolist() == ids[start:]

    def bits(self, text: str) -> float:
        """The bits that the text takes after its first token."""
        logits, ids = self.logits(text), torch.tensor(self.ids(text))
        nats = F.cross_entropy(logits[:-1], ids[1:], reduction="sum")
        return nats.item() / math.log(2)


def continuation(reader: Reader, prompt: str, wanted: str) -> dict:
    """The greedy text after a prompt, and how probable its wanted first token was."""
    first = reader.ids(prompt + wanted)[len(reader.ids(prompt))]
    p = reader.logits(prompt)[-1].softmax(-1)[first].item()
    ids = generate(reader.model, reader.ids(prompt), max_new_tokens=8)
    text = reader.tokenizer.decode(list(ids))
    return {"prompt": prompt, "text": text, "p": p, "good": text.startswith(wanted)}


def bits_per_byte(reader: Reader, split: str, chinese: bool, n: int) -> float:
    """Mean over n documents of one language, the chat markers not counted as text."""
    texts = (d.text for d in documents(1, split) if "<|" not in d.text)
    chosen = (t for t in texts if bool(HAN.search(t)) == chinese)
    bits = size = 0.0
    for text in itertools.islice(chosen, n):
        bits += reader.bits(text + END)
        first = reader.tokenizer.decode(reader.ids(text)[:1])  # nothing predicts it
        size += len(text.encode()) - len(first.encode())
    return bits / size


def last_word(text: str) -> tuple[str, str]:
    """A question's text as prompt and answer: the last word, or what follows the ？."""
    mark = "？" if HAN.search(text) else " "
    head, _, answer = text.rpartition(mark)
    return (head + mark, answer) if mark != " " else (head, mark + answer)


def asked(kind: str) -> Iterator[tuple[str, str]]:
    """Held-out texts of a kind that end in a question and its answer."""
    return map(last_word, only(kind))


def facts() -> Iterator[tuple[str, str]]:
    """Capitals in wordings in which training never showed them."""
    for frames, cells in ((CAPITAL, (0, 1)), (CAPITAL_ZH, (2, 3))):
        for frame, row in itertools.product(frames, CAPITALS):
            if split_of(f"{row[cells[0]]}|{frame}") == HELD_OUT:
                yield last_fact(frame, row[cells[0]], row[cells[1]])


def last_fact(frame: str, country: str, city: str) -> tuple[str, str]:
    text = frame.format(country, city)
    head, _, tail = text.rpartition(city)
    return (head[:-1], " " + city) if head.endswith(" ") else (head, city)


def accuracy(reader: Reader, pairs: Iterator[tuple[str, str]], n: int) -> dict:
    """How many of n prompts are continued, greedily, with their answers."""
    right = [reader.says(*pair) for pair in itertools.islice(pairs, n)]
    return {"right": sum(right), "n": len(right)}


def induction(reader: Reader, n: int) -> dict:
    """Top-1 accuracy on lists that are repeated.

    Counted from the second token of the first repetition on: until its first token is
    there, nothing says that the list begins anew.
    """
    right = total = 0
    for text in itertools.islice(only("repeated"), n):
        period = re.match(r"(.+?)(?:, |[ ，\n])(?=\1(?:[ ，,\n]|$))", text, re.S)
        start = reader.tokenizer.encode(text).char_to_token(period.end()) + 1
        ids = torch.tensor(reader.ids(text))
        hits = reader.logits(text).argmax(-1)[start - 1 : -1] == ids[start:]
        right, total = right + int(hits.sum()), total + len(hits)
    return {"right": right, "n": total}


def samples(reader: Reader, temperature: float = 0.8) -> list[str]:
    """One sampled text after each opening, seeded."""
    texts, sampling = [], SamplingParams(temperature=temperature)
    chance = torch.Generator(reader.model.lm_head.weight.device).manual_seed(0)
    for opening in OPENINGS:
        ids = reader.ids(opening)
        rules = dict(max_new_tokens=80, sampling=sampling, generator=chance)
        new = generate(reader.model, ids, **rules)
        texts.append(reader.tokenizer.decode(ids + list(new)))
    return texts


def evaluate(reader: Reader, n: int) -> dict:
    """All figures, by name."""
    tests: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
        "capitals, held-out wordings": facts,
        "reference, animals": lambda: asked("animals"),
        "reference, animals, Chinese": lambda: asked("animals-zh"),
        "reference, people": lambda: asked("people"),
        "reference, people, Chinese": lambda: asked("people-zh"),
    }
    bits = itertools.product((HELD_OUT, TRAIN), (("English", False), ("Chinese", True)))
    return {
        "continuations": [continuation(reader, *pair) for pair in CONTINUATIONS],
        "accuracy": {name: accuracy(reader, test(), n) for name, test in tests.items()}
        | {"induction, repeated lists": induction(reader, n // 2)},
        "bits per byte": {
            f"{name}, {split}": bits_per_byte(reader, split, zh, n)
            for split, (name, zh) in bits
        },
        "heads": best_heads(reader.model, reader.tokenizer),
        "samples": samples(reader),
    }


def report(figures: dict) -> str:
    """The figures as text."""
    lines = ["Greedy continuations"]
    for c in figures["continuations"]:
        good = "yes" if c["good"] else "NO"
        lines.append(f"  {good:3}  p {c['p']:.3f}  {c['prompt']}|{c['text']!r}")
    lines.append("Held-out accuracy")
    for name, a in figures["accuracy"].items():
        lines.append(f"  {name:30} {a['right'] / a['n']:7.1%}  of {a['n']}")
    lines.append("Bits per byte")
    lines += [f"  {name:30} {b:7.3f}" for name, b in figures["bits per byte"].items()]
    lines.append("Heads (layer, head, counted from 0): score")
    for name, found in figures["heads"].items():
        said = [f"({h['layer']}, {h['head']}): {h['score']:.2f}" for h in found]
        lines.append(f"  {name:30} {'  '.join(said)}")
    lines.append("Samples at temperature 0.8")
    lines += ["  " + text.replace("\n", "\n    ") for text in figures["samples"]]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure Pocket on held-out text.")
    parser.add_argument("--model", type=Path, default=llmcourse.POCKET, help="a folder")
    parser.add_argument("-n", type=int, default=300, help="texts per figure")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    args = parser.parse_args()
    model = from_pretrained(args.model, dtype=torch.float32, device=llmcourse.device())
    reader = Reader(model, Tokenizer.from_file(str(args.model / "tokenizer.json")))
    figures = evaluate(reader, args.n)
    print(report(figures))
    if args.json:
        text = json.dumps(figures, indent=2, ensure_ascii=False) + "\n"
        args.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
