"""Bird's-eye view of one layer: map classes as areas, boxes with ids, track tails, faint truth.

On screen the vehicle looks up: right = −y, up = +x. Legend: K boxes, C map classes, R map cells per side.
"""

from __future__ import annotations

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from nexusflow.paper.boxes import box_footprints
from nexusflow.paper.qualitative_data import MAP_CLASSES, TRACK_CLASSES, SceneLayer
from nexusflow.paper.style import INK, MUTED

__all__ = ["BOX_COLOURS", "MAP_COLOURS", "draw_bev", "halo", "map_image"]

# Strong colours for objects, pale ones for the ground; no red, which is kept for the rings.
BOX_COLOURS = {
    "bicycle": "#56B4E9",
    "bus": "#E69F00",
    "car": "#0057B8",
    "motorcycle": "#F0E442",
    "pedestrian": "#C2549C",
    "trailer": "#5B2A86",
    "truck": "#009E73",
}
MAP_COLOURS = {"drivable": "#E4E4E4", "crossing": "#9CCBEA", "contour": "#7A7A7A", "divider": "#E8A35C"}
assert set(BOX_COLOURS) == set(TRACK_CLASSES) and set(MAP_COLOURS) == set(MAP_CLASSES)


def halo(colour: str = "white", width: float = 2.4) -> list[effects.AbstractPathEffect]:
    """Outline lines and letters so that they can be read on any ground.

    Args:
        colour: colour of the outline.
        width: its width, points.

    Returns:
        Path effects for an artist.
    """
    return [effects.withStroke(linewidth=width, foreground=colour)]


def _screen(xy_2: NDArray[np.floating]) -> NDArray[np.float64]:
    """Turn ego x, y into screen right, up."""
    xy_2 = np.asarray(xy_2, np.float64)
    return np.stack([-xy_2[..., 1], xy_2[..., 0]], axis=-1)


def map_image(map_CRR: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Paint the map classes over each other, areas first and lines last.

    Args:
        map_CRR: 0/1 masks; row ↔ y, column ↔ x.

    Returns:
        (R, R, 3) colours as seen on screen: row 0 = far ahead, column 0 = far left.
    """
    image_RR3 = np.ones((*map_CRR.shape[1:], 3))
    for name, colour in MAP_COLOURS.items():
        image_RR3[map_CRR[MAP_CLASSES.index(name)] > 0] = to_rgb(colour)
    return image_RR3.transpose(1, 0, 2)[::-1, ::-1]


def _draw_tails(axes: Axes, layer: SceneLayer) -> None:
    """Draw where each present track was in earlier frames, fading with age."""
    for box_9, label, track in zip(layer.boxes_K9, layer.labels_K, layer.ids_K, strict=True):
        mine = layer.tail_ids_P == track
        if not mine.any():
            continue
        newest_first = np.argsort(layer.tail_ages_P[mine], kind="stable")
        points = _screen(np.vstack([box_9[None, :2], layer.tail_xy_P2[mine][newest_first]]))
        segments = np.stack([points[:-1], points[1:]], axis=1)
        fade = np.linspace(0.9, 0.25, len(segments))
        colour = BOX_COLOURS[TRACK_CLASSES[label]]
        axes.add_collection(
            LineCollection(list(segments), colors=colour, alpha=fade, linewidths=1.6, zorder=4)
        )


def _draw_boxes(axes: Axes, layer: SceneLayer, half_m: float) -> None:
    if not len(layer.boxes_K9):
        return
    footprints_K42 = _screen(box_footprints(layer.boxes_K9))
    colours = [BOX_COLOURS[TRACK_CLASSES[label]] for label in layer.labels_K]
    boxes = PolyCollection(list(footprints_K42), facecolors=colours, edgecolors="none", alpha=0.35, zorder=5)
    axes.add_collection(boxes)
    outlines = PolyCollection(
        list(footprints_K42), facecolors="none", edgecolors=colours, linewidths=1.7, zorder=6
    )
    outlines.set_path_effects(halo(INK, 2.5))
    axes.add_collection(outlines)
    fronts = [[quad.mean(0), quad[:2].mean(0)] for quad in footprints_K42]
    axes.add_collection(LineCollection(fronts, colors=colours, linewidths=1.4, zorder=6))
    for quad, track in zip(footprints_K42, layer.ids_K, strict=True):
        if np.abs(quad.mean(0)).max() < 0.96 * half_m:
            axes.annotate(
                str(int(track)),
                (float(quad[:, 0].max()), float(quad[:, 1].max())),
                xytext=(1, 0),
                textcoords="offset points",
                fontsize=7.5,
                fontweight="bold",
                color=INK,
                path_effects=halo(),
                zorder=10,
                annotation_clip=True,
            )


def draw_bev(axes: Axes, layer: SceneLayer, half_m: float, faint_truth: SceneLayer | None = None) -> None:
    """Draw map, tails, boxes and ids of one layer, with the true boxes as dotted outlines.

    Args:
        axes: the panel.
        layer: what to draw.
        half_m: half side of the panel, metres.
        faint_truth: truth to outline, if any.
    """
    extent = (-half_m, half_m, -half_m, half_m)
    axes.imshow(map_image(layer.map_CRR), extent=extent, interpolation="nearest", zorder=1)
    if faint_truth is not None and len(faint_truth.boxes_K9):
        quads = list(_screen(box_footprints(faint_truth.boxes_K9)))
        faint = PolyCollection(quads, facecolors="none", edgecolors=INK, linewidths=0.9, zorder=7)
        faint.set_linestyle((0, (1, 1.5)))
        axes.add_collection(faint)
    _draw_tails(axes, layer)
    _draw_boxes(axes, layer, half_m)
    ego = np.array([[-0.9, -1.9], [0.9, -1.9], [0.0, 2.2]])
    axes.add_collection(PolyCollection([ego], facecolors=INK, edgecolors="white", linewidths=0.8, zorder=7))
    axes.set_xlim(-half_m, half_m)
    axes.set_ylim(-half_m, half_m)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_color(MUTED)
