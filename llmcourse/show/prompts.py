"""A prompt and its parts: each part a box in a colour of its own, with its name."""

from collections.abc import Iterator, Sequence

from .picture import COLORS, WIDTH, Picture, rect, text, text_width

LINE = 18.0  # px from one line of text to the next
PALETTE = (*COLORS, "currentColor")


def prompt(parts: Sequence[tuple[str, str]], caption: str) -> Picture:
    """A text as its parts from top to bottom; a break of line is drawn as ↵.

    parts: (name, text) in the order of the text. Parts of one name have one colour.
    """
    if not parts or not all(name and said for name, said in parts):
        raise ValueError(f"each part has a name and a text, got {list(parts)}")
    names = list(dict.fromkeys(name for name, _ in parts))
    left = max(map(text_width, names)) + 14
    drawn, y = [], 2.0
    for name, said in parts:
        lines = list(_lines(said, WIDTH - left - 24))
        height = LINE * len(lines) + 8
        color = PALETTE[names.index(name) % len(PALETTE)]
        drawn.append(text(left - 8, y + 18, name, anchor="end", size=12))
        drawn.append(rect(left, y, WIDTH - left - 1, height, color, 0.16, stroke=True))
        for i, line in enumerate(lines):
            drawn.append(text(left + 7, y + 18 + LINE * i, line))
        y += height + 4
    said = "; ".join(f"{name}: {said!r}" for name, said in parts)
    return Picture("".join(drawn), WIDTH, y, caption, f"{caption} {said}.")


def _lines(said: str, width: float) -> Iterator[str]:
    """The lines of a text, cut where they are too long: at a space if there is one."""
    for line in said.replace("\n", "↵\n").split("\n"):
        while text_width(line) > width:
            fits = max(1, sum(text_width(line[:n]) <= width for n in range(len(line))))
            cut = line.rfind(" ", 1, fits) + 1 or fits - 1 or 1
            yield line[:cut]
            line = line[cut:]
        if line:
            yield line
