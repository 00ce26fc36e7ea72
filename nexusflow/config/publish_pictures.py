"""Hands result files to the drawing of the pipeline and to the video."""

from __future__ import annotations

from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration

__all__ = ["draw_figure2", "draw_video"]


def draw_figure2(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    """Draw the pipeline of the suites that the scale has.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        seeds: not used; nothing here is trained.

    Raises:
        UserError: for a missing or malformed outline.
    """
    from nexusflow.paper.figure2 import write_figure2

    style = configuration.paper.style
    panels = [
        (panel.label, layout.outline(panel.suite))
        for panel in configuration.paper.figure2.panels
        if getattr(configuration.scale, panel.suite) is not None
    ]
    paths = [layout.base / f"figure2.{ending}" for ending in ("png", "pdf")]
    write_figure2(panels, paths, dpi=style.dpi, width_in=style.width_in)


def draw_video(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    """Draw the video of one scene.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        seeds: not used; the archive holds one seed.

    Raises:
        UserError: for a missing or malformed archive.
    """
    from nexusflow.paper.video import write_video

    part = configuration.paper.video
    write_video(
        layout.base / "qualitative" / "video.npz",
        layout.base / "video.gif",
        frames_per_second=part.frames_per_second,
        score_threshold=part.score_threshold,
        width_px=part.width_px,
        colours=part.colours,
    )
