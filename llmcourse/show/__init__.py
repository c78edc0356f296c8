"""Pictures in one visual language, controls, and source code as a cell's output."""

from .blocks import blocks
from .charts import curves
from .choices import chances, ruler, tree
from .code import source
from .control import control
from .diagrams import flow, sharing
from .heads import gallery, parts
from .models import shares, stack
from .picture import BLUE, GREEN, ORANGE, PURPLE, Picture
from .prompts import prompt
from .shapes import shapes
from .steps import appended, attending, ledger
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
    "appended",
    "attending",
    "bars",
    "blocks",
    "chances",
    "control",
    "curves",
    "dials",
    "flow",
    "gallery",
    "heatmap",
    "ledger",
    "partners",
    "parts",
    "plane",
    "prompt",
    "ruler",
    "shaded",
    "shapes",
    "shares",
    "sharing",
    "source",
    "stack",
    "strips",
    "tiers",
    "tokens",
    "tree",
]
