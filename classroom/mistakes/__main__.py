"""``python -m classroom.mistakes ps2``: try all mistakes and all right answers."""

import importlib
import sys
from itertools import zip_longest

from . import faults, graded, rounds

for name in sys.argv[1:]:
    module = importlib.import_module(f"classroom.mistakes.{name}")
    wrong = []
    for made in rounds(name):
        print(f"{name}:", "; ".join(f"{t} {title}" for t, (title, _) in made.items()))
        wrong += faults(name, made)
    columns = [[(task, code) for code in codes] for task, codes in module.RIGHT.items()]
    for row in zip_longest(*columns):
        said = graded(name, dict(part for part in row if part))
        wrong += [
            f"a right answer: {c} says {text!r}" for c, text in said.items() if text
        ]
    print("\n".join(wrong) or f"{name}: every mistake is named")
