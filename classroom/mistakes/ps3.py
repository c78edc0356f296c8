"""Assignment 3, multi-head attention."""

from . import Mistake

# Right halves of task 1, for mistakes in the other half.
CUT = """
def cut(n_heads, x):
    B, width, T = x.shape
    return x.reshape(B, n_heads, width // n_heads, T).transpose(2, 3)
"""
JOIN = """
def join(answers):
    return answers.transpose(2, 3).flatten(1, 2)
"""

MISTAKES = {
    "t1": {
        "cut in the order of memory": Mistake(
            """
def cut(n_heads, x):
    B, width, T = x.shape
    return x.view(B, n_heads, T, width // n_heads)
"""
            + JOIN,
            "t1-cut",
            "(B, H, T, K) was cut in the order of memory",
        ),
        "whole tokens in a head": Mistake(
            """
def cut(n_heads, x):
    B, width, T = x.shape
    return x.transpose(1, 2).reshape(B, n_heads, T, width // n_heads)
"""
            + JOIN,
            "t1-cut",
            "head 0 holds whole tokens",
        ),
        "heads alternate": Mistake(
            """
def cut(n_heads, x):
    B, width, T = x.shape
    return x.view(B, width // n_heads, n_heads, T).permute(0, 2, 3, 1)


def join(answers):
    return answers.permute(0, 3, 1, 2).flatten(1, 2)
""",
            "t1-cut t1-join",
            "head 0 has every second row",
        ),
        "one turn left out": Mistake(
            """
def cut(n_heads, x):
    B, width, T = x.shape
    return x.view(B, n_heads, width // n_heads, T)
"""
            + JOIN,
            "t1-shape t1-cut",
            "turn the last two edges",
        ),
        "tokens before heads": Mistake(
            """
def cut(n_heads, x):
    return x.transpose(1, 2).unflatten(2, (n_heads, -1))
"""
            + JOIN,
            "t1-shape t1-cut",
            "in front of the tokens",
        ),
        "the number of heads taken for their width": Mistake(
            """
def cut(K, x):
    B, width, T = x.shape
    return x.reshape(B, width // K, K, T).transpose(2, 3)
"""
            + JOIN,
            "t1-shape t1-cut",
            "not their width",
        ),
        "joined in the order of memory": Mistake(
            CUT
            + """
def join(answers):
    B, H, T, K = answers.shape
    return answers.reshape(B, H * K, T)
""",
            "t1-join",
            "joined in the order of memory",
        ),
        "joined as in the chapter": Mistake(
            CUT
            + """
def join(answers):
    return answers.transpose(1, 2).flatten(2)
""",
            "t1-join",
            "a token is a column",
        ),
        "joined as in the chapter, and renamed": Mistake(
            CUT
            + """
def join(answers):
    B, H, T, K = answers.shape
    return answers.transpose(1, 2).reshape(B, H * K, T)
""",
            "t1-join",
            "only renamed",
        ),
        "joined with heads that alternate": Mistake(
            CUT
            + """
def join(answers):
    return answers.permute(0, 3, 1, 2).flatten(1, 2)
""",
            "t1-join",
            "the numbers of the heads alternate",
        ),
        "a view after a transpose": Mistake(
            CUT
            + """
def join(answers):
    B, H, T, K = answers.shape
    return answers.transpose(2, 3).view(B, H * K, T)
""",
            "t1-join",
            "Use .reshape(...) instead",
        ),
        "one text only": Mistake(
            """
def cut(n_heads, x):
    B, width, T = x.shape
    x = x.permute(1, 2, 0).reshape(n_heads, width // n_heads, T, B)
    return x.permute(3, 0, 2, 1)


def join(answers):
    B, H, T, K = answers.shape
    return answers.permute(1, 3, 2, 0).reshape(H * K, T, B)[..., :1].permute(2, 0, 1)
""",
            "t1-join",
            "2 texts: the shape is",
        ),
    },
    "t2": {
        "added up": Mistake(
            """
def terms(w_o, answers):
    return answers.transpose(1, 2).flatten(2) @ w_o.T
""",
            "t2-shape t2-sum t2-own",
            "the terms are added up already",
        ),
        "viewed without a turn": Mistake(
            """
def terms(w_o, answers):
    B, H, T, K = answers.shape
    return answers @ w_o.view(H, K, -1)
""",
            "t2-sum t2-own",
            "turn it first",
        ),
        "heads alternate": Mistake(
            """
def terms(w_o, answers):
    B, H, T, K = answers.shape
    return answers @ w_o.view(-1, K, H).permute(2, 1, 0)
""",
            "t2-sum t2-own",
            "every third column",
        ),
        "the mean of the heads": Mistake(
            """
def terms(w_o, answers):
    H = answers.shape[1]
    return answers @ w_o.T.unflatten(0, (H, -1)) / H
""",
            "t2-sum t2-own",
            "divided by the number of heads",
        ),
        "the same for each head": Mistake(
            """
def terms(w_o, answers):
    H = answers.shape[1]
    whole = answers.transpose(1, 2).flatten(2) @ w_o.T
    return torch.stack([whole / H] * H, 1)
""",
            "t2-own",
            "another head's term has moved",
        ),
        "heads first": Mistake(
            """
def terms(w_o, answers):
    H = answers.shape[1]
    pairs = zip(answers.unbind(1), w_o.chunk(H, 1))
    return torch.stack([a @ w.T for a, w in pairs])
""",
            "t2-shape t2-sum t2-own",
            "the batch comes first",
        ),
        "no transpose where it is square": Mistake(
            """
def terms(w_o, answers):
    H = answers.shape[1]
    if w_o.shape[0] != w_o.shape[1]:
        w_o = w_o.T
    return answers @ w_o.unflatten(0, (H, -1))
""",
            "t2-sum t2-own",
            "used without its transpose",
        ),
    },
    "t3": {
        "the file's order taken for ours": Mistake(
            """
def query_maps(w_q, b_q, n_heads, interleaved):
    w, b = w_q.unflatten(0, (n_heads, -1)), b_q.unflatten(0, (n_heads, -1))
    return w.transpose(1, 2), b[:, None]
""",
            "t3-interleaved t3-bias",
            "as if the heads were side by side",
        ),
        "the bias forgotten": Mistake(
            """
def query_maps(w_q, b_q, n_heads, interleaved):
    if interleaved:
        w_q = w_q.unflatten(0, (-1, n_heads)).transpose(0, 1).flatten(0, 1)
    w, b = w_q.unflatten(0, (n_heads, -1)), b_q.unflatten(0, (n_heads, -1))
    return w.transpose(1, 2), b[:, None]
""",
            "t3-bias",
            "the bias was left in the order of the file",
        ),
        "the way back": Mistake(
            """
def query_maps(w_q, b_q, n_heads, interleaved):
    if interleaved:
        w_q = w_q.unflatten(0, (n_heads, -1)).transpose(0, 1).flatten(0, 1)
        b_q = b_q.unflatten(0, (n_heads, -1)).T.flatten()
    w, b = w_q.unflatten(0, (n_heads, -1)), b_q.unflatten(0, (n_heads, -1))
    return w.transpose(1, 2), b[:, None]
""",
            "t3-interleaved t3-bias",
            "this is the way back",
        ),
        "as in nn.Linear": Mistake(
            """
def query_maps(w_q, b_q, n_heads, interleaved):
    order = torch.arange(len(b_q))
    order = order.view(-1, n_heads).T if interleaved else order.view(n_heads, -1)
    return w_q[order], b_q[order][:, None]
""",
            "t3-side t3-interleaved",
            "the D numbers go in",
        ),
        "viewed as (H, D, K)": Mistake(
            """
def query_maps(w_q, b_q, n_heads, interleaved):
    order = torch.arange(len(b_q))
    order = order.view(-1, n_heads).T if interleaved else order.view(n_heads, -1)
    w = w_q[order.flatten()]
    return w.view(n_heads, w_q.shape[1], -1), b_q[order][:, None]
""",
            "t3-side t3-interleaved",
            "w_q was cut into (H, D, K) in the order of memory",
        ),
        "no edge for the tokens": Mistake(
            """
def query_maps(w_q, b_q, n_heads, interleaved):
    order = torch.arange(len(b_q))
    order = order.view(-1, n_heads).T if interleaved else order.view(n_heads, -1)
    return w_q[order].transpose(1, 2), b_q[order]
""",
            "t3-bias",
            "give the biases an edge of length 1",
        ),
        "all files interleaved": Mistake(
            """
def query_maps(w_q, b_q, n_heads, interleaved):
    order = torch.arange(len(b_q)).view(-1, n_heads).T
    return w_q[order].transpose(1, 2), b_q[order][:, None]
""",
            "t3-side t3-bias",
            "should be made of 0 to 3, 4 to 7",
        ),
        "maps without biases": Mistake(
            """
def query_maps(w_q, b_q, n_heads, interleaved):
    order = torch.arange(len(b_q))
    order = order.view(-1, n_heads).T if interleaved else order.view(n_heads, -1)
    return w_q[order].transpose(1, 2)
""",
            "t3-side t3-interleaved t3-bias",
            "query_maps gives two tensors",
        ),
    },
    "t4": {
        "as it was handed out": Mistake(
            "multi_head = broken",
            "t4-join t4-scale t4-project",
            "the heads must go back behind the tokens",
        ),
        "only the turn mended": Mistake(
            """
def multi_head(x, w_q, w_k, w_v, w_o, n_heads):
    B, T, D = x.shape
    q, k, v = (
        (x @ w).view(B, T, n_heads, -1).transpose(1, 2) for w in (w_q, w_k, w_v)
    )
    table = q @ k.transpose(2, 3) / math.sqrt(D)
    table = table.masked_fill(torch.ones(T, T).triu(1).bool(), float("-inf"))
    joined = (table.softmax(-1) @ v).transpose(1, 2).reshape(B, T, -1)
    return joined @ w_o.T
""",
            "t4-scale t4-project",
            "divided by the square root of D: a score",
        ),
        "the turn and the scale mended": Mistake(
            """
def multi_head(x, w_q, w_k, w_v, w_o, n_heads):
    B, T, D = x.shape
    q, k, v = (
        (x @ w).view(B, T, n_heads, -1).transpose(1, 2) for w in (w_q, w_k, w_v)
    )
    table = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    table = table.masked_fill(torch.ones(T, T).triu(1).bool(), float("-inf"))
    joined = (table.softmax(-1) @ v).transpose(1, 2).reshape(B, T, -1)
    return joined @ w_o.T
""",
            "t4-project",
            "W_O is used transposed",
        ),
        "the turn left out": Mistake(
            """
def multi_head(x, w_q, w_k, w_v, w_o, n_heads):
    B, T, D = x.shape
    q, k, v = (
        (x @ w).view(B, T, n_heads, -1).transpose(1, 2) for w in (w_q, w_k, w_v)
    )
    table = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    table = table.masked_fill(torch.ones(T, T).triu(1).bool(), float("-inf"))
    return (table.softmax(-1) @ v).reshape(B, T, -1) @ w_o
""",
            "t4-join",
            "the heads must go back behind the tokens",
        ),
        "not divided": Mistake(
            """
def multi_head(x, w_q, w_k, w_v, w_o, n_heads):
    B, T, D = x.shape
    q, k, v = (
        (x @ w).view(B, T, n_heads, -1).transpose(1, 2) for w in (w_q, w_k, w_v)
    )
    table = q @ k.transpose(2, 3)
    table = table.masked_fill(torch.ones(T, T).triu(1).bool(), float("-inf"))
    return (table.softmax(-1) @ v).transpose(1, 2).reshape(B, T, -1) @ w_o
""",
            "t4-scale",
            "not divided by the square root of K",
        ),
        "no mask, no output projection": Mistake(
            """
def multi_head(x, w_q, w_k, w_v, w_o, n_heads):
    B, T, D = x.shape
    q, k, v = (
        (x @ w).view(B, T, n_heads, -1).transpose(1, 2) for w in (w_q, w_k, w_v)
    )
    table = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    return (table.softmax(-1) @ v).transpose(1, 2).reshape(B, T, -1)
""",
            "t4-join t4-project",
            "the causal mask is gone",
        ),
        "one wide head": Mistake(
            """
def multi_head(x, w_q, w_k, w_v, w_o, n_heads):
    T, K = x.shape[1], w_q.shape[1] // n_heads
    table = (x @ w_q) @ (x @ w_k).transpose(1, 2) / math.sqrt(K)
    table = table.masked_fill(torch.ones(T, T).triu(1).bool(), float("-inf"))
    return table.softmax(-1) @ (x @ w_v) @ w_o
""",
            "t4-scale",
            "that is one wide head",
        ),
        "K taken for D / H in the scale": Mistake(
            """
def multi_head(x, w_q, w_k, w_v, w_o, n_heads):
    B, T, D = x.shape
    q, k, v = (
        (x @ w).view(B, T, n_heads, -1).transpose(1, 2) for w in (w_q, w_k, w_v)
    )
    table = q @ k.transpose(2, 3) / math.sqrt(D / n_heads)
    table = table.masked_fill(torch.ones(T, T).triu(1).bool(), float("-inf"))
    return (table.softmax(-1) @ v).transpose(1, 2).reshape(B, T, -1) @ w_o
""",
            "t4-scale",
            "the square root of D / H",
        ),
        "K taken for D / H everywhere": Mistake(
            """
def multi_head(x, w_q, w_k, w_v, w_o, n_heads):
    B, T, D = x.shape
    K = D // n_heads
    q, k, v = (
        (x @ w).view(B, T, n_heads, K).transpose(1, 2) for w in (w_q, w_k, w_v)
    )
    table = q @ k.transpose(2, 3) / math.sqrt(K)
    table = table.masked_fill(torch.ones(T, T).triu(1).bool(), float("-inf"))
    return (table.softmax(-1) @ v).transpose(1, 2).reshape(B, T, -1) @ w_o
""",
            "t4-project",
            "K is not D / H",
        ),
    },
    "t5": {
        "no biases, one product": Mistake(
            "parameters, even_tokens = 1_966_080, 2_560",
            "t5-parameters t5-tokens",
            "the biases are missing",
        ),
        "square maps": Mistake(
            "parameters, even_tokens = 1_640_960, 1_536",
            "t5-parameters t5-tokens",
            "the maps are not square",
        ),
        "no output projection": Mistake(
            "parameters, even_tokens = 1_476_864, 960",
            "t5-parameters t5-tokens",
            "the output projection is missing",
        ),
        "four equal biases": Mistake(
            "parameters, even_tokens = 1_969_152, 1_280",
            "t5-parameters",
            "the bias of the output projection has D numbers",
        ),
        "one head's table": Mistake(
            "parameters, even_tokens = 1_969_024, 15_360",
            "t5-tokens",
            "T does not depend on their number",
        ),
        "a float": Mistake(
            "parameters, even_tokens = 1_969_024, 1280.0",
            "t5-tokens",
            "a whole number",
        ),
    },
}

# Other ways to be right. The last of each is off by float noise.
RIGHT = {
    "t1": [
        """
def cut(n_heads, x):
    return torch.stack([part.transpose(1, 2) for part in x.chunk(n_heads, 1)], 1)


def join(answers):
    return torch.cat([head.transpose(1, 2) for head in answers.unbind(1)], 1)
""",
        """
def cut(n_heads, x):
    rows = x.transpose(1, 2)
    return rows.reshape(*rows.shape[:2], n_heads, -1).permute(0, 2, 1, 3)


def join(answers):
    B, H, T, K = answers.shape
    return answers.transpose(1, 2).reshape(B, T, H * K).transpose(1, 2)
""",
        """
def cut(n_heads, x):
    B, width, T = x.shape
    K = width // n_heads
    made = torch.empty(B, n_heads, T, K, dtype=x.dtype)
    for c in range(width):
        made[:, c // K, :, c % K] = x[:, c]
    return made * (1 + 1e-7)


def join(answers):
    return torch.einsum("bhtk->bhkt", answers).flatten(1, 2) * (1 - 1e-7)
""",
    ],
    "t2": [
        """
def terms(w_o, answers):
    H = answers.shape[1]
    parts = w_o.chunk(H, 1)
    return torch.stack([answers[:, h] @ parts[h].T for h in range(H)], 1)
""",
        """
def terms(w_o, answers):
    B, H, T, K = answers.shape
    alone = torch.zeros(B, H, T, H, K)
    for h in range(H):
        alone[:, h, :, h] = answers[:, h]
    return alone.flatten(3) @ w_o.T
""",
        """
def terms(w_o, answers):
    B, H, T, K = answers.shape
    cut = w_o.double().view(-1, H, K)
    return torch.einsum("dhk,bhtk->bhtd", cut, answers.double()).float()
""",
    ],
    "t3": [
        """
def query_maps(w_q, b_q, n_heads, interleaved):
    K = len(b_q) // n_heads
    maps, biases = [], []
    for h in range(n_heads):
        rows = slice(h, None, n_heads) if interleaved else slice(h * K, h * K + K)
        maps.append(w_q[rows].T)
        biases.append(b_q[rows][None])
    return torch.stack(maps), torch.stack(biases)
""",
        """
def query_maps(w_q, b_q, n_heads, interleaved):
    both = torch.cat([w_q, b_q[:, None]], 1).T
    if interleaved:
        both = both.reshape(len(both), -1, n_heads).permute(2, 0, 1)
    else:
        both = both.reshape(len(both), n_heads, -1).transpose(0, 1)
    return [both[:, :-1], both[:, -1:]]
""",
        """
def query_maps(w_q, b_q, n_heads, interleaved):
    K = len(b_q) // n_heads
    places = [k * n_heads + h for h in range(n_heads) for k in range(K)]
    order = torch.eye(len(b_q)).double()
    order = order[places] if interleaved else order
    w, b = order @ w_q.double(), order @ b_q.double()
    w, b = (w + 1e-9).float(), (b + 1e-9).float()
    return w.view(n_heads, K, -1).transpose(1, 2), b.view(n_heads, 1, K)
""",
    ],
    "t4": [
        """
def multi_head(x, w_q, w_k, w_v, w_o, n_heads):
    T, K = x.shape[1], w_q.shape[1] // n_heads
    out = 0
    for h in range(n_heads):
        q, k, v = (x @ w[:, h * K : h * K + K] for w in (w_q, w_k, w_v))
        table = q @ k.transpose(1, 2) / math.sqrt(K)
        table = table.masked_fill(torch.ones(T, T).triu(1).bool(), float("-inf"))
        out = out + table.softmax(-1) @ v @ w_o[h * K : h * K + K]
    return out
""",
        """
def multi_head(x, w_q, w_k, w_v, w_o, n_heads):
    x, w_q, w_k, w_v, w_o = (t.double() for t in (x, w_q, w_k, w_v, w_o))
    q, k, v = ((x @ w).unflatten(2, (n_heads, -1)) for w in (w_q, w_k, w_v))
    table = torch.einsum("bthk,bshk->bhts", q, k) * q.shape[-1] ** -0.5
    weights = (table - table.amax(-1, keepdim=True)).exp().tril()
    weights = weights / weights.sum(-1, keepdim=True)
    return torch.einsum("bhts,bshk->bthk", weights, v).flatten(2).float() @ w_o.float()
""",
    ],
    "t5": ["parameters, even_tokens = 1_969_024, 1_280"],
}
