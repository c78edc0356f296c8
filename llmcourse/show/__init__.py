"""Pictures in one visual language, controls, and source code as a cell's output."""

from .blocks import blocks
from .charts import curves
from .code import source
from .control import control
from .diagrams import flow, sharing
from .heads import gallery, parts
from .picture import BLUE, GREEN, ORANGE, PURPLE, Picture
from .shapes import shapes
from .text import heatmap, shaded
from .tokens import tiers, tokens
from .turns import dials, partners
from .vectors import bars, plane, strips

__all__ = [
    "BLUE",
    "GREEN",
    "ORANGE",
    "PURPLE",
    "Picture",
    "bars",
    "blocks",
    "control",
    "curves",
    "dials",
    "flow",
    "gallery",
    "heatmap",
    "partners",
    "parts",
    "plane",
    "shaded",
    "shapes",
    "sharing",
    "source",
    "strips",
    "tiers",
    "tokens",
]
