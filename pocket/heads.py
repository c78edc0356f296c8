"""Which attention heads do something that can be named, found by measuring them all.

Every score is a mean attention weight over held-out texts, so it lies in 0 .. 1:

- previous: from a token to the one before it;
- induction: in a list that is repeated, from a token to the one that *followed* it the
  first time;
- it, first or second animal: from ``it`` to the animal. The reason stands after
  ``it``, so nothing can tell there which one is meant; but see
- it, told before: the animal meant, less the other one, where an earlier sentence has
  told the reason ("The dog was hungry. The dog chased the squirrel because it ...");
- answer: from the ``The`` of the answer to the animal meant, less the other one, over
  all places where the animals stand.
"""

import itertools
import re

import torch
from tokenizers import Tokenizer
from torch import Tensor

from llmcourse.model import CausalLM
from pocket.corpus import only

PARTS = re.compile(
    r"(?:The (?P<told>\w+) was \w+\. )?"
    r"The (?P<first>\w+) .*? the (?P<second>\w+) because (?P<it>it) was \w+\."
    r".*(?P<The>The) (?P<answer>\w+)\.$",
    re.S,
)


@torch.inference_mode()
def attention_maps(model: CausalLM, ids: list[int]) -> Tensor:
    """(L, H, T, T): every head's weights over one text."""
    maps: list[Tensor] = []
    model(torch.tensor([ids], device=model.lm_head.weight.device), maps=maps)
    return torch.cat(maps).float().cpu()


def reference_scores(maps: Tensor, encoding, match: re.Match) -> dict[str, Tensor]:
    """Each reference score of one text, (L, H)."""
    at = {name: encoding.char_to_token(match.start(name)) for name in ("it", "The")}
    nouns = {n: encoding.char_to_token(match.start(n)) for n in ("first", "second")}
    meant = "first" if match["answer"] == match["first"] else "second"
    other = "second" if meant == "first" else "first"
    it, the = maps[:, :, at["it"]], maps[:, :, at["The"]]  # (L, H, T)
    answer = the[..., nouns[meant]] - the[..., nouns[other]]
    if match["told"]:
        told = it[..., nouns[meant]] - it[..., nouns[other]]
        return {"it, told before": told}
    first, second = it[..., nouns["first"]], it[..., nouns["second"]]
    return {"it, first animal": first, "it, second animal": second, "answer": answer}


def scores(model: CausalLM, tokenizer: Tokenizer, n: int = 200) -> dict[str, Tensor]:
    """The mean of every score, (L, H)."""
    found: dict[str, list[Tensor]] = {}
    for text in itertools.islice(only("animals"), n):
        encoding = tokenizer.encode(text)
        maps = attention_maps(model, encoding.ids)
        new = reference_scores(maps, encoding, PARTS.match(text))
        new["previous"] = maps.diagonal(-1, 2, 3).mean(-1)
        for name, score in new.items():
            found.setdefault(name, []).append(score)
    generator = torch.Generator().manual_seed(0)
    for _ in range(n // 5):
        words = torch.randperm(2000, generator=generator)[:20] + 500
        maps = attention_maps(model, words.tolist() * 2)
        # Token 20 + t is token t again: what followed it is token t + 1.
        back = maps.diagonal(-19, 2, 3)[..., 1:].mean(-1)
        found.setdefault("induction", []).append(back)
    return {name: torch.stack(s).mean(0) for name, s in found.items()}


def best_heads(model: CausalLM, tokenizer: Tokenizer, count: int = 3) -> dict:
    """For each score its best heads: [{"layer", "head", "score"}, ...]."""
    table = {}
    for name, score in sorted(scores(model, tokenizer).items()):
        top = score.flatten().topk(count)
        heads = score.shape[1]
        table[name] = [
            {"layer": i // heads, "head": i % heads, "score": round(v, 4)}
            for v, i in zip(top.values.tolist(), top.indices.tolist(), strict=True)
        ]
    return table
