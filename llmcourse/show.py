"""Pictures in one visual language, and source code as a cell's output.

A picture is inline SVG that draws text and lines in `currentColor`, so it is readable
on a light and on a dark page, in the book and in Jupyter. Each has a text alternative.
"""

import inspect
import io
import re
from collections.abc import Sequence
from html import escape

import matplotlib
import torch
from IPython.display import Markdown
from matplotlib.figure import Figure
from torch import Tensor

BLUE, ORANGE, GREEN, PURPLE = "#2b7bd4", "#cf6a1c", "#2a8a57", "#9a5fd6"
FONT = 13  # px; pictures are at most 440 px wide, to be readable on a phone
WIDTH = 440


class Picture:
    """Inline SVG with a caption and a text alternative that says what it shows."""

    def __init__(self, svg: str, width: float, height: float, caption: str, alt: str):
        self.caption, self.alt = caption, alt
        self.svg = (
            f'<svg role="img" aria-label="{escape(alt)}" width="{width:.0f}" '
            f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'style="max-width:100%;height:auto" fill="currentColor" '
            f'font-family="sans-serif" font-size="{FONT}">{svg}</svg>'
        )

    def _repr_html_(self) -> str:
        caption = f"<figcaption>{escape(self.caption)}</figcaption>"
        return f'<figure style="margin:0.5em 0">{self.svg}{caption}</figure>'

    def __repr__(self) -> str:
        return f"<picture: {self.caption}>"


def source(*objects) -> Markdown:
    """The source code of functions or classes of the package, as a Markdown output."""
    code = "\n\n".join(inspect.getsource(o).rstrip() for o in objects)
    return Markdown(f"```python\n{code}\n```")


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
    left = max(_text_width(row) for row in rows) + 14
    top = max(_text_width(column) for column in columns) * 0.72 + 34
    side = min(46.0, (WIDTH - left - 30) / len(columns))
    tall = min(side, 40.0)
    strongest = values[~hidden].max().item() or 1.0
    parts = [
        _text(left, 13, column_title, size=12),
        _text(0, top - 8, row_title, size=12),
    ]
    for j, column in enumerate(columns):
        x = left + (j + 0.5) * side
        parts.append(_text(x, top - 8, column, turn=-46))
    for i, row in enumerate(rows):
        y = top + i * tall
        parts.append(_text(left - 8, y + tall / 2 + 4, row, anchor="end"))
        for j in range(len(columns)):
            x = left + j * side
            if hidden[i, j]:
                dot = (
                    f'<circle cx="{x + side / 2:.1f}" cy="{y + tall / 2:.1f}" r="1.5"/>'
                )
                parts.append(f'<g opacity="0.5">{dot}</g>')
                continue
            share = max(values[i, j].item() / strongest, 0.0)
            parts.append(_rect(x, y, side - 2, tall - 2, BLUE, 0.04 + 0.56 * share))
            if decimals is not None:
                number = f"{values[i, j]:.{decimals}f}"
                x, y_text = x + side / 2 - 1, y + tall / 2 + 4
                parts.append(_text(x, y_text, number, anchor="middle", size=12))
    best = values.masked_fill(hidden, float("-inf")).argmax(1)
    alt = f"{caption} Largest in each row: " + ", ".join(
        f"{row} looks most at {columns[j]}" for row, j in zip(rows, best, strict=True)
    )
    width = left + len(columns) * side + 30
    return Picture("".join(parts), width, top + len(rows) * tall + 4, caption, alt)


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
                lines.append(_text(x + 6, middle + 4, item, size=15))
                x += _text_width(item) + 16
                continue
            name, rows, columns = item
            w, h = sizes[columns] * unit, sizes[rows] * unit
            x += 16  # room for the name of the left edge
            lines.append(_rect(x, middle - h / 2, w, h, BLUE, 0.22, stroke=True))
            label = _text(x + w / 2, middle + h / 2 + 16, name, anchor="middle")
            lines.append(label)
            lines.append(_text(x + w / 2, middle - h / 2 - 5, columns, "middle", 12))
            lines.append(_text(x - 5, middle + 4, rows, anchor="end", size=12))
            x += max(w, _text_width(name) / 2 + w / 2) + 6
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


def curves(
    x: Sequence[float],
    lines: dict[str, Sequence[float]],
    xlabel: str,
    ylabel: str,
    caption: str,
    *,
    log: str = "",
) -> Picture:
    """Lines over one axis; each has its own dashes as well as its own colour.

    log: "x", "y" or "xy" for logarithmic axes.
    """
    styles = [(BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PURPLE, ":")]
    ink = "#010203"  # stands for currentColor, which matplotlib does not know
    names = "text.color axes.labelcolor axes.edgecolor xtick.color ytick.color"
    look = dict.fromkeys(names.split(), ink) | {
        "svg.fonttype": "none", "svg.hashsalt": "llmcourse", "font.size": 10.5,
        "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with matplotlib.rc_context(look):
        figure = Figure(figsize=(WIDTH / 72, 270 / 72), layout="constrained")
        axes = figure.add_subplot()
        for (name, y), (color, dashes) in zip(lines.items(), styles, strict=False):
            axes.plot(
                x, y, dashes, color=color, label=name, linewidth=2, marker="o", ms=4
            )
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.set(**{f"{axis}scale": "log" for axis in log})
        if "x" in log:  # label the points that there are, not every power
            axes.minorticks_off()
            axes.set_xticks(x, [f"{value:,}" for value in x])
        axes.grid(color=ink, alpha=0.12)
        axes.legend(frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<defs>") : svg.rindex("</svg>")].replace(ink, "currentColor")
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    said = "; ".join(
        f"{n} goes from {y[0]:.3g} to {y[-1]:.3g}" for n, y in lines.items()
    )
    return Picture(
        svg, WIDTH, 270, caption, f"{caption} {xlabel} against {ylabel}: {said}."
    )


def shaded(tokens: Sequence[str], weights: Tensor, caption: str) -> Picture:
    """A text whose tokens are shaded by how much attention each of them gets."""
    strongest = weights.max().item() or 1.0
    parts, x, y = [], 0.0, 4.0
    for token, weight in zip(tokens, weights.tolist(), strict=True):
        width = _text_width(token) + 8
        if x + width > WIDTH:
            x, y = 0.0, y + 32
        parts.append(_rect(x, y, width, 26, BLUE, 0.6 * weight / strongest))
        parts.append(_text(x + width / 2, y + 18, token, anchor="middle"))
        x += width + 2
    top = sorted(range(len(tokens)), key=lambda i: -weights[i].item())[:3]
    alt = f"{caption} Darkest: {', '.join(tokens[i].strip() for i in top)}."
    return Picture("".join(parts), WIDTH, y + 32, caption, alt)


def _text_width(text: str) -> float:
    """Estimated width in px: the browser's font is not known here."""
    return sum(1.0 if ord(c) > 0x2E7F else 0.58 for c in text) * FONT


def _text(x, y, text, anchor="start", size=FONT, turn=0) -> str:
    turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
        f'{turned} xml:space="preserve">{escape(text)}</text>'
    )


def _rect(x, y, width, height, color, opacity, stroke=False) -> str:
    edge = f' stroke="{color}" stroke-width="1.5"' if stroke else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="3" fill="{color}" fill-opacity="{opacity:.2f}"{edge}/>'
    )
