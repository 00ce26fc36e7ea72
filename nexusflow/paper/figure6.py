"""Figure 6: one key frame, baseline above ours above the truth; images, map, tracks, ringed differences."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

from nexusflow.paper.bev_panel import draw_bev
from nexusflow.paper.camera_panel import RING_COLOUR, draw_camera, ring_style
from nexusflow.paper.differences import Difference, find_differences, keep_confident
from nexusflow.paper.qualitative_data import CAMERAS, QualitativeFrame, SceneLayer, load_qualitative
from nexusflow.paper.scene_legend import box_patches, map_patches, true_box_mark
from nexusflow.paper.style import MUTED, new_figure, paper_style, save_figure

__all__ = ["draw_figure6", "write_figure6"]

# Cameras as one would see them looking ahead, then over the shoulder.
_SHOWN = (
    ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT"),
    ("CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT"),
)
_MARGIN, _GAP, _HEAD, _TITLE, _LEGEND = 0.15, 0.05, 0.30, 0.74, 0.72
_INFO_ORDER = ("scene", "key_frame", "city", "seed", "scale", "data")


@dataclass(frozen=True)
class _Layout:
    """Places of the panels, in inches from the lower left corner."""

    width: float
    aspect: float
    strips: int

    @property
    def camera(self) -> float:
        """Width of a camera panel: three of them and a square map two cameras high fill the width."""
        return (self.width - 2 * _MARGIN - 6 * _GAP) / (3 + 2 / self.aspect)

    @property
    def strip(self) -> float:
        """Height of a strip without its heading."""
        return 2 * self.camera / self.aspect + _GAP

    @property
    def height(self) -> float:
        """Height of the figure."""
        return _TITLE + self.strips * (self.strip + _HEAD) + _LEGEND

    def place(self, fig: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
        """Add a panel."""
        return fig.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )


def _draw_strip(
    fig: Figure,
    layout: _Layout,
    bottom: float,
    frame: QualitativeFrame,
    layer: SceneLayer,
    rings: Sequence[Difference],
) -> None:
    """Draw six images and the map of one layer."""
    camera_height = layout.camera / layout.aspect
    ringed = [ring.box_9 for ring in rings if ring.box_9 is not None]
    for row, names in enumerate(_SHOWN):
        for column, name in enumerate(names):
            left = _MARGIN + column * (layout.camera + _GAP)
            axes = layout.place(
                fig, left, bottom + (1 - row) * (camera_height + _GAP), layout.camera, camera_height
            )
            index = CAMERAS.index(name)
            title = name.removeprefix("CAM_").replace("_", " ").lower()
            draw_camera(axes, frame.images_NHW3[index], frame.ego2img_N44[index], layer, title, ringed)
    left = _MARGIN + 3 * (layout.camera + _GAP) + 3 * _GAP
    axes = layout.place(fig, left, bottom, layout.strip, layout.strip)
    faint = None if layer is frame.truth else frame.truth
    draw_bev(axes, layer, frame.bev_half_m, faint)
    for ring in rings:
        x, y = ring.centre_2
        width, height = 2 * ring.reach_2[1], 2 * ring.reach_2[0]
        axes.add_patch(Ellipse((-y, x), width, height, **ring_style()))


def _legend(fig: Figure, layout: _Layout) -> None:
    boxes, areas = box_patches(), map_patches()
    marks = [
        true_box_mark(),
        Line2D([], [], color=RING_COLOUR, linewidth=1.8, linestyle=(0, (3.2, 1.8)), label="difference"),
    ]
    upper, lower = 0.47 / layout.height, 0.19 / layout.height
    style: dict[str, Any] = {"loc": "center", "handlelength": 1.6, "columnspacing": 1.3, "borderaxespad": 0.0}
    fig.legend(handles=boxes, bbox_to_anchor=(0.5, upper), ncols=len(boxes), **style)
    fig.legend(handles=areas + marks, bbox_to_anchor=(0.5, lower), ncols=len(areas) + len(marks), **style)


def _subtitle(frame: QualitativeFrame, rings: Sequence[Difference], width_in: float) -> str:
    order = [key for key in _INFO_ORDER if key in frame.info]
    keys = order + sorted(set(frame.info) - set(order))
    info = [f"{key.replace('_', ' ')} {frame.info[key]}" for key in keys]
    ours = sum(ring.better == "ours" for ring in rings)
    verdict = f"rings where {frame.ours.label} is nearer the truth: {ours}; "
    verdict += f"where {frame.baseline.label} is: {len(rings) - ours}"
    source = textwrap.shorten(", ".join(info), int(width_in * 14), placeholder=" …")
    return f"{source}\n{verdict}"


def _title(fig: Figure, layout: _Layout, subtitle: str) -> None:
    left, top = _MARGIN / layout.width, 1 - 0.2 / layout.height
    title = "Baseline and ours on one key frame"
    fig.text(left, top, title, va="center", fontsize=14, fontweight="bold")
    fig.text(left, top - 0.33 / layout.height, subtitle, va="center", fontsize=8.5, color=MUTED)


def draw_figure6(
    frame: QualitativeFrame,
    score_threshold: float = 0.3,
    match_m: float = 2.0,
    max_rings: int = 8,
    width_in: float = 12.0,
    show_truth: bool = True,
) -> Figure:
    """Draw the qualitative comparison of one key frame.

    Args:
        frame: images, geometry, predictions and truth.
        score_threshold: predicted boxes below this score are not drawn.
        match_m: two boxes nearer than this are the same object, metres.
        max_rings: largest number of ringed differences; up to a third of them are map regions.
        width_in: width of the figure, inches.
        show_truth: whether the truth gets a strip of its own; its outlines stay in any case.

    Returns:
        The figure: three strips (baseline, ours, truth); rings mark differences for and against either.

    Source:
        Figure 6 of the paper.
    """
    baseline = keep_confident(frame.baseline, score_threshold)
    ours = keep_confident(frame.ours, score_threshold)
    frame = replace(frame, baseline=baseline, ours=ours)
    regions = max_rings // 3
    rings = find_differences(frame, match_m, max_rings - regions, regions)
    height, width = frame.images_NHW3.shape[1:3]
    strips = [(frame.baseline, rings), (frame.ours, rings)]
    if show_truth:
        strips.append((frame.truth, []))
    layout = _Layout(width_in, width / height, len(strips))
    with paper_style(10.0):
        fig = new_figure(layout.width, layout.height)
        fig.set_layout_engine("none")
        _title(fig, layout, _subtitle(frame, rings, width_in))
        for index, (layer, layer_rings) in enumerate(strips):
            bottom = _LEGEND + (len(strips) - 1 - index) * (layout.strip + _HEAD)
            head_y = (bottom + layout.strip + 0.12) / layout.height
            fig.text(
                _MARGIN / layout.width, head_y, layer.label, va="center", fontsize=11.5, fontweight="bold"
            )
            _draw_strip(fig, layout, bottom, frame, layer, layer_rings)
        _legend(fig, layout)
    return fig


def write_figure6(
    npz_path: Path,
    figure_paths: Sequence[Path],
    score_threshold: float = 0.3,
    match_m: float = 2.0,
    max_rings: int = 8,
    width_in: float = 12.0,
    show_truth: bool = True,
    dpi: int = 200,
) -> None:
    """Draw Figure 6 from a saved frame and save it.

    Args:
        npz_path: frame written by `qualitative_data.save_qualitative`.
        figure_paths: destinations, .png or .pdf.
        score_threshold: predicted boxes below this score are not drawn.
        match_m: two boxes nearer than this are the same object, metres.
        max_rings: largest number of ringed differences.
        width_in: width of the figure, inches.
        show_truth: whether the truth gets a strip of its own; its outlines stay in any case.
        dpi: dots per inch of the PNG.

    Raises:
        UserError: if the frame is missing or malformed.
    """
    frame = load_qualitative(npz_path)
    figure = draw_figure6(frame, score_threshold, match_m, max_rings, width_in, show_truth)
    save_figure(figure, figure_paths, dpi, font_size=10.0)
