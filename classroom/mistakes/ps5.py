"""Assignment 5, RoPE."""

from . import Mistake

MISTAKES = {
    "t1": {
        "no return": Mistake(
            """
def frequencies(K, base, s, trained):
    w = base ** (-torch.arange(0, K, 2) / K)
""",
            "t1-plain t1-ends t1-between",
            "does it return something?",
        ),
        "the 2 of the exponent forgotten": Mistake(
            """
def frequencies(K, base, s, trained):
    w = base ** (-torch.arange(K // 2) / K)
    t = ((2 * math.pi / w - trained / 4) / (0.75 * trained)).clamp(0, 1)
    return w / s**t
""",
            "t1-plain t1-ends t1-between",
            "the 2 of 2i/K is missing",
        ),
        "always base 10,000": Mistake(
            """
def frequencies(K, base, s, trained):
    w = 10000.0 ** (-torch.arange(0, K, 2) / K)
    t = ((2 * math.pi / w - trained / 4) / (0.75 * trained)).clamp(0, 1)
    return w / s**t
""",
            "t1-plain t1-between",
            "use the argument",
        ),
        "all pairs slowed down": Mistake(
            """
def frequencies(K, base, s, trained):
    return base ** (-torch.arange(0, K, 2) / K) / s
""",
            "t1-ends t1-between",
            "pair 0 is slowed down",
        ),
        "the wavelength without 2 pi": Mistake(
            """
def frequencies(K, base, s, trained):
    w = base ** (-torch.arange(0, K, 2) / K)
    t = ((1 / w - trained / 4) / (0.75 * trained)).clamp(0, 1)
    return w / s**t
""",
            "t1-ends t1-between",
            "2 pi divided by the frequency",
        ),
        "t beyond 0 and 1": Mistake(
            """
def frequencies(K, base, s, trained):
    w = base ** (-torch.arange(0, K, 2) / K)
    t = (2 * math.pi / w - trained / 4) / (0.75 * trained)
    return w / s**t
""",
            "t1-ends t1-between",
            "divided by 4 is 0.00025",
        ),
        "nothing in between": Mistake(
            """
def frequencies(K, base, s, trained):
    w = base ** (-torch.arange(0, K, 2) / K)
    return torch.where(2 * math.pi / w < trained, w, w / s)
""",
            "t1-between",
            "stays as it was",
        ),
        "mixed as in Llama 3.1": Mistake(
            """
def frequencies(K, base, s, trained):
    w = base ** (-torch.arange(0, K, 2) / K)
    t = ((2 * math.pi / w - trained / 4) / (0.75 * trained)).clamp(0, 1)
    return (1 - t) * w + t * w / s
""",
            "t1-between",
            "mixed as in Llama 3.1",
        ),
    },
    "t2": {
        "clockwise": Mistake(
            """
def turn(angles, x):
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    x1, x2 = x[..., 0::2], x[..., 1::2]
    return torch.stack([x1 * cos + x2 * sin, x2 * cos - x1 * sin], -1).flatten(-2)
""",
            "t2-one t2-pairs t2-axis t2-all",
            "clockwise",
        ),
        "the second made of the new first": Mistake(
            """
def turn(angles, x):
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    out = x.clone()
    out[..., 0::2] = out[..., 0::2] * cos - out[..., 1::2] * sin
    out[..., 1::2] = out[..., 1::2] * cos + out[..., 0::2] * sin
    return out
""",
            "t2-one t2-pairs t2-axis t2-all",
            "as it was *before*?",
        ),
        "two plus signs": Mistake(
            """
def turn(angles, x):
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    x1, x2 = x[..., 0::2], x[..., 1::2]
    return torch.stack([x1 * cos + x2 * sin, x2 * cos + x1 * sin], -1).flatten(-2)
""",
            "t2-one t2-pairs t2-all",
            "turning changes the length of a pair",
        ),
        "the half layout": Mistake(
            """
def turn(angles, x):
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    x1, x2 = x.chunk(2, -1)
    return torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], -1)
""",
            "t2-pairs t2-all",
            "the half layout",
        ),
        "one half behind the other": Mistake(
            """
def turn(angles, x):
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    x1, x2 = x[..., 0::2], x[..., 1::2]
    return torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], -1)
""",
            "t2-pairs t2-all",
            "put the turned ones back beside each other",
        ),
        "transposed, and left so": Mistake(
            """
def turn(angles, x):
    x = x.transpose(1, 2)
    x1, x2 = x[..., 0::2], x[..., 1::2]
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([x1 * cos - x2 * sin, x2 * cos + x1 * sin], -1).flatten(-2)
""",
            "t2-axis t2-all",
            "tokens and heads are exchanged",
        ),
        "the angles meet the heads": Mistake(
            """
def turn(angles, x):
    cos, sin = angles.cos(), angles.sin()
    x1, x2 = x[..., 0::2], x[..., 1::2]
    return torch.stack([x1 * cos - x2 * sin, x2 * cos + x1 * sin], -1).flatten(-2)
""",
            "t2-axis t2-all",
            "the angles have met the heads",
        ),
        "the angles meet the batch": Mistake(
            """
def turn(angles, x):
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    x1, x2 = x[..., 0::2], x[..., 1::2]
    turned = torch.stack([x1 * cos - x2 * sin, x2 * cos + x1 * sin], -1)
    return turned.flatten(-2)
""",
            "t2-axis t2-all",
            "turn gives the shape of x",
        ),
    },
    "t3": {
        "as it was": Mistake(
            """
def to_neighbours(w, K):
    return w
""",
            "t3-order t3-heads t3-bias",
            "nothing has moved",
        ),
        "the other direction": Mistake(
            """
def to_neighbours(w, K):
    return w.unflatten(-1, (-1, K // 2, 2)).transpose(-2, -1).flatten(-3)
""",
            "t3-order t3-heads t3-bias",
            "the other direction",
        ),
        "second halves first": Mistake(
            """
def to_neighbours(w, K):
    halves = w.unflatten(-1, (-1, 2, K // 2)).flip(-2)
    return halves.transpose(-2, -1).flatten(-3)
""",
            "t3-order t3-heads t3-bias",
            "the number of the first half comes first",
        ),
        "one wide head": Mistake(
            """
def to_neighbours(w, K):
    return w.unflatten(-1, (2, -1)).transpose(-2, -1).flatten(-2)
""",
            "t3-heads t3-bias",
            "a number may not leave its head",
        ),
        "K taken for the number of heads": Mistake(
            """
def to_neighbours(w, K):
    if w.shape[-1] == K:
        halves = w.unflatten(-1, (1, 2, K // 2))
    else:
        halves = w.unflatten(-1, (K, 2, -1))
    return halves.transpose(-2, -1).flatten(-3)
""",
            "t3-heads t3-bias",
            "it is the width of one",
        ),
        "rows sorted": Mistake(
            """
def to_neighbours(w, K):
    if len(w) % K:
        return w.unflatten(-1, (-1, 2, K // 2)).transpose(-2, -1).flatten(-3)
    return w.unflatten(0, (-1, 2, K // 2)).transpose(1, 2).flatten(0, 2)
""",
            "t3-heads",
            "its rows were sorted",
        ),
        "only the first head": Mistake(
            """
def to_neighbours(w, K):
    out = w.clone()
    out[..., 0:K:2], out[..., 1:K:2] = w[..., : K // 2], w[..., K // 2 : K]
    return out
""",
            "t3-heads t3-bias",
            "two heads come out as",
        ),
        "no bias": Mistake(
            """
def to_neighbours(w, K):
    D = w.shape[0]
    return w.view(D, -1, 2, K // 2).transpose(2, 3).reshape(D, w.shape[1])
""",
            "t3-bias",
            "shape '[8, -1, 2, 2]' is invalid",
        ),
    },
    "t4": {
        "as it was handed out": Mistake(
            "attend = broken",
            "t4-values t4-past",
            "which of q, k and v does RoPE turn?",
        ),
        "only the values mended": Mistake(
            """
def attend(q, k, v, keys, values):
    (T, K), P = q.shape, len(keys)
    q, k = (turn_rows(x, torch.arange(T)) for x in (q, k))
    keys, values = torch.cat([keys, k]), torch.cat([values, v])
    later = torch.ones(T, P + T).triu(P + 1).bool()
    scores = (q @ keys.T / math.sqrt(K)).masked_fill(later, -math.inf)
    return scores.softmax(-1) @ values
""",
            "t4-past",
            "the new tokens are counted from 0",
        ),
        "only the positions mended": Mistake(
            """
def attend(q, k, v, keys, values):
    (T, K), P = q.shape, len(keys)
    q, k, v = (turn_rows(x, torch.arange(P, P + T)) for x in (q, k, v))
    keys, values = torch.cat([keys, k]), torch.cat([values, v])
    later = torch.ones(T, P + T).triu(P + 1).bool()
    scores = (q @ keys.T / math.sqrt(K)).masked_fill(later, -math.inf)
    return scores.softmax(-1) @ values
""",
            "t4-values t4-past",
            "which of q, k and v does RoPE turn?",
        ),
        "the kept keys turned again": Mistake(
            """
def attend(q, k, v, keys, values):
    (T, K), P = q.shape, len(keys)
    keys, values = torch.cat([keys, k]), torch.cat([values, v])
    q = turn_rows(q, torch.arange(P, P + T))
    keys = turn_rows(keys, torch.arange(P + T))
    later = torch.ones(T, P + T).triu(P + 1).bool()
    scores = (q @ keys.T / math.sqrt(K)).masked_fill(later, -math.inf)
    return scores.softmax(-1) @ values
""",
            "t4-past",
            "turned a second time",
        ),
        "the queries at the right place alone": Mistake(
            """
def attend(q, k, v, keys, values):
    (T, K), P = q.shape, len(keys)
    q = turn_rows(q, torch.arange(P, P + T))
    k = turn_rows(k, torch.arange(T))
    keys, values = torch.cat([keys, k]), torch.cat([values, v])
    later = torch.ones(T, P + T).triu(P + 1).bool()
    scores = (q @ keys.T / math.sqrt(K)).masked_fill(later, -math.inf)
    return scores.softmax(-1) @ values
""",
            "t4-past",
            "the new keys are counted from 0",
        ),
        "the keys at the right place alone": Mistake(
            """
def attend(q, k, v, keys, values):
    (T, K), P = q.shape, len(keys)
    q = turn_rows(q, torch.arange(T))
    k = turn_rows(k, torch.arange(P, P + T))
    keys, values = torch.cat([keys, k]), torch.cat([values, v])
    later = torch.ones(T, P + T).triu(P + 1).bool()
    scores = (q @ keys.T / math.sqrt(K)).masked_fill(later, -math.inf)
    return scores.softmax(-1) @ values
""",
            "t4-past",
            "the queries are counted from 0",
        ),
        "nothing turned": Mistake(
            """
def attend(q, k, v, keys, values):
    (T, K), P = q.shape, len(keys)
    keys, values = torch.cat([keys, k]), torch.cat([values, v])
    later = torch.ones(T, P + T).triu(P + 1).bool()
    scores = (q @ keys.T / math.sqrt(K)).masked_fill(later, -math.inf)
    return scores.softmax(-1) @ values
""",
            "t4-values t4-past",
            "not turned at all",
        ),
        "the queries alone": Mistake(
            """
def attend(q, k, v, keys, values):
    (T, K), P = q.shape, len(keys)
    q = turn_rows(q, torch.arange(P, P + T))
    keys, values = torch.cat([keys, k]), torch.cat([values, v])
    later = torch.ones(T, P + T).triu(P + 1).bool()
    scores = (q @ keys.T / math.sqrt(K)).masked_fill(later, -math.inf)
    return scores.softmax(-1) @ values
""",
            "t4-values t4-past",
            "the keys are not turned",
        ),
    },
    "t5": {
        "a radian, and one layer": Mistake(
            "full_turn, turned = 10, 1_536",
            "t5-turn t5-work",
            "in 10 tokens it turns by one radian",
        ),
        "the 2 forgotten, and the values": Mistake(
            "full_turn, turned = 20, 57_344",
            "t5-turn t5-work",
            "not -i/K",
        ),
        "a float, and the keys of the cache": Mistake(
            "full_turn, turned = 62.8, 14_364_672",
            "t5-turn t5-work",
            "a whole number: round it",
        ),
        "pairs from 1, and the queries alone": Mistake(
            "full_turn, turned = 47, 28_672",
            "t5-turn t5-work",
            "pair 0 is the first",
        ),
        "values": Mistake(
            "full_turn, turned = 63, 57_344",
            "t5-work",
            "they are not turned",
        ),
        "the cache": Mistake(
            "full_turn, turned = 63, 28 * (16 + 8 * 1_000) * 64",
            "t5-work",
            "turned once and stay",
        ),
        "the whole text": Mistake(
            "full_turn, turned = 63, 43_008_000",
            "t5-work",
            "the whole text is counted",
        ),
        "one layer": Mistake(
            "full_turn, turned = 63, 1_536",
            "t5-work",
            "that is one layer",
        ),
    },
}

# Other ways to be right. The last of each is off by float noise.
RIGHT = {
    "t1": [
        """
def frequencies(K, base, s, trained):
    out = []
    for i in range(K // 2):
        w = base ** (-2 * i / K)
        wavelength = 2 * math.pi / w
        if wavelength <= trained / 4:
            t = 0
        elif wavelength >= trained:
            t = 1
        else:
            t = (wavelength - trained / 4) / (trained - trained / 4)
        out.append(w / s**t)
    return torch.tensor(out)
""",
        """
def frequencies(K, base, s, trained):
    pairs = torch.arange(K // 2)
    w = torch.exp(-2 * pairs / K * math.log(base))
    t = (8 * math.pi / w / trained - 1) / 3
    t = torch.where(t < 0, 0.0, torch.where(t > 1, 1.0, t))
    return w * torch.exp(-t * math.log(s))
""",
        """
def frequencies(K, base, s, trained):
    w = 1 / base ** (torch.arange(0, K, 2, dtype=torch.float64) / K)
    t = ((2 * math.pi / w - trained / 4) / (0.75 * trained)).clamp(0, 1)
    return w / s**t
""",
    ],
    "t2": [
        """
def turn(angles, x):
    B, T, H, K = x.shape
    pairs = torch.view_as_complex(x.reshape(B, T, H, K // 2, 2).contiguous())
    turns = torch.polar(torch.ones_like(angles), angles).view(1, T, 1, K // 2)
    return torch.view_as_real(pairs * turns).reshape(B, T, H, K)
""",
        """
def turn(angles, x):
    out = torch.empty_like(x)
    for t in range(x.shape[1]):
        for i in range(x.shape[3] // 2):
            c, s = angles[t, i].cos(), angles[t, i].sin()
            a, b = x[:, t, :, 2 * i], x[:, t, :, 2 * i + 1]
            out[:, t, :, 2 * i] = a * c - b * s
            out[:, t, :, 2 * i + 1] = a * s + b * c
    return out
""",
        """
def turn(angles, x):
    angles = angles.double().repeat_interleave(2, -1)[:, None]
    other = torch.stack([-x[..., 1::2], x[..., 0::2]], -1).flatten(-2)
    return x * angles.cos() + other * angles.sin()
""",
    ],
    "t3": [
        """
def to_neighbours(w, K):
    out = torch.empty_like(w)
    for start in range(0, w.shape[-1], K):
        middle = start + K // 2
        out[..., start : start + K : 2] = w[..., start:middle]
        out[..., start + 1 : start + K : 2] = w[..., middle : start + K]
    return out
""",
        """
def to_neighbours(w, K):
    order = []
    for h in range(w.shape[-1] // K):
        for i in range(K // 2):
            order += [h * K + i, h * K + i + K // 2]
    return w[..., order]
""",
        """
def to_neighbours(w, K):
    wide = w if w.dim() == 2 else w[None]
    D, N = wide.shape
    sorted_ = wide.reshape(D, N // K, 2, K // 2).transpose(2, 3).reshape(D, N)
    return sorted_.double() if w.dim() == 2 else sorted_[0].double()
""",
    ],
    "t4": [
        """
def attend(q, k, v, keys, values):
    P, rows = len(keys), []
    keys, values = list(keys), list(values)
    for t in range(len(q)):
        place = torch.tensor([P + t])
        keys.append(turn_rows(k[t : t + 1], place)[0])
        values.append(v[t])
        query = turn_rows(q[t : t + 1], place)[0]
        scores = torch.stack([query @ key for key in keys]) / math.sqrt(len(query))
        rows.append(torch.softmax(scores, 0) @ torch.stack(values))
    return torch.stack(rows)
""",
        """
def attend(q, k, v, keys, values):
    # Only distances count: the new ones stay at 0, 1, ..., the kept ones move back.
    T, P = len(q), len(keys)
    keys = turn_rows(keys, torch.full((P,), -P))
    both = torch.cat([keys, turn_rows(k, torch.arange(T))])
    seen = torch.ones(T, P + T).tril(P).bool()
    return torch.nn.functional.scaled_dot_product_attention(
        turn_rows(q, torch.arange(T))[None],
        both[None],
        torch.cat([values, v])[None],
        attn_mask=seen,
    )[0]
""",
        """
def attend(q, k, v, keys, values):
    q, k, v, keys, values = (x.double() for x in (q, k, v, keys, values))
    places = torch.arange(len(keys), len(keys) + len(q))
    keys = torch.cat([keys, turn_rows(k, places)])
    table = (turn_rows(q, places) @ keys.T / q.shape[1] ** 0.5).exp()
    table = table.tril(len(keys) - len(q))
    return (table / table.sum(-1, keepdim=True) @ torch.cat([values, v])).float()
""",
    ],
    "t5": [
        "full_turn, turned = 63, 43_008",
        "full_turn, turned = round(2 * math.pi / 0.1), 28 * (16 + 8) * 64",
    ],
}
