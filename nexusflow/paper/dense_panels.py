"""Tiles of Figure 7: class maps, depth and normals as colours; void pixels hatched; and their keys.

Legend: H and W image size, S pixels per side of the key of the normals.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize, to_rgba
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nexusflow.paper.dense_data import DENSE_CLASSES, DenseFrame, DenseLayer
from nexusflow.paper.style import INK, MUTED

__all__ = [
    "CLASS_COLOURS",
    "DEPTH_COLOURS",
    "class_pixels",
    "classes_in",
    "depth_limits",
    "depth_pixels",
    "draw_class_key",
    "draw_depth_key",
    "draw_normal_key",
    "draw_tile",
    "normal_pixels",
]

# Pale colours for the shell of a room, strong ones for what stands in it.
CLASS_COLOURS = {
    "bed": "#CC6677",
    "books": "#E69F00",
    "ceiling": "#F3E6C2",
    "chair": "#0057B8",
    "floor": "#B08A63",
    "furniture": "#6A3D9A",
    "objects": "#D62728",
    "picture": "#F0E442",
    "sofa": "#009E73",
    "table": "#17BECF",
    "tv": "#1A1A1A",
    "wall": "#C9D4DE",
    "window": "#A6E36B",
}
assert tuple(CLASS_COLOURS) == DENSE_CLASSES

DEPTH_COLOURS = "viridis_r"
_VOID, _HATCH = "#EDEDED", "#9C9C9C"
_QUANTILES = (0.005, 0.995)
_KEY_SIDE = 240


def class_pixels(classes_HW: NDArray[np.int8]) -> NDArray[np.float64]:
    """Paint a class map.

    Args:
        classes_HW: index into DENSE_CLASSES, -1 = void.

    Returns:
        (H, W, 4) RGBA in [0, 1]; void is transparent.
    """
    colours = np.array([to_rgba(colour) for colour in CLASS_COLOURS.values()] + [(0.0, 0.0, 0.0, 0.0)])
    return colours[classes_HW]


def depth_limits(truth: DenseLayer) -> Normalize:
    """Choose the depths at the ends of the colour scale: nearly the whole range of the truth.

    Args:
        truth: layer with true depth.

    Returns:
        The scale that all depth tiles share, in metres.
    """
    valid = truth.depth_HW[truth.depth_HW > 0]
    if not valid.size:
        return Normalize(0.0, 1.0)
    low, high = (float(value) for value in np.quantile(valid, _QUANTILES))
    return Normalize(low, high if high > low else low + 1.0)


def depth_pixels(
    depth_HW: NDArray[np.float32], scale: Normalize, colours: Colormap, hide_zero: bool
) -> NDArray[np.float64]:
    """Paint depth.

    Args:
        depth_HW: metres.
        scale: depths at the ends of the colour scale; beyond them the end's colour is used.
        colours: the colour scale.
        hide_zero: whether 0 means invalid, as in the truth.

    Returns:
        (H, W, 4) RGBA in [0, 1]; invalid is transparent.
    """
    rgba_HW4 = np.array(colours(np.clip(scale(depth_HW), 0.0, 1.0)), np.float64)
    if hide_zero:
        rgba_HW4[depth_HW == 0, 3] = 0.0
    return rgba_HW4


def normal_pixels(normal_HW3: NDArray[np.float32]) -> NDArray[np.float64]:
    """Paint normals: red to the right, green upwards, blue towards the camera.

    Args:
        normal_HW3: unit vectors, zero = invalid.

    Returns:
        (H, W, 4) RGBA in [0, 1]; invalid is transparent.
    """
    rgb_HW3 = np.clip((normal_HW3.astype(np.float64) + 1) / 2, 0.0, 1.0)
    known_HW1 = (normal_HW3 != 0).any(-1, keepdims=True).astype(np.float64)
    return np.concatenate([rgb_HW3, known_HW1], axis=-1)


def draw_tile(axes: Axes, pixels: NDArray[np.float64] | NDArray[np.uint8]) -> None:
    """Draw one image; what is transparent shows hatched ground.

    Args:
        axes: the panel.
        pixels: (H, W, 3) or (H, W, 4).
    """
    axes.patch.set(facecolor=_VOID, edgecolor=_HATCH, hatch="/////", linewidth=0)
    axes.imshow(pixels, interpolation="nearest", aspect="auto", zorder=2)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(color=MUTED, linewidth=0.6)


def classes_in(frame: DenseFrame) -> set[str]:
    """Name the classes that occur in any tile of a figure.

    Args:
        frame: truth and predictions.

    Returns:
        Class names.
    """
    found = np.unique(np.concatenate([np.unique(x.classes_HW) for x in (frame.truth, *frame.methods)]))
    return {DENSE_CLASSES[index] for index in found if index >= 0}


def draw_class_key(axes: Axes, shown: Collection[str]) -> None:
    """Draw the legend of the classes.

    Args:
        axes: an empty panel.
        shown: classes that occur in the figure; the others are written faintly.
    """
    handles = [
        Patch(facecolor=colour, edgecolor=MUTED, linewidth=0.6, label=name)
        for name, colour in CLASS_COLOURS.items()
    ]
    handles.append(
        Patch(facecolor=_VOID, edgecolor=_HATCH, hatch="/////", linewidth=0.6, label="no valid label")
    )
    legend = axes.legend(
        handles=handles,
        ncols=2,
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.0,
        borderpad=0.0,
        handlelength=1.5,
        columnspacing=1.6,
        labelspacing=0.42,
    )
    for handle, text in zip(handles, legend.get_texts(), strict=True):
        name = str(handle.get_label())
        text.set_color(INK if name in shown or name not in CLASS_COLOURS else "#B5B5B5")
    axes.set_axis_off()


def draw_depth_key(axes: Axes, scale: Normalize, colours: Colormap, extend: str) -> None:
    """Draw the colour bar of the depth.

    Args:
        axes: an empty, wide panel.
        scale: depths at the ends.
        colours: the colour scale.
        extend: "neither", "min", "max" or "both": where predictions reach beyond the ends.
    """
    figure = axes.get_figure()
    assert figure is not None
    bar = figure.colorbar(
        ScalarMappable(scale, colours), cax=axes, orientation="horizontal", extend=extend, extendfrac=0.04
    )
    bar.locator = MaxNLocator(5)
    bar.update_ticks()
    bar.outline.set(color=MUTED, linewidth=0.6)  # type: ignore[operator]


def draw_normal_key(axes: Axes) -> None:
    """Draw a ball seen from the camera, painted like the normals.

    Args:
        axes: an empty, square panel.
    """
    x_S = np.linspace(-1.0, 1.0, _KEY_SIDE)
    x_SS, y_SS = np.meshgrid(x_S, -x_S)
    radius_SS = np.hypot(x_SS, y_SS)
    z_SS = np.sqrt(np.clip(1 - radius_SS**2, 0, None))
    rgba_SS4 = normal_pixels(np.stack([x_SS, y_SS, z_SS], axis=-1).astype(np.float32))
    # A soft edge, one pixel wide.
    rgba_SS4[..., 3] = np.clip((1 - radius_SS) * _KEY_SIDE / 2, 0.0, 1.0)
    axes.imshow(rgba_SS4, extent=(-1, 1, -1, 1), interpolation="bilinear", aspect="equal")
    axes.set_axis_off()
    axes.set(xlim=(-1.02, 1.02), ylim=(-1.02, 1.02))
