"""Steps of writing: what is computed now, what again, and what a cache holds."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from .picture import BLUE, ORANGE, WIDTH, Picture, rect, text, text_width

PARTS = ("model", "kept", "new", "row", "column")


def ledger(
    rows: Sequence[tuple[str, str]],
    columns: Sequence[str],
    legend: Mapping[str, tuple[str, str]],
    caption: str,
    *,
    row_title: str = "call",
) -> Picture:
    """A table of signs, a row for each call: what happened to each token.

    rows: (label, signs), a sign for each column; a row may end early, and a space
    leaves a cell empty. legend: the colour and the meaning of each sign.
    """
    if not rows or not columns or not legend:
        raise ValueError(
            f"at least 1 row, column and sign are needed, "
            f"got {len(rows)}, {len(columns)} and {len(legend)}"
        )
    left = max(text_width(label) for label in [row_title, *dict(rows)]) + 12
    top = max(text_width(column) for column in columns) * 0.72 + 14
    side = min(30.0, (WIDTH - left - 30) / len(columns))
    drawn = [text(0, top - 8, row_title, size=12)]
    for j, column in enumerate(columns):
        drawn.append(text(left + (j + 0.5) * side, top - 8, column, turn=-46))
    said = []
    for i, (label, signs) in enumerate(rows):
        if len(signs) > len(columns) or {*signs} - {*legend, " "}:
            raise ValueError(
                f"row {label!r} has signs {signs!r} for {len(columns)} columns; "
                f"known are {''.join(legend)!r}"
            )
        y = top + i * side
        drawn.append(text(left - 8, y + side / 2 + 4, label, anchor="end"))
        for j, sign in enumerate(signs):
            if sign == " ":
                continue
            x = left + j * side
            drawn.append(rect(x, y, side - 2, side - 2, legend[sign][0], 0.3))
            drawn.append(text(x + side / 2 - 1, y + side / 2 + 4, sign, "middle"))
        counts = {what: signs.count(sign) for sign, (_, what) in legend.items()}
        counts = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
        said.append(f"{row_title} {label}: {counts}")
    y = top + len(rows) * side + 8
    marks = [(color, sign, what) for sign, (color, what) in legend.items()]
    more, bottom = _legend(marks, y)
    width = max(left + len(columns) * side + 30, WIDTH)
    alt = f"{caption} {'; '.join(said)}."
    return Picture("".join(drawn + more), width, bottom, caption, alt)


def attending(
    weights: Tensor, pieces: Sequence[str], caption: str, *, after: str = ""
) -> Picture:
    """The attention weights of one call, its keys coloured by where they come from.

    weights: (T, S). The T queries are the newest of the S pieces; the keys before them
    are from a cache. after: a line below, for example what the model writes next.
    """
    T, S = weights.shape
    if len(pieces) != S or not 1 <= T <= S:
        raise ValueError(f"weights {(T, S)} do not fit {len(pieces)} pieces")
    weights = weights.detach().float().cpu()
    past, new = S - T, pieces[S - T :]
    left = max(text_width(piece) for piece in [*new, "query"]) + 14
    top = max(text_width(piece) for piece in pieces) * 0.72 + 34
    side = min(40.0, (WIDTH - left - 30) / S)
    drawn = [text(left, 13, "key", size=12), text(0, top - 8, "query", size=12)]
    for j, piece in enumerate(pieces):
        drawn.append(text(left + (j + 0.5) * side, top - 8, piece, turn=-46))
    strongest = weights.max().item() or 1.0
    for i in range(T):
        y = top + i * side
        drawn.append(text(left - 8, y + side / 2 + 4, new[i], anchor="end"))
        for j in range(S):
            x = left + j * side
            if j > past + i:
                dot = (
                    f'<circle cx="{x + side / 2:.1f}" cy="{y + side / 2:.1f}" r="1.5"/>'
                )
                drawn.append(f'<g opacity="0.5">{dot}</g>')
                continue
            shade = 0.08 + 0.52 * weights[i, j].item() / strongest
            color = ORANGE if j >= past else BLUE
            drawn.append(rect(x, y, side - 2, side - 2, color, shade, stroke=True))
    y = top + T * side + 8
    marks = [(ORANGE, "", "keys of this call")]
    if past:
        marks.insert(0, (BLUE, "", "keys from the cache"))
    more, bottom = _legend(marks, y)
    if after:
        more.append(text(0, bottom + 20, after))
        bottom += 28
    width = max(left + S * side + 30, WIDTH)
    best = pieces[int(weights[-1].argmax())]
    alt = (
        f"{caption} T = {T}, S = {S}: {past} keys from the cache, {T} of this call. "
        f"The last query looks most at {best}."
    )
    if after:
        alt += f" {after}."
    return Picture("".join(drawn + more), width, bottom, caption, alt)


def appended(
    equations: Sequence[Sequence], sizes: dict[str, int], caption: str
) -> Picture:
    """Boxes as in `shapes`, coloured by what is computed now and what was kept.

    A box is (name, rows, columns, part). part: "model" for a weight, "kept" for what
    comes from a cache, "new" for what is computed in this step; "row" or "column" for a
    kept box with one new row or column at its end. Strings stand between the boxes.
    """
    boxes = [item for line in equations for item in line if not isinstance(item, str)]
    for name, *_, part in boxes:
        if part not in PARTS:
            raise ValueError(f"box {name!r} is one of {PARTS}, got {part!r}")
    for unit in (12.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0):
        drawn, width, height = _lines(equations, sizes, unit)
        if width <= WIDTH:
            break
    marks = [(BLUE, "", "from the cache"), (ORANGE, "", "computed in this step")]
    more, bottom = _legend(marks, height)
    drawn.append(_plain(2, bottom + 2))
    drawn.append(text(24, bottom + 14, "weights of the model", size=12))
    said = "; ".join(" ".join(map(_said, line)) for line in equations)
    alt = f"{caption} {said}."
    return Picture("".join(drawn + more), WIDTH, bottom + 24, caption, alt)


def _lines(equations, sizes, unit):
    drawn, y, widest = [], 4.0, 0.0
    for equation in equations:
        x = 2.0
        tallest = max(sizes[b[1]] * unit for b in equation if not isinstance(b, str))
        middle = y + 18 + tallest / 2
        for item in equation:
            if isinstance(item, str):
                drawn.append(text(x + 5, middle + 4, item, size=15))
                x += text_width(item) * 1.15 + 12
                continue
            name, rows, columns, part = item
            w, h = sizes[columns] * unit, sizes[rows] * unit
            x += text_width(rows) + 6  # room for the name of the left edge
            drawn += _box(x, middle - h / 2, w, h, part, unit)
            drawn.append(text(x + w / 2, middle + h / 2 + 16, name, "middle"))
            drawn.append(text(x + w / 2, middle - h / 2 - 5, columns, "middle", 12))
            drawn.append(text(x - 5, middle + 4, rows, "end", 12))
            x += max(w, text_width(name) / 2 + w / 2) + 5
        y = middle + tallest / 2 + 24
        widest = max(widest, x)
    return drawn, widest + 2, y


def _box(x, y, w, h, part, unit) -> list[str]:
    if part == "model":
        return [rect(x, y, w, h, "currentColor", 0.08, stroke=True)]
    if part in ("kept", "new"):
        color = BLUE if part == "kept" else ORANGE
        return [rect(x, y, w, h, color, 0.3, stroke=True)]
    across, down = (unit, 0) if part == "column" else (0, unit)
    return [
        rect(x, y, w - across, h - down, BLUE, 0.3, stroke=True),
        rect(
            x + (w - unit if across else 0),
            y + (h - unit if down else 0),
            across or w,
            down or h,
            ORANGE,
            0.45,
            stroke=True,
        ),
    ]


def _plain(x: float, y: float) -> str:
    return rect(x, y, 15, 15, "currentColor", 0.08, stroke=True)


def _legend(marks: Sequence[tuple[str, str, str]], y: float) -> tuple[list[str], float]:
    """One line for each (color, sign, meaning); the y below the last of them."""
    drawn = []
    for color, sign, what in marks:
        drawn.append(rect(2, y + 2, 15, 15, color, 0.3, stroke=not sign))
        drawn.append(text(9.5, y + 14, sign, "middle", 12))
        drawn.append(text(24, y + 14, what, size=12))
        y += 21
    return drawn, y


def _said(item) -> str:
    if isinstance(item, str):
        return item
    name, rows, columns, part = item
    how = {"model": "a weight", "kept": "kept", "new": "new"}
    return (
        f"{name} ({rows} by {columns}, {how.get(part, f'kept but for a new {part}')})"
    )
