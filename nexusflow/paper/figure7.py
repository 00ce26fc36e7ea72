"""Figure 7: one NYUv2 image; segmentation, depth and normals of the truth and of every method below it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from nexusflow.paper.dense_data import DenseFrame, DenseLayer, load_dense_frame
from nexusflow.paper.dense_panels import (
    DEPTH_COLOURS,
    class_pixels,
    classes_in,
    depth_limits,
    depth_pixels,
    draw_class_key,
    draw_depth_key,
    draw_normal_key,
    draw_tile,
    normal_pixels,
)
from nexusflow.paper.style import INK, MUTED, new_figure, paper_style, save_figure

__all__ = ["draw_figure7", "write_figure7"]

_HEADING = "Segmentation, depth and surface normals of one image"
_COLUMNS = ("Segmentation", "Depth", "Surface normals")
# Inches.
_MARGIN, _GAP, _HEAD, _LABEL, _TITLE, _COLUMN_HEAD = 0.15, 0.1, 0.36, 0.42, 0.78, 0.3
_CLASS_KEY, _DEPTH_KEY, _NORMAL_KEY, _KEY_GAP, _KEY_HEAD = 1.4, 0.17, 1.2, 0.36, 0.2
_TICKS, _WORD, _LIFT = 0.25, 0.2, 0.13
_FONT = 11.0


@dataclass(frozen=True)
class _Layout:
    """Places of the panels, in inches from the upper left corner."""

    width: float
    aspect: float
    rows: int

    @property
    def tile(self) -> float:
        """Width of a tile: four of them, gaps and row labels fill the width."""
        return (self.width - 2 * _MARGIN - _LABEL - 2 * _GAP) / 4

    @property
    def tile_height(self) -> float:
        """Height of a tile."""
        return self.tile / self.aspect

    @property
    def keys_height(self) -> float:
        """Height of legend, colour bar and ball below the image."""
        heads = 3 * (_KEY_HEAD + _KEY_GAP)
        return heads + _CLASS_KEY + _DEPTH_KEY + _TICKS + _NORMAL_KEY + 2 * _WORD

    @property
    def height(self) -> float:
        """Height of the figure."""
        tiles = self.rows * self.tile_height + (self.rows - 1) * _HEAD
        return _TITLE + _COLUMN_HEAD + max(tiles, self.tile_height + self.keys_height) + _MARGIN

    def top(self, row: int) -> float:
        """Upper edge of a row's tiles."""
        return _TITLE + _COLUMN_HEAD + row * (self.tile_height + _HEAD)

    def left(self, column: int) -> float:
        """Left edge of a column's tiles; column 0 is the image."""
        return _MARGIN + column * self.tile + (_LABEL + (column - 1) * _GAP if column else 0)

    def place(self, fig: Figure, left: float, top: float, width: float, height: float) -> Axes:
        """Add a panel."""
        bottom = self.height - top - height
        return fig.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def write(self, fig: Figure, left: float, top: float, text: str, **style: object) -> None:
        """Write a line whose middle is at `top`."""
        fig.text(left / self.width, 1 - top / self.height, text, va="center", **style)  # type: ignore[arg-type]


def _score_texts(layer: DenseLayer) -> tuple[str, str, str]:
    """Write the scores above a method's tiles."""
    formats = {
        "Seg IoU": "IoU {:.1f} %",
        "Depth aErr": "absolute error {:.3f} m",
        "Norm mErr": "mean error {:.1f}°",
    }
    texts = [
        text.format(layer.scores[name]) if name in layer.scores else "no valid pixel"
        for name, text in formats.items()
    ]
    return texts[0], texts[1], texts[2]


def _draw_row(fig: Figure, layout: _Layout, row: int, layer: DenseLayer, scale: Normalize) -> None:
    """Draw the three tiles of a layer, its name and its scores."""
    truth = row == 0
    tiles = (
        class_pixels(layer.classes_HW),
        depth_pixels(layer.depth_HW, scale, mpl.colormaps[DEPTH_COLOURS], hide_zero=truth),
        normal_pixels(layer.normal_HW3),
    )
    texts = _COLUMNS if truth else _score_texts(layer)
    top = layout.top(row)
    for column, (pixels, text) in enumerate(zip(tiles, texts, strict=True), start=1):
        left = layout.left(column)
        draw_tile(layout.place(fig, left, top, layout.tile, layout.tile_height), pixels)
        weight = "bold" if truth else "normal"
        layout.write(fig, left, top - _LIFT, text, fontsize=11.5 if truth else _FONT, fontweight=weight)
    layout.write(
        fig,
        layout.left(1) - 0.16,
        top + layout.tile_height / 2,
        layer.label,
        rotation=90,
        ha="center",
        fontsize=11.5,
        fontweight="bold",
    )


def _extend(frame: DenseFrame, scale: Normalize) -> str:
    """Say at which ends of the colour scale some tile reaches beyond it."""
    valid = frame.truth.depth_HW[frame.truth.depth_HW > 0]
    depths = np.concatenate([valid, *(layer.depth_HW.ravel() for layer in frame.methods)])
    assert scale.vmin is not None and scale.vmax is not None
    below, above = bool((depths < scale.vmin).any()), bool((depths > scale.vmax).any())
    return {(False, False): "neither", (True, False): "min", (False, True): "max"}.get((below, above), "both")


def _draw_keys(fig: Figure, layout: _Layout, frame: DenseFrame, scale: Normalize) -> None:
    """Draw legend, colour bar and ball below the image."""
    left, top = layout.left(0), layout.top(0) + layout.tile_height + _KEY_GAP
    heading = {"fontsize": _FONT, "fontweight": "bold"}
    layout.write(fig, left, top, "Classes", **heading)
    top += _KEY_HEAD
    draw_class_key(layout.place(fig, left, top, layout.tile, _CLASS_KEY), classes_in(frame))
    top += _CLASS_KEY + _KEY_GAP
    layout.write(fig, left, top, "Depth (m)", **heading)
    top += _KEY_HEAD
    bar = layout.place(fig, left, top, layout.tile, _DEPTH_KEY)
    draw_depth_key(bar, scale, mpl.colormaps[DEPTH_COLOURS], _extend(frame, scale))
    top += _DEPTH_KEY + _TICKS + _KEY_GAP
    layout.write(fig, left, top, "The normal points", **heading)
    top += _KEY_HEAD + _WORD
    middle = left + layout.tile / 2
    draw_normal_key(layout.place(fig, middle - _NORMAL_KEY / 2, top, _NORMAL_KEY, _NORMAL_KEY))
    small = {"fontsize": 8.5, "color": INK}
    centre, reach = top + _NORMAL_KEY / 2, _NORMAL_KEY / 2 + 0.08
    layout.write(fig, middle - reach, centre, "left", ha="right", **small)
    layout.write(fig, middle + reach, centre, "right", ha="left", **small)
    layout.write(fig, middle, centre - reach - 0.03, "up", ha="center", **small)
    layout.write(fig, middle, centre, "to the camera", ha="center", **small)
    layout.write(fig, middle, centre + reach + 0.03, "down", ha="center", **small)


def _subtitle(frame: DenseFrame, width_in: float) -> str:
    info = frame.info
    parts = [f"validation image no. {info['image']} (of {info['images']})"] if "image" in info else []
    parts += [str(info["chosen"])] if "chosen" in info else []
    parts += [f"{key} {info[key]}" for key in ("seed", "scale") if key in info]
    parts += [str(info["data"])] if "data" in info else []
    source = textwrap.shorten(", ".join(parts), int(width_in * 14), placeholder=" …")
    return f"{source}\nScores of this image alone; IoU averaged over the classes in truth or prediction"


def draw_figure7(frame: DenseFrame, width_in: float = 12.0) -> Figure:
    """Draw the qualitative comparison on one image.

    Args:
        frame: image, truth and predictions.
        width_in: width of the figure, inches.

    Returns:
        The figure: RGB at the upper left with the keys below it; segmentation, depth and normals of the
        truth, and of every method below with its scores on this image.

    Source:
        Figure 7 of the paper.
    """
    height, width = frame.image_HW3.shape[:2]
    layout = _Layout(width_in, width / height, 1 + len(frame.methods))
    scale = depth_limits(frame.truth)
    with paper_style(_FONT):
        fig = new_figure(layout.width, layout.height)
        fig.set_layout_engine("none")
        layout.write(fig, _MARGIN, 0.2, _HEADING, fontsize=14, fontweight="bold")
        layout.write(fig, _MARGIN, 0.53, _subtitle(frame, width_in), fontsize=8.5, color=MUTED)
        layout.write(fig, _MARGIN, layout.top(0) - _LIFT, "RGB", fontsize=11.5, fontweight="bold")
        image = layout.place(fig, layout.left(0), layout.top(0), layout.tile, layout.tile_height)
        draw_tile(image, frame.image_HW3)
        for row, layer in enumerate((frame.truth, *frame.methods)):
            _draw_row(fig, layout, row, layer, scale)
        _draw_keys(fig, layout, frame, scale)
    return fig


def write_figure7(
    npz_path: Path, figure_paths: Sequence[Path], width_in: float = 12.0, dpi: int = 200
) -> None:
    """Draw Figure 7 from a saved frame and save it.

    Args:
        npz_path: frame written by `dense_data.save_dense_frame`.
        figure_paths: destinations, .png or .pdf.
        width_in: width of the figure, inches.
        dpi: dots per inch of the PNG.

    Raises:
        UserError: if the frame is missing or malformed.
    """
    save_figure(draw_figure7(load_dense_frame(npz_path), width_in), figure_paths, dpi, font_size=_FONT)
