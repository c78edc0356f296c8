"""A text cut into tokens, and one text cut in several ways."""

from collections.abc import Sequence

from .picture import BLUE, FONT, GREEN, ORANGE, WIDTH, Picture, rect, text, text_width

VISIBLE = str.maketrans({" ": "·", "\n": "↵", "\t": "→"})


def tokens(
    pieces: Sequence[str], caption: str, *, below: Sequence | None = None
) -> Picture:
    """A text as the row of its pieces; a space is drawn as a dot.

    below: what stands under each piece, its id for example.
    """
    below = [""] * len(pieces) if below is None else below
    if len(below) != len(pieces):
        raise ValueError(f"{len(below)} labels for {len(pieces)} pieces")
    parts, x, y, tall = [], 0.0, 4.0, 48 if any(map(str, below)) else 30
    for i, (piece, label) in enumerate(zip(pieces, below, strict=True)):
        shown, label = piece.translate(VISIBLE), str(label)
        width = max(text_width(shown) + 10, text_width(label) * 0.85 + 6)
        if x and x + width > WIDTH:
            x, y = 0.0, y + tall + 2
        parts.append(rect(x, y, width, 26, (BLUE, GREEN)[i % 2], 0.24))
        parts.append(text(x + width / 2, y + 18, shown, anchor="middle"))
        parts.append(text(x + width / 2, y + 40, label, anchor="middle", size=11))
        x += width + 3
    said = ", ".join(
        f"{piece!r} {label}".rstrip()
        for piece, label in zip(pieces, below, strict=True)
    )
    alt = f"{caption} {len(pieces)} pieces: {said}."
    return Picture("".join(parts), WIDTH, y + tall, caption, alt)


def tiers(
    rows: Sequence[tuple[str, Sequence[tuple[str, int]]]],
    caption: str,
    *,
    mark_new: bool = False,
) -> Picture:
    """One text cut in several ways, drawn one above the other so that the cuts agree.

    rows: (name, cells); a cell is (label, how many units wide), and all rows have the
    same number of units. mark_new: colour the cells that the row above does not have.
    """
    units = [sum(wide for _, wide in cells) for _, cells in rows]
    if not units or len(set(units)) > 1 or units[0] < 1:
        raise ValueError(
            f"rows of one length, at least 1 unit, are needed, got {units}"
        )
    left = max(text_width(name) for name, _ in rows) + 10
    unit = min(34.0, (WIDTH - left) / units[0])
    parts, above, y = [], None, 4.0
    for name, cells in rows:
        parts.append(text(left - 8, y + 19, name, anchor="end"))
        here, start = set(), 0
        for label, wide in cells:
            x, width = left + start * unit, wide * unit - 2
            here.add((start, wide))
            new = mark_new and above is not None and (start, wide) not in above
            parts.append(rect(x, y, width, 28, ORANGE if new else BLUE, 0.26))
            shown = label.translate(VISIBLE)
            size = min(FONT, FONT * width / max(text_width(shown), 1))
            parts.append(text(x + width / 2, y + 19, shown, "middle", round(size, 1)))
            start += wide
        above, y = here, y + 34
    said = "; ".join(
        f"{name}: " + " ".join(f"'{label}'" for label, _ in cells)
        for name, cells in rows
    )
    right = left + units[0] * unit + 2
    return Picture("".join(parts), right, y, caption, f"{caption} {said}.")
