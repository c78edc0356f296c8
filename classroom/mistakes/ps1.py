"""Assignment 1, tokens."""

from . import Mistake

# What a wrong learn and a right one have in common, and a wrong one may leave out.
JOINED = """
def joined(ids, pair, new):
    made, i = [], 0
    while i < len(ids):
        fits = tuple(ids[i : i + 2]) == pair
        made.append(new if fits else ids[i])
        i += 2 if fits else 1
    return made
"""
LEARN = """
def learn(counts, rounds):
    words = [(list(word.encode()), n) for word, n in counts.items()]
    merges = []
    for new in range(256, 256 + rounds):
        found = {}
        for ids, n in words:
            for pair in pairwise(ids):
                found[pair] = found.get(pair, 0) + n
        if not found:
            break
        best = min(found, key=lambda pair: (-found[pair], pair))
        merges.append(best)
        words = [(joined(ids, best, new), n) for ids, n in words]
    return merges
"""
OFFSETS = """
def offsets(text, widths):
    owner = [i for i, c in enumerate(text) for _ in c.encode()]
    found, begin = [], 0
    for width in widths:
        found.append((owner[begin], owner[begin + width - 1] + 1))
        begin += width
    return found
"""
ENCODE = """
def encode(text, merges):
    ids = list(text.encode())
    while True:
        known = [pair for pair in pairwise(ids) if pair in merges]
        if not known:
            return ids
        pair, result = min(known, key=merges.get), []
        while ids:
            fits = tuple(ids[:2]) == pair
            result.append(merges[pair] if fits else ids[0])
            ids = ids[2 if fits else 1 :]
        ids = result
"""
CHAT = """
def chat_ids(messages):
    ids, system = [BEGIN], ""
    for message in messages:
        content = message["content"]
        if message["role"] == "system":
            system = content + "\\n\\n"
        elif message["role"] == "user":
            ids += [USER, *(system + content).encode()]
            system = ""
        else:
            ids += [BOT, *content.encode(), END]
    if messages[-1]["role"] == "user":
        ids += [BOT]
    return ids
"""


def with_change(code: str, old: str, new: str) -> str:
    """A right answer, and one mistake in it."""
    assert code.count(old) == 1, f"{old!r} stands there {code.count(old)} times"
    return code.replace(old, new)


MISTAKES = {
    "t1": {
        "each word counts once": Mistake(
            with_change(LEARN, "found.get(pair, 0) + n", "found.get(pair, 0) + 1")
            + JOINED,
            "t1-counts",
            "each word counted once",
        ),
        "a pair once in each word": Mistake(
            with_change(LEARN, "in pairwise(ids)", "in {*pairwise(ids)}") + JOINED,
            "t1-counts",
            "a pair that stands twice in a word",
        ),
        "pairs that do not overlap": Mistake(
            with_change(
                LEARN,
                """            for pair in pairwise(ids):
                found[pair] = found.get(pair, 0) + n
""",
                """            before = None
            for pair in pairwise(ids):
                if pair == before and pair[0] == pair[1]:
                    before = None
                    continue
                found[pair] = found.get(pair, 0) + n
                before = pair
""",
            )
            + JOINED,
            "t1-counts",
            "aaa has the pair aa twice",
        ),
        "letters instead of bytes": Mistake(
            with_change(LEARN, "list(word.encode())", "list(word)") + JOINED,
            "t1-counts t1-ties t1-joins t1-bytes",
            "bytes are numbers here",
        ),
        "the first pair seen": Mistake(
            with_change(
                LEARN,
                "min(found, key=lambda pair: (-found[pair], pair))",
                "max(found, key=found.get)",
            )
            + JOINED,
            "t1-ties t1-joins t1-bytes",
            "the first one seen was taken",
        ),
        "the largest pair": Mistake(
            with_change(
                LEARN,
                "min(found, key=lambda pair: (-found[pair], pair))",
                "max(found, key=lambda pair: (found[pair], pair))",
            )
            + JOINED,
            "t1-ties t1-joins t1-bytes",
            "the largest ids was taken",
        ),
        "one symbol used twice": Mistake(
            LEARN
            + """
def joined(ids, pair, new):
    made, skip = [], False
    for i, token in enumerate(ids):
        if tuple(ids[i : i + 2]) == pair:
            made.append(new)
            skip = True
        elif skip:
            skip = False
        else:
            made.append(token)
    return made
""",
            "t1-joins",
            "an a was used twice",
        ),
        "from right to left": Mistake(
            with_change(
                LEARN,
                "joined(ids, best, new)",
                "joined(ids[::-1], best[::-1], new)[::-1]",
            )
            + JOINED,
            "t1-joins",
            "join from left to right",
        ),
        "the last symbol lost": Mistake(
            LEARN + with_change(JOINED, "i < len(ids):", "i < len(ids) - 1:"),
            "t1-joins",
            "the end of a word was lost",
        ),
        "only the first of two": Mistake(
            LEARN
            + """
def joined(ids, pair, new):
    for i in range(len(ids) - 1):
        if (ids[i], ids[i + 1]) == pair:
            return ids[:i] + [new] + ids[i + 2 :]
    return ids
""",
            "t1-joins",
            "only the first of two pairs",
        ),
        "the first id is 257": Mistake(
            with_change(LEARN, "range(256, 256 + rounds)", "range(257, 257 + rounds)")
            + JOINED,
            "t1-joins",
            "the first new id is 256",
        ),
        "code points instead of bytes": Mistake(
            with_change(LEARN, "list(word.encode())", "[ord(c) for c in word]")
            + JOINED,
            "t1-bytes",
            "a word starts as its bytes",
        ),
        "the end not expected": Mistake(
            with_change(LEARN, "        if not found:\n            break\n", "")
            + JOINED,
            "t1-bytes",
            "an error when no pair is left",
        ),
        "over the ends of words": Mistake(
            with_change(
                LEARN,
                "[(list(word.encode()), n) for word, n in counts.items()]",
                '[(list("".join(w * n for w, n in counts.items()).encode()), 1)]',
            )
            + JOINED,
            "t1-counts t1-ties t1-joins t1-bytes",
            "a pair reaches over the end of a word",
        ),
    },
    "t2": {
        "as it was handed out": Mistake(
            "encode = broken",
            "t2-bytes t2-order",
            "33590 is the code point",
        ),
        "only the bytes mended": Mistake(
            with_change(ENCODE, "min(known, key=merges.get)", "known[0]"),
            "t2-order",
            "the leftmost known pair was joined",
        ),
        "only the order mended": Mistake(
            with_change(ENCODE, "list(text.encode())", "[ord(c) for c in text]"),
            "t2-bytes",
            "33590 is the code point",
        ),
        "the last learned first": Mistake(
            with_change(
                ENCODE, "min(known, key=merges.get)", "max(known, key=merges.get)"
            ),
            "t2-order",
            "the pair that was learned last",
        ),
        "the smallest pair": Mistake(
            with_change(ENCODE, "min(known, key=merges.get)", "min(known)"),
            "t2-order",
            "what counts is when it was learned",
        ),
        "the longest token": Mistake(
            """
def encode(text, merges):
    spelled = {i: bytes([i]) for i in range(256)}
    for (a, b), new in merges.items():
        spelled[new] = spelled[a] + spelled[b]
    data, ids = text.encode(), []
    while data:
        fits = [i for i, piece in spelled.items() if data.startswith(piece)]
        ids.append(max(fits, key=lambda i: len(spelled[i])))
        data = data[len(spelled[ids[-1]]) :]
    return ids
""",
            "t2-order",
            "the longest token was taken",
        ),
        "one place a merge": Mistake(
            """
def encode(text, merges):
    ids = list(text.encode())
    for pair, new in merges.items():
        for i in range(len(ids) - 1):
            if (ids[i], ids[i + 1]) == pair:
                ids[i : i + 2] = [new]
                break
    return ids
""",
            "t2-order",
            "is joined everywhere",
        ),
        "Latin-1 instead of UTF-8": Mistake(
            with_change(
                ENCODE, "text.encode()", 'text.encode("latin-1", errors="replace")'
            ),
            "t2-bytes",
            "without merges the ids are the bytes",
        ),
    },
    "t3": {
        "bytes counted": Mistake(
            """
def offsets(text, widths):
    found, begin = [], 0
    for width in widths:
        found.append((begin, begin + width))
        begin += width
    return found
""",
            "t3-characters t3-parts t3-across",
            "bytes were counted",
        ),
        "start and length": Mistake(
            with_change(
                OFFSETS,
                "owner[begin + width - 1] + 1)",
                "owner[begin + width - 1] + 1 - owner[begin])",
            ),
            "t3-ascii t3-characters t3-parts t3-across",
            "start and length",
        ),
        "the end inside": Mistake(
            with_change(OFFSETS, " - 1] + 1)", " - 1])"),
            "t3-ascii t3-characters t3-parts t3-across",
            "the end is the last character",
        ),
        "whole characters so far": Mistake(
            """
def offsets(text, widths):
    data, found, begin = text.encode(), [], 0
    for width in widths:
        ends = begin, begin + width
        found.append(tuple(len(data[:n].decode(errors="ignore")) for n in ends))
        begin += width
    return found
""",
            "t3-parts t3-across",
            "the first part of é has an empty place",
        ),
        "begun characters so far": Mistake(
            """
def offsets(text, widths):
    data, found, begin = text.encode(), [], 0
    for width in widths:
        ends = begin, begin + width
        found.append(tuple(len(data[:n].decode(errors="replace")) for n in ends))
        begin += width
    return found
""",
            "t3-parts t3-across",
            "the second part of é has an empty place",
        ),
        "each token decoded alone": Mistake(
            """
def offsets(text, widths):
    data, found, place, begin = text.encode(), [], 0, 0
    for width in widths:
        piece = data[begin : begin + width].decode(errors="replace")
        found.append((place, place + len(piece)))
        place, begin = place + len(piece), begin + width
    return found
""",
            "t3-parts t3-across",
            "counted as two characters",
        ),
        "the first character alone": Mistake(
            """
def offsets(text, widths):
    owner = [i for i, c in enumerate(text) for _ in c.encode()]
    found, begin = [], 0
    for width in widths:
        whole = len({*owner[begin : begin + width]})
        if owner[begin + width :][:1] == [owner[begin + width - 1]]:
            whole = max(1, whole - 1)
        found.append((owner[begin], owner[begin] + whole))
        begin += width
    return found
""",
            "t3-across",
            "not of the first alone",
        ),
    },
    "t4": {
        "no beginning of the answer": Mistake(
            with_change(
                CHAT,
                '["role"] == "user":\n        ids +=',
                '["role"] == "":\n        ids +=',
            ),
            "t4-user",
            "BOT is missing at the end",
        ),
        "always a beginning of an answer": Mistake(
            with_change(CHAT, 'if messages[-1]["role"] == "user":', "if messages:"),
            "t4-turns",
            "no new one begins",
        ),
        "every message closed": Mistake(
            with_change(
                CHAT,
                "*(system + content).encode()]",
                "*(system + content).encode(), END]",
            ),
            "t4-user t4-turns",
            "only an answer of the assistant is closed",
        ),
        "a beginning for every message": Mistake(
            with_change(
                with_change(CHAT, "[USER, *(s", "[BEGIN, USER, *(s"),
                "[BEGIN], ",
                "[], ",
            ).replace("[BOT, *", "[BEGIN, BOT, *"),
            "t4-turns",
            "not of each message",
        ),
        "the system as a user": Mistake(
            with_change(
                CHAT, 'system = content + "\\n\\n"', "ids += [USER, *content.encode()]"
            ),
            "t4-system",
            "with one USER",
        ),
        "no system": Mistake(
            with_change(CHAT, 'system = content + "\\n\\n"', "continue"),
            "t4-system",
            "the content of the system message is missing",
        ),
        "no line breaks": Mistake(
            with_change(CHAT, 'content + "\\n\\n"', "content"),
            "t4-system",
            "two line breaks are missing",
        ),
        "the system before every question": Mistake(
            with_change(CHAT, '            system = ""\n', ""),
            "t4-system",
            "not to the later ones",
        ),
        "names in what people write": Mistake(
            """
def chat_ids(messages):
    text, system = "<begin>", ""
    for message in messages:
        content = message["content"]
        if message["role"] == "system":
            system = content + "\\n\\n"
        elif message["role"] == "user":
            text += "<user>" + system + content
            system = ""
        else:
            text += "<bot>" + content + "<end>"
    if messages[-1]["role"] == "user":
        text += "<bot>"
    ids = []
    while text:
        name = next((name for name in NAMES if text.startswith(name)), None)
        ids += [NAMES[name]] if name else text[0].encode()
        text = text[len(name or "1") :]
    return ids
""",
            "t4-forged",
            "and it became the mark",
        ),
        "spaces taken away": Mistake(
            with_change(CHAT, 'message["content"]', 'message["content"].strip()'),
            "t4-forged",
            "a space that a user typed",
        ),
        "code points": Mistake(
            with_change(
                with_change(
                    CHAT, "*(system + content).encode()", "*map(ord, system + content)"
                ),
                "*content.encode()",
                "*map(ord, content)",
            ),
            "t4-user t4-forged",
            "33590 is a code point",
        ),
    },
    "t5": {
        "characters, and the first merge": Mistake(
            "bytes_of_text, tokens_left = 16, 12",
            "t5-bytes t5-tokens",
            "those are the characters",
        ),
        "two bytes a Chinese character": Mistake(
            "bytes_of_text, tokens_left = 24, 6",
            "t5-bytes t5-tokens",
            "a Chinese character has three bytes",
        ),
        "European letters as one byte": Mistake(
            "bytes_of_text, tokens_left = 23, 8",
            "t5-bytes t5-tokens",
            "two bytes each",
        ),
        "an emoji of three bytes": Mistake(
            "bytes_of_text, tokens_left = 25, 7",
            "t5-bytes",
            "four bytes",
        ),
        "one merge too many": Mistake(
            "bytes_of_text, tokens_left = 26, 6",
            "t5-tokens",
            "no token has three",
        ),
    },
}

# Other ways to be right. The last of each gives other kinds of numbers and lists.
RIGHT = {
    "t1": [
        """
from collections import Counter


def learn(counts, rounds):
    words = Counter({"".join(map(chr, w.encode())): n for w, n in counts.items()})
    merges = []
    while len(merges) < rounds and any(len(word) > 1 for word in words):
        found = Counter()
        for word, n in words.items():
            for a, b in zip(word, word[1:]):
                found[ord(a), ord(b)] += n
        most = max(found.values())
        merges.append(min(pair for pair in found if found[pair] == most))
        old, new = "".join(map(chr, merges[-1])), chr(255 + len(merges))
        words = Counter({word.replace(old, new): n for word, n in words.items()})
    return merges
""",
        """
import numpy as np


def learn(counts, rounds):
    texts = [np.frombuffer(word.encode(), np.uint8).astype(int) for word in counts]
    often, merges = list(counts.values()), []
    for new in range(256, 256 + rounds):
        pairs = [(-n, a, b) for ids, n in zip(texts, often) for a, b in pairwise(ids)]
        total = {}
        for n, a, b in pairs:
            total[a, b] = total.get((a, b), 0) + n
        if len(total) == 0:
            return merges
        _, a, b = sorted((n, *pair) for pair, n in total.items())[0]
        merges.append([a, b])
        for k, ids in enumerate(texts):
            made = []
            for x in ids:
                if made and made[-1] == a and x == b:
                    made[-1] = new
                else:
                    made.append(x)
            texts[k] = made
    return merges
""",
    ],
    "t2": [
        """
def encode(text, merges):
    ids = list(text.encode())
    for (a, b), new in merges.items():
        i = 0
        while i < len(ids) - 1:
            if ids[i] == a and ids[i + 1] == b:
                ids[i : i + 2] = [new]
            i += 1
    return ids
""",
        """
import numpy as np


def encode(text, merges):
    ids = [np.int64(byte) for byte in bytes(text, "utf-8")]
    while True:
        ranked = [(merges[p], i) for i, p in enumerate(pairwise(ids)) if p in merges]
        if not ranked:
            return ids
        new, i = min(ranked)
        ids = ids[:i] + [np.int64(new)] + ids[i + 2 :]
""",
    ],
    "t3": [
        """
def offsets(text, widths):
    data, found, begin = text.encode(), [], 0
    for width in widths:
        end = begin + width
        whole = len(data[:begin].decode(errors="ignore"))
        begun = len(data[:end].decode(errors="replace"))
        found.append((whole, begun))
        begin = end
    return found
""",
        """
import numpy as np


def offsets(text, widths):
    data = np.frombuffer(text.encode(), np.uint8)
    number = ((data & 0xC0) != 0x80).cumsum() - 1
    ends = np.cumsum(np.array(widths, int))
    return [
        [number[end - width], number[end - 1] + 1]
        for end, width in zip(ends, widths)
    ]
""",
    ],
    "t4": [
        """
def chat_ids(messages):
    ids, rest = [BEGIN], list(messages)
    if rest[0]["role"] == "system":
        both = rest[0]["content"] + chr(10) * 2 + rest[1]["content"]
        rest = [{"role": "user", "content": both}] + rest[2:]
    for message in rest:
        ids.append(USER if message["role"] == "user" else BOT)
        ids.extend(message["content"].encode("utf-8"))
        if message["role"] == "assistant":
            ids.append(END)
    if ids[-1] != END:
        ids.append(BOT)
    return ids
""",
        """
import numpy as np


def chat_ids(messages):
    parts = [np.array([NAMES["<begin>"]])]
    for i, message in enumerate(messages):
        data = message["content"].encode()
        if message["role"] == "system":
            continue
        if i == 1 and messages[0]["role"] == "system":
            data = messages[0]["content"].encode() + b"\\n\\n" + data
        body = np.frombuffer(data, np.uint8).astype(int)
        if message["role"] == "user":
            parts += [[USER], body]
        else:
            parts += [[BOT], body, [END]]
    if messages[-1]["role"] == "user":
        parts.append([BOT])
    return np.concatenate(parts).astype(int).tolist()
""",
    ],
    "t5": ["bytes_of_text, tokens_left = len('Größe: 3 m² 茶茶 🙂'.encode()), 7"],
}
