"""Stories, dialogues, descriptions and sentences, from the frames in ``text/``."""

import re
from functools import cache, partial

from pocket.corpus import Draw
from pocket.frames import fill, frames, read, written


def prose(name: str, draw: Draw) -> str:
    """One frame of a file, written out."""
    language = name.split(".")[1]
    lines = written(draw.one(frames(name)), draw, language)
    # A play and a list keep their lines, all else is one paragraph.
    joint = "\n" if ": " in lines[0][:20] or "：" in lines[0][:6] else " "
    return ("" if language == "zh" and joint == " " else joint).join(lines)


@cache
def senses(language: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """{word: {sense: lines}} of the words with two senses."""
    found: dict[str, dict[str, list[str]]] = {}
    lines: list[str] = []
    for line in filter(None, read(f"senses.{language}.txt")):
        if line.startswith("@"):
            word, sense = line.split()[1:3]
            lines = found.setdefault(word, {}).setdefault(sense, [])
        else:
            lines.append(line)
    return {w: {s: tuple(ls) for s, ls in of.items()} for w, of in found.items()}


def sense(language: str, draw: Draw) -> str:
    """One to three texts that use a word in one sense, which some name or number.

    bank (river), or bank¹ as in a dictionary: to say the number right after the word, a
    model must know the sense at the word.
    """
    word, name = draw.one([(w, s) for w, of in senses(language).items() for s in of])
    blocks = senses(language)[word][name]
    both = list(senses(language)[word])
    how, mark = draw.whole(0, 5), "¹²"[both.index(name)] if both[1:] else ""
    note = dict.fromkeys((1, 2, 3, 4), mark)
    note[0] = f" ({name})" if language == "en" else f"（{name}）"
    texts = []
    for line in draw.some(blocks, draw.whole(1, 3)):
        text = one_sense(line, language, draw)
        texts.append(noted(text, word, note.get(how, ""), language))
    return ("" if language == "zh" else " ").join(texts)


def noted(text: str, word: str, note: str, language: str) -> str:
    """The text with a note of the sense after the word."""
    edge = "" if language == "zh" else r"\b"
    return re.sub(f"{edge}{word}{edge}", word + note, text, count=1)


def one_sense(line: str, language: str, draw: Draw) -> str:
    """A line of a sense, filled in."""

    def make():
        text = fill(line, draw, language, {})
        return text, text

    return draw.keep(make)


MAKERS = {
    "story": (11, partial(prose, "stories.en.txt")),
    "story-zh": (11, partial(prose, "stories.zh.txt")),
    "dialogue": (2, partial(prose, "dialogues.en.txt")),
    "dialogue-zh": (2, partial(prose, "dialogues.zh.txt")),
    "description": (2.5, partial(prose, "descriptions.en.txt")),
    "description-zh": (2, partial(prose, "descriptions.zh.txt")),
    "plain": (6, partial(prose, "plain.en.txt")),
    "plain-zh": (5, partial(prose, "plain.zh.txt")),
    "names": (1, partial(prose, "names.en.txt")),
    "names-zh": (1, partial(prose, "names.zh.txt")),
    "questions": (4, partial(prose, "questions.en.txt")),
    "questions-zh": (3, partial(prose, "questions.zh.txt")),
    "senses": (12, partial(sense, "en")),
    "senses-zh": (8, partial(sense, "zh")),
}
