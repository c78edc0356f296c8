"""Blocks of a model: parts that stand on the residual stream, or on a branch of it."""

from collections.abc import Mapping, Sequence

from .picture import BLUE, ORANGE, WIDTH, Picture, rect, text

Step = str | tuple[str, ...]


def blocks(panels: Mapping[str, Sequence[Step]], caption: str) -> Picture:
    """Blocks side by side: the residual stream runs down, branches are added to it.

    panels: a title and its steps from top to bottom. A string is a part that stands on
    the stream itself. A tuple is a branch: its parts work one after the other, and what
    the last one gives is added to the stream. A line break in a label begins a line.
    """
    if not panels or not all(steps and all(steps) for steps in panels.values()):
        raise ValueError(f"each panel and branch has at least 1 part, got {panels}")
    gap = 22.0
    wide = (WIDTH - gap * (len(panels) - 1)) / len(panels)
    drawn, said, deepest = [], [], 0.0
    for number, (title, steps) in enumerate(panels.items()):
        x = number * (wide + gap)
        drawn.append(text(x + 4, 13, title))
        y = 22.0
        for step in steps:
            draw = _on_stream if isinstance(step, str) else _branch
            more, y = draw(step, x, y, wide)
            drawn += more
        drawn.append(_path(f"M {x + 16:.1f} {y:.1f} v 17", "down"))
        deepest = max(deepest, y + 22)
        said.append(f"{title}: {', then '.join(map(_said, steps))}")
    alt = f"{caption} {'. '.join(said)}."
    return Picture("".join(drawn), WIDTH, deepest, caption, alt)


def _on_stream(label: str, x: float, y: float, wide: float) -> tuple[list[str], float]:
    """A part that everything passes through."""
    box, bottom = _box(label, x + 1, y + 17, wide - 2, ORANGE)
    return [_path(f"M {x + 16:.1f} {y:.1f} v 16", "down"), *box], bottom


def _branch(labels: tuple, x: float, y: float, wide: float) -> tuple[list[str], float]:
    """The stream goes straight on; what the parts beside it give is added to it."""
    stream, left = x + 16, x + 42
    center, bottom = (left + x + wide) / 2, y + 6
    fork = f"M {stream:.1f} {y + 6:.1f} H {center:.1f}"
    drawn = [_path(f"{fork} v 16", "down")]
    for i, label in enumerate(labels):
        if i:
            drawn.append(_path(f"M {center:.1f} {bottom:.1f} v 16", "down"))
        box, bottom = _box(label, left, bottom + 17, x + wide - 1 - left, BLUE)
        drawn += box
    plus = bottom + 16
    back = f"M {center:.1f} {bottom:.1f} V {plus:.1f} H {stream + 10:.1f}"
    drawn.append(_path(back, "left"))
    drawn.append(_path(f"M {stream:.1f} {y:.1f} V {plus - 9:.1f}", "down"))
    drawn.append(
        f'<circle cx="{stream:.1f}" cy="{plus:.1f}" r="8" fill="none" '
        f'stroke="currentColor" stroke-width="1.5"/>'
        f'<path d="M {stream - 4:.1f} {plus:.1f} h 8 m -4 -4 v 8" fill="none" '
        f'stroke="currentColor" stroke-width="1.5"/>'
    )
    return drawn, plus + 8


def _box(label: str, x: float, y: float, width: float, color: str):
    lines = label.split("\n")
    height = 16.0 * len(lines) + 8
    drawn = [rect(x, y, width, height, color, 0.18, stroke=True)]
    for i, line in enumerate(lines):
        row, size = y + 17 + 16 * i, 12 if i else 13
        drawn.append(text(x + width / 2, row, line, anchor="middle", size=size))
    return drawn, y + height


def _path(path: str, end: str) -> str:
    tip = {"down": "m -4 -6 l 4 6 l 4 -6", "left": "m 6 -4 l -6 4 l 6 4"}[end]
    return (
        f'<path d="{path} {tip}" fill="none" stroke="currentColor" stroke-width="1.4"/>'
    )


def _said(step: Step) -> str:
    if isinstance(step, str):
        return f"{' '.join(step.split())} on the stream"
    chain = ", ".join(" ".join(label.split()) for label in step)
    return f"added from a branch: {chain}"
