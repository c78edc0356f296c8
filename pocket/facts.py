"""Texts that state something: facts, translations, lists, sums and chat."""
# ruff: noqa: E501  (a sentence stays on one line, to be read as one)

from pocket.corpus import Draw
from pocket.words import (
    ANIMALS,
    CAPITALS,
    COLOURS,
    DRINKS,
    DRINKS_ZH,
    FILMS,
    FILMS_ZH,
    OPPOSITES,
    OPPOSITES_ZH,
    PAIRS,
    PLURALS,
)  # fmt: skip

CAPITAL = [
    "The capital of {} is {}.",
    "The capital city of {} is called {}.",
    "What is the capital of {}? It is {}.",
    "If you travel to the capital of {}, you are in {}.",
    "Country: {}. Capital: {}.",
    "Everybody who lives in {} knows that its capital is {}.",
    "Ask anyone in {} for the capital, and they will say {}.",
    "We flew to {} and spent three days in the capital, {}.",
]
CAPITAL_BACK = [
    "{1} is the capital of {0}.",
    "{1} is a city in {0}.",
    "Where is {1}? It is in {0}.",
    "The city of {1} lies in {0}.",
]
CAPITAL_ZH = [
    "{}的首都是{}。",
    "{}的首都叫{}。",
    "{}的首都是哪里？是{}。",
    "我们去{}旅行，先到了首都{}。",
]
CAPITAL_BACK_ZH = ["{1}是{0}的首都。", "{1}是{0}的一座城市。", "{1}在哪里？在{0}。"]
COLOUR = [
    "The colour of {} is {}.",
    "What colour is {}? It is {}.",
    "We all know that {} is {}.",
]
COLOUR_ZH = ["{}是{}的。", "{}的颜色是{}。", "{}是什么颜色的？是{}的。"]
SOUND = ["A {} {}.", "The {} {} in the night.", "Listen, the {} {}!", "Every {} {}."]
SOUND_ZH = ["{}叫起来是{}。", "{}{}地叫。", "听，{}在{}地叫！"]
OPPOSITE = [
    "The opposite of {} is {}.", "{} is the opposite of {}.", "What is the opposite of {}? {}.",
    "Not {}, but {}.",
]  # fmt: skip
OPPOSITE_ZH = ["{}的反义词是{}。", "{}和{}意思相反。", "不是{}，而是{}。"]
PLURAL = [
    "One {}, two {}.",
    "The plural of {} is {}.",
    "She had one {}, then she had many {}.",
]
TRANSLATION = [
    "The Chinese word for {} is {}.", "{} in Chinese is {}.", "In Chinese, {} is called {}.",
    "How do you say {} in Chinese? {}.",
]  # fmt: skip
TRANSLATION_ZH = ["{1}的英文是{0}。", "英文{0}的意思是{1}。", "{1}用英文怎么说？{0}。"]
FILM = ["{} is {}.", "I have seen {}. It is {}.", "Tonight we will watch {}, {}."]
FILM_NAME = [
    "My favourite film is {}.",
    "Have you seen {}?",
    "{} is a famous film.",
    "We talked about {} all evening.",
]
FILM_ZH = ["《{}》讲的是{}。", "我看过《{}》，这部电影讲的是{}。"]
CUP_ZH = [
    "我可以拥有一杯{}吗？",
    "请给我一杯{}。",
    "他想喝一杯{}。",
    "桌子上有一杯{}。",
    "早上喝一杯{}很舒服。",
]
CUP = [
    "May I have a cup of {}?",
    "A cup of {}, please.",
    "She drank a cup of {} in the morning.",
]
# Both the article and the number agree with the thing.
PLAIN = {"snow", "coal", "blood", "grass", "milk", "chocolate", "salt", "gold"}


def _stated(draw: Draw, frames: list[str], table: list, cells: tuple[int, ...]) -> str:
    """One row of a table in one wording, the pair of them kept to its split."""

    def make(draw: Draw):
        frame, row = draw.one(frames), draw.one(table)
        return frame.format(*(row[c] for c in cells)), f"{row[cells[0]]}|{frame}"

    text = draw.keep(make)
    return text[:1].upper() + text[1:]


def capital(draw: Draw) -> str:
    return _stated(draw, CAPITAL + CAPITAL_BACK, CAPITALS, (0, 1))


def capital_zh(draw: Draw) -> str:
    return _stated(draw, CAPITAL_ZH + CAPITAL_BACK_ZH, CAPITALS, (2, 3))


def colour(draw: Draw) -> str:
    table = [(t if t in PLAIN else f"the {t}", c) for t, c, *_ in COLOURS]
    if draw.chance(0.5):
        table = [(f"the {a}", c) for a, _, c, *_ in ANIMALS]
    return _stated(draw, COLOUR, table, (0, 1))


def colour_zh(draw: Draw) -> str:
    return _stated(draw, COLOUR_ZH, [(z, c) for _, _, z, c in COLOURS], (0, 1))


def sound(draw: Draw) -> str:
    text = _stated(draw, SOUND, ANIMALS, (0, 3))
    return text.replace("A owl", "An owl")


def sound_zh(draw: Draw) -> str:
    return _stated(draw, SOUND_ZH, ANIMALS, (4, 6))


def opposite(draw: Draw) -> str:
    both_ways = OPPOSITES + [(b, a) for a, b in OPPOSITES]
    return _stated(draw, OPPOSITE, both_ways, (0, 1))


def opposite_zh(draw: Draw) -> str:
    return _stated(draw, OPPOSITE_ZH, OPPOSITES_ZH, (0, 1))


def plural(draw: Draw) -> str:
    return _stated(draw, PLURAL, PLURALS, (0, 1))


def translation(draw: Draw) -> str:
    return _stated(draw, TRANSLATION, PAIRS, (0, 1))


def translation_zh(draw: Draw) -> str:
    return _stated(draw, TRANSLATION_ZH, PAIRS, (0, 1))


def film(draw: Draw) -> str:
    return _stated(draw, FILM if draw.chance(0.5) else FILM_NAME, FILMS, (0, 1))


def film_zh(draw: Draw) -> str:
    return _stated(draw, FILM_ZH, FILMS_ZH, (0, 1))


def cup(draw: Draw) -> str:
    return _stated(draw, CUP, [(d,) for d in DRINKS], (0,))


def cup_zh(draw: Draw) -> str:
    return _stated(draw, CUP_ZH, [(d,) for d in DRINKS_ZH], (0,))


FACTS = [capital, capital, colour, sound, opposite, plural, translation, film, cup]
FACTS_ZH = [
    capital_zh, capital_zh, colour_zh, sound_zh, opposite_zh, translation_zh, film_zh, cup_zh,
]  # fmt: skip


def fact(draw: Draw) -> str:
    return draw.one(FACTS if draw.chance(0.6) else FACTS_ZH)(draw)


def several(draw: Draw) -> str:
    """A paragraph of facts in one language, on one subject or on many."""
    zh = draw.chance(0.4)
    topics = FACTS_ZH if zh else FACTS
    if draw.chance(0.5):
        topics = [draw.one(topics)]
    return ("" if zh else " ").join(
        draw.one(topics)(draw) for _ in range(draw.whole(2, 5))
    )


def few_shot(draw: Draw) -> str:
    """A list of pairs that follow one rule, with one separator throughout."""

    def make(draw: Draw):
        table = draw.one([PAIRS, PAIRS, OPPOSITES, PLURALS])
        pairs = draw.some(table, draw.whole(3, 8))
        if draw.chance(0.4):
            pairs = [(b, a) for a, b in pairs]
        mark = draw.one([" -> ", ": ", " = ", " => ", " - "])
        lines = [f"{a}{mark}{b}" for a, b in pairs]
        return draw.one(["\n", "\n", ", "]).join(lines), "|".join(lines)

    return draw.keep(make)


def sums(draw: Draw) -> str:
    """A few additions, or one longer sum with its steps written down."""
    if draw.chance(0.5):
        terms = [(draw.whole(0, 9), draw.whole(0, 9)) for _ in range(draw.whole(1, 4))]
        return "\n".join(f"{a} + {b} = {a + b}" for a, b in terms)
    numbers = [draw.whole(1, 9) for _ in range(draw.whole(3, 4))]
    question = " + ".join(map(str, numbers))
    if draw.chance(0.5):
        return f"{question} = {sum(numbers)}"
    return f"{question}\n{steps(numbers)}"


def steps(numbers: list[int]) -> str:
    """A sum worked out from left to right."""
    total, lines = numbers[0], []
    for n in numbers[1:]:
        lines.append(f"{total} + {n} = {total + n}")
        total += n
    return "\n".join([*lines, f"The answer is {total}."])


def chat_text(turns: list[tuple[str, str]]) -> str:
    """Turns of (role, words) in the chat template of the tokenizer."""
    return "".join(f"<|im_start|>{who}\n{words}<|im_end|>\n" for who, words in turns)


def _question(draw: Draw) -> tuple[str, str, str]:
    """A question, its answer in a sentence and its answer in a word."""
    country, city, land, town = draw.one(CAPITALS)
    en, zh = draw.one(PAIRS)
    a, b = draw.one(OPPOSITES)
    one, many = draw.one(PLURALS)
    x, y = draw.whole(0, 9), draw.whole(0, 9)
    return draw.one([
        (f"What is the capital of {country}?", f"The capital of {country} is {city}.", city),
        (f"{land}的首都是哪里？", f"{land}的首都是{town}。", town),
        (f"Translate into Chinese: {en}", f"{en} in Chinese is {zh}.", zh),
        (f"{zh}用英文怎么说？", f"{zh}的英文是{en}。", en),
        (f"What is the opposite of {a}?", f"The opposite of {a} is {b}.", b),
        (f"What is the plural of {one}?", f"The plural of {one} is {many}.", many),
        (f"What is {x} + {y}?", f"{x} + {y} = {x + y}", str(x + y)),
    ])  # fmt: skip


def _listing(draw: Draw) -> tuple[str, str]:
    """An instruction that asks for a list in a given form."""
    n = draw.whole(2, 4)
    words = draw.some([r[0] for r in draw.one([ANIMALS, CAPITALS, COLOURS])], n)
    number = {2: "two", 3: "three", 4: "four"}[n]
    if draw.chance(0.5):
        return f"Make a list: {', '.join(words)}", "\n".join(f"- {w}" for w in words)
    lines = "\n".join(f"{i}. {w}" for i, w in enumerate(words, 1))
    return f"Number these {number} words: {', '.join(words)}", lines


def chat(draw: Draw) -> str:
    """One to three turns; a system line may ask for answers of one word."""
    short = draw.chance(0.3)
    turns = [("system", "Answer in one word.")] if short else []
    for _ in range(draw.whole(1, 3)):
        if not short and draw.chance(0.25):
            asked, answer = _listing(draw)
        else:
            asked, sentence, word = _question(draw)
            answer = word if short else sentence
        turns += [("user", asked), ("assistant", answer)]
    return chat_text(turns)


MAKERS = {
    "fact": (10, fact), "several": (14, several), "cup-zh": (2, cup_zh), "film": (2, film),
    "few-shot": (7, few_shot), "sums": (5, sums), "chat": (8, chat),
}  # fmt: skip
