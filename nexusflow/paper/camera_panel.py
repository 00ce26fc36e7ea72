"""One camera image with projected 3D boxes, drawn as vectors over the enlarged image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Ellipse
from numpy.typing import NDArray
from PIL import Image

from nexusflow.paper.bev_panel import BOX_COLOURS, halo
from nexusflow.paper.boxes import project_edges
from nexusflow.paper.qualitative_data import TRACK_CLASSES, SceneLayer

__all__ = ["RING_COLOUR", "draw_camera", "ring_style"]

RING_COLOUR = "#E00000"
_MIN_WIDTH_PX = 640
_MIN_LABEL_FRACTION = 0.10


def ring_style() -> dict[str, Any]:
    """Give the look of a ring: dashed red with a white rim.

    Returns:
        Keyword arguments of a patch.
    """
    return {
        "fill": False,
        "edgecolor": RING_COLOUR,
        "linewidth": 1.8,
        "linestyle": (0, (3.2, 1.8)),
        "path_effects": halo("white", 3.0),
        "zorder": 9,
    }


def _enlarge(image_HW3: NDArray[np.uint8]) -> Image.Image:
    """Enlarge small images smoothly, so that viewers do not blur them each in their own way."""
    height, width = image_HW3.shape[:2]
    factor = max(1, -(-_MIN_WIDTH_PX // width))
    image = Image.fromarray(image_HW3)
    return image.resize((width * factor, height * factor), Image.Resampling.LANCZOS)


def _draw_box(
    axes: Axes, lines_E22: NDArray[np.float64], colour: str, track: int, width: int, height: int
) -> None:
    edges = LineCollection(list(lines_E22), colors=colour, linewidths=1.3, capstyle="round", zorder=4)
    edges.set_path_effects(halo("#101010", 2.2))
    axes.add_collection(edges)
    low, high = lines_E22.min((0, 1)), lines_E22.max((0, 1))
    x, y = float(np.clip(low[0], 0, width)), float(low[1])
    tall_enough = high[1] - low[1] >= _MIN_LABEL_FRACTION * height
    wide_enough = float(np.clip(high[0], 0, width)) - x >= 0.03 * width
    if tall_enough and wide_enough and x <= 0.93 * width and y > 0.06 * height:
        axes.text(
            x,
            y - 0.02 * height,
            str(track),
            fontsize=7.5,
            fontweight="bold",
            color="white",
            path_effects=halo("#101010", 2.0),
            va="bottom",
            clip_on=True,
            zorder=10,
        )


def _draw_ring(axes: Axes, lines_E22: NDArray[np.float64], width: int, height: int) -> None:
    low = np.clip(lines_E22.min((0, 1)), 0, (width, height))
    high = np.clip(lines_E22.max((0, 1)), 0, (width, height))
    size = 1.35 * (high - low) + 0.06 * height
    ring = Ellipse(tuple((low + high) / 2), float(size[0]), float(size[1]), **ring_style())
    axes.add_patch(ring)


def draw_camera(
    axes: Axes,
    image_HW3: NDArray[np.uint8],
    ego2img_44: NDArray[np.float32],
    layer: SceneLayer,
    name: str,
    ringed: Sequence[NDArray[np.float32]] = (),
) -> None:
    """Draw an image, the boxes of a layer in it, and rings around the ringed boxes.

    Args:
        axes: the panel.
        image_HW3: RGB bytes.
        ego2img_44: homogeneous ego points → (u·d, v·d, d, 1).
        layer: boxes to draw, with their track ids.
        name: shown in the corner.
        ringed: boxes around which to draw a dashed ring.
    """
    height, width = image_HW3.shape[:2]
    axes.imshow(np.asarray(_enlarge(image_HW3)), extent=(0, width, height, 0), interpolation="nearest")
    far_first = np.argsort(-np.hypot(layer.boxes_K9[:, 0], layer.boxes_K9[:, 1]), kind="stable")
    for index in far_first:
        lines_E22 = project_edges(layer.boxes_K9[index], ego2img_44, width, height)
        if len(lines_E22):
            colour = BOX_COLOURS[TRACK_CLASSES[layer.labels_K[index]]]
            _draw_box(axes, lines_E22, colour, int(layer.ids_K[index]), width, height)
    for box_9 in ringed:
        lines_E22 = project_edges(box_9, ego2img_44, width, height)
        if len(lines_E22):
            _draw_ring(axes, lines_E22, width, height)
    axes.text(
        0.015,
        0.03,
        name,
        transform=axes.transAxes,
        fontsize=7.5,
        color="white",
        path_effects=halo("#101010", 2.0),
        zorder=7,
    )
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
