"""Assignment 4, grouped-query attention."""

from . import Mistake

# Right halves of task 1, for mistakes in the other half.
COPIED = """
def copied(kv, n_heads):
    return kv.repeat_interleave(n_heads // kv.shape[-2], dim=-2)
"""
PAIRED = """
def paired(q, keys):
    return q.unflatten(0, (keys.shape[1], -1)), keys.permute(1, 2, 0)
"""

MISTAKES = {
    "t1": {
        "tiled": Mistake(
            """
def copied(kv, n_heads):
    return torch.cat([kv] * (n_heads // kv.shape[-2]), -2)
"""
            + PAIRED,
            "t1-order",
            "K/V heads were tiled, not interleaved",
        ),
        "tiled by an edge in the wrong place": Mistake(
            """
def copied(kv, n_heads):
    n = n_heads // kv.shape[-2]
    return torch.stack([kv] * n, -3).flatten(-3, -2)
"""
            + PAIRED,
            "t1-order",
            "K/V heads were tiled, not interleaved",
        ),
        "H copies of each": Mistake(
            """
def copied(kv, n_heads):
    return kv.repeat_interleave(n_heads, dim=-2)
"""
            + PAIRED,
            "t1-shape t1-order",
            "copied n_heads times",
        ),
        "copies of tokens": Mistake(
            """
def copied(kv, n_heads):
    return kv.repeat_interleave(n_heads // kv.shape[-2], dim=-3)
"""
            + PAIRED,
            "t1-shape t1-order",
            "the tokens were copied",
        ),
        "copies of numbers": Mistake(
            """
def copied(kv, n_heads):
    return kv.repeat_interleave(n_heads // kv.shape[-2], dim=-1)
"""
            + PAIRED,
            "t1-shape t1-order",
            "the numbers in a head were copied",
        ),
        "numbers copied, and then viewed": Mistake(
            """
def copied(kv, n_heads):
    n = n_heads // kv.shape[-2]
    tall = kv.repeat_interleave(n, dim=-1)
    return tall.view(*kv.shape[:-2], n_heads, kv.shape[-1])
"""
            + PAIRED,
            "t1-order",
            "each number was copied, and not each head",
        ),
        "the edge counted from the front": Mistake(
            """
def copied(kv, n_heads):
    return kv.repeat_interleave(n_heads // kv.shape[-2], dim=1)
"""
            + PAIRED,
            "t1-shape",
            "with a batch in front the tokens were copied",
        ),
        "pairs made of copies": Mistake(
            COPIED
            + """
def paired(q, keys):
    keys = keys.repeat_interleave(len(q) // keys.shape[1], dim=1)
    return q[:, None], keys.permute(1, 2, 0)
""",
            "t1-small",
            "the keys were copied",
        ),
        "groups of heads that are not neighbours": Mistake(
            COPIED
            + """
def paired(q, keys):
    G = keys.shape[1]
    return q.view(-1, G, 1, q.shape[1]), keys.permute(1, 2, 0)
""",
            "t1-scores",
            "query head h met K/V head h % G",
        ),
        "groups of heads that are not neighbours, turned": Mistake(
            COPIED
            + """
def paired(q, keys):
    G = keys.shape[1]
    return q.unflatten(0, (-1, G)).transpose(0, 1), keys.permute(1, 2, 0)
""",
            "t1-scores",
            "query heads 0, G, 2*G are in one group",
        ),
        "keys viewed and not turned": Mistake(
            COPIED
            + """
def paired(q, keys):
    S, G, K = keys.shape
    return q.view(G, -1, K), keys.reshape(G, K, S)
""",
            "t1-scores",
            "must be turned, not viewed",
        ),
        "scores divided": Mistake(
            COPIED
            + """
def paired(q, keys):
    q = q / math.sqrt(q.shape[1])
    return q.unflatten(0, (keys.shape[1], -1)), keys.permute(1, 2, 0)
""",
            "t1-scores",
            "leave that to the caller",
        ),
        "keys not turned": Mistake(
            COPIED
            + """
def paired(q, keys):
    S, G, K = keys.shape
    return q.view(G, -1, K), keys.transpose(0, 1)
""",
            "t1-small t1-scores",
            "cannot be multiplied",
        ),
    },
    "t2": {
        "every second head": Mistake(
            """
def pool(w, before, after):
    return w.unflatten(-1, (before // after, after, -1)).mean(-3).flatten(-2)
""",
            "t2-mean",
            "every second head was pooled",
        ),
        "the sum": Mistake(
            """
def pool(w, before, after):
    return w.unflatten(-1, (after, before // after, -1)).sum(-2).flatten(-2)
""",
            "t2-mean",
            "it should be their mean",
        ),
        "the first head": Mistake(
            """
def pool(w, before, after):
    heads = w.unflatten(-1, (after, before // after, -1))
    return heads[..., 0, :].flatten(-2)
""",
            "t2-mean",
            "the first head of each group was kept",
        ),
        "neighbouring numbers": Mistake(
            """
def pool(w, before, after):
    return w.unflatten(-1, (-1, before // after)).mean(-1)
""",
            "t2-mean",
            "neighbouring numbers of a head were pooled",
        ),
        "copied back": Mistake(
            """
def pool(w, before, after):
    n = before // after
    heads = w.unflatten(-1, (after, n, -1)).mean(-2)
    return heads.repeat_interleave(n, -2).flatten(-2)
""",
            "t2-shape t2-mean",
            "as wide as before",
        ),
        "heads not laid side by side": Mistake(
            """
def pool(w, before, after):
    return w.unflatten(-1, (after, before // after, -1)).mean(-2)
""",
            "t2-shape t2-mean",
            "lay the heads side by side again",
        ),
        "the size of a group": Mistake(
            """
def pool(w, before, n):
    return w.unflatten(-1, (before // n, n, -1)).mean(-2).flatten(-2)
""",
            "t2-shape t2-mean",
            "how many heads are left",
        ),
        "no bias": Mistake(
            """
def pool(w, before, after):
    D, width = w.shape
    return w.view(D, after, before // after, -1).mean(2).flatten(1)
""",
            "t2-shape",
            "pool stops with an error for a bias",
        ),
    },
    "t3": {
        "all queries first": Mistake(
            """
def cut_fused(w, n_heads, n_kv_heads):
    K = len(w) // (n_heads + 2 * n_kv_heads)
    return w.split([n_heads * K, n_kv_heads * K, n_kv_heads * K])
""",
            "t3-queries t3-keys",
            "cut as if all queries came first",
        ),
        "three equal parts": Mistake(
            """
def cut_fused(w, n_heads, n_kv_heads):
    third = len(w) // 3
    return w[:third], w[third : 2 * third], w[2 * third : 3 * third]
""",
            "t3-shape t3-queries t3-keys",
            "a head has len(w) / (H + 2*G) rows",
        ),
        "keys and values exchanged": Mistake(
            """
def cut_fused(w, n_heads, n_kv_heads):
    n = n_heads // n_kv_heads
    heads = w.unflatten(0, (n_kv_heads, n + 2, -1))
    q, v, k = heads[:, :n], heads[:, n], heads[:, n + 1]
    return q.flatten(0, 2), k.flatten(0, 1), v.flatten(0, 1)
""",
            "t3-keys",
            "keys and values are exchanged",
        ),
        "heads taken in turn": Mistake(
            """
def cut_fused(w, n_heads, n_kv_heads):
    n = n_heads // n_kv_heads
    heads = w.unflatten(0, (n_kv_heads, n + 2, -1)).transpose(0, 1)
    return heads[:n].flatten(0, 2), heads[n].flatten(0, 1), heads[n + 1].flatten(0, 1)
""",
            "t3-queries",
            "taken in turn from the groups",
        ),
        "keys and values together": Mistake(
            """
def cut_fused(w, n_heads, n_kv_heads):
    n = n_heads // n_kv_heads
    heads = w.unflatten(0, (n_kv_heads, n + 2, -1))
    both = heads[:, n:].flatten(0, 2)
    return heads[:, :n].flatten(0, 2), both, both
""",
            "t3-shape t3-keys",
            "cut them apart",
        ),
        "cut in the middle of keys and values": Mistake(
            """
def cut_fused(w, n_heads, n_kv_heads):
    n = n_heads // n_kv_heads
    heads = w.unflatten(0, (n_kv_heads, n + 2, -1))
    k, v = heads[:, n:].flatten(0, 2).chunk(2)
    return heads[:, :n].flatten(0, 2), k, v
""",
            "t3-keys",
            "the key and the value head of group 0",
        ),
        "groups in the wrong edge": Mistake(
            """
def cut_fused(w, n_heads, n_kv_heads):
    n = n_heads // n_kv_heads
    heads = w.unflatten(0, (n + 2, n_kv_heads, -1))
    return heads[:n].flatten(0, 2), heads[n].flatten(0, 1), heads[n + 1].flatten(0, 1)
""",
            "t3-queries t3-keys",
            "cut as if all queries came first",
        ),
        "no bias": Mistake(
            """
def cut_fused(w, n_heads, n_kv_heads):
    n, D = n_heads // n_kv_heads, w.shape[1]
    heads = w.view(n_kv_heads, n + 2, -1, D)
    parts = heads[:, :n], heads[:, n], heads[:, n + 1]
    return [part.reshape(-1, D) for part in parts]
""",
            "t3-shape",
            "cut_fused stops with an error for a bias",
        ),
    },
    "t4": {
        "as it was handed out": Mistake(
            "attend = broken",
            "t4-sharing t4-mask",
            "K/V heads were tiled, not interleaved",
        ),
        "only the sharing mended": Mistake(
            """
def attend(q, keys, values):
    (T, H, K), (S, G, K) = q.shape, keys.shape
    n = H // G
    tall = q.view(T, G, n, K).permute(1, 2, 0, 3).reshape(G, n * T, K)
    table = tall @ keys.permute(1, 2, 0) / math.sqrt(K)
    seen = torch.ones(T, S).tril(S - T).bool().repeat_interleave(n, 0)
    weights = torch.softmax(table.masked_fill(~seen, float("-inf")), -1)
    answers = (weights @ values.transpose(0, 1)).view(G, n, T, K)
    return answers.permute(2, 0, 1, 3).reshape(T, H, K)
""",
            "t4-mask",
            "the rows of a group go head by head",
        ),
        "only the mask mended": Mistake(
            """
def attend(q, keys, values):
    (T, H, K), (S, G, K) = q.shape, keys.shape
    n = H // G
    tall = q.view(T, n, G, K).permute(2, 1, 0, 3).reshape(G, n * T, K)
    table = tall @ keys.permute(1, 2, 0) / math.sqrt(K)
    seen = torch.ones(T, S).tril(S - T).bool().repeat(n, 1)
    weights = torch.softmax(table.masked_fill(~seen, float("-inf")), -1)
    answers = (weights @ values.transpose(0, 1)).view(G, n, T, K)
    return answers.permute(2, 1, 0, 3).reshape(T, H, K)
""",
            "t4-sharing",
            "K/V heads were tiled, not interleaved",
        ),
        "only the values shared rightly": Mistake(
            """
def attend(q, keys, values):
    (T, H, K), (S, G, K) = q.shape, keys.shape
    keys = keys.repeat(1, H // G, 1).permute(1, 2, 0)
    values = values.repeat_interleave(H // G, 1).transpose(0, 1)
    table = q.transpose(0, 1) @ keys / math.sqrt(K)
    seen = torch.ones(T, S).tril(S - T).bool()
    weights = torch.softmax(table.masked_fill(~seen, float("-inf")), -1)
    return (weights @ values).transpose(0, 1)
""",
            "t4-sharing",
            "right values, wrong keys",
        ),
        "no mask": Mistake(
            """
def attend(q, keys, values):
    (T, H, K), (S, G, K) = q.shape, keys.shape
    q = q.view(T, G, H // G, K)
    table = torch.einsum("tgnk,sgk->gnts", q, keys) / math.sqrt(K)
    return torch.einsum("gnts,sgk->tgnk", table.softmax(-1), values).flatten(1, 2)
""",
            "t4-mask",
            "the causal mask is gone",
        ),
        "the mask aligned with the first key": Mistake(
            """
def attend(q, keys, values):
    (T, H, K), (S, G, K) = q.shape, keys.shape
    keys = keys.repeat_interleave(H // G, 1).permute(1, 2, 0)
    values = values.repeat_interleave(H // G, 1).transpose(0, 1)
    table = q.transpose(0, 1) @ keys / math.sqrt(K)
    seen = torch.ones(T, S).tril().bool() if T > 1 else torch.ones(T, S).bool()
    weights = torch.softmax(table.masked_fill(~seen, float("-inf")), -1)
    return (weights @ values).transpose(0, 1)
""",
            "t4-mask",
            "aligned with the first key instead of the last",
        ),
        "heads joined in the wrong order": Mistake(
            """
def attend(q, keys, values):
    (T, H, K), (S, G, K) = q.shape, keys.shape
    q = q.view(T, G, H // G, K)
    table = torch.einsum("tgnk,sgk->gnts", q, keys) / math.sqrt(K)
    seen = torch.ones(T, S).tril(S - T).bool()
    weights = table.masked_fill(~seen, float("-inf")).softmax(-1)
    return torch.einsum("gnts,sgk->tngk", weights, values).flatten(1, 2)
""",
            "t4-sharing",
            "K/V heads were tiled, not interleaved",
        ),
    },
    "t5": {
        "all query heads": Mistake(
            "bytes_per_token, bytes_read = 655_360, 16_000 * 655_360",
            "t5-kept",
            "of all 32 query heads",
        ),
        "hidden_size divided by the heads": Mistake(
            "bytes_per_token, bytes_read = 204_800, 16 * 204_800",
            "t5-kept t5-read",
            "the config says head_dim",
        ),
        "keys only, one text": Mistake(
            "bytes_per_token, bytes_read = 81_920, 163_840_000",
            "t5-kept t5-read",
            "a factor of two is missing",
        ),
        "four bytes, what a step adds": Mistake(
            "bytes_per_token, bytes_read = 327_680, 2_621_440",
            "t5-kept t5-read",
            "bfloat16 has two bytes",
        ),
        "one layer": Mistake(
            "bytes_per_token, bytes_read = 4_096, 2_621_440_000",
            "t5-kept",
            "that is one layer",
        ),
        "zeros": Mistake(
            "bytes_per_token, bytes_read = 0, 0",
            "t5-kept t5-read",
            "2 (key, value) * layers",
        ),
        "each query head reads": Mistake(
            "bytes_per_token, bytes_read = 163_840, 4 * 2_621_440_000",
            "t5-read",
            "count 8 K/V heads, not 32",
        ),
        "what a step adds": Mistake(
            "bytes_per_token, bytes_read = 163_840, 2_621_440",
            "t5-read",
            "it reads all that is kept",
        ),
    },
}

# Other ways to be right. The last of each is off by float noise.
RIGHT = {
    "t1": [
        """
def copied(kv, n_heads):
    n = n_heads // kv.shape[-2]
    return torch.stack([kv[..., h // n, :] for h in range(n_heads)], -2)


def paired(q, keys):
    S, G, K = keys.shape
    return q.view(G, len(q) // G, 1, K), keys.transpose(0, 1).mT[:, None]
""",
        """
def copied(kv, n_heads):
    *front, G, K = kv.shape
    return kv[..., None, :].expand(*front, G, n_heads // G, K).flatten(-3, -2)


def paired(q, keys):
    G = keys.shape[1]
    return torch.stack(q.chunk(G)), torch.stack([k.T for k in keys.unbind(1)])
""",
        """
def copied(kv, n_heads):
    G = kv.shape[-2]
    pick = torch.zeros(n_heads, G, dtype=kv.dtype)
    for h in range(n_heads):
        pick[h, h // (n_heads // G)] = 1
    return pick @ kv + 1e-8


def paired(q, keys):
    a, b = q.double().unflatten(0, (keys.shape[1], -1)), keys.double()
    return a + 1e-9, b.permute(1, 2, 0)
""",
    ],
    "t2": [
        """
def pool(w, before, after):
    heads, n = w.chunk(before, -1), before // after
    return torch.cat([sum(heads[i : i + n]) / n for i in range(0, before, n)], -1)
""",
        """
def pool(w, before, after):
    K = w.shape[-1] // before
    mix = torch.zeros(before, K, after, K, dtype=torch.float64)
    for h in range(before):
        for k in range(K):
            mix[h, k, h * after // before, k] = after / before
    return (w.double() @ mix.view(before * K, after * K)).float()
""",
    ],
    "t3": [
        """
def cut_fused(w, n_heads, n_kv_heads):
    n, K = n_heads // n_kv_heads, len(w) // (n_heads + 2 * n_kv_heads)
    parts = [], [], []
    for group in w.chunk(n_kv_heads):
        for part, piece in zip(parts, group.split([n * K, K, K])):
            part.append(piece)
    return [torch.cat(part) for part in parts]
""",
        """
def cut_fused(w, n_heads, n_kv_heads):
    n = n_heads // n_kv_heads
    places = torch.arange(len(w)).view(n_kv_heads, n + 2, -1)
    cuts = places[:, :n], places[:, n], places[:, n + 1]
    return tuple(w.double()[cut.flatten()] + 1e-9 for cut in cuts)
""",
    ],
    "t4": [
        """
def attend(q, keys, values):
    T, H, K = q.shape
    S, G, K = keys.shape
    rows = []
    for t in range(T):
        see = S - T + t + 1
        for h in range(H):
            g = h // (H // G)
            weights = torch.softmax(keys[:see, g] @ q[t, h] / math.sqrt(K), 0)
            rows.append(weights @ values[:see, g])
    return torch.stack(rows).view(T, H, K)
""",
        """
def attend(q, keys, values):
    (T, H, K), (S, G, K) = q.shape, keys.shape
    keys = keys.repeat_interleave(H // G, 1).permute(1, 2, 0)
    values = values.repeat_interleave(H // G, 1).transpose(0, 1)
    table = q.transpose(0, 1) @ keys / math.sqrt(K)
    hidden = torch.ones(T, S).triu(S - T + 1).bool()
    return (table.masked_fill(hidden, -math.inf).softmax(-1) @ values).transpose(0, 1)
""",
        """
def attend(q, keys, values):
    (T, H, K), (S, G, K) = q.shape, keys.shape
    q, keys, values = q.double().view(T, G, H // G, K), keys.double(), values.double()
    table = torch.einsum("tgnk,sgk->gnts", q, keys) * K**-0.5
    weights = table.exp().tril(S - T)
    weights = weights / weights.sum(-1, keepdim=True)
    return torch.einsum("gnts,sgk->tgnk", weights, values).flatten(1, 2)
""",
    ],
    "t5": ["bytes_per_token, bytes_read = 163_840, 2_621_440_000"],
}
