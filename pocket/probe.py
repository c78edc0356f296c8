"""Does a hidden state know which sense of a word is meant? A linear probe tells.

For every word with two senses and one spelling, held-out texts of both senses are read
and the hidden state at the word is taken after every layer. The word is one token
there, the same in both senses, so its embedding knows nothing. Texts from half of the
frames fit a linear map (ridge regression onto -1 for the first sense of the file, 1 for
the second), those from the others test it; then the other way round. There is a map for
each word, and one for all. The latter can use the number that training wrote after many
of these words, bank¹ or bank². With random weights the map for each word tells what the
words before give away; one for all can then tell little, as its signs are arbitrary.
"""

import torch
from tokenizers import Tokenizer, pre_tokenizers
from torch import Tensor

from llmcourse.model import CausalLM
from pocket.corpus import HELD_OUT, Draw, unstuck
from pocket.prose import one_sense, senses


@torch.inference_mode()
def hidden_states(model: CausalLM, ids: list[int]) -> Tensor:
    """(L + 1, T, D): the embeddings, then the residual stream after every layer."""
    found: list[Tensor] = []
    blocks = list(model.model.layers)
    hooks = [
        blocks[0].register_forward_pre_hook(lambda _, args: found.append(args[0]))
    ] + [b.register_forward_hook(lambda *args: found.append(args[2])) for b in blocks]
    try:
        model(torch.tensor([ids], device=model.lm_head.weight.device))
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(found).float().cpu()


def states_at(
    model: CausalLM,
    tokenizer: Tokenizer,
    language: str,
    word: str,
    lines: tuple,
    n: int,
) -> Tensor:
    """(n, L + 1, D): the states at the word in n held-out texts.

    Fewer than n if in 20 n texts the word is seldom a token of its own.
    """
    draw, found = Draw(4, HELD_OUT), []
    token = tokenizer.token_to_id(spelled((" " if language == "en" else "") + word))
    for _ in range(20 * n):
        text = unstuck(lambda: one_sense(draw.one(lines), language, draw))
        ids = tokenizer.encode(text).ids
        if token in ids:
            # What follows is not needed: attention is causal.
            found.append(hidden_states(model, ids[: ids.index(token) + 1])[:, -1])
        if len(found) == n:
            break
    return torch.stack(found) if found else torch.empty(0)


def spelled(word: str) -> str:
    """A word as byte-level BPE writes it."""
    ((written, _),) = pre_tokenizers.ByteLevel(False).pre_tokenize_str(word)
    return written


def fitted(x: Tensor, y: Tensor, ridge: float = 300.0) -> Tensor:
    """The weights (D + 1,) of a ridge regression of y (n,) on x (n, D), with a bias.

    x is centred and scaled, so that the ridge means as much for every layer.
    """
    x = torch.cat([x, torch.ones(len(x), 1)], -1)
    return torch.linalg.solve(x.T @ x + ridge * torch.eye(x.shape[1]), x.T @ y)


def right(seen: Tensor, new: Tensor, signs: Tensor) -> int:
    """How many signs (n,) of new states (n, D) a probe tells, fitted to seen ones."""
    mean, scale = seen.mean(0), seen.std(0) + 1e-6
    weights = fitted((seen - mean) / scale, signs)
    guess = (new - mean) / scale @ weights[:-1] + weights[-1]
    return int(((guess > 0) == (signs > 0)).sum())


def sense_accuracy(model: CausalLM, tokenizer: Tokenizer, n: int = 60) -> dict:
    """The share of senses told after 0, 1, ... layers, by a map for each word and by
    one for all; how many texts; which words.

    For every word and sense n texts from each half of its frames. Words that are seldom
    a token of their own are left out.
    """
    halves: list[list[Tensor]] = [[], []]
    words = []
    for language in ("en", "zh"):
        for word, of in senses(language).items():
            if len(of) != 2:
                continue  # apple and Apple: the spelling already tells
            found = [
                [
                    states_at(model, tokenizer, language, word, lines[half::2], n)
                    for half in (0, 1)
                ]
                for lines in of.values()
            ]
            if any(len(states) < n for both in found for states in both):
                continue
            for half in (0, 1):
                halves[half] += [both[half] for both in found]
            words.append(word)
    one, other = (torch.stack(states).unflatten(0, (-1, 2)) for states in halves)
    one, other = one.flatten(1, 2), other.flatten(1, 2)  # (words, 2n, L + 1, D)
    signs = torch.tensor([-1.0] * n + [1.0] * n)
    each, together = [], []
    for a, b in zip(one.unbind(2), other.unbind(2), strict=True):  # one layer
        told = [
            right(x, y, signs) + right(y, x, signs) for x, y in zip(a, b, strict=True)
        ]
        each.append(sum(told) / (2 * len(signs) * len(words)))
        all_signs, a, b = signs.repeat(len(words)), a.flatten(0, 1), b.flatten(0, 1)
        told = right(a, b, all_signs) + right(b, a, all_signs)
        together.append(told / (2 * len(all_signs)))
    return {
        "each": each,
        "one": together,
        "n": 2 * one[..., 0, 0].numel(),
        "words": words,
    }
