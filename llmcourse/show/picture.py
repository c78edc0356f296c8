"""What every picture is made of: inline SVG that follows the page's colours.

Text and lines are drawn in `currentColor`, so a picture is readable on a light and on a
dark page, in the book and in Jupyter. Each has a text alternative.
"""

from html import escape

BLUE, ORANGE, GREEN, PURPLE = "#2b7bd4", "#cf6a1c", "#2a8a57", "#9a5fd6"
COLORS = (BLUE, ORANGE, GREEN, PURPLE)
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


def text_width(text: str) -> float:
    """Estimated width in px: the browser's font is not known here."""
    return sum(1.0 if ord(c) > 0x2E7F else 0.58 for c in text) * FONT


def text(x, y, text, anchor="start", size=FONT, turn=0) -> str:
    turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
        f'{turned} xml:space="preserve">{escape(text)}</text>'
    )


def rect(x, y, width, height, color, opacity, stroke=False) -> str:
    edge = f' stroke="{color}" stroke-width="1.5"' if stroke else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="3" fill="{color}" fill-opacity="{opacity:.2f}"{edge}/>'
    )
