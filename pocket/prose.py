"""Stories, dialogues, descriptions and sentences, from the frames in ``text/``."""

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
    """One to three texts that use a word in one sense."""
    blocks = [lines for of in senses(language).values() for lines in of.values()]
    lines = draw.some(draw.one(blocks), draw.whole(1, 3))
    return ("" if language == "zh" else " ").join(
        one_sense(line, language, draw) for line in lines
    )


def one_sense(line: str, language: str, draw: Draw) -> str:
    """A line of a sense, filled in."""

    def make():
        text = fill(line, draw, language, {})
        return text, text

    return draw.keep(make)


MAKERS = {
    "story": (8, partial(prose, "stories.en.txt")),
    "story-zh": (7, partial(prose, "stories.zh.txt")),
    "dialogue": (5, partial(prose, "dialogues.en.txt")),
    "dialogue-zh": (5, partial(prose, "dialogues.zh.txt")),
    "description": (5, partial(prose, "descriptions.en.txt")),
    "description-zh": (4, partial(prose, "descriptions.zh.txt")),
    "plain": (7, partial(prose, "plain.en.txt")),
    "plain-zh": (6, partial(prose, "plain.zh.txt")),
    "names": (3, partial(prose, "names.en.txt")),
    "names-zh": (2, partial(prose, "names.zh.txt")),
    "questions": (9, partial(prose, "questions.en.txt")),
    "questions-zh": (7, partial(prose, "questions.zh.txt")),
    "senses": (5, partial(sense, "en")),
    "senses-zh": (4, partial(sense, "zh")),
}
