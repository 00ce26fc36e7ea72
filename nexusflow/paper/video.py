"""The video: key frames of one scene, baseline above ours; front cameras, map, boxes, tracks."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from nexusflow.core.progress import track
from nexusflow.paper.bev_panel import BOX_COLOURS, MAP_COLOURS, draw_bev
from nexusflow.paper.camera_panel import draw_camera
from nexusflow.paper.differences import keep_confident
from nexusflow.paper.gif import write_gif
from nexusflow.paper.qualitative_data import SceneLayer
from nexusflow.paper.scene_legend import box_patches, map_patches, true_box_mark
from nexusflow.paper.style import INK, MUTED, new_figure, paper_style
from nexusflow.paper.video_data import VIDEO_CAMERAS, SceneVideo, VideoFrame, load_video

__all__ = ["draw_video_frame", "write_video"]

_DPI = 100
_FONT = 9.0
# Pixels.
_MARGIN, _GAP, _HEAD, _TITLE, _LEGEND = 12, 6, 26, 74, 56
# Opacity of the boxes' insides on the map and in the legend.
_FILL = 0.35
_INFO_ORDER = ("scene", "city", "seed", "scale", "data")


@dataclass(frozen=True)
class _Layout:
    """Places of the panels, in pixels from the lower left corner.

    The front camera lies above the two that look to its sides; the map beside them is as high as both rows.
    """

    width: int
    aspect: float

    @property
    def front(self) -> float:
        """Width of the front camera's panel."""
        free = self.width - 2 * _MARGIN - 2 * _GAP - _GAP * (1 - 0.5 / self.aspect)
        return free / (1 + 1.5 / self.aspect)

    @property
    def side(self) -> float:
        """Width of a side camera's panel."""
        return (self.front - _GAP) / 2

    @property
    def strip(self) -> float:
        """Height of a strip without its heading, and side of the map."""
        return (self.front + self.side) / self.aspect + _GAP

    @property
    def height(self) -> int:
        """Height of the video."""
        return round(_TITLE + 2 * (self.strip + _HEAD) + _LEGEND)

    def place(self, fig: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
        """Add a panel."""
        return fig.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def text(self, fig: Figure, left: float, below_top: float, text: str, **style: Any) -> None:
        """Write text, centred at a height below the upper edge."""
        fig.text(left / self.width, 1 - below_top / self.height, text, va="center", **style)


def _draw_strip(
    fig: Figure, layout: _Layout, bottom: float, frame: VideoFrame, layer: SceneLayer, half_m: float
) -> None:
    """Draw the front cameras and the map of one layer."""
    side_height = layout.side / layout.aspect
    places = {
        "CAM_FRONT": (0.0, side_height + _GAP, layout.front),
        "CAM_FRONT_LEFT": (0.0, 0.0, layout.side),
        "CAM_FRONT_RIGHT": (layout.side + _GAP, 0.0, layout.side),
    }
    for index, name in enumerate(VIDEO_CAMERAS):
        left, low, width = places[name]
        axes = layout.place(fig, _MARGIN + left, bottom + low, width, width / layout.aspect)
        title = name.removeprefix("CAM_").replace("_", " ").lower()
        draw_camera(axes, frame.images_NHW3[index], frame.ego2img_N44[index], layer, title)
    axes = layout.place(fig, _MARGIN + layout.front + 2 * _GAP, bottom, layout.strip, layout.strip)
    draw_bev(axes, layer, half_m, frame.truth)


def _source(video: SceneVideo, width: int) -> str:
    keys = [key for key in _INFO_ORDER if key in video.info]
    keys += sorted(set(video.info) - set(keys))
    line = ", ".join(f"{key} {video.info[key]}" for key in keys)
    return textwrap.shorten(line, int(width / 6.2), placeholder=" …")


def _pace(video: SceneVideo, frames_per_second: float) -> str:
    """Say how fast the key frames follow each other, and how that compares with the recording."""
    text = f"{frames_per_second:g} key frames per second"
    seconds = video.frames[-1].time_s - video.frames[0].time_s
    if seconds > 0:
        text += f", {frames_per_second * seconds / (len(video.frames) - 1):.2g} × real time"
    return text


def _header(
    fig: Figure, layout: _Layout, video: SceneVideo, index: int, frames_per_second: float, threshold: float
) -> None:
    """Write title, source, pace and key frame, with a bar that shows how far the scene has come."""
    count, right = len(video.frames), layout.width - _MARGIN
    layout.text(fig, _MARGIN, 17, "Baseline and ours over one scene", fontsize=13, fontweight="bold")
    now = f"key frame {index} of {count - 1}, {video.frames[index].time_s:.1f} s"
    layout.text(fig, right, 17, now, fontsize=11, fontweight="bold", ha="right")
    layout.text(fig, _MARGIN, 39, _source(video, layout.width), fontsize=7.5, color=MUTED)
    note = f"{_pace(video, frames_per_second)}; boxes with scores of at least {threshold:g}"
    layout.text(fig, _MARGIN, 53, note, fontsize=7.5, color=MUTED)
    full = (layout.width - 2 * _MARGIN) / layout.width
    low, high = 1 - 66 / layout.height, 3 / layout.height
    for share, colour in ((1.0, "#DDDDDD"), ((index + 1) / count, INK)):
        bar = Rectangle((_MARGIN / layout.width, low), full * share, high, facecolor=colour, edgecolor="none")
        bar.set_transform(fig.transFigure)
        fig.add_artist(bar)


def _legend(fig: Figure, layout: _Layout) -> None:
    style: dict[str, Any] = {"loc": "center", "handlelength": 1.5, "columnspacing": 1.2, "borderaxespad": 0.0}
    for handles, height in ((box_patches(), 38), ([*map_patches(), true_box_mark()], 16)):
        anchor = (0.5, height / layout.height)
        fig.legend(handles=handles, bbox_to_anchor=anchor, ncols=len(handles), **style)


def draw_video_frame(
    video: SceneVideo,
    index: int,
    frames_per_second: float = 2.0,
    score_threshold: float = 0.3,
    width_px: int = 800,
) -> Figure:
    """Draw one key frame of the video.

    Args:
        video: the key frames of the scene.
        index: which of them.
        frames_per_second: how many are shown per second, for the caption.
        score_threshold: predicted boxes below this score are not drawn.
        width_px: width of the video, pixels.

    Returns:
        The figure; true boxes are outlined on both maps.

    Source:
        Figure 6 of the paper, over time.
    """
    frame = video.frames[index]
    frame = replace(
        frame,
        baseline=keep_confident(frame.baseline, score_threshold),
        ours=keep_confident(frame.ours, score_threshold),
    )
    height, width = frame.images_NHW3.shape[1:3]
    layout = _Layout(width_px, width / height)
    with paper_style(_FONT):
        fig = new_figure(layout.width / _DPI, layout.height / _DPI)
        fig.set_layout_engine("none")
        _header(fig, layout, video, index, frames_per_second, score_threshold)
        for row, layer in enumerate((frame.baseline, frame.ours)):
            top = _TITLE + row * (layout.strip + _HEAD)
            layout.text(fig, _MARGIN, top + _HEAD / 2 + 1, layer.label, fontsize=10, fontweight="bold")
            bottom = layout.height - top - _HEAD - layout.strip
            _draw_strip(fig, layout, bottom, frame, layer, video.bev_half_m)
        _legend(fig, layout)
    return fig


def _pixels(fig: Figure) -> NDArray[np.uint8]:
    """Render a figure to RGB bytes (H, W, 3)."""
    fig.set_dpi(_DPI)
    canvas = FigureCanvasAgg(fig)
    with paper_style(_FONT):
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _kept_colours() -> list[str]:
    """List what a palette made for photographs loses: lines, and fills of boxes on white and on the road."""
    fills = [
        to_hex(tuple(_FILL * np.array(to_rgb(colour)) + (1 - _FILL) * np.array(to_rgb(ground))))
        for colour in BOX_COLOURS.values()
        for ground in ("white", MAP_COLOURS["drivable"])
    ]
    return ["white", INK, MUTED, *BOX_COLOURS.values(), *MAP_COLOURS.values(), *fills]


def write_video(
    npz_path: Path,
    gif_path: Path,
    frames_per_second: float = 2.0,
    score_threshold: float = 0.3,
    width_px: int = 800,
    colours: int = 128,
) -> None:
    """Draw all key frames of a saved scene and write them as a GIF.

    Args:
        npz_path: scene written by `video_data.save_video`.
        gif_path: destination.
        frames_per_second: key frames shown per second.
        score_threshold: predicted boxes below this score are not drawn.
        width_px: width of the video, pixels.
        colours: size of the palette.

    Raises:
        UserError: if the scene is missing or malformed.
    """
    video = load_video(npz_path)
    frames = [
        _pixels(draw_video_frame(video, index, frames_per_second, score_threshold, width_px))
        for index in track(range(len(video.frames)), "key frames drawn")
    ]
    write_gif(gif_path, frames, frames_per_second, colours, _kept_colours())
