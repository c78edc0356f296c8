"""Turning pairs of numbers: dials whose hands are angles, and which numbers pair up."""

import math
from collections.abc import Sequence

from .picture import COLORS, WIDTH, Picture, rect, text, text_width

DASHES = ("", "5 3", "2 3", "8 3")  # never colour alone


def dials(
    rows: dict[str, Sequence[Sequence[float]]],
    columns: Sequence[str],
    caption: str,
    *,
    hands: Sequence[str] = (),
) -> Picture:
    """Dials with hands that begin at the right and turn counter-clockwise.

    rows: a label, and a dial for each column: the angles (radians) of its hands.
    hands: the names of a dial's hands, where it has more than one; at most 4.
    """
    count = max(len(hands), 1)
    if count > len(COLORS):
        raise ValueError(f"a dial has at most {len(COLORS)} hands, got {count}")
    for name, angles in rows.items():
        if len(angles) != len(columns) or any(len(dial) != count for dial in angles):
            raise ValueError(
                f"row {name!r} needs {len(columns)} dials of {count} hands, "
                f"got {[len(dial) for dial in angles]}"
            )
    left = max(text_width(name) for name in rows) + 8
    side = min(74.0, (WIDTH - left) / len(columns))
    parts, y, said = _legend(hands), 22.0 + 22 * bool(hands), []
    for j, column in enumerate(columns):
        parts.append(text(left + (j + 0.5) * side, y - 6, column, "middle", 12))
    for name, angles in rows.items():
        parts.append(text(0, y + side / 2 + 4, name))
        for j, dial in enumerate(angles):
            middle = left + (j + 0.5) * side, y + side / 2
            parts += _dial(*middle, side / 2 - 4, dial)
            degrees = " and ".join(f"{math.degrees(a) % 360:.0f}" for a in dial)
            said.append(f"{name} {columns[j]} {degrees}".strip())
        y += side
    order = f"{' and '.join(hands)}: " if hands else ""
    alt = f"{caption} Degrees, {order}{'; '.join(said)}."
    return Picture("".join(parts), left + len(columns) * side, y + 4, caption, alt)


def _legend(hands: Sequence[str]) -> list[str]:
    parts, x = [], 0.0
    for name, color, dashes in zip(hands, COLORS, DASHES, strict=False):
        parts.append(_line(x, 10, x + 22, 10, color, dashes))
        parts.append(text(x + 28, 14, name))
        x += text_width(name) + 48
    return parts


def _dial(x: float, y: float, radius: float, angles: Sequence[float]) -> list[str]:
    circle = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="none" '
        f'stroke="currentColor" stroke-opacity="0.35"/>'
    )
    parts = [circle, _line(x + radius - 4, y, x + radius + 3, y, "currentColor")]
    for angle, color, dashes in zip(angles, COLORS, DASHES, strict=False):
        tip = x + radius * 0.88 * math.cos(angle), y - radius * 0.88 * math.sin(angle)
        parts.append(_line(x, y, *tip, color, dashes))
        parts.append(
            f'<circle cx="{tip[0]:.1f}" cy="{tip[1]:.1f}" r="3" fill="{color}"/>'
        )
    return parts


def _line(x1, y1, x2, y2, color, dashes="") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{color}" stroke-width="2"{dashed}/>'
    )


def partners(rows: dict[str, Sequence[int]], caption: str) -> Picture:
    """Numbers in a row, and arcs between the two that make a pair.

    rows: a label, and for each number of the row the pair that it belongs to, from 0;
    every pair occurs twice.
    """
    parts, y, said = [], 4.0, []
    for name, pair_of in rows.items():
        found = {p: [i for i, q in enumerate(pair_of) if q == p] for p in pair_of}
        if any(len(places) != 2 for places in found.values()):
            raise ValueError(f"in {name!r} each pair occurs twice, got {list(pair_of)}")
        side = min(46.0, WIDTH / len(pair_of))
        longest = max(b - a for a, b in found.values()) * side
        top = y + 20 + longest * 0.22 + 6
        parts.append(text(0, y + 12, name))
        for i, p in enumerate(pair_of):
            color, x = COLORS[p % len(COLORS)], i * side
            parts.append(rect(x + 1, top, side - 2, 30, color, 0.25, stroke=True))
            parts.append(text(x + side / 2, top + 20, f"x{i}", "middle"))
            parts.append(text(x + side / 2, top + 45, f"pair {p}", "middle", 11))
        for p, (a, b) in found.items():
            start, end = (a + 0.5) * side, (b + 0.5) * side
            high = top - (end - start) * 0.44
            parts.append(
                f'<path d="M {start:.1f} {top:.1f} Q {(start + end) / 2:.1f} '
                f'{high:.1f} {end:.1f} {top:.1f}" fill="none" stroke-width="2" '
                f'stroke="{COLORS[p % len(COLORS)]}"/>'
            )
        y = top + 58
        said.append(f"{name}: " + ", ".join(f"{a} with {b}" for a, b in found.values()))
    width = max(len(row) for row in rows.values()) * side
    return Picture("".join(parts), width, y, caption, f"{caption} {'; '.join(said)}.")
