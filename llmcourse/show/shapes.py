"""Shape diagrams: operations on boxes whose edges are named."""

from collections.abc import Sequence

from .picture import BLUE, Picture, rect, text, text_width


def shapes(
    equations: Sequence[Sequence], sizes: dict[str, int], caption: str
) -> Picture:
    """Products of matrices drawn as boxes whose edges are named and drawn to scale.

    equations: one a line, each a list of (name, rows, columns) boxes and plain strings,
    for example [("q", "T", "K"), "·", ("kᵀ", "K", "S"), "=", ("scores", "T", "S")].
    sizes: how many units long an edge of each letter is drawn.
    """
    lines, y, widest, said = [], 6.0, 0.0, []
    for equation in equations:
        x, unit = 4.0, 9.0
        heights = [sizes[b[1]] * unit for b in equation if not isinstance(b, str)]
        middle = y + 18 + max(heights) / 2
        for item in equation:
            if isinstance(item, str):
                lines.append(text(x + 6, middle + 4, item, size=15))
                x += text_width(item) + 16
                continue
            name, rows, columns = item
            w, h = sizes[columns] * unit, sizes[rows] * unit
            x += 16  # room for the name of the left edge
            lines.append(rect(x, middle - h / 2, w, h, BLUE, 0.22, stroke=True))
            label = text(x + w / 2, middle + h / 2 + 16, name, anchor="middle")
            lines.append(label)
            lines.append(text(x + w / 2, middle - h / 2 - 5, columns, "middle", 12))
            lines.append(text(x - 5, middle + 4, rows, anchor="end", size=12))
            x += max(w, text_width(name) / 2 + w / 2) + 6
        y = middle + max(heights) / 2 + 26
        widest = max(widest, x)
        said.append(
            " ".join(
                e if isinstance(e, str) else f"{e[0]} ({e[1]} by {e[2]})"
                for e in equation
            )
        )
    return Picture(
        "".join(lines), widest + 4, y, caption, f"{caption} {'; '.join(said)}."
    )
