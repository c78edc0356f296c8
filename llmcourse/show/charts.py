"""Charts with axes, drawn by matplotlib and turned into the pages' colours."""

import io
import re
from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

from .picture import BLUE, GREEN, ORANGE, PURPLE, WIDTH, Picture


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
        if "y" in log:  # 10⁹ has an exponent too small to read
            axes.yaxis.set_major_formatter(lambda value, _: _power(value))
        if "x" in log:  # label the points that there are, not every power
            axes.minorticks_off()
            axes.set_xticks(x, [f"{value:,}" for value in x])
        elif all(isinstance(value, int) for value in x):  # no tick at 2.5 layers
            axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(color=ink, alpha=0.12)
        figure.legend(loc="outside upper left", ncols=2, frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<defs>") : svg.rindex("</svg>")].replace(ink, "currentColor")
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    said = "; ".join(f"{name} {in_words(x, y)}" for name, y in lines.items())
    return Picture(
        svg, WIDTH, 270, caption, f"{caption} {xlabel} against {ylabel}: {said}."
    )


def _power(value: float) -> str:
    """1000, 1e6 and 0.01, in letters of one size."""
    return f"{value:g}" if 1e-3 <= value < 1e6 else f"{value:.0e}".replace("e+0", "e")


def in_words(x: Sequence[float], y: Sequence[float]) -> str:
    """A line by its ends, and by its highest and lowest point if they lie between.

    A line that only rises or only falls is told by its middle point instead.
    """
    y = [float(f"{value:.3g}") for value in y]

    def point(i: int) -> str:
        place = f"{x[i]:,}" if isinstance(x[i], int) else f"{x[i]:.3g}"
        return f"{y[i]:.3g} at {place}"

    said = [f"goes from {y[0]:.3g} to {y[-1]:.3g}"]
    if max(y) > max(y[0], y[-1]):
        said.append(f"highest {point(y.index(max(y)))}")
    if min(y) < min(y[0], y[-1]):
        said.append(f"lowest {point(y.index(min(y)))}")
    if len(said) == 1 and len(y) > 2 and y[0] != y[-1]:
        said.append(point(len(y) // 2))
    return ", ".join(said)
