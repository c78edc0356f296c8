"""The hand-written texts in ``text/``, and how a frame becomes a document.

A frame is a list of lines, one sentence a line. In a line

- ``{place}`` is a word of the table of that name in ``slots.en.txt`` or
  ``slots.zh.txt``; the same word wherever it stands in the frame, ``{place2}`` is
  another one; ``{thing.个}`` is its second cell;
- ``{a}`` ``{b}`` ``{c}`` are people; ``{a.he}`` ``{a.him}`` ``{a.his}`` ``{a.He}``
  ``{a.His}`` ``{a.himself}`` and ``{a.他}`` speak of them;
- ``{x}`` ``{y}`` ``{z}`` are names that nobody has heard;
- ``[red|green]`` is one of its parts, drawn anew each time it stands somewhere;
- ``[w=rain|snow]`` is drawn once and can be said again as ``{w}``; ``[w:wet|white]``
  is the part that goes with it: the first with the first, the second with the second.

``python -m pocket.frames`` checks every file and counts what it holds.
"""

import re
import sys
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from pocket.corpus import TRAIN, Draw, sentences

TEXT = Path(__file__).parent / "text"
SLOT = re.compile(r"\{(\w+)(?:\.(\w+))?\}")
CHOICE = re.compile(r"\[(?:(\w+)([=:]))?([^\[\]]*)\]")
PRONOUNS = {
    "girl": {"he": "she", "him": "her", "his": "her", "himself": "herself", "他": "她"},
    "boy": {"he": "he", "him": "him", "his": "his", "himself": "himself", "他": "他"},
}
PEOPLE, MADE_UP = "abc", "xyz"
SYLLABLES = ("bdfgklmnprstvz", "aeiou", ["", "", "", "l", "n", "r", "x"])
CHARACTERS = "卡鲁米诺塔比多拉奇尼莫萨维罗贝鲁达西可波加丁玛托斯艾伦菲吉努"
# "an hour", but "a university" and "a one-eyed cat".
VOWEL = re.compile(r"\b([Aa]) (?=[aeiou]|hour|honest)(?!uni|use|usu|eu|one\b|once)")


class Person(NamedTuple):
    name: str
    sex: str  # "girl" or "boy"

    def word(self, form: str | None) -> str:
        """The name, or the pronoun that goes with `form`, in its case."""
        if form is None:
            return self.name
        word = PRONOUNS[self.sex][form.lower()]
        return word.capitalize() if form[0].isupper() else word


class Choice(NamedTuple):
    index: int
    words: str

    def word(self, form: str | None) -> str:
        """What was chosen; with a form, the cell after the slash of a table's row."""
        cells = self.words.split("/")
        return cells[0] if form is None else cells[1]


def read(name: str) -> list[str]:
    """The lines of a text file, without comments.

    Its last line says how many lines of text stand before it, so that a file that was
    cut short is noticed.

    Raises:
        ValueError: if the last line is missing or says another number, or a character
            is not whole.
    """
    path = TEXT / name
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is cut short or damaged: {error}") from error
    end = re.fullmatch(r"# end: (\d+) lines", lines[-1] if lines else "")
    text = [line.rstrip() for line in lines if not line.startswith("#")]
    count = sum(map(bool, text))
    if not end or int(end[1]) != count:
        said = f"its last line says {end[1]}" if end else "it has no '# end' line"
        raise ValueError(f"{path} is cut short: {count} lines of text, but {said}")
    return text


@cache
def frames(name: str) -> tuple[tuple[str, ...], ...]:
    """The frames of a text file: blocks of lines parted by blank lines."""
    blocks = "\n".join(read(name)).strip("\n")
    return tuple(tuple(b.split("\n")) for b in re.split(r"\n\n+", blocks) if b)


@cache
def table(name: str) -> tuple[tuple[str, ...], ...]:
    """The rows of a table: one a line, or parted by ``;``, cells parted by ``/``."""
    parts = (part for line in read(name) for part in line.split(";"))
    return tuple(tuple(c.strip() for c in p.split("/")) for p in parts if p.strip())


@cache
def slots(language: str) -> dict[str, tuple[str, ...]]:
    """The words a slot may take: lines ``name: word; word; ...``."""
    parts = (line.split(":", 1) for line in read(f"slots.{language}.txt") if line)
    return {
        name.strip(): tuple(w.strip() for w in words.split(";") if w.strip())
        for name, words in parts
    }


def made_up(draw: Draw, language: str) -> str:
    """A name nobody has heard: two or three syllables."""
    count = draw.whole(2, 3)
    if language == "zh":
        return "".join(draw.some(CHARACTERS, count))
    letters = [draw.one(part) for _ in range(count) for part in SYLLABLES]
    return "".join(letters).capitalize()


def bind(name: str, draw: Draw, language: str, bound: dict) -> None:
    """Draw the word of a slot, another one than its namesakes have."""
    words = slots(language)
    if name in PEOPLE:
        sex = draw.one(["girl", "boy"])
        taken = {bound[p].name for p in PEOPLE if p in bound}
        bound[name] = Person(draw.one([n for n in words[sex] if n not in taken]), sex)
        return
    if name in MADE_UP:
        bound[name] = Choice(0, made_up(draw, language))
        return
    kind = name.rstrip("0123456789")
    if kind not in words:
        raise ValueError(f"slot {name!r} is no table of slots.{language}.txt")
    taken = {c.words for n, c in bound.items() if n.rstrip("0123456789") == kind}
    bound[name] = Choice(0, draw.one([w for w in words[kind] if w not in taken]))


def fill(line: str, draw: Draw, language: str, bound: dict) -> str:
    """The line with its choices and slots drawn; what is drawn is put into bound."""

    def chosen(match: re.Match) -> str:
        name, mark, parts = match[1], match[2], match[3].split("|")
        if mark == ":":
            return parts[bound[name].index]
        index = draw.whole(0, len(parts) - 1)
        if name:
            bound[name] = Choice(index, parts[index])
        return parts[index]

    def said(match: re.Match) -> str:
        if match[1] not in bound:
            bind(match[1], draw, language, bound)
        return bound[match[1]].word(match[2])

    return VOWEL.sub(r"\1n ", SLOT.sub(said, CHOICE.sub(chosen, line)))


def written(frame: tuple[str, ...], draw: Draw, language: str) -> list[str]:
    """A frame's sentences, each of them and its people kept to the draw's split."""

    def make(line: str, bound: dict) -> tuple:
        bound = dict(bound)
        text = fill(line, draw, language, bound)
        names = [p.name for n, p in bound.items() if n in PEOPLE]
        return (text, bound), text, *(f"{name}|{frame[0]}" for name in names)

    lines, bound = [], {}
    for line in frame:
        text, bound = draw.keep(partial(make, line, bound))
        lines.append(text)
    return lines


def variants(line: str, language: str) -> int:
    """How many sentences a line can become."""
    count = 1
    for _, mark, parts in CHOICE.findall(line):
        count *= 1 if mark == ":" else parts.count("|") + 1
    for name in {n for n, _ in SLOT.findall(line)}:
        kind = name.rstrip("0123456789")
        if name in PEOPLE:
            count *= len(slots(language)["girl"]) + len(slots(language)["boy"])
        elif name in MADE_UP:
            count *= 1000
        elif kind in slots(language):
            count *= len(slots(language)[kind])
    return count


def report(name: str) -> str:
    """What a file of frames holds; its poorest sentences.

    Raises:
        ValueError: if a frame names a slot or a choice that does not exist.
    """
    language = name.split(".")[1]
    poor = []
    for frame in frames(name):
        bound: dict = {}
        for line in frame:
            try:
                text = fill(line, Draw(0, TRAIN), language, bound)
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(f"{name}: {line!r}: {error}") from error
            if re.search(r"[\[\]{}|]", text):
                raise ValueError(f"{name}: a bracket is left in {text!r}")
            if sentences(text) and variants(line, language) < 40:
                poor.append(f"  {variants(line, language):3} variants: {line}")
    lines = sum(map(len, frames(name)))
    return "\n".join([f"{name}: {len(frames(name))} frames, {lines} lines", *poor])


def main() -> None:
    for path in sorted(TEXT.glob("*.*.txt")):
        if not path.name.startswith("slots"):
            print(report(path.name))
    draw = Draw(0, TRAIN)
    for path in sys.argv[1:]:
        for frame in frames(path):
            print("\n" + "\n".join(written(frame, draw, path.split(".")[1])))


if __name__ == "__main__":
    main()
