"""Tables and texts whose numbers are shades."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .picture import BLUE, WIDTH, Picture, rect, text, text_width


def heatmap(
    values: Tensor,
    rows: Sequence[str],
    columns: Sequence[str],
    caption: str,
    *,
    decimals: int | None = None,
    hidden: Tensor | None = None,
    row_title: str = "query",
    column_title: str = "key",
) -> Picture:
    """A table of numbers from 0 up as shades, its rows and columns labelled.

    values: (len(rows), len(columns)). decimals: print the numbers in the cells too.
    hidden: bool, the shape of values: cells drawn as a dot instead (masked ones).
    """
    values = values.detach().float().cpu()
    if tuple(values.shape) != (len(rows), len(columns)):
        raise ValueError(
            f"{tuple(values.shape)} values for {len(rows)} rows, {len(columns)} columns"
        )
    hidden = torch.zeros_like(values, dtype=torch.bool) if hidden is None else hidden
    left = max(max(text_width(row) for row in rows) + 14, text_width(row_title))
    top = max(text_width(column) for column in columns) * 0.72 + 34
    side = min(46.0, (WIDTH - left - 30) / len(columns))
    tall = min(side, 40.0)
    strongest = values[~hidden].max().item() or 1.0
    parts = [
        text(left, 13, column_title, size=12),
        text(0, top - 8, row_title, size=12),
    ]
    for j, column in enumerate(columns):
        x = left + (j + 0.5) * side
        parts.append(text(x, top - 8, column, turn=-46))
    for i, row in enumerate(rows):
        y = top + i * tall
        parts.append(text(left - 8, y + tall / 2 + 4, row, anchor="end"))
        for j in range(len(columns)):
            x = left + j * side
            if hidden[i, j]:
                dot = (
                    f'<circle cx="{x + side / 2:.1f}" cy="{y + tall / 2:.1f}" r="1.5"/>'
                )
                parts.append(f'<g opacity="0.5">{dot}</g>')
                continue
            share = max(values[i, j].item() / strongest, 0.0)
            parts.append(rect(x, y, side - 2, tall - 2, BLUE, 0.04 + 0.56 * share))
            if decimals is not None:
                number = f"{values[i, j]:.{decimals}f}"
                x, y_number = x + side / 2 - 1, y + tall / 2 + 4
                parts.append(text(x, y_number, number, anchor="middle", size=12))
    best = values.masked_fill(hidden, float("-inf")).argmax(1)
    alt = f"{caption} Largest in each row: " + ", ".join(
        f"{row} looks most at {columns[j]}" for row, j in zip(rows, best, strict=True)
    )
    width = left + len(columns) * side + 30
    return Picture("".join(parts), width, top + len(rows) * tall + 4, caption, alt)


def shaded(tokens: Sequence[str], weights: Tensor, caption: str) -> Picture:
    """A text whose tokens are shaded by how much attention each of them gets."""
    strongest = weights.max().item() or 1.0
    parts, x, y = [], 0.0, 4.0
    for token, weight in zip(tokens, weights.tolist(), strict=True):
        width = text_width(token) + 8
        if x + width > WIDTH:
            x, y = 0.0, y + 32
        parts.append(rect(x, y, width, 26, BLUE, 0.6 * weight / strongest))
        parts.append(text(x + width / 2, y + 18, token, anchor="middle"))
        x += width + 2
    top = sorted(range(len(tokens)), key=lambda i: -weights[i].item())[:3]
    alt = f"{caption} Strongest: {', '.join(tokens[i].strip() for i in top)}."
    return Picture("".join(parts), WIDTH, y + 32, caption, alt)
