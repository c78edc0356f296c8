"""Assignment 8, sampling."""

from . import Mistake

CHOOSE = """
def choose(u, logits, tau):
    if tau == 0:
        return logits.argmax(0)
    sums = torch.softmax(logits.double() / tau, 0).cumsum(0)
    return (sums <= u * sums[-1]).sum(0)
"""
KEEP = """
def keep(p, k, logits):
    V = logits.shape[-1]
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    first = torch.arange(V) < (k or V)
    probs = ordered.masked_fill(~first, float("-inf")).softmax(-1)
    before = probs.cumsum(-1) - probs
    left = first & ((before < p) | (p == 1))
    return torch.zeros_like(left).scatter(-1, order, left)
"""
MENDED = """
def mended(logits, ids, theta, p):
    logits = logits.clone()
    for i in set(ids):
        logits[i] = logits[i] / theta if logits[i] > 0 else logits[i] * theta
    probs = torch.softmax(logits, -1)
    logits = logits.masked_fill(probs < p * probs.max(), float("-inf"))
    return torch.softmax(logits, -1)
"""
VISIBLE = """
import codecs


def visible(parts, stops):
    data = bytes(byte for part in parts for byte in part)
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(data)
    found = [text.index(stop) for stop in stops if stop in text]
    if found:
        return text[: min(found)], True
    begun = [stop[:n] for stop in stops for n in range(1, len(stop))]
    held = max((len(s) for s in begun if text.endswith(s)), default=0)
    return text[: len(text) - held], False
"""


def with_change(code: str, old: str, new: str) -> str:
    """A right answer, and one mistake in it."""
    assert code.count(old) == 1, f"{old!r} stands there {code.count(old)} times"
    return code.replace(old, new)


MISTAKES = {
    "t1": {
        "along the rows": Mistake(
            """
def choose(u, logits, tau):
    if tau == 0:
        return logits.argmax(-1)
    sums = torch.softmax(logits.double() / tau, -1).cumsum(-1)
    return (sums <= u[0] * sums[:, -1:]).sum(-1)
""",
            "t1-draw t1-temperature t1-zero t1-edges",
            "4 columns are 4 texts",
        ),
        "the softmax along the rows": Mistake(
            """
def choose(u, logits, tau):
    if tau == 0:
        return logits.argmax(0)
    sums = torch.softmax(logits.double() / tau, 1).cumsum(0)
    return (sums <= u).sum(0)
""",
            "t1-draw t1-temperature t1-edges",
            "do the probabilities of a column sum to 1?",
        ),
        "always the likeliest": Mistake(
            """
def choose(u, logits, tau):
    return logits.argmax(0)
""",
            "t1-draw t1-temperature t1-edges",
            "always the likeliest token",
        ),
        "no return": Mistake(
            with_change(CHOOSE, "return (sums", "ids = (sums"),
            "t1-draw t1-temperature t1-edges",
            "does it return the ids?",
        ),
        "multiplied by the temperature": Mistake(
            with_change(CHOOSE, "double() / tau", "double() * tau"),
            "t1-temperature",
            "divide the logits by the temperature",
        ),
        "no temperature": Mistake(
            with_change(CHOOSE, "double() / tau", "double()"),
            "t1-temperature",
            "the temperature changes nothing",
        ),
        "probabilities divided": Mistake(
            """
def choose(u, logits, tau):
    if tau == 0:
        return logits.argmax(0)
    p = torch.softmax(logits.double(), 0) / tau
    sums = (p / p.sum(0)).cumsum(0)
    return (sums <= u * sums[-1]).sum(0)
""",
            "t1-temperature",
            "the temperature changes nothing",
        ),
        "nothing special at 0": Mistake(
            """
def choose(u, logits, tau):
    p = torch.softmax(logits.double() / tau, 0).T.tolist()
    return [
        next(i for i in range(len(row)) if sum(row[: i + 1]) > x * sum(row))
        for x, row in zip(u.tolist(), p)
    ]
""",
            "t1-zero",
            "an error at temperature 0",
        ),
        "a small number for 0": Mistake(
            with_change(
                with_change(
                    CHOOSE, "    if tau == 0:\n        return logits.argmax(0)\n", ""
                ),
                "double() / tau",
                "double() / max(tau, 1e-6)",
            ),
            "t1-zero",
            "equal logits at temperature 0",
        ),
        "the first token at 0": Mistake(
            with_change(
                CHOOSE, "    if tau == 0:\n        return logits.argmax(0)\n", ""
            ),
            "t1-zero",
            "takes the largest logit of each column",
        ),
        "a stretch with its end": Mistake(
            with_change(CHOOSE, "(sums <= u", "(sums < u"),
            "t1-edges",
            "u = 0 chose a token that was cut off",
        ),
        "powers that overflow": Mistake(
            """
def choose(u, logits, tau):
    if tau == 0:
        return logits.argmax(0)
    powers = (logits / tau).exp()
    sums = (powers / powers.sum(0)).double().cumsum(0)
    return (sums <= u * sums[-1]).sum(0)
""",
            "t1-edges",
            "logits of 1,000 overflow",
        ),
        "an id that does not exist": Mistake(
            """
def choose(u, logits, tau):
    if tau == 0:
        return logits.argmax(0)
    return (torch.softmax(logits / tau, 0).cumsum(0) <= u).sum(0)
""",
            "t1-edges",
            "an id that does not exist",
        ),
        "the last token of all": Mistake(
            """
def choose(u, logits, tau):
    if tau == 0:
        return logits.argmax(0)
    sums = torch.softmax(logits / tau, 0).cumsum(0)
    return (sums <= u).sum(0).clamp(max=len(logits) - 1)
""",
            "t1-edges",
            "u next to 1 chose a token that was cut off",
        ),
    },
    "t2": {
        "inverted": Mistake(
            with_change(KEEP, "order, left)", "order, ~left)"),
            "t2-k t2-p t2-both t2-edges",
            "the mask is inverted",
        ),
        "in the sorted order": Mistake(
            with_change(
                KEEP, "torch.zeros_like(left).scatter(-1, order, left)", "left"
            ),
            "t2-k t2-p t2-both t2-edges",
            "in the order of the sorted tokens",
        ),
        "the order scattered the wrong way": Mistake(
            with_change(
                KEEP,
                "torch.zeros_like(left).scatter(-1, order, left)",
                "left.gather(-1, order)",
            ),
            "t2-k t2-p t2-both t2-edges",
            "top-k 2 keeps ids 1 and 2",
        ),
        "one cut for all rows": Mistake(
            """
def keep(p, k, logits):
    k = min(k or logits.shape[-1], logits.shape[-1]) * len(logits)
    ordered, order = logits.flatten().sort(descending=True, stable=True)
    kept = torch.zeros(logits.numel(), dtype=torch.bool)
    kept[order[:k]] = True
    kept = kept.view(logits.shape)
    probs = logits.masked_fill(~kept, float("-inf")).softmax(-1)
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    left = ((ordered.cumsum(-1) - ordered < p) | (p == 1)) & kept.gather(-1, order)
    return torch.zeros_like(left).scatter(-1, order, left)
""",
            "t2-k",
            "not the likeliest of all rows together",
        ),
        "a mask of numbers": Mistake(
            with_change(KEEP, "order, left)", "order, left).float()"),
            "t2-k",
            "the mask is boolean",
        ),
        "without the token that reaches p": Mistake(
            with_change(KEEP, "(before < p)", "(probs.cumsum(-1) <= p)"),
            "t2-p t2-both t2-edges",
            "the token with which p is reached was dropped",
        ),
        "one too many": Mistake(
            with_change(KEEP, "(before < p)", "(before - probs.roll(1, -1) < p)"),
            "t2-p t2-both t2-edges",
            "one token too many",
        ),
        "not divided after top-k": Mistake(
            with_change(
                KEEP,
                'ordered.masked_fill(~first, float("-inf")).softmax',
                "ordered.softmax",
            ),
            "t2-both",
            "top-p saw the probabilities from before top-k",
        ),
        "top-p first": Mistake(
            """
def keep(p, k, logits):
    V = logits.shape[-1]
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probs = ordered.softmax(-1)
    left = (probs.cumsum(-1) - probs < p) | (p == 1)
    left = left & (torch.arange(V) < (k or V))
    return torch.zeros_like(left).scatter(-1, order, left)
""",
            "t2-both",
            "top-p saw the probabilities from before top-k",
        ),
        "all that are equal": Mistake(
            """
def keep(p, k, logits):
    if 0 < k < logits.shape[-1]:
        least = logits.topk(k).values[:, -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probs = ordered.softmax(-1)
    left = ((probs.cumsum(-1) - probs < p) | (p == 1)) & ordered.isfinite()
    return torch.zeros_like(left).scatter(-1, order, left)
""",
            "t2-edges",
            "since they are equal",
        ),
        "0 keeps none": Mistake(
            with_change(KEEP, "(k or V)", "k"),
            "t2-edges",
            "a k of 0 turns top-k off",
        ),
        "a k larger than V": Mistake(
            with_change(KEEP, "    first =", "    logits.topk(k)\n    first ="),
            "t2-edges",
            "an error when k is 0 or larger than V",
        ),
        "a p of 1 loses the tail": Mistake(
            with_change(KEEP, "((before < p) | (p == 1))", "(before < p)"),
            "t2-edges",
            "a p of 1 keeps every token",
        ),
    },
    "t3": {
        "as it was handed out": Mistake(
            "mended = broken",
            "t3-sign t3-once t3-share",
            "that is a reward",
        ),
        "a reward for negative logits": Mistake(
            with_change(
                MENDED,
                "logits[i] / theta if logits[i] > 0 else logits[i] * theta",
                "logits[i] / theta",
            ),
            "t3-sign",
            "that is a reward",
        ),
        "the sign the wrong way round": Mistake(
            with_change(MENDED, "logits[i] > 0", "logits[i] < 0"),
            "t3-sign t3-once t3-share",
            "that is a reward",
        ),
        "every logit multiplied": Mistake(
            with_change(
                MENDED,
                "logits[i] / theta if logits[i] > 0 else logits[i] * theta",
                "logits[i] * theta",
            ),
            "t3-sign t3-once t3-share",
            "a positive logit was multiplied",
        ),
        "twice when it occurs twice": Mistake(
            with_change(MENDED, "set(ids)", "ids"),
            "t3-once",
            "penalised twice",
        ),
        "less likely than p": Mistake(
            with_change(MENDED, "p * probs.max()", "p"),
            "t3-share",
            "p times the largest probability",
        ),
        "compared with logits": Mistake(
            with_change(MENDED, "probs < p * probs.max()", "logits < p * logits.max()"),
            "t3-sign t3-once t3-share",
            "min-p compares probabilities, not logits",
        ),
        "the result thrown away": Mistake(
            with_change(MENDED, "logits = logits.masked_fill", "logits.masked_fill"),
            "t3-share",
            "its probability becomes 0",
        ),
        "not divided by the sum": Mistake(
            """
def mended(logits, ids, theta, p):
    logits = logits.clone()
    for i in set(ids):
        logits[i] = logits[i] / theta if logits[i] > 0 else logits[i] * theta
    probs = torch.softmax(logits, -1)
    return torch.where(probs < p * probs.max(), 0.0, probs)
""",
            "t3-share",
            "what is kept does not sum to 1",
        ),
        "min-p before the penalty": Mistake(
            """
def mended(logits, ids, theta, p):
    probs = torch.softmax(logits, -1)
    logits = logits.clone()
    for i in set(ids):
        logits[i] = logits[i] / theta if logits[i] > 0 else logits[i] * theta
    logits = logits.masked_fill(probs < p * probs.max(), float("-inf"))
    return torch.softmax(logits, -1)
""",
            "t3-share",
            "from before the penalty",
        ),
    },
    "t4": {
        "each token decoded alone": Mistake(
            with_change(
                VISIBLE,
                """    data = bytes(byte for part in parts for byte in part)
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(data)
""",
                """    text = ""
    for part in parts:
        text += bytes(part).decode(errors="replace")
""",
            ),
            "t4-characters t4-together",
            "put the bytes of all tokens together",
        ),
        "half a character shown": Mistake(
            with_change(
                VISIBLE,
                'codecs.getincrementaldecoder("utf-8")("replace").decode(data)',
                'data.decode(errors="replace")',
            ),
            "t4-characters t4-together",
            "half a character was shown",
        ),
        "bad bytes left out": Mistake(
            with_change(
                VISIBLE,
                'codecs.getincrementaldecoder("utf-8")("replace").decode(data)',
                'data.decode(errors="ignore")',
            ),
            "t4-characters",
            "is shown as U+FFFD",
        ),
        "the stop string shown": Mistake(
            with_change(
                VISIBLE,
                "[text.index(stop) for",
                "[text.index(stop) + len(stop) for",
            ),
            "t4-stop t4-together",
            "the stop string itself is not shown",
        ),
        "the stop string looked for in each token": Mistake(
            with_change(
                VISIBLE,
                "for stop in stops if stop in text]",
                "for stop in stops if any(list(stop.encode()) == p for p in parts)]",
            ),
            "t4-stop t4-together",
            "look in the text",
        ),
        "the first of the list": Mistake(
            with_change(VISIBLE, "min(found)", "found[0]"),
            "t4-stop",
            "the one that begins first in the text",
        ),
        "nothing kept back": Mistake(
            with_change(VISIBLE, "len(text) - held", "len(text)"),
            "t4-begin t4-together",
            "the beginning of a stop string was shown",
        ),
        "always kept back": Mistake(
            with_change(
                VISIBLE,
                "max((len(s) for s in begun if text.endswith(s)), default=0)",
                "min(len(text), max([len(s) for s in begun], default=0))",
            ),
            "t4-begin",
            "kept back too much",
        ),
        "the shortest beginning": Mistake(
            with_change(VISIBLE, "held = max(", "held = min("),
            "t4-begin",
            "take the longest",
        ),
        "one stop string only": Mistake(
            with_change(
                VISIBLE,
                "for stop in stops for n in range(1, len(stop))]",
                "for stop in stops[:1] for n in range(1, len(stop))]",
            ),
            "t4-begin",
            "each of them may have begun",
        ),
        "the half character in the way": Mistake(
            """
def visible(parts, stops):
    text = bytes(sum(parts, [])).decode(errors="replace")
    found = [text.index(stop) for stop in stops if stop in text]
    if found:
        return text[: min(found)], True
    begun = [stop[:n] for stop in stops for n in range(1, len(stop))]
    held = max((len(s) for s in begun if text.endswith(s)), default=0)
    return text[: len(text) - held].removesuffix("\\ufffd"), False
""",
            "t4-together",
            "first decode what is whole",
        ),
    },
    "t5": {
        "squares alone, and before top-k": Mistake(
            "p_cold, tokens_left = 0.36, 3",
            "t5-cold t5-left",
            "not divided by the sum",
        ),
        "the root, and one token": Mistake(
            "p_cold, tokens_left = 0.473, 1",
            "t5-cold t5-left",
            "the root instead of the square",
        ),
        "no temperature": Mistake(
            "p_cold, tokens_left = 0.6, 2",
            "t5-cold",
            "changes the probabilities",
        ),
        "before top-k": Mistake(
            "p_cold, tokens_left = 0.783, 3",
            "t5-left",
            "probabilities from before top-k",
        ),
    },
}

# Other ways to be right. The last of each is off by float noise.
RIGHT = {
    "t1": [
        """
def choose(u, logits, tau):
    ids = []
    for x, column in zip(u.tolist(), logits.T.tolist()):
        best = max(column)
        if tau == 0:
            ids.append(column.index(best))
            continue
        powers = [math.exp((value - best) / tau) for value in column]
        reached, goal = 0.0, x * math.fsum(powers)
        for i, power in enumerate(powers):
            reached += power
            if power > 0:
                last = i
                if goal < reached:
                    break
        ids.append(last)
    return ids
""",
        """
def choose(u, logits, tau):
    if tau == 0:
        best = logits == logits.max(0, keepdim=True).values
        return best.int().argmax(0)
    rows = torch.softmax(logits.T / tau, -1).contiguous()
    sums = rows.double().cumsum(-1)
    sums = sums / sums[:, -1:]
    return torch.searchsorted(sums, u[:, None].contiguous(), right=True)[:, 0]
""",
        """
def choose(u, logits, tau):
    if tau == 0:
        return logits.argmax(0)
    logits = logits.float() - logits.max(0).values
    powers = torch.exp(logits / tau) * 1.0000001
    sums = (powers / powers.sum(0)).cumsum(0)
    found = (sums <= u).sum(0)
    last = [int(column.nonzero()[-1]) for column in (powers > 0).T]
    return torch.minimum(found, torch.tensor(last))
""",
    ],
    "t2": [
        """
def keep(p, k, logits):
    rows = []
    for row in logits.tolist():
        order = sorted(range(len(row)), key=lambda i: -row[i])[: k or None]
        powers = {i: math.exp(row[i] - max(row)) for i in order}
        total, kept = sum(powers.values()), set()
        reached = 0.0
        for i in order:
            if p < 1 and reached >= p:
                break
            kept.add(i)
            reached += powers[i] / total
        rows.append([i in kept for i in range(len(row))])
    return torch.tensor(rows)
""",
        """
def keep(p, k, logits):
    V = logits.shape[-1]
    ids = torch.arange(V)
    a, b = logits[:, :, None], logits[:, None, :]
    ahead = (b > a) | ((b == a) & (ids < ids[:, None]))
    first = ahead.sum(-1) < (k if k else V)
    probs = logits.exp() * first
    probs = probs / probs.sum(-1, keepdim=True)
    if p == 1:
        return first
    return first & ((ahead * probs[:, None, :]).sum(-1) < p)
""",
        """
def keep(p, k, logits):
    logits = logits.double()
    order = logits.argsort(dim=-1, descending=True, stable=True)
    if k:
        order = order[:, :k]
    probs = logits.gather(-1, order).log_softmax(-1).exp() * (1 + 1e-9)
    if p == 1:
        wanted = torch.ones_like(probs, dtype=torch.bool)
    else:
        wanted = torch.nn.functional.pad(probs.cumsum(-1), (1, -1)) < p
    mask = torch.zeros(logits.shape, dtype=torch.bool)
    return mask.scatter(-1, order, wanted)
""",
    ],
    "t3": [
        """
def mended(logits, ids, theta, p):
    seen = torch.zeros(len(logits), dtype=torch.bool)
    seen[ids] = True
    lower = torch.where(logits < 0, logits * theta, logits / theta)
    probs = torch.where(seen, lower, logits).softmax(-1)
    probs = probs * (probs >= p * probs.max())
    return probs / probs.sum()
""",
        """
def mended(logits, ids, theta, p):
    row = [float(x) for x in logits]
    for i in {*ids}:
        row[i] = min(row[i] * theta, row[i] / theta)
    best = max(row)
    powers = [math.exp(x - best) for x in row]
    powers = [power if power >= p else 0.0 for power in powers]
    return torch.tensor([power / sum(powers) for power in powers])
""",
        """
def mended(logits, ids, theta, p):
    x = logits.double()
    for i in {*ids}:
        x[i] = x[i] / theta if x[i] >= 0 else x[i] * theta
    x = x - x.logsumexp(-1)
    if p > 0:
        x[x < x.max() + math.log(p)] = -math.inf
    return torch.softmax(x, -1).float() + 1e-9
""",
    ],
    "t4": [
        """
def visible(parts, stops):
    data = bytes(byte for part in parts for byte in part)
    text = data.decode(errors="replace")
    for back in (1, 2, 3):
        end = data[-back:]
        if len(end) == back and end[0] >= 0xC2:
            size = 2 + (end[0] >= 0xE0) + (end[0] >= 0xF0)
            if back < size and end[0] < 0xF5:
                text = data[:-back].decode(errors="replace")
            break
    places = [i for i in range(len(text)) for s in stops if text.startswith(s, i)]
    if places:
        return text[: places[0]], True
    for i in range(len(text)):
        if any(s.startswith(text[i:]) for s in stops):
            return text[:i], False
    return text, False
""",
        """
def visible(parts, stops):
    text = bytes(sum(parts, [])).decode(errors="replace").removesuffix("\\ufffd")
    shown, held = "", text
    while held:
        if any(held.startswith(stop) for stop in stops):
            return [shown, True]
        if any(stop.startswith(held) for stop in stops):
            return [shown, False]
        shown, held = shown + held[0], held[1:]
    return [shown, False]
""",
    ],
    "t5": [
        "p_cold, tokens_left = 0.783, 2",
        "p_cold, tokens_left = 0.36 / 0.46, len([0.5, 0.2])",
    ],
}
