"""Assignment 2, self-attention."""

from . import Mistake

MISTAKES = {
    "t1": {
        "keys as rows of the table": Mistake(
            """
def scores(keys, queries):
    return keys.T @ queries / math.sqrt(len(keys))
""",
            "t1-shape t1-order",
            "(S, T) instead of (T, S)",
        ),
        "not divided": Mistake(
            """
def scores(keys, queries):
    return queries.T @ keys
""",
            "t1-scale t1-order",
            "not divided by the square root of K",
        ),
        "divided by K": Mistake(
            """
def scores(keys, queries):
    return queries.T @ keys / len(keys)
""",
            "t1-scale t1-order",
            "the square root is missing",
        ),
        "divided by the square root of the tokens": Mistake(
            """
def scores(keys, queries):
    return queries.T @ keys / math.sqrt(keys.shape[1])
""",
            "t1-scale t1-order",
            "divided by the square root",
        ),
        "arguments the other way round": Mistake(
            """
def scores(queries, keys):
    return queries.T @ keys / math.sqrt(len(keys))
""",
            "t1-shape t1-order",
            "(S, T) instead of (T, S)",
        ),
        "no return": Mistake(
            """
def scores(keys, queries):
    queries.T @ keys / math.sqrt(len(keys))
""",
            "t1-shape t1-scale t1-order",
            "does it return something?",
        ),
    },
    "t2": {
        "over the first axis": Mistake(
            """
def share(x):
    x = (x - x.max(0, keepdim=True).values).exp()
    return x / x.sum(0, keepdim=True)
""",
            "t2-rows t2-values t2-large t2-hidden",
            "the columns sum to 1",
        ),
        "nothing subtracted": Mistake(
            """
def share(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)
""",
            "t2-large t2-hidden",
            "subtract the row's largest score",
        ),
        "the largest of all subtracted": Mistake(
            """
def share(x):
    x = (x - x.max()).exp()
    return x / x.sum(-1, keepdim=True)
""",
            "t2-large t2-hidden",
            "the largest score of each row, not of all",
        ),
        "axis 1 instead of the last": Mistake(
            """
def share(x):
    if x.dim() == 1:
        x = x[None]
        e = (x - x.max(1, keepdim=True).values).exp()
        return (e / e.sum(1, keepdim=True))[0]
    e = (x - x.max(1, keepdim=True).values).exp()
    return e / e.sum(1, keepdim=True)
""",
            "t2-values",
            "use -1 for the axis",
        ),
        "no exponential": Mistake(
            """
def share(x):
    x = x - x.min(-1, keepdim=True).values
    return x / x.sum(-1, keepdim=True)
""",
            "t2-values t2-large t2-hidden",
            "scores of 0 and log 3",
        ),
    },
    "t3": {
        "down the wrong axis": Mistake(
            """
def causal_weights(x, t):
    S, T = x.shape
    seen = torch.arange(S)[:, None] <= torch.arange(T) + t
    return torch.softmax(x.masked_fill(~seen, float("-inf")), 1)
""",
            "t3-columns t3-future t3-past",
            "the rows sum to 1",
        ),
        "the mask upside down": Mistake(
            """
def causal_weights(x, t):
    S, T = x.shape
    seen = torch.arange(S)[:, None] >= torch.arange(T) + t
    return torch.softmax(x.masked_fill(~seen, float("-inf")), 0)
""",
            "t3-future t3-past",
            "the mask is upside down",
        ),
        "the past forgotten": Mistake(
            """
def causal_weights(x, t):
    S, T = x.shape
    seen = torch.arange(S)[:, None] <= torch.arange(T)
    return torch.softmax(x.masked_fill(~seen, float("-inf")), 0)
""",
            "t3-past",
            "aligned with the first key",
        ),
        "masked after the softmax": Mistake(
            """
def causal_weights(x, t):
    S, T = x.shape
    seen = torch.arange(S)[:, None] <= torch.arange(T) + t
    return torch.softmax(x, 0) * seen
""",
            "t3-columns t3-future t3-past",
            "mask before the softmax",
        ),
        "a large number instead of infinity": Mistake(
            """
def causal_weights(x, t):
    S, T = x.shape
    seen = torch.arange(S)[:, None] <= torch.arange(T) + t
    return torch.softmax(x - 1000.0 * (~seen), 0)
""",
            "t3-future",
            "fill it with -inf",
        ),
        "blind to itself": Mistake(
            """
def causal_weights(x, t):
    S, T = x.shape
    seen = torch.arange(S)[:, None] < torch.arange(T) + t
    return torch.softmax(x.masked_fill(~seen, float("-inf")), 0).nan_to_num()
""",
            "t3-columns t3-future t3-past",
            "weights do not sum to 1 over keys",
        ),
    },
    "t4": {
        "as it was handed out": Mistake(
            "attention = broken",
            "t4-sum t4-scale",
            "hidden before the softmax",
        ),
        "only the mask mended": Mistake(
            """
def attention(q, k, v):
    T, K = q.shape
    hidden = torch.ones(T, T).triu(1).bool()
    table = (q @ k.T / math.sqrt(T)).masked_fill(hidden, float("-inf"))
    return torch.softmax(table, -1) @ v
""",
            "t4-scale",
            "the width of a head",
        ),
        "only the scale mended": Mistake(
            """
def attention(q, k, v):
    T, K = q.shape
    weights = torch.softmax(q @ k.T / math.sqrt(K), -1) * torch.ones(T, T).tril()
    return weights @ v
""",
            "t4-sum t4-scale",
            "hidden before the softmax",
        ),
        "no mask at all": Mistake(
            """
def attention(q, k, v):
    return torch.softmax(q @ k.T / math.sqrt(q.shape[1]), -1) @ v
""",
            "t4-sum t4-scale",
            "tokens see a later one",
        ),
        "not divided": Mistake(
            """
def attention(q, k, v):
    hidden = torch.ones(len(q), len(q)).triu(1).bool()
    return torch.softmax((q @ k.T).masked_fill(hidden, float("-inf")), -1) @ v
""",
            "t4-scale",
            "not divided by the square root of K",
        ),
    },
    "t5": {
        "one product, and no bytes": Mistake(
            "multiply_adds, table_bytes = 64_000_000, 1_000_000",
            "t5-work t5-bytes",
            "one of the two products",
        ),
        "two operations each, and float64": Mistake(
            "multiply_adds, table_bytes = 256_000_000, 8_000_000",
            "t5-work t5-bytes",
            "counts once",
        ),
        "the table of the keys": Mistake(
            "multiply_adds, table_bytes = 128_000_000, 256_000",
            "t5-bytes",
            "does not depend on K",
        ),
        "a float": Mistake(
            "multiply_adds, table_bytes = 1.28e8, 4_000_000",
            "t5-work",
            "a whole number",
        ),
    },
}

# Other ways to be right. The last of each is off by float noise.
RIGHT = {
    "t1": [
        """
def scores(keys, queries):
    return torch.einsum("kt,ks->ts", queries, keys) * len(keys) ** -0.5
""",
        """
def scores(keys, queries):
    rows = []
    for q in queries.T:
        rows.append(torch.stack([(q * k).sum() for k in keys.T]) / len(q) ** 0.5)
    return torch.stack(rows)
""",
        """
def scores(keys, queries):
    return (queries.double().T @ keys.double() / math.sqrt(len(keys))).float()
""",
    ],
    "t2": [
        """
def share(x):
    return (x - x.logsumexp(-1, keepdim=True)).exp()
""",
        """
def share(x):
    flat = x.reshape(-1, x.shape[-1])
    rows = [(row - max(row)).exp() for row in flat]
    return torch.stack([row / row.sum() for row in rows]).reshape(x.shape)
""",
        """
def share(x):
    x = x.double()
    e = (x - x.max(-1, keepdim=True).values).exp()
    return (e / e.sum(-1, keepdim=True)).float() + 1e-9
""",
    ],
    "t3": [
        """
def causal_weights(x, t):
    out = torch.zeros_like(x)
    for column in range(x.shape[1]):
        seen = t + column + 1
        out[:seen, column] = torch.softmax(x[:seen, column], 0)
    return out
""",
        """
def causal_weights(x, t):
    hidden = torch.ones(x.shape).tril(-1 - t).bool()
    return torch.softmax(x.masked_fill(hidden, -math.inf), 0)
""",
        """
def causal_weights(x, t):
    hidden = torch.ones(x.shape).tril(-1 - t).bool()
    return torch.softmax(x.double().masked_fill(hidden, -math.inf), 0).float()
""",
    ],
    "t4": [
        """
def attention(q, k, v):
    rows = []
    for i in range(len(q)):
        table = k[: i + 1] @ q[i] / math.sqrt(len(q[i]))
        rows.append(torch.softmax(table, 0) @ v[: i + 1])
    return torch.stack(rows)
""",
        """
%matplotlib inline

def attention(q, k, v):
    table = (q @ k.T * q.shape[1] ** -0.5).exp().tril()
    return table / table.sum(-1, keepdim=True) @ v
""",
    ],
    "t5": ["multiply_adds, table_bytes = 128_000_000, 4_000_000"],
}
