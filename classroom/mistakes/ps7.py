"""Assignment 7, KV cache."""

from . import Mistake

CACHE = """
class Cache:
    def __init__(self, room, G, K):
        self.memory = torch.zeros(room, 2, G, K)
        self.length = 0

    def __len__(self):
        return self.length

    def append(self, k, v):
        start, end = self.length, self.length + len(k)
        if end > len(self.memory):
            raise ValueError("full")
        self.memory[start:end, 0] = k
        self.memory[start:end, 1] = v
        self.length = end
        return self.memory[:end, 0], self.memory[:end, 1]

    def forget(self, n):
        self.length = self.length - n
"""

MASK = """
def may_see(pad, past, T, window):
    query = torch.arange(past, past + T)[:, None]
    key = torch.arange(past + T)
    seen = (key <= query) & (key > query - window)
    return seen & (key >= pad[:, None, None])
"""


def but(code: str, old: str, new: str) -> str:
    """The code with one change."""
    assert code.count(old) == 1, old
    return code.replace(old, new)


MISTAKES = {
    "t1": {
        "the new tokens alone": Mistake(
            but(
                CACHE,
                "self.memory[:end, 0], self.memory[:end, 1]",
                "self.memory[start:end, 0], self.memory[start:end, 1]",
            ),
            "t1-append t1-full t1-forget",
            "returns the new tokens alone",
        ),
        "always at the beginning": Mistake(
            but(CACHE, "start, end = self.length, ", "start, end = 0, ").replace(
                "[start:end,", "[: len(k),"
            ),
            "t1-append t1-memory t1-full t1-forget",
            "writes over the first tokens",
        ),
        "the whole memory": Mistake(
            but(
                CACHE,
                "self.memory[:end, 0], self.memory[:end, 1]",
                "self.memory[:, 0], self.memory[:, 1]",
            ),
            "t1-append t1-forget",
            "returns the whole memory",
        ),
        "no room left, and no word": Mistake(
            but(CACHE, "if end > len", "if start < len(self.memory) < end > len"),
            "t1-full",
            "lost without a word",
        ),
        "another error": Mistake(
            but(CACHE, 'raise ValueError("full")', 'raise KeyError("full")'),
            "t1-full",
            "raise a ValueError",
        ),
        "counted before it is refused": Mistake(
            but(
                CACHE,
                "        if end > len(self.memory)",
                "        self.length = end\n        if end > len(self.memory)",
            ),
            "t1-full",
            "check before anything is changed",
        ),
        "n are kept": Mistake(
            but(CACHE, "self.length = self.length - n", "self.length = n"),
            "t1-forget",
            "has kept 1 token",
        ),
        "calls counted": Mistake(
            but(CACHE, "        self.length = end", "        self.length += 1"),
            "t1-append t1-full t1-forget",
            "the length counts calls",
        ),
        "grown with cat": Mistake(
            """
class Cache:
    def __init__(self, room, G, K):
        self.memory = torch.zeros(0, 2, G, K)

    def __len__(self):
        return len(self.memory)

    def append(self, k, v):
        self.memory = torch.cat([self.memory, torch.stack([k, v], 1)])
        return self.memory[:, 0], self.memory[:, 1]

    def forget(self, n):
        self.memory = self.memory[: len(self.memory) - n]
""",
            "t1-memory t1-full",
            "memory is (6, 2, 4, 3), not (0, 2, 4, 3)",
        ),
    },
    "t2": {
        "the new token left out": Mistake(
            """
def decode(keys, values, q, k, v):
    q = q.view(len(k), -1, q.shape[1])
    scores = q @ keys.transpose(1, 2) / math.sqrt(q.shape[2])
    return (scores.softmax(-1) @ values).flatten(0, 1)
""",
            "t2-own t2-groups t2-scale t2-past",
            "put its key and value behind",
        ),
        "K/V heads tiled": Mistake(
            """
def decode(keys, values, q, k, v):
    n = len(q) // len(k)
    keys = torch.cat([keys, k[:, None]], 1).repeat(n, 1, 1)
    values = torch.cat([values, v[:, None]], 1).repeat(n, 1, 1)
    scores = (keys @ q[:, :, None])[..., 0] / math.sqrt(q.shape[1])
    return (scores.softmax(-1)[:, None] @ values)[:, 0]
""",
            "t2-groups t2-past",
            "right shape, wrong sharing",
        ),
        "values shared right, keys tiled": Mistake(
            """
def decode(keys, values, q, k, v):
    n = len(q) // len(k)
    keys = torch.cat([keys, k[:, None]], 1).repeat(n, 1, 1)
    values = torch.cat([values, v[:, None]], 1).repeat_interleave(n, 0)
    scores = (keys @ q[:, :, None])[..., 0] / math.sqrt(q.shape[1])
    return (scores.softmax(-1)[:, None] @ values)[:, 0]
""",
            "t2-groups t2-past",
            "the keys are not",
        ),
        "not divided": Mistake(
            """
def decode(keys, values, q, k, v):
    keys = torch.cat([keys, k[:, None]], 1)
    values = torch.cat([values, v[:, None]], 1)
    q = q.view(len(k), -1, q.shape[1])
    return ((q @ keys.transpose(1, 2)).softmax(-1) @ values).flatten(0, 1)
""",
            "t2-scale t2-past",
            "not divided by the square root of K",
        ),
        "divided by the square root of S": Mistake(
            """
def decode(keys, values, q, k, v):
    keys = torch.cat([keys, k[:, None]], 1)
    values = torch.cat([values, v[:, None]], 1)
    q = q.view(len(k), -1, q.shape[1])
    scores = q @ keys.transpose(1, 2) / math.sqrt(keys.shape[1])
    return (scores.softmax(-1) @ values).flatten(0, 1)
""",
            "t2-scale t2-past",
            "the square root of the number of keys",
        ),
        "torch's flag": Mistake(
            """
def decode(keys, values, q, k, v):
    keys = torch.cat([keys, k[:, None]], 1)
    values = torch.cat([values, v[:, None]], 1)
    return torch.nn.functional.scaled_dot_product_attention(
        q[None, :, None], keys[None], values[None], is_causal=True, enable_gqa=True
    )[0, :, 0]
""",
            "t2-own t2-groups t2-scale t2-past",
            "torch's flag is_causal",
        ),
        "key in front, value behind": Mistake(
            """
def decode(keys, values, q, k, v):
    keys = torch.cat([k[:, None], keys], 1)
    values = torch.cat([values, v[:, None]], 1)
    q = q.view(len(k), -1, q.shape[1])
    scores = q @ keys.transpose(1, 2) / math.sqrt(q.shape[2])
    return (scores.softmax(-1) @ values).flatten(0, 1)
""",
            "t2-groups t2-scale t2-past",
            "the value of another token comes out",
        ),
    },
    "t3": {
        "True hides": Mistake(
            MASK.replace("return seen & (", "return ~(seen & (").rstrip() + ")\n",
            "t3-causal t3-window t3-padding",
            "it says what is hidden",
        ),
        "at the top left": Mistake(
            but(MASK, "torch.arange(past, past + T)", "torch.arange(T)"),
            "t3-causal t3-window t3-padding",
            "at the top left",
        ),
        "one too wide": Mistake(
            but(MASK, "key > query - window", "key >= query - window"),
            "t3-window t3-padding",
            "one too wide",
        ),
        "no window": Mistake(
            but(MASK, "(key <= query) & (key > query - window)", "key <= query"),
            "t3-window t3-padding",
            "the window is not used",
        ),
        "one window for all": Mistake(
            but(MASK, "key > query - window", "key >= past + T - window"),
            "t3-window t3-padding",
            "each query has its own",
        ),
        "padding seen": Mistake(
            but(
                MASK,
                "seen & (key >= pad[:, None, None])",
                "seen.expand(len(pad), -1, -1)",
            ),
            "t3-padding",
            "padding is seen",
        ),
        "padding at the right": Mistake(
            but(
                MASK,
                "(key >= pad[:, None, None])",
                "(key < past + T - pad[:, None, None])",
            ),
            "t3-padding",
            "it stands at the left",
        ),
        "the padding of the longest": Mistake(
            but(
                MASK,
                "pad[:, None, None])",
                "pad.max()).expand(len(pad), T, past + T)",
            ),
            "t3-padding",
            "each row has its own",
        ),
    },
    "t4": {
        "as it was handed out": Mistake(
            "write = broken",
            "t4-written t4-work",
            "the text of broken",
        ),
        "only the positions mended": Mistake(
            """
def write(prompt, n):
    cache, ids = new_cache(), list(prompt)
    read(ids, 0, cache)
    for _ in range(n):
        logits = read(ids[-1:], len(ids) - 1, cache)
        ids.append(logits[-1].argmax().item())
    return ids, cache
""",
            "t4-written t4-work",
            "the last token of the prompt is read twice",
        ),
        "only the reading mended": Mistake(
            """
def write(prompt, n):
    cache, ids = new_cache(), list(prompt)
    logits = read(ids, 0, cache)
    for i in range(n):
        ids.append(logits[-1].argmax().item())
        if i < n - 1:
            logits = read(ids[-1:], i, cache)
    return ids, cache
""",
            "t4-written t4-work",
            "positions count the steps",
        ),
        "always from 0": Mistake(
            """
def write(prompt, n):
    cache, ids = new_cache(), list(prompt)
    new = ids
    for _ in range(n):
        ids = [*ids, read(new, 0, cache)[-1].argmax().item()]
        new = ids[-1:]
    return ids, cache
""",
            "t4-written t4-work",
            "each call counts positions from 0",
        ),
        "everything again, without a cache": Mistake(
            """
def write(prompt, n):
    ids = list(prompt)
    for _ in range(n):
        ids.append(read(ids, 0, new_cache())[-1].argmax().item())
    return ids, new_cache()
""",
            "t4-work",
            "the cache is empty",
        ),
        "everything again, behind itself": Mistake(
            """
def write(prompt, n):
    cache, ids = new_cache(), list(prompt)
    for _ in range(n):
        ids.append(read(ids, 0, cache)[-1].argmax().item())
    return ids, cache
""",
            "t4-work",
            "the whole text is read again",
        ),
        "the last one read as well": Mistake(
            """
def write(prompt, n):
    cache, ids = new_cache(), list(prompt)
    logits = read(ids, 0, cache)
    for _ in range(n):
        ids.append(logits[-1].argmax().item())
        logits = read(ids[-1:], len(ids) - 1, cache)
    return ids, cache
""",
            "t4-work",
            "one token too many",
        ),
        "the new tokens alone": Mistake(
            """
def write(prompt, n):
    cache, ids, new = new_cache(), [], list(prompt)
    for _ in range(n):
        logits = read(new, len(cache["keys"]), cache)
        new = [logits[-1].argmax().item()]
        ids += new
    return ids, cache
""",
            "t4-written t4-work",
            "begins with the prompt",
        ),
    },
    "t5": {
        "a key alone, and the instruction ten times": Mistake(
            "token_bytes, tokens_read = 40_960, 12_490",
            "t5-bytes t5-read",
            "a token leaves a key and a value",
        ),
        "query heads, and the last token": Mistake(
            "token_bytes, tokens_read = 655_360, 3_500",
            "t5-bytes t5-read",
            "G heads, not H",
        ),
        "one layer, and one last token": Mistake(
            "token_bytes, tokens_read = 2_048, 3_499",
            "t5-bytes t5-read",
            "that is one layer",
        ),
        "four bytes": Mistake(
            "token_bytes, tokens_read = 163_840, 3_490",
            "t5-bytes",
            "not four",
        ),
        "the instruction ten times": Mistake(
            "token_bytes, tokens_read = 81_920, 12_490",
            "t5-read",
            "read once, not once for each question",
        ),
        "the last token": Mistake(
            "token_bytes, tokens_read = 81_920, 3_500",
            "t5-read",
            "written and not read",
        ),
    },
}

# Other ways to be right. The last of each is off by float noise.
RIGHT = {
    "t1": [
        """
class Cache:
    def __init__(self, room, G, K):
        self.memory, self.free = torch.zeros(room, 2, G, K), room

    def __len__(self):
        return len(self.memory) - self.free

    def append(self, k, v):
        if len(k) > self.free:
            raise ValueError(f"{len(k)} tokens, {self.free} places")
        for key, value in zip(k, v):
            self.memory[len(self)] = torch.stack([key, value])
            self.free -= 1
        return self.memory[: len(self)].unbind(1)

    def forget(self, n):
        self.free += n
""",
        """
class Cache:
    def __init__(self, room, G, K):
        self.memory = torch.full((room, 2, G, K), math.nan, dtype=torch.float64)
        self.places = []

    def __len__(self):
        return len(self.places)

    def append(self, k, v):
        new = list(range(len(self), len(self) + len(k)))
        if new and new[-1] >= len(self.memory):
            raise ValueError("full")
        self.memory[new, 0], self.memory[new, 1] = k.double(), v.double()
        self.places += new
        held = self.memory[: len(self)]
        return [held[:, 0] + 1e-9, held[:, 1] + 1e-9]

    def forget(self, n):
        self.places = self.places[: len(self.places) - n]
""",
    ],
    "t2": [
        """
def decode(keys, values, q, k, v):
    H, K = q.shape
    rows = []
    for h in range(H):
        g = h * len(k) // H
        fits = torch.cat([keys[g] @ q[h], (k[g] @ q[h])[None]]) / K**0.5
        weights = torch.softmax(fits, 0)
        rows.append(weights[:-1] @ values[g] + weights[-1] * v[g])
    return torch.stack(rows)
""",
        """
def decode(keys, values, q, k, v):
    n = len(q) // len(k)
    keys = torch.cat([k[:, None], keys], 1).repeat_interleave(n, 0)
    values = torch.cat([v[:, None], values], 1).repeat_interleave(n, 0)
    scores = torch.einsum("hk,hsk->hs", q, keys) / math.sqrt(q.shape[1])
    return torch.einsum("hs,hsk->hk", scores.softmax(-1), values)
""",
        """
def decode(keys, values, q, k, v):
    q = q.double().view(len(k), -1, q.shape[1]) / q.shape[1] ** 0.5
    own = torch.einsum("gnk,gk->gn", q, k.double())[..., None]
    past = torch.einsum("gnk,gsk->gns", q, keys.double())
    total = torch.cat([own, past], -1).logsumexp(-1, keepdim=True)
    out = (past - total).exp() @ values.double()
    return (out + (own - total).exp() * v.double()[:, None]).flatten(0, 1)
""",
    ],
    "t3": [
        """
def may_see(pad, past, T, window):
    S = past + T
    mask = torch.zeros(len(pad), T, S, dtype=torch.bool)
    for b in range(len(pad)):
        for t in range(T):
            first = max(past + t - window + 1, int(pad[b]))
            mask[b, t, first : past + t + 1] = True
    return mask
""",
        """
def may_see(pad, past, T, window):
    S = past + T
    band = torch.ones(T, S).tril(past) * torch.ones(T, S).triu(past - window + 1)
    real = (torch.arange(S)[None] >= pad[:, None]).float()
    return torch.einsum("ts,bs->bts", band, real) > 0.5
""",
    ],
    "t4": [
        """
def write(prompt, n):
    cache, ids = new_cache(), list(prompt)
    logits = read(ids, 0, cache)
    for i in range(n):
        ids.append(logits[-1].argmax().item())
        if i < n - 1:
            logits = read(ids[-1:], len(ids) - 1, cache)
    return ids, cache
""",
        """
def write(prompt, n):
    cache, ids = new_cache(), list(prompt)
    for place, token in enumerate(prompt[:-1]):
        read([token], place, cache)
    for _ in range(n):
        place = len(ids) - 1
        ids.append(int(torch.argmax(read([ids[place]], place, cache)[0].double())))
    return tuple([ids, cache])
""",
    ],
    "t5": [
        "token_bytes, tokens_read = 81_920, 3_490",
        "token_bytes, tokens_read = 4 * 40 * 4 * 128, 1_000 + 2_490",
    ],
}
