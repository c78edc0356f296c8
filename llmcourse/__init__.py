"""Tokens to Text: the inference of a modern language model, one concept a module.

Letters, the same in code, prose and figures:
B batch · T query tokens in this call · S visible key tokens (cached + new) ·
D model width · H query heads · G key/value heads · K head width · F FFN width ·
V vocabulary. Tensors are lower case, sizes are upper case.
"""

import os
from pathlib import Path

import torch

__version__ = "0.1.0"

POCKET = Path(__file__).parent / "data" / "pocket"


def device() -> torch.device:
    """The one device rule: CUDA where there is one, else the CPU.

    The environment variable LLMCOURSE_DEVICE (`cpu`, `cuda`, `cuda:1`) overrides it.
    """
    default = "cuda" if torch.cuda.is_available() else "cpu"
    name = os.environ.get("LLMCOURSE_DEVICE") or default
    kind, colon, index = name.partition(":")
    there = {"cpu": 1, "cuda": torch.cuda.device_count()}.get(kind, 0)
    if not (index if colon else "0").isdecimal() or int(index or 0) >= there:
        raise ValueError(
            f"LLMCOURSE_DEVICE is {name!r}; here there are the CPU and "
            f"{torch.cuda.device_count()} CUDA devices"
        )
    return torch.device(name)


def pocket():
    """The model that ships with the course, and its tokenizer: (model, tokenizer)."""
    from .checkpoint import from_pretrained
    from .tokenizer import Tokenizer

    model = from_pretrained(POCKET, dtype=torch.float32, device=device())
    return model, Tokenizer.from_pretrained(POCKET)
