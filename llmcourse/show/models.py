"""Whole models: the chain of their steps with all shapes, and shares of a whole."""

from collections.abc import Mapping, Sequence

from .picture import BLUE, COLORS, ORANGE, WIDTH, Picture, rect, text, text_width

UNIT = 7.0  # px, at most, for one unit of an edge
LEFT, OPERATION = 1.0, 178.0  # px: where the boxes of operations begin, how wide
PILE = 8.0  # px by which the last box of a pile is moved


def stack(steps: Sequence[tuple], sizes: Mapping[str, int], caption: str) -> Picture:
    """A chain of operations, from top to bottom, and what each of them gives.

    steps: (label, name, rows, columns): what is done, on the left, and the tensor that
    comes out, on the right, with named edges drawn to scale. A fifth entry says how
    often an operation is done; above 1 it is drawn as a pile. A line break in a label
    begins a line. sizes: how many units long an edge of each letter is drawn.
    """
    if not steps or any(len(step) not in (4, 5) for step in steps):
        raise ValueError(f"a step is (label, name, rows, columns), got {list(steps)}")
    edges = {edge for _, _, *pair in steps for edge in pair[:2]}
    if strange := sorted(edges - {*sizes}):
        raise ValueError(f"edge {strange[0]!r} has no size, sizes are {dict(sizes)}")
    start = LEFT + OPERATION + PILE + 56  # of a tensor, behind an arrow
    longest = max(sizes[columns] for _, _, _, columns, *_ in steps)
    unit = min(UNIT, (WIDTH - start - 2) / longest)
    drawn, said, y, above = [], [], 2.0, None
    for label, name, rows, columns, *count in steps:
        times = count[0] if count else 1
        lines = label.split("\n")
        lines[0] += f" × {times}" if times > 1 else ""
        pile = PILE if times > 1 else 0.0
        w, h, tall = sizes[columns] * unit, sizes[rows] * unit, 16.0 * len(lines) + 8
        middle = y + max((tall + pile) / 2, h / 2 + 18)
        top = middle - (tall - pile) / 2
        center = LEFT + OPERATION / 2
        if above is not None:
            drawn.append(_arrow(center, above, center, top - pile - 1))
        drawn += _operation(lines, top, tall, pile)
        drawn.append(_arrow(LEFT + OPERATION + pile + 2, middle, start - 24, middle))
        drawn.append(rect(start, middle - h / 2, w, h, ORANGE, 0.22, stroke=True))
        drawn.append(text(start + w / 2, middle - h / 2 - 5, columns, "middle", 12))
        drawn.append(text(start - 5, middle + 4, rows, anchor="end", size=12))
        beside = start + w + 8 + text_width(name) < WIDTH
        place = (w + 8, 4.0) if beside else (0.0, h / 2 + 15)
        drawn.append(text(start + place[0], middle + place[1], name, size=12))
        said.append(f"{' '.join(lines)}: {name} ({rows} by {columns})")
        above, y = top + tall, max(top + tall, middle + h / 2 + 18 * (not beside)) + 12
    alt = f"{caption} {'; '.join(said)}."
    return Picture("".join(drawn), WIDTH, y - 8, caption, alt)


def _operation(lines: list[str], top: float, tall: float, pile: float) -> list[str]:
    """A box with its lines; a pile shows the edges of two more boxes behind it."""
    drawn = [rect(LEFT, top, OPERATION, tall, BLUE, 0.18, stroke=True)]
    for shift in (pile / 2, pile) if pile else ():
        edge = f"M {LEFT + shift:.1f} {top - shift + 4:.1f} v -4 h {OPERATION:.0f}"
        drawn.append(
            f'<path d="{edge} v {tall:.1f} h -4" fill="none" stroke="{BLUE}" '
            f'stroke-width="1.5"/>'
        )
    for i, line in enumerate(lines):
        row, size = top + 17 + 16 * i, 12 if i else 13
        drawn.append(text(LEFT + OPERATION / 2, row, line, "middle", size))
    return drawn


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    tip = "m -4 -6 l 4 6 l 4 -6" if x1 == x2 else "m -6 -4 l 6 4 l -6 4"
    return (
        f'<path d="M {x1:.1f} {y1:.1f} L {x2:.1f} {y2:.1f} {tip}" fill="none" '
        f'stroke="currentColor" stroke-width="1.3"/>'
    )


def shares(rows: Mapping[str, Mapping[str, float]], caption: str) -> Picture:
    """A bar of one length for each row, cut into coloured parts: who has which share.

    rows: a name, and the numbers of its parts. All rows have the same parts, at most
    four, in one order. Percentages are written where there is room for them.
    """
    names = list(next(iter(rows.values()), {}))
    if not 1 <= len(names) <= len(COLORS):
        raise ValueError(f"rows have 1 to {len(COLORS)} parts, got {names}")
    for row, numbers in rows.items():
        if list(numbers) != names or min(numbers.values()) < 0:
            raise ValueError(f"row {row!r} needs {names} from 0 up, got {numbers}")
    left = max(map(text_width, rows)) + 14
    drawn, said, x = [], [], left
    for name, color in zip(names, COLORS, strict=False):
        drawn.append(rect(x, 3, 12, 12, color, 0.5))
        drawn.append(text(x + 17, 14, name, size=12))
        x += text_width(name) + 30
    for i, (row, numbers) in enumerate(rows.items()):
        y, x, total = 24 + i * 28, left, sum(numbers.values()) or 1.0
        drawn.append(text(left - 8, y + 17, row, anchor="end"))
        for number, color in zip(numbers.values(), COLORS, strict=False):
            width, percent = (WIDTH - left) * number / total, f"{number / total:.0%}"
            drawn.append(rect(x, y, max(width - 1, 0), 24, color, 0.5))
            if width > text_width(percent) + 4:
                drawn.append(text(x + width / 2, y + 17, percent, "middle", 12))
            x += width
        each = (f"{name} {n / total:.0%}" for name, n in numbers.items())
        said.append(f"{row}: {', '.join(each)}")
    alt = f"{caption} {'; '.join(said)}."
    return Picture("".join(drawn), WIDTH, 24 + 28 * len(rows), caption, alt)
