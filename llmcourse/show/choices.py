"""Choices of a next token: chances side by side, running sums, trees of beginnings."""

from collections.abc import Mapping, Sequence

from .picture import (
    BLUE,
    COLORS,
    FONT,
    GREEN,
    ORANGE,
    WIDTH,
    Picture,
    rect,
    text,
    text_width,
)
from .tokens import VISIBLE


def chances(
    rows: Sequence[str],
    columns: Mapping[str, Sequence[float | None]],
    caption: str,
    *,
    decimals: int = 1,
) -> Picture:
    """Bars with percentages: a row for each token, a column for each way to choose.

    columns: a title and a probability for each row; 0 or None is drawn as a dash: that
    token is out. All bars have one scale.
    """
    for title, values in columns.items():
        if len(values) != len(rows):
            raise ValueError(f"{title!r} has {len(values)} values for {len(rows)} rows")
    if not rows or not columns:
        raise ValueError(f"{len(rows)} rows and {len(columns)} columns make no picture")
    shown = [_shown(row) for row in rows]
    left = max(map(text_width, [*shown, "percent"])) + 10
    wide = (WIDTH - left) / len(columns)
    largest = max(v or 0.0 for values in columns.values() for v in values) or 1.0
    room = text_width(f"{100 * largest:.{decimals}f}") + 10  # for a bar's number
    drawn = [text(left - 8, 13, "percent", "end", 12)]
    for i, row in enumerate(shown):
        drawn.append(text(left - 8, 24 + i * 26 + 17, row, anchor="end"))
    for j, (title, values) in enumerate(columns.items()):
        x = left + j * wide
        drawn.append(text(x, 13, title, size=12))
        for i, value in enumerate(values):
            y = 24 + i * 26
            if not value:
                drawn.append(text(x + 2, y + 17, "–"))
                continue
            length = max(value / largest * (wide - room), 1.0)
            number = f"{100 * value:.{decimals}f}"
            drawn.append(rect(x, y, length, 22, COLORS[j % len(COLORS)], 0.45))
            drawn.append(text(x + length + 4, y + 16, number, size=12))
    said = ". ".join(
        f"{title}: " + ", ".join(_percent(r, v, decimals) for r, v in _pairs(rows, vs))
        for title, vs in columns.items()
    )
    alt = f"{caption} In percent. {said}."
    return Picture("".join(drawn), WIDTH, 24 + len(rows) * 26 + 2, caption, alt)


def ruler(
    pieces: Sequence[str],
    shares: Sequence[float],
    marks: Sequence[float],
    caption: str,
) -> Picture:
    """The way from 0 to 1, cut into a stretch for each token, and numbers that hit it.

    shares: how long each token's stretch is; together 1. marks: numbers from 0 up to 1.
    """
    if len(pieces) != len(shares) or abs(sum(shares) - 1) > 1e-3:
        raise ValueError(
            f"{len(pieces)} tokens have {len(shares)} shares, which sum to "
            f"{sum(shares):.3f}"
        )
    ends = [sum(shares[: i + 1]) for i in range(len(shares))]
    x0, wide, top, tall = 8.0, WIDTH - 18.0, 44.0, 34.0
    drawn, said, start = [], [], 0.0
    for i, (piece, end) in enumerate(zip(pieces, ends, strict=True)):
        x, width = x0 + start * wide, (end - start) * wide - 1.5
        shown = _shown(piece)
        drawn.append(rect(x, top, max(width, 0.5), tall, (BLUE, GREEN)[i % 2], 0.3))
        size = min(FONT, FONT * (width - 2) / max(text_width(shown), 1))
        if size >= 9:  # smaller cannot be read; the text alternative has it
            middle = x + width / 2
            drawn.append(text(middle, top + 22, shown, "middle", round(size, 1)))
        said.append(f"{piece.strip() or shown} from {start:.2f} to {end:.2f}")
        start = end
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = x0 + tick * wide
        drawn.append(_line(x, top + tall, x, top + tall + 6, "currentColor"))
        drawn.append(text(x, top + tall + 20, f"{tick:g}", "middle", 12))
    for u in marks:
        x = x0 + u * wide
        drawn.append(_arrow(x, 20, top))
        drawn.append(text(x, 14, f"{u:.2f}", "middle", 12))
    alt = (
        f"{caption} {', '.join(said)}. Marked: {', '.join(f'{u:.2f}' for u in marks)}."
    )
    return Picture("".join(drawn), WIDTH, top + tall + 26, caption, alt)


def tree(
    levels: Sequence[Sequence[tuple[str, int, float, bool]]],
    caption: str,
    *,
    best: int | None = None,
) -> Picture:
    """Beginnings of texts as a tree from left to right, one level for each step.

    levels: the branches of each step, (token, which branch of the level before it
    continues, probability from the start, kept). What is not kept has a dashed frame.
    best: the branch of the last level whose way from the start is drawn in orange.
    """
    if not levels or not all(levels):
        raise ValueError(f"each level has at least 1 branch, got {levels}")
    for before, level in zip(levels, levels[1:], strict=False):
        if not all(0 <= parent < len(before) for _, parent, *_ in level):
            raise ValueError(f"branches continue one of {len(before)}, got {level}")
    pitch, gap = 44.0, 34.0
    wide = (WIDTH - 14 - gap * len(levels)) / len(levels)
    height = pitch * max(map(len, levels))
    way = _way(levels, best)
    drawn, said, above = [_dot(6.0, height / 2)], [], [(10.0, height / 2)]
    for step, level in enumerate(levels):
        x, here = 12 + gap + step * (wide + gap), []
        for i, (token, parent, p, kept) in enumerate(level):
            y = height * (i + 0.5) / len(level)
            on_way = way.get(step) == i
            color = ORANGE if on_way else BLUE if kept else "currentColor"
            source = above[parent] if step else above[0]
            drawn.append(_line(*source, x, y, color, 2 if on_way else 1.2, not kept))
            drawn.append(_box(x, y, wide, color, kept))
            drawn.append(text(x + wide / 2, y - 2, _shown(token), "middle"))
            drawn.append(text(x + wide / 2, y + 13, f"{p:.3f}", "middle", 12))
            here.append((x + wide, y))
            state = "kept" if kept else "dropped"
            said.append(f"step {step + 1}: {token.strip()} {p:.3f} {state}")
        above = here
    alt = f"{caption} {'; '.join(said)}."
    return Picture("".join(drawn), WIDTH, height + 4, caption, alt)


def _way(levels, best: int | None) -> dict[int, int]:
    """The branch of each level on the way to the best of the last one."""
    way = {}
    for step in range(len(levels) - 1, -1, -1):
        if best is not None:
            way[step] = best
            best = levels[step][best][1]
    return way


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>'


def _box(x: float, y: float, width: float, color: str, kept: bool) -> str:
    if kept:
        return rect(x, y - 18, width, 36, color, 0.2, stroke=True)
    return (
        f'<rect x="{x:.1f}" y="{y - 18:.1f}" width="{width:.1f}" height="36" rx="3" '
        f'fill="none" stroke="currentColor" stroke-opacity="0.6" '
        f'stroke-dasharray="4 3"/>'
    )


def _line(x1, y1, x2, y2, color, width=1.0, dashed=False) -> str:
    dashes = ' stroke-dasharray="4 3" stroke-opacity="0.6"' if dashed else ""
    return (
        f'<path d="M {x1:.1f} {y1:.1f} L {x2:.1f} {y2:.1f}" fill="none" '
        f'stroke="{color}" stroke-width="{width}"{dashes}/>'
    )


def _arrow(x: float, start: float, end: float) -> str:
    return (
        f'<path d="M {x:.1f} {start:.1f} V {end - 1:.1f} m -4 -7 l 4 7 l 4 -7" '
        f'fill="none" stroke="{ORANGE}" stroke-width="2"/>'
    )


def _pairs(rows, values):
    return zip(rows, values, strict=True)


def _percent(row: str, value: float | None, decimals: int) -> str:
    name = row.strip() or _shown(row)
    return f"{name} {100 * value:.{decimals}f}" if value else f"{name} out"


def _shown(piece: str) -> str:
    """A token for the eye: a blank that belongs to it is drawn as a dot."""
    return piece if piece == piece.strip() else piece.translate(VISIBLE)
