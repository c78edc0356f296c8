"""Texts whose later words depend on earlier ones: pronouns, places, repetition.

In the pronoun texts both readings are equally frequent for every pair of animals
and every frame, so that only the last adjective, with the verb, gives the answer.
"""
# ruff: noqa: E501  (a sentence stays on one line, to be read as one)

from pocket.corpus import Draw
from pocket.words import (
    BEASTS,
    BOYS,
    BOYS_ZH,
    FURNITURE,
    GIRLS,
    GIRLS_ZH,
    PAIRS,
    PLACES,
    SHADES,
    THINGS,
    rows,
)  # fmt: skip

# verb, then what "it was ..." says of the one who acts, and of the other one
VERBS = [
    ("chased", "hungry angry playful bored", "fast small noisy tasty"),
    ("followed", "curious lost lonely playful", "kind friendly clever beautiful"),
    ("ran away from", "afraid shy small weak", "dangerous loud big angry"),
    ("helped", "kind friendly strong clever", "hurt weak lost afraid"),
    ("fed", "kind friendly rich gentle", "hungry thin small hurt"),
    ("carried", "strong big kind gentle", "tired hurt small slow"),
    ("watched", "curious bored jealous careful", "beautiful strange funny noisy"),
    ("attacked", "angry hungry cruel jealous", "slow weak alone tasty"),
]
VERBS_ZH = [
    ("追着{}跑", "饿了 生气了 很贪玩 很无聊", "跑得快 很小 很吵 很好吃"),
    ("跟着{}走", "很好奇 迷路了 很孤单 很贪玩", "很善良 很友好 很聪明 很漂亮"),
    ("躲开了{}", "很害怕 很害羞 很小 很弱", "很危险 很吵 很大 生气了"),
    ("帮助了{}", "很善良 很友好 很强壮 很聪明", "受伤了 很弱 迷路了 很害怕"),
    ("喂了{}", "很善良 很友好 很富有 很温柔", "饿了 很瘦 很小 受伤了"),
    ("背着{}走", "很强壮 很大 很善良 很温柔", "很累 受伤了 很小 很慢"),
]
# doing, then why: of the one who acts, and of the other one
PEOPLE = [
    ("thanked", "was grateful was polite was happy", "had helped had come had waited"),
    ("visited", "was lonely was bored had time", "was ill was old had called"),
    ("helped", "was kind was strong had time", "was tired was ill was lost"),
    ("called", "was worried was lonely had time", "was late was lost had gone"),
]
PEOPLE_ZH = [
    ("谢了{}", "很感激 很有礼貌 很高兴", "帮了忙 送了花 等了很久"),
    ("去看{}", "很孤单 很无聊 有时间", "生病了 年纪大了 打了电话"),
    ("帮助了{}", "很善良 很强壮 有时间", "很累 生病了 迷路了"),
]
FITS = rows("""
trophy/suitcase; ball/box; book/bag; picture/drawer; lamp/cupboard; drum/car
umbrella/bag; table/room; coat/box; sofa/van; clock/case; hat/box
""")
WAYS_TO_ASK = [
    "Who {0}? {1}.",
    "Who {0}? Answer: {1}.",
    "Question: Who {0}? Answer: {1}.",
    "\nQ: Who {0}?\nA: {1}.",
]


def _pair(words: str) -> list[str]:
    """``was a was b`` as two reasons, ``a b`` as two adjectives."""
    parts = words.split()
    if parts[0] in ("was", "had"):
        return [f"{a} {b}" for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts


def _question(draw: Draw, why: str, who: str) -> str:
    asked = draw.one(WAYS_TO_ASK).format(why, who)
    return asked if asked.startswith("\n") else " " + asked


def animals(draw: Draw) -> str:
    """The dog chased the squirrel because it was hungry. Who was hungry? The dog."""

    def make(draw: Draw):
        verb, *sides = draw.one(VERBS)
        pair = [en for en, _ in draw.some(BEASTS, 2)]
        side = draw.whole(0, 1)
        why = "was " + draw.one(sides[side].split())
        text = f"The {pair[0]} {verb} the {pair[1]} because it {why}."
        if draw.chance(0.2):  # said beforehand, so that "it" can be understood at once
            text = f"The {pair[side]} {why}. {text}"
        asked = _question(draw, why, f"The {pair[side]}")
        return text + asked, f"{pair[0]}|{verb}|{pair[1]}"

    return draw.keep(make)


def animals_zh(draw: Draw) -> str:
    """狗追着松鼠跑，因为它饿了。谁饿了？狗。"""

    def make(draw: Draw):
        verb, *sides = draw.one(VERBS_ZH)
        pair = [zh for _, zh in draw.some(BEASTS, 2)]
        side = draw.whole(0, 1)
        why = draw.one(sides[side].split())
        text = f"{pair[0]}{verb.format(pair[1])}，因为它{why}。谁{why}？{pair[side]}。"
        return text, f"{pair[0]}|{verb}|{pair[1]}"

    return draw.keep(make)


def people(draw: Draw) -> str:
    """Anna thanked Maria because she had helped. Who had helped? Maria."""

    def make(draw: Draw):
        names, she = draw.one([(GIRLS, "she"), (BOYS, "he")])
        verb, *sides = draw.one(PEOPLE)
        pair, side = draw.some(names, 2), draw.whole(0, 1)
        why = draw.one(_pair(sides[side]))
        text = f"{pair[0]} {verb} {pair[1]} because {she} {why}."
        return text + _question(draw, why, pair[side]), f"{pair[0]}|{verb}|{pair[1]}"

    return draw.keep(make)


def people_zh(draw: Draw) -> str:
    """小红帮助了小丽，因为她很累。谁很累？小丽。"""

    def make(draw: Draw):
        names, she = draw.one([(GIRLS_ZH, "她"), (BOYS_ZH, "他")])
        verb, *sides = draw.one(PEOPLE_ZH)
        pair, side = draw.some(names, 2), draw.whole(0, 1)
        why = draw.one(sides[side].split())
        text = (
            f"{pair[0]}{verb.format(pair[1])}，因为{she}{why}。谁{why}？{pair[side]}。"
        )
        return text, f"{pair[0]}|{verb}|{pair[1]}"

    return draw.keep(make)


def fits(draw: Draw) -> str:
    """The trophy does not fit into the suitcase because it is too big."""

    def make(draw: Draw):
        inner, outer = draw.one(FITS)
        size, which = draw.one(
            [("big", inner), ("small", outer), ("large", inner), ("tiny", outer)]
        )
        text = f"The {inner} does not fit into the {outer} because it is too {size}."
        text += f" What is too {size}? The {which}."
        return text, f"{inner}|{size}"

    return draw.keep(make)


def where(draw: Draw) -> str:
    """Where things are, and a question about one of them."""

    def make(draw: Draw):
        things = draw.some(THINGS, 2)
        shades, seats, rooms = (draw.some(t, 2) for t in (SHADES, FURNITURE, PLACES))
        i = draw.whole(0, 1)
        key = f"{things[0][0]}|{things[1][0]}|{seats[0][0]}"
        (a, a_zh, _), (b, b_zh, _) = things
        if draw.chance(0.4):
            said = f"{shades[0][1]}的{a_zh}在{seats[0][1]}上，{shades[1][1]}的{b_zh}在{seats[1][1]}上。"
            asked = [
                f"{things[i][1]}在哪里？在{seats[i][1]}上。",
                f"{things[i][1]}是什么颜色的？{shades[i][1]}。",
            ]
            return said + draw.one(asked), key
        said = f"The {shades[0][0]} {a} is on the {seats[0][0]}. The {shades[1][0]} {b} is on the {seats[1][0]}. "
        asked = [
            f"Where is the {things[i][0]}? On the {seats[i][0]}.",
            f"What colour is the {things[i][0]}? It is {shades[i][0]}.",
            f"{draw.one(GIRLS)} took the {things[i][0]} to the {rooms[0][0]}. "
            f"Where is the {things[i][0]} now? In the {rooms[0][0]}.",
        ]
        return said + draw.one(asked), key

    return draw.keep(make)


def made_up(draw: Draw) -> str:
    """A name nobody has heard: two or three syllables."""
    parts = ["bdfgklmnprstvz", "aeiou", ["", "", "l", "n", "r", "x"]]
    letters = [draw.one(part) for _ in range(draw.whole(2, 3)) for part in parts]
    return "".join(letters).capitalize()


NAMED = [
    "Once there was a wizard called {0}. {0} lived in a tower. Nobody knew where {0} came from. One day {0} went away, and the tower stood empty.",
    "The planet {0} has two moons, {1} and {2}. {1} is big and {2} is small. From {0} you can see {1} by day and {2} by night.",
    "{0} and {1} are friends. {0} likes to run and {1} likes to swim. In the evening {0} and {1} sit by the fire.",
    "My robot is called {0}. {0} can cook and {0} can sing. When I am tired, {0} tells me a story about {1}. In the story {1} is a king.",
    "In the land of {0} they say {1} for yes and {2} for no. If you want to say yes in {0}, say {1}. If you want to say no, say {2}.",
    "从前有一个叫{0}的机器人。{0}住在山上。{0}有一个朋友叫{1}。{0}和{1}每天一起看星星。",
]


def names(draw: Draw) -> str:
    """Made-up names that come back."""
    return draw.one(NAMED).format(*(made_up(draw) for _ in range(3)))


def repeated(draw: Draw) -> str:
    """A random list of words, and the same list again, once or twice."""
    n = draw.whole(4, 14)
    kind = draw.whole(0, 3)
    if kind == 0:
        words = [made_up(draw).lower() for _ in range(n)]
    elif kind == 1:
        words = [zh for _, zh in draw.some(PAIRS, n)]
    else:
        words = [en for en, _ in draw.some(PAIRS, n)]
    mark = "，" if kind == 1 else draw.one([" ", " ", ", ", "\n"])
    return mark.join(words * draw.whole(2, 3))


MAKERS = {
    "animals": (12, animals), "animals-zh": (6, animals_zh), "people": (4, people),
    "people-zh": (2, people_zh), "fits": (2, fits), "where": (6, where),
    "names": (4, names), "repeated": (5, repeated),
}  # fmt: skip
