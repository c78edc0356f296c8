"""Heads: boxes cut into coloured parts, and the maps of many heads at a glance."""

from collections.abc import Sequence

from torch import Tensor

from .picture import BLUE, COLORS, ORANGE, WIDTH, Picture, rect, text, text_width

SHIFT = 9  # px from one plane of a stack to the next


def parts(
    equations: Sequence[Sequence],
    sizes: dict[str, int],
    caption: str,
    *,
    count: int = 4,
) -> Picture:
    """Boxes as in `shapes`, cut into `count` parts that keep their colours.

    A box is (name, rows, columns, cut). cut: None leaves it whole and grey; "columns"
    or "rows" cuts it into strips; "stack" draws a plane for each part, one behind the
    other; a number draws the whole box as that part. Strings stand between the boxes.
    sizes: how many units long an edge is drawn; a unit shrinks until the lines fit.
    """
    if not 1 <= count <= len(COLORS):
        raise ValueError(f"parts are 1 to {len(COLORS)} in number, got {count}")
    known = (None, "columns", "rows", "stack", *range(count))
    boxes = [item for line in equations for item in line if not isinstance(item, str)]
    for name, *_, cut in boxes:
        if cut not in known:
            raise ValueError(f"box {name!r} is cut by one of {known}, got {cut!r}")
    for unit in (9.0, 7.0, 5.5, 4.5, 3.5, 3.0, 2.5, 2.0):
        lines, width, height = _layout(equations, sizes, count, unit)
        if width <= WIDTH:
            break
    said = "; ".join(" ".join(map(_said, line)) for line in equations)
    alt = f"{caption} {said}. A part has one colour everywhere."
    return Picture("".join(lines), width, height, caption, alt)


def _layout(equations, sizes, count, unit):
    lines, y, widest = [], 4.0, 0.0
    for equation in equations:
        x, above = 2.0, 18.0
        boxes = [item for item in equation if not isinstance(item, str)]
        if any(box[3] == "stack" for box in boxes):
            above += (count - 1) * SHIFT
        tallest = max(sizes[box[1]] * unit for box in boxes)
        middle = y + above + tallest / 2
        for item in equation:
            if isinstance(item, str):
                lines.append(text(x + 5, middle + 4, item, size=15))
                x += text_width(item) * 1.15 + 14
                continue
            name, rows, columns, cut = item
            w, h = sizes[columns] * unit, sizes[rows] * unit
            x += text_width(rows) + 6  # room for the name of the left edge
            top = middle - h / 2
            lines += _box(x, top, w, h, cut, count)
            lines.append(text(x + w / 2, middle + h / 2 + 16, name, "middle"))
            shift = (count - 1) * SHIFT if cut == "stack" else 0
            lines.append(
                text(x + w / 2 + shift, top - shift - 5, columns, "middle", 12)
            )
            lines.append(text(x - 5, middle + 4, rows, "end", 12))
            if cut == "stack":  # the third edge runs along the diagonal
                place = x + w + shift / 2 + 7, middle + h / 2 - shift / 2 + 7
                lines.append(text(*place, str(count), size=12))
            x += max(w + shift, text_width(name) / 2 + w / 2) + 5
        y = middle + tallest / 2 + 26
        widest = max(widest, x)
    return lines, widest + 2, y


def _box(x, y, w, h, cut, count) -> list[str]:
    if cut is None:
        return [rect(x, y, w, h, "currentColor", 0.08, stroke=True)]
    if cut == "columns":
        each = w / count
        places = [(x + i * each, y, each, h) for i in range(count)]
    elif cut == "rows":
        each = h / count
        places = [(x, y + i * each, w, each) for i in range(count)]
    elif cut == "stack":
        places = [(x + i * SHIFT, y - i * SHIFT, w, h) for i in range(count)]
    else:
        return [rect(x, y, w, h, COLORS[cut], 0.3, stroke=True)]
    drawn = [
        rect(*place, COLORS[i], 0.3, stroke=True) for i, place in enumerate(places)
    ]
    return drawn[::-1]  # the first plane of a stack lies in front


def _said(item) -> str:
    if isinstance(item, str):
        return item
    name, rows, columns, cut = item
    how = {None: "", "columns": ", cut into columns", "rows": ", cut into rows"}
    how["stack"] = ", a plane for each part"
    return f"{name} ({rows} by {columns}{how.get(cut, f', part {cut}')})"


def gallery(
    maps: Tensor, caption: str, *, marked: dict[tuple[int, int], str] | None = None
) -> Picture:
    """The attention maps of all heads as small squares: a row of them for each layer.

    maps: (layers, heads, T, S). marked: (layer, head) to a word that is written below
    its square, which gets a frame.
    """
    if maps.dim() != 4:
        raise ValueError(f"maps are (layers, heads, T, S), got {tuple(maps.shape)}")
    maps, marked = maps.detach().float().cpu(), marked or {}
    layers, heads, T, S = maps.shape
    left, top, gap, below = 56.0, 22.0, 8.0, 17.0 if marked else 6.0
    side = (WIDTH - left - 2) / heads - gap
    cell, tall = side / S, side / S * T
    drawn = []
    for h in range(heads):
        x = left + h * (side + gap)
        drawn.append(text(x + side / 2, 13, f"head {h}", "middle", 12))
    for i in range(layers):
        y = top + i * (tall + below + 2)
        drawn.append(text(0, y + tall / 2 + 4, f"layer {i}", size=12))
        for h in range(heads):
            x = left + h * (side + gap)
            name = marked.get((i, h))
            drawn.append(_small(maps[i, h], x, y, cell, ORANGE if name else None))
            if name:
                drawn.append(text(x + side / 2, y + tall + 12, name, "middle", 11))
    said = ", ".join(
        f"layer {i}, head {h}: {name}" for (i, h), name in sorted(marked.items())
    )
    alt = f"{caption} {layers * heads} small squares, {heads} for each of {layers} "
    alt += f"layers{'. Framed: ' if said else ''}{said}."
    height = top + layers * (tall + below + 2)
    return Picture("".join(drawn), WIDTH, height, caption, alt)


def _small(weights: Tensor, x: float, y: float, cell: float, frame: str | None) -> str:
    """One map; weights too small to be seen are left out."""
    T, S = weights.shape
    drawn = [
        f'<rect x="{x + j * cell:.1f}" y="{y + i * cell:.1f}" width="{cell:.1f}" '
        f'height="{cell:.1f}" fill-opacity="{weights[i, j]:.2f}"/>'
        for i in range(T)
        for j in range(S)
        if weights[i, j] >= 0.05
    ]
    width, shade = ("2", "1") if frame else ("1", "0.35")
    return (
        f'<g fill="{BLUE}">{"".join(drawn)}</g>'
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{S * cell:.1f}" height="{T * cell:.1f}" '
        f'fill="none" stroke="{frame or "currentColor"}" stroke-width="{width}" '
        f'stroke-opacity="{shade}"/>'
    )
