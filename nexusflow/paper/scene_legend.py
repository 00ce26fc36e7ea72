"""Entries of the legend of a street scene: boxes, map areas, and the dotted true box."""

from __future__ import annotations

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from nexusflow.paper.bev_panel import BOX_COLOURS, MAP_COLOURS
from nexusflow.paper.style import INK, MUTED

__all__ = ["box_patches", "map_patches", "true_box_mark"]


def box_patches() -> list[Patch]:
    """Give one patch per tracking class.

    Returns:
        The patches, in the order of the colours.
    """
    return [
        Patch(facecolor=f"{colour}59", edgecolor=colour, label=name) for name, colour in BOX_COLOURS.items()
    ]


def map_patches() -> list[Patch]:
    """Give one patch per map class.

    Returns:
        The patches, in the order of the colours.
    """
    return [Patch(facecolor=colour, edgecolor=MUTED, label=name) for name, colour in MAP_COLOURS.items()]


def true_box_mark() -> Line2D:
    """Give the mark of a true box.

    Returns:
        A dotted line.
    """
    return Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)), label="true box")
