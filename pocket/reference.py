"""Pronouns that only the sense of the text resolves, each with a question.

Both readings are equally frequent, whoever is named first: the reason gives the answer.
"""

import re
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

from pocket.corpus import Draw
from pocket.frames import VOWEL, Person, slots, table

OPENINGS = {
    "en": (
        "|||Yesterday |One day |Early in the morning |In the evening |Behind the barn |"
        "Near the river |On the hill |After lunch |At the farm |That night |Last week "
    ).split("|"),
    "zh": (
        "|||昨天，|有一天，|早上，|晚上，|在河边，|在山上，|在农场里，|那天夜里，|上个星期，"
    ).split("|"),
}
BECAUSE = {
    "en": [
        "{a} {verb} {b} because {it} {why}.",
        "{a} {verb} {b} because {it} {why}.",
        "{a} {verb} {b}, and the reason was that {it} {why}.",
        "{a} {verb} {b}. Why? Because {it} {why}.",
    ],
    "zh": ["{a}{verb}，因为{it}{why}。", "{a}{verb}，原因是{it}{why}。"],
}
BECAUSE_SO = {
    "en": [
        "because it was so {f}, it {then}.",
        "because of its {noun}, that is, because it was so {f}, it {then}.",
    ],
    "zh": ["因为很{f}，它{then}。", "{noun}，也就是说，因为很{f}，它{then}。"],
}
# What is said of the two, and of the one that is meant.
TOLD = {
    "en": [
        ("The {a} was {f} and the {b} was {g}. ", "because of its {noun}, it {then}."),
        ("The {b} was {g} and the {a} was {f}. ", "because of its {noun}, it {then}."),
        ("The {b} was not {f}, but the {a} was. ", "in its {noun} it {then}."),
        ("The {a} was {f}, while the {b} was only {g}. ", "{lead} {noun}, it {then}."),
        ("The {a} was not {g} but {f}, the {b} was {g}. ", "{lead} {noun}, it {then}."),
        ("The {b} was {g}, while the {a} was only {f}. ", "in its {noun} it {then}."),
        ("The {b} was {g}, but the {a} was {f}. ", "{lead} {noun}, it {then}."),
        ("The {a} was {f}, but the {b} was {g}. ", "{lead} {noun}, it {then}."),
    ],
    "zh": [
        ("{a}很{f}，{b}很{g}。", "{noun}，它{then}。"),
        ("{b}很{g}，{a}很{f}。", "{noun}，它{then}。"),
        ("{b}不{f}，{a}很{f}。", "{noun}，它{then}。"),
        ("{a}很{f}，{b}不{f}。", "{noun}，它{then}。"),
        ("{a}不{g}，可是很{f}，{b}很{g}。", "{noun}，它{then}。"),
        ("{b}很{g}，{a}不{g}，可是很{f}。", "{noun}，它{then}。"),
    ],
}
DENIED = re.compile(r"^[^.。]*( was not | was only |不)")
# When and where the second sentence happens: with every one of them it is another
# sentence, so that the hash holds out sentences, not all there is of a feeling.
WHEN = {
    "en": (
        "|||soon|later|that day|that night|that evening|in the end|before long|"
        "after a while|a little later|a moment later|all at once|at last|at noon"
    ).split("|"),
    "zh": (
        "|||于是|后来|结果|不久|那天|当天晚上|没过多久|过了一会儿|第二天|最后|中午|天黑以后"
    ).split("|"),
}
WHERE = {
    "en": (
        "||||near the pond|on the way home|by the old mill|in the yard|"
        "under the big tree|at the gate|in the kitchen|on the road|behind the hedge"
    ).split("|"),
    "zh": (
        "||||在池塘边|在回家的路上|在磨坊旁边|在院子里|在大树下|在门口|在厨房里|在路上|在篱笆后面"
    ).split("|"),
}
# One of two animals is noticed, for what only it does.
NOTICED = {
    "en": [
        "{name} {verb} the {a} and not the {b}, because it {act}.",
        "{name} {verb} the {a} instead of the {b}, because it {act}.",
        "it was the {a} that {name} {verb}, not the {b}, because it {act}.",
        "it was not the {b} but the {a} that {name} {verb}, because it {act}.",
        "{name} did not care for the {b} and {verb} the {a}, because it {act}.",
        "{name} passed by the {b} and {verb} the {a}, because it {act}.",
    ],
    "zh": [
        "{name}{verb}的是{a}，不是{b}，因为它{act}。",
        "是{a}，不是{b}，让{name}{verb}，因为它{act}。",
        "{name}{verb}的不是{b}，而是{a}，因为它{act}。",
        "不是{b}，而是{a}让{name}{verb}，因为它{act}。",
    ],
}
NOTICES = {
    "en": (
        "noticed|looked at|pointed at|watched|wrote about|talked about|painted|praised|"
        "took a picture of|remembered|smiled at|admired"
    ).split("|"),
    "zh": "看|喜欢|画|谈起|拍下|夸奖|记得|想起|指着|观察".split("|"),
}
MOVES_ZH = "笑了|很吃惊|停下了脚步|很高兴|很好奇|睁大了眼睛|拍起手来".split("|")
WHO = {
    "en": [
        " Who {why}?",
        " Question: Who {why}? Answer:",
        "\nQ: Who {why}?\nA:",
        " Tell me who {why}.",
    ],
    "zh": ["谁{why}？", "问：谁{why}？答：", "请问谁{why}？"],
}
FITS = {
    "en": "{} {} does not fit into the {} because it is {}.",
    "zh": "{}{}放不进{}，因为它{}。",
}
LOOK = {
    "en": ["The", "Look, the", "Sadly, the", "I see that the"],
    "zh": ["", "你看，", "可惜，", "没想到，"],
}
# What is said of the thing that does not fit, and of what it does not fit into.
SIZES = {
    "en": [
        "too big|too large|much too big|far too large",
        "too small|too tiny|too narrow|much too small",
    ],
    "zh": ["太大了|大了一点", "太小了|小了一点"],
}
VERBS = ["carries", "cleans", "puts away", "looks at", "likes", "sells", "hides"]


class Puzzle(NamedTuple):
    """A text, a question and its answer; of two candidates one is meant."""

    said: str
    question: str
    answer: str
    meant: str
    other: str


def upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def asked(draw: Draw, language: str, why: str, who: str) -> tuple[str, str]:
    """A question who it was, and its answer."""
    question = draw.one(WHO[language]).format(why=why)
    return question, f" {upper(who)}." if language == "en" else f"{who}。"


@cache
def reasons(name: str) -> tuple[tuple[str, list[str], list[str]], ...]:
    """The rows of a table of verbs: verb, reasons of the one who acts, of the other."""
    return tuple(
        (verb, *([w.strip() for w in side.split(",")] for side in sides))
        for verb, *sides in table(f"tables/{name}.txt")
    )


def because(draw: Draw, name: str, language: str) -> Puzzle:
    """A verb between two, and a reason that fits one of them.

    The dog chased the squirrel because it was hungry. Who was hungry? The dog.
    """

    def make():
        if name == "animals":
            it, article = ("它", "") if language == "zh" else ("it", "the ")
            names = [article + w.split("/")[0] for w in slots(language)["beast"]]
        else:
            sex = draw.one(["girl", "boy"])
            names = slots(language)[sex]
            it = Person("", sex).word("他" if language == "zh" else "he")
        verb, *sides = draw.one(reasons(f"reference_{name}_{language}"))
        (a, b), side = draw.some(names, 2), draw.whole(0, 1)
        why = draw.one(sides[side])
        act = verb.format(b) if language == "zh" else verb
        said = draw.one(BECAUSE[language]).format(a=a, b=b, verb=act, it=it, why=why)
        said = upper(draw.one(OPENINGS[language]) + said)
        meant, other = (a, b) if side == 0 else (b, a)
        puzzle = Puzzle(said, *asked(draw, language, why, meant), meant, other)
        return puzzle, said, f"{a}|{verb}|{b}"

    return draw.keep(make)


def sometime(draw: Draw, language: str) -> str:
    """When and where, or nothing; ends with a comma."""
    comma = "，" if language == "zh" else ", "
    parts = draw.one(WHEN[language]), draw.one(WHERE[language])
    return "".join(part + comma for part in parts if part)


def told(draw: Draw, language: str) -> Puzzle:
    """The reason stands before ``it``: the next word needs the animal that is meant.

    The dog was hungry and the duck was tired. Because of its hunger, it barked.
    """

    def make():
        (a, act), (b, _) = draw.some(table(f"tables/acts_{language}.txt"), 2)
        rows = draw.some(table(f"tables/feelings_{language}.txt"), 2)
        (f, noun, then, *leads), (g, *_) = rows
        lead = draw.one(leads[0].split(", ")) if leads else ""
        # What only this animal does needs no question: the word itself tells.
        own = draw.chance(0.4)
        both, after = draw.one(TOLD[language])
        words = {"a": a, "b": b, "f": f, "g": g, "noun": noun, "lead": lead}
        after = after.format(**words, then=act if own else then)
        after = sometime(draw, language) + after
        said = both.format(**words) + upper(after)
        who = a if language == "zh" else f"the {a}"
        question = ("", "") if own else asked(draw, language, then, who)
        return Puzzle(said, *question, a, b), said, f"{a}|{f}|{b}"

    return draw.keep(make)


def noticed(draw: Draw, language: str) -> Puzzle:
    """What stands before ``it`` says which animal is meant, and what it did follows.

    Anna noticed the duck and not the dog, because it quacked.
    """

    def make():
        (a, act), (b, _) = draw.some(table(f"tables/acts_{language}.txt"), 2)
        people = slots(language)
        frame = draw.one(NOTICED[language])
        moved = "让{name}" in frame
        said = frame.format(
            name=draw.one(people["girl"] + people["boy"]).split("/")[0],
            verb=draw.one(MOVES_ZH if moved else NOTICES[language]),
            a=a,
            b=b,
            act=act,
        )
        said = upper(draw.one(OPENINGS[language]) + said)
        return Puzzle(said, "", "", a, b), said, f"noticed|{a}|{b}"

    return draw.keep(make)


def recalled(language: str, draw: Draw) -> str:
    """Who was hungry, asked at once or after what came of it, in the same word.

    It is the first half of what ``told`` needs, where the word is another one; some
    texts say both words.
    """

    def make():
        (a, _), (b, _) = draw.some(table(f"tables/acts_{language}.txt"), 2)
        rows = draw.some(table(f"tables/feelings_{language}.txt"), 2)
        (f, noun, then, *_), (g, *_) = rows
        both = draw.one([both for both, _ in TOLD[language] if "{g}" in both])
        said = both.format(a=a, b=b, f=f, g=g)
        is_f, whose = ("很", "") if language == "zh" else ("was ", "the ")
        who = [(is_f + f, whose + a), (is_f + g, whose + b)]
        text = said.strip()
        if draw.chance(0.5):
            came = draw.one(BECAUSE_SO[language]).format(f=f, noun=noun, then=then)
            text = said + upper(sometime(draw, language) + came)
            who = [who[0], (then, whose + a)]
        for why, name in draw.some(who, draw.whole(1, 2)):
            text += "".join(asked(draw, language, why, name))
        return text, said, f"{a}|{f}|{b}"

    return draw.keep(make)


def denies(said: str) -> bool:
    """Whether a text of ``told`` says of the other one that it is *not* so, or only
    something else: who is meant can then be told without reading what follows.
    """
    return bool(DENIED.search(said))


def fits(draw: Draw, language: str) -> Puzzle:
    """The trophy does not fit into the suitcase because it is too big."""

    def make():
        pair = draw.one(table(f"tables/fits_{language}.txt"))
        which = draw.whole(0, 1)
        size = draw.one(SIZES[language][which].split("|"))
        said = FITS[language].format(draw.one(LOOK[language]), *pair, size)
        meant = pair[which]
        if language == "zh":
            question, answer = f"什么{size}？", f"{meant}。"
        else:
            question, answer = f" What is {size}?", f" The {meant}."
        puzzle = Puzzle(said, question, answer, meant, pair[1 - which])
        return puzzle, said, f"{pair[0]}|{size}"

    return draw.keep(make)


def gendered(draw: Draw) -> str:
    """Anna has a ball and Tom has a kite. She plays with the ball."""

    def make():
        girl, boy = draw.one(slots("en")["girl"]), draw.one(slots("en")["boy"])
        things = draw.some(slots("en")["thing"], 2)
        said = "{} has a {} and {} has a {}."
        pairs = draw.some([(girl, things[0]), (boy, things[1])], 2)
        said = VOWEL.sub(r"\1n ", said.format(*pairs[0], *pairs[1]))
        they, thing = draw.one([("She", things[0]), ("He", things[1])])
        return f"{said} {they} {draw.one(VERBS)} the {thing}.", said, f"{girl}|{boy}"

    return draw.keep(make)


# kind: share of the documents, what makes the puzzle, the rest of its arguments
PUZZLES: dict[str, tuple[float, Callable[..., Puzzle], tuple[str, ...]]] = {
    "animals": (21, because, ("animals", "en")),
    "animals-zh": (13, because, ("animals", "zh")),
    "people": (23, because, ("people", "en")),
    "people-zh": (13, because, ("people", "zh")),
    "told": (12, told, ("en",)),
    "told-zh": (7, told, ("zh",)),
    "noticed": (6, noticed, ("en",)),
    "noticed-zh": (4, noticed, ("zh",)),
    "fits": (1.5, fits, ("en",)),
    "fits-zh": (1.5, fits, ("zh",)),
}


def puzzle(kind: str, draw: Draw) -> Puzzle:
    """One puzzle of a kind."""
    _, make, arguments = PUZZLES[kind]
    return make(draw, *arguments)


def puzzle_text(kind: str, draw: Draw) -> str:
    """One puzzle as a text."""
    made = puzzle(kind, draw)
    return made.said + made.question + made.answer


MAKERS = {
    **{kind: (row[0], partial(puzzle_text, kind)) for kind, row in PUZZLES.items()},
    "recalled": (6, partial(recalled, "en")),
    "recalled-zh": (4, partial(recalled, "zh")),
    "gendered": (1, gendered),
}
