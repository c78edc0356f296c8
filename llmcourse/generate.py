"""The loop of inference: prefill the prompt, then decode token by token. Chapter 11."""

from collections.abc import Iterator, Sequence
from operator import index

import torch
from torch import Tensor

from .attention import both, causal, padding
from .cache import KVCache
from .model import CausalLM
from .sampling import SamplingParams, next_token

GREEDY = SamplingParams()
ROOM = 256  # new tokens that a cache has room for at first


@torch.inference_mode()
def prefill(
    model: CausalLM, ids: Tensor, cache: KVCache | None, pad: Tensor | None = None
) -> Tensor:
    """Read a prompt at once: ids (B, T) -> logits of the next token (B, V).

    pad: (B,), how many columns at the left of each row are padding.
    """
    if pad is None:
        return model(ids, cache, last_only=True)[:, -1]
    past = 0 if cache is None else len(cache)
    if not past and ((pad < 0) | (pad >= ids.shape[1])).any():
        raise ValueError(
            f"of {ids.shape[1]} columns 0 to {ids.shape[1] - 1} can be padding, "
            f"got {pad.tolist()}"
        )
    columns = torch.arange(past, past + ids.shape[1], device=ids.device)
    positions = (columns - pad[:, None]).clamp(min=0)  # (B, T)
    rule = both(causal, padding(pad))
    logits = model(ids, cache, rule=rule, positions=positions, last_only=True)
    return logits[:, -1]


def decode_step(
    model: CausalLM, ids: Tensor, cache: KVCache, pad: Tensor | None = None
) -> Tensor:
    """Read the newest token of each row: ids (B,) -> logits of the next one (B, V)."""
    return prefill(model, ids[:, None], cache, pad)


def generate(
    model: CausalLM,
    ids: Sequence[int],
    *,
    max_new_tokens: int,
    sampling: SamplingParams = GREEDY,
    stop_ids: Sequence[int] | None = None,
    generator: torch.Generator | None = None,
    use_cache: bool = True,
) -> Iterator[int]:
    """Yield the ids that follow a prompt, each as soon as it is chosen.

    Ends before a stop id (those of the model's config if None), after max_new_tokens,
    or when the context is full. A seeded generator gives the same ids every time.
    Without the cache every step reads the whole text again: the same ids, slowly.
    """
    _check(model, [ids], max_new_tokens)
    steps = _steps(
        model, [ids], max_new_tokens, sampling, stop_ids, generator, use_cache
    )
    return (row[0] for row in steps)


def generate_batch(
    model: CausalLM,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    sampling: SamplingParams = GREEDY,
    stop_ids: Sequence[int] | None = None,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """What `generate` yields for each of several prompts, read in one padded batch.

    The rows draw from one generator in turn, so with a temperature above 0 a seed gives
    other texts than one prompt at a time. Prompts that cannot keep step to the
    end are read one after the other instead.
    """
    _check(model, prompts, max_new_tokens)
    if len({len(ids) for ids in prompts}) > 1 and _part(model, prompts, max_new_tokens):
        options = dict(sampling=sampling, stop_ids=stop_ids, generator=generator)
        options["max_new_tokens"] = max_new_tokens
        return [list(generate(model, ids, **options)) for ids in prompts]
    texts = [[] for _ in prompts]
    for row in _steps(model, prompts, max_new_tokens, sampling, stop_ids, generator):
        for text, token in zip(texts, row, strict=True):
            if token is not None:
                text.append(token)
    return texts


def _steps(
    model, prompts, max_new_tokens, sampling, stop_ids, generator, use_cache=True
) -> Iterator[list[int | None]]:
    """Yield one id a row and step, None for a row that has ended."""
    stop = set(model.config.stop_ids if stop_ids is None else map(index, stop_ids))
    ids, pad = _left_pad(prompts, model.lm_head.weight.device)
    B, T = ids.shape
    limit = min(T + max_new_tokens, model.config.context)
    # Room for some tokens, and more when they come: most texts end before their limit.
    room = min(limit, T + ROOM)
    cache = model.new_cache(B, room, grow=True) if use_cache else None
    seen = _seen(ids, pad, model.config.vocab_size, sampling)
    ended = [False] * B
    new = ids  # the columns that the model has not read yet
    for length in range(T, limit):
        if cache is None:
            new = ids
        elif model.is_stale(cache, length):
            cache.reset()
            new = ids
        token = next_token(prefill(model, new, cache, pad), sampling, seen, generator)
        row = token.tolist()
        ended = [e or t in stop for e, t in zip(ended, row, strict=True)]
        if all(ended):
            return
        yield [None if e else t for e, t in zip(ended, row, strict=True)]
        new = token[:, None]  # (B, 1)
        ids = torch.cat((ids, new), 1)
        if seen is not None:
            seen.scatter_(1, new, True)


def _part(model: CausalLM, prompts, max_new_tokens: int) -> bool:
    """Whether rows of several lengths cannot take every step together: the longest
    would fill the context first, or RoPE's frequencies depend on the length.
    """
    scaling = model.config.rope_scaling
    longest = max(len(ids) for ids in prompts) + max_new_tokens
    return longest > model.config.context or bool(scaling and scaling.depends_on_length)


def _left_pad(prompts, device) -> tuple[Tensor, Tensor | None]:
    """Prompts of any lengths -> ids (B, T), and pad (B,) where lengths differ."""
    longest = max(len(ids) for ids in prompts)
    pad = [longest - len(ids) for ids in prompts]
    rows = [[0] * n + list(ids) for n, ids in zip(pad, prompts, strict=True)]
    ids = torch.tensor(rows, device=device)
    return ids, torch.tensor(pad, device=device) if any(pad) else None


def _seen(ids, pad, vocab_size, sampling) -> Tensor | None:
    """Which tokens stand in each prompt, (B, V) bool, if a penalty needs to know."""
    if sampling.repetition_penalty == 1:
        return None
    seen = torch.zeros(len(ids), vocab_size, dtype=torch.bool, device=ids.device)
    for b, row in enumerate(ids):
        seen[b, row[0 if pad is None else pad[b] :]] = True
    return seen


def _check(model: CausalLM, prompts, max_new_tokens: int) -> None:
    """Refuse what cannot be generated from at the call, not at the first token."""
    if not isinstance(max_new_tokens, int) or max_new_tokens < 0:
        raise ValueError(
            f"max_new_tokens is a whole number from 0 on, got {max_new_tokens}"
        )
    for ids in prompts:
        if isinstance(ids, Tensor) and ids.dim() != 1:
            raise ValueError(f"a prompt is a row of ids (T,), got {tuple(ids.shape)}")
    if not len(prompts):
        raise ValueError("there is no prompt: got 0 of them")
    if not all(len(ids) for ids in prompts):
        raise ValueError("a prompt needs at least 1 token, got 0")
    context, vocab_size = model.config.context, model.config.vocab_size
    longest = max(len(ids) for ids in prompts)
    if longest + (max_new_tokens > 0) > context:
        raise ValueError(
            f"the prompt of {longest} tokens leaves no room in the context of {context}"
        )
    for token in (token for ids in prompts for token in ids):
        try:
            index(token)
        except TypeError:
            raise ValueError(
                f"a prompt is a row of ids, got {token!r} in it: encode text first"
            ) from None
        if not 0 <= token < vocab_size:
            raise ValueError(f"id {token} is outside the vocabulary of {vocab_size}")
