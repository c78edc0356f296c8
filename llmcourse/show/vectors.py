"""Vectors: rows of signed numbers, words in a plane, and bars side by side."""

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from .picture import BLUE, COLORS, ORANGE, WIDTH, Picture, rect, text, text_width
from .tokens import VISIBLE

MARKS = ("M -5 0 a 5 5 0 1 0 10 0 a 5 5 0 1 0 -10 0", "M -4.5 -4.5 h 9 v 9 h -9 z",
         "M 0 -6 l 5.5 10 h -11 z", "M 0 -6 l 6 6 l -6 6 l -6 -6 z")  # fmt: skip


def strips(
    values: Tensor,
    rows: Sequence[str],
    caption: str,
    *,
    columns: Sequence[str] = (),
    decimals: int | None = None,
) -> Picture:
    """Vectors as rows of cells: blue above zero, orange below, the deeper the larger.

    values: (len(rows), n). columns: their n names. decimals: print the numbers too.
    """
    values = values.detach().float().cpu()
    if values.dim() != 2 or len(values) != len(rows) or 0 in values.shape:
        raise ValueError(f"{tuple(values.shape)} values for {len(rows)} rows")
    if columns and len(columns) != values.shape[1]:
        raise ValueError(f"{values.shape[1]} columns with {len(columns)} names")
    shown = [_shown(row) for row in rows]
    left = max(text_width(row) for row in shown) + 10
    widest = max((text_width(column) + 8 for column in columns), default=0)
    side = min(max(46.0, widest), (WIDTH - left - 2) / values.shape[1])
    strongest, gap = values.abs().max().item() or 1.0, 2 if side > 12 else 0.6
    top, drawn = 20.0 if columns else 2.0, []
    for j, column in enumerate(columns):
        drawn.append(text(left + (j + 0.5) * side, 13, column, "middle", 12))
    for i, row in enumerate(values.tolist()):
        y = top + i * 30
        drawn.append(text(left - 8, y + 18, shown[i], anchor="end"))
        for j, value in enumerate(row):
            color, share = ORANGE if value < 0 else BLUE, abs(value) / strongest
            x = left + j * side
            drawn.append(rect(x, y, side - gap, 27, color, 0.04 + 0.56 * share))
            if decimals is not None:
                number = _number(value, decimals)
                drawn.append(text(x + side / 2 - 1, y + 18, number, "middle", 12))
    said = f"{len(rows)} rows of {values.shape[1]} numbers: "
    said += ", ".join(map(_spoken, rows))
    if decimals is not None:
        each = (", ".join(_number(v, decimals) for v in row) for row in values.tolist())
        said = "; ".join(f"{_spoken(r)}: {n}" for r, n in zip(rows, each, strict=True))
    width = left + values.shape[1] * side + 2
    alt = f"{caption} {said}. Blue is above zero, orange below."
    return Picture("".join(drawn), width, top + len(rows) * 30, caption, alt)


def bars(
    values: Sequence[float], rows: Sequence[str], caption: str, *, decimals: int = 1
) -> Picture:
    """A bar for each number, to the right of zero or, in orange, to the left."""
    if not values or len(values) != len(rows):
        raise ValueError(f"{len(values)} values for {len(rows)} rows")
    shown = [_shown(row) for row in rows]
    numbers = [_number(value, decimals) for value in values]
    room = max(map(text_width, numbers)) + 8  # beside a bar, for its number
    left = max(map(text_width, shown)) + 18  # fonts differ
    low, high = min(0.0, *values), max(0.0, *values)
    below = room if low < 0 else 0.0
    scale = (WIDTH - left - room - below) / ((high - low) or 1.0)
    zero, drawn = left + below - low * scale, []
    for i, value in enumerate(values):
        y, end = 3 + i * 28, zero + value * scale
        color, start = (ORANGE, end) if value < 0 else (BLUE, zero)
        drawn.append(text(left - 8, y + 17, shown[i], anchor="end"))
        drawn.append(rect(start, y, abs(end - zero), 24, color, 0.5))
        place, anchor = (end - 5, "end") if value < 0 else (end + 5, "start")
        drawn.append(text(place, y + 17, numbers[i], anchor, 12))
    said = ", ".join(f"{_spoken(r)} {n}" for r, n in zip(rows, numbers, strict=True))
    height = 28.0 * len(rows) + 4
    return Picture("".join(drawn), WIDTH, height, caption, f"{caption} {said}.")


def plane(
    groups: Mapping[str, Sequence[tuple[str, float, float]]],
    xlabel: str,
    ylabel: str,
    caption: str,
    *,
    arrows: Sequence[tuple[str, str]] = (),
) -> Picture:
    """Points with names in a plane; each group has its own mark and colour.

    groups: a title and its points (name, x, y); a name may be empty. arrows: from the
    point of one name to that of another.
    """
    if not 1 <= len(groups) <= len(COLORS) or not all(groups.values()):
        raise ValueError(f"1 to {len(COLORS)} groups with points, got {dict(groups)}")
    points = [point for group in groups.values() for point in group]
    top = 30.0 if any(groups) else 8.0
    left, wide, tall = 44.0, WIDTH - 58.0, 290.0
    x_ticks, y_ticks = (_ticks([point[axis] for point in points]) for axis in (1, 2))

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        up = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return left + 12 + across * (wide - 24), top + 8 + (1 - up) * (tall - 16)

    frame = left, top, left + wide, top + tall
    drawn = _axes(x_ticks, y_ticks, at, frame, xlabel, ylabel)
    where = {name: at(x, y) for name, x, y in points}
    if lost := [name for pair in arrows for name in pair if name not in where]:
        raise ValueError(f"arrows join points, and {lost[0]!r} is none")
    drawn += [_arrow(*where[start], *where[end]) for start, end in arrows]
    taken = [(x - 6, y - 6, x + 6, y + 6) for _, *xy in points for x, y in [at(*xy)]]
    legend = left
    for (title, group), color, mark in zip(groups.items(), COLORS, MARKS, strict=False):
        if title:
            drawn += [_mark(legend + 6, 10, mark, color), text(legend + 16, 14, title)]
            legend += text_width(title) + 32
        for name, *xy in group:
            drawn.append(_mark(*at(*xy), mark, color))
            drawn.append(_name(*at(*xy), _shown(name), taken))
    step = min(x_ticks[1] - x_ticks[0], y_ticks[1] - y_ticks[0])
    decimals = max(1, -math.floor(math.log10(step) + 1e-9))
    said = ". ".join(
        f"{title}: {_said(group, decimals)}".lstrip(": ")
        for title, group in groups.items()
    )
    alt = f"{caption} Across: {xlabel}. Up: {ylabel}. {said}."
    return Picture("".join(drawn), WIDTH, top + tall + 40, caption, alt)


def _ticks(values: Sequence[float]) -> list[float]:
    """Two to eight round numbers around all values."""
    low, high = min(values), max(values)
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    step = 10.0 ** math.floor(math.log10(high - low))
    step = next(
        s for s in (step / 5, step / 2, step, 2 * step) if (high - low) / s <= 6
    )
    first, last = math.floor(low / step), math.ceil(high / step)
    return [n * step for n in range(first, last + 1)]


def _axes(x_ticks, y_ticks, at, frame, xlabel, ylabel) -> list[str]:
    left, top, right, bottom = frame
    drawn = []
    for x in x_ticks:
        px = at(x, y_ticks[0])[0]
        drawn.append(_line(px, bottom, px, top, 0.12))
        drawn.append(text(px, bottom + 16, f"{x + 0.0:.4g}", "middle", 11))
    for y in y_ticks:
        py = at(x_ticks[0], y)[1]
        drawn.append(_line(left, py, right, py, 0.12))
        drawn.append(text(left - 5, py + 4, f"{y + 0.0:.4g}", "end", 11))
    drawn.append(text((left + right) / 2, bottom + 34, xlabel, "middle", 12))
    middle = (top + bottom) / 2
    return [*drawn, text(11, middle, ylabel, "middle", 12, turn=-90)]


def _line(x1, y1, x2, y2, opacity) -> str:
    return (
        f'<path d="M {x1:.1f} {y1:.1f} L {x2:.1f} {y2:.1f}" fill="none" '
        f'stroke="currentColor" stroke-opacity="{opacity}"/>'
    )


def _arrow(x1, y1, x2, y2) -> str:
    """From one point to another, short of both marks."""
    long = math.hypot(x2 - x1, y2 - y1) or 1.0
    dx, dy = (x2 - x1) / long, (y2 - y1) / long
    x1, y1, x2, y2 = x1 + 9 * dx, y1 + 9 * dy, x2 - 9 * dx, y2 - 9 * dy
    left = x2 - 8 * dx - 4 * dy, y2 - 8 * dy + 4 * dx
    right = x2 - 8 * dx + 4 * dy, y2 - 8 * dy - 4 * dx
    return (
        f'<path d="M {x1:.1f} {y1:.1f} L {x2:.1f} {y2:.1f} M {left[0]:.1f} '
        f'{left[1]:.1f} L {x2:.1f} {y2:.1f} L {right[0]:.1f} {right[1]:.1f}" '
        f'fill="none" stroke="currentColor" stroke-width="1.3"/>'
    )


def _mark(x, y, shape, color) -> str:
    return (
        f'<path d="{shape}" transform="translate({x:.1f} {y:.1f})" fill="{color}" '
        f'fill-opacity="0.75"/>'
    )


def _name(x, y, name, taken) -> str:
    """The name beside its point, on the side where it covers least."""
    if not name:
        return ""
    width = text_width(name) * 0.92
    places = [(x + 9, y + 4), (x - 9 - width, y + 4)]
    places += [(x - width / 2, y - 9), (x - width / 2, y + 19)]
    boxes = [(px, py - 11, px + width, py + 3) for px, py in places]
    covered = [
        sum(_overlap(box, other) for other in taken)
        + 1000 * (box[0] < 46 or box[2] > WIDTH)
        for box in boxes
    ]
    best = covered.index(min(covered))
    taken.append(boxes[best])
    return text(*places[best], name, size=12)


def _overlap(a, b) -> float:
    across = min(a[2], b[2]) - max(a[0], b[0])
    return max(0.0, across) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _said(group, decimals: int) -> str:
    def pair(x: float, y: float) -> str:
        return f"{_number(x, decimals)}, {_number(y, decimals)}"

    if all(name for name, *_ in group):
        return "; ".join(f"{_spoken(name)} at {pair(x, y)}" for name, x, y in group)
    x, y = (sum(point[axis] for point in group) / len(group) for axis in (1, 2))
    return f"{len(group)} points around {pair(x, y)}"


def _shown(name: str) -> str:
    """A name for the eye: the blanks of a token are shown, those of a title not."""
    return name if name == name.strip() else name.translate(VISIBLE)


def _spoken(name: str) -> str:
    """A name for the text alternative: no blanks around it, and never empty."""
    return name.strip() or _shown(name)


def _number(value: float, decimals: int) -> str:
    """The rounded number; what rounds to zero has no sign."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"
