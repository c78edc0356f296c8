"""Which attention heads do something that can be named, found by measuring them all.

Every score is a mean attention weight over held-out texts, so it lies in 0 .. 1 (in
-1 .. 1 where it is a difference). Half of the texts choose the heads, the others score
them: the best of 36 heads is a little too good on the texts that chose it.

- previous: from a token to the one before it;
- induction: in random tokens that are repeated, from a token to the one that *followed*
  it the first time;
- it: from ``it`` to the animal meant, less to the other one, where the text before says
  which ("Anna noticed the duck and not the dog, because it"); it, Chinese: from 它;
- it, told before: the same where what was told of the two says it ("The dog was hungry
  and the duck was tired. Because of its hunger, it"), without texts that say who is not
  meant ("the duck was not");
- answer: from the last token before the answer's animal to the animal meant, less to
  the other one ("The dog chased the duck because it was hungry. Who was hungry? The").
"""

import torch
from tokenizers import Tokenizer
from torch import Tensor

from llmcourse.model import CausalLM
from pocket.corpus import HELD_OUT, Draw, unstuck
from pocket.reference import denies, puzzle


@torch.inference_mode()
def attention_maps(model: CausalLM, ids: list[int]) -> Tensor:
    """(L, H, T, T): every head's weights over one text."""
    maps: list[Tensor] = []
    model(torch.tensor([ids], device=model.lm_head.weight.device), maps=maps)
    return torch.cat(maps).float().cpu()


def to_meant(model, tokenizer: Tokenizer, kind: str, n: int) -> Tensor:
    """(n, L, H): each text's weight on the animal meant, less that on the other one.

    From the pronoun where the text tells it before, else from the answer's last token
    before the animal.
    """
    draw, found = Draw(5, HELD_OUT), []
    while len(found) < n:
        made = unstuck(lambda: puzzle(kind, draw))
        if kind.startswith("told") and denies(made.said):
            continue
        zh = kind.endswith("zh")
        the = "" if zh else "the "
        meant, other = (the + w.removeprefix(the) for w in (made.meant, made.other))
        if kind.startswith(("told", "noticed")):
            text = made.said
            start = text.rindex("它") if zh else text.rindex(" it ") + 1
        else:
            text = made.said + made.question + made.answer
            start = text.lower().rindex(meant)  # the "The" of the answer
        encoding = tokenizer.encode(text)
        row = attention_maps(model, encoding.ids)[:, :, encoding.char_to_token(start)]
        places = [text.lower().index(w) + len(the) for w in (meant, other)]
        at = [encoding.char_to_token(place) for place in places]
        found.append(row[..., at[0]] - row[..., at[1]])
    return torch.stack(found)


def previous(model, tokenizer: Tokenizer, n: int) -> Tensor:
    """(n, L, H): each text's mean weight on the token before."""
    draw, found = Draw(6, HELD_OUT), []
    for _ in range(n):
        ids = tokenizer.encode(unstuck(lambda: puzzle("animals", draw)).said).ids
        found.append(attention_maps(model, ids).diagonal(-1, 2, 3).mean(-1))
    return torch.stack(found)


def induction(model: CausalLM, n: int) -> Tensor:
    """(n, L, H): each text's mean weight on what followed the token the first time."""
    generator, found = torch.Generator().manual_seed(0), []
    for _ in range(n):
        ids = torch.randperm(3000, generator=generator)[:20] + 500
        maps = attention_maps(model, ids.tolist() * 2)
        # Token 20 + t is token t again: what followed it is token t + 1.
        found.append(maps.diagonal(-19, 2, 3)[..., 1:].mean(-1))
    return torch.stack(found)


def best_heads(
    model: CausalLM, tokenizer: Tokenizer, n: int = 200, count: int = 3
) -> dict:
    """For each score its best heads: [{"layer", "head", "score", "error"}, ...].

    error is the standard error of the score. Heads below 0.05, and those below three
    errors, are left out.
    """
    scores = {
        "it": to_meant(model, tokenizer, "noticed", n),
        "it, Chinese": to_meant(model, tokenizer, "noticed-zh", n),
        "it, told before": to_meant(model, tokenizer, "told", n),
        "it, told before, Chinese": to_meant(model, tokenizer, "told-zh", n),
        "answer": to_meant(model, tokenizer, "animals", n),
        "previous": previous(model, tokenizer, n),
        "induction": induction(model, n),
    }
    table = {}
    for name, score in scores.items():
        choosing, scoring = score.flatten(1).chunk(2)  # (n / 2, L H) each
        top = choosing.mean(0).topk(count).indices
        mean = scoring.mean(0)[top]
        error = scoring.std(0)[top] / len(scoring) ** 0.5
        heads = score.shape[2]
        table[name] = [
            {"layer": i // heads, "head": i % heads, "score": m, "error": e}
            for i, m, e in zip(top.tolist(), rounded(mean), rounded(error), strict=True)
            if m >= max(0.05, 3 * e)
        ]
    return table


def rounded(x: Tensor) -> list[float]:
    return [round(v, 4) for v in x.tolist()]
