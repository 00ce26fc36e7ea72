"""Figure 2: the pipeline, with the parts, shapes and sizes of the models that the scale builds."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from pydantic import ValidationError

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json
from nexusflow.core.outline import PipelineOutline
from nexusflow.paper.diagram import HATCH, HATCH_COLOUR
from nexusflow.paper.pipeline_panel import draw_strip, strip_height
from nexusflow.paper.style import MUTED, new_figure, paper_style, save_figure

__all__ = ["PipelineStrip", "draw_figure2", "read_outline", "write_figure2"]

_TOP, _GAP, _LEGEND, _WIDTH_IN = 0.85, 0.3, 0.46, 12.0
_LETTERS = 165


class PipelineStrip(NamedTuple):
    """One suite's strip.

    Attributes:
        label: name of the suite.
        outline: its model and surrogates.
    """

    label: str
    outline: PipelineOutline


def read_outline(path: Path) -> PipelineOutline:
    """Read what a model is made of.

    Args:
        path: file written by `nexusflow outline`.

    Returns:
        Its content.

    Raises:
        UserError: if it is missing or malformed.
    """
    content = read_json(path)
    try:
        return PipelineOutline.model_validate(content)
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(f"{path}: key '{key}' is missing or wrong; make it again.") from error


def _is_frozen(outline: PipelineOutline) -> bool:
    parts = (*outline.model.trunk, *(branch.head for branch in outline.model.branches))
    return any(part.frozen for part in parts)


def _title(fig: Figure, height: float, source: str) -> None:
    """Write title and source at places of their own: nothing here is laid out by constraints."""
    left = 0.12 / _WIDTH_IN
    title = "From images to aligned tasks"
    fig.text(left, 1 - 0.24 / height, title, va="center", fontsize=14, fontweight="bold")
    lines = textwrap.wrap(source, _LETTERS)
    fig.text(left, 1 - 0.44 / height, "\n".join(lines), va="top", fontsize=8.5, color=MUTED, linespacing=1.3)


def _legend(fig: Figure, strips: Sequence[PipelineStrip]) -> None:
    handles: list[Patch] = []
    if any(_is_frozen(strip.outline) for strip in strips):
        handles.append(
            Patch(facecolor="white", edgecolor=HATCH_COLOUR, hatch=HATCH, label="frozen in phase 2")
        )
    handles += [
        Patch(facecolor="#9A9A9A", edgecolor="black", label="half that a coupling layer changes"),
        Patch(facecolor="white", edgecolor="black", label="half that it keeps"),
    ]
    fig.legend(handles=handles, loc="lower center", ncols=len(handles), fontsize=9, borderaxespad=0.4)


def draw_figure2(strips: Sequence[PipelineStrip], width_in: float = _WIDTH_IN) -> Figure:
    """Draw the pipeline of every suite.

    Args:
        strips: the suites from top to bottom, at least one, all of one scale.
        width_in: width of the figure, inches; the diagram is made for twelve.

    Returns:
        The figure.

    Source:
        Figure 2 of the paper.
    """
    heights = [strip_height(strip.outline) for strip in strips]
    height = _TOP + sum(heights) + _GAP * (len(strips) - 1) + _LEGEND
    first = strips[0].outline
    source = (
        f"Scale {first.scale}: {first.data}. Shapes of one sample and numbers of parameters are those of "
    )
    source += "the built models; the alignment sees every sample, whichever labels it has."
    with paper_style(10.0):
        fig = new_figure(width_in, height * width_in / _WIDTH_IN)
        fig.set_layout_engine("none")
        axes = fig.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, _WIDTH_IN)
        axes.set_ylim(0, height)
        axes.set_axis_off()
        top = height - _TOP
        for strip, size in zip(strips, heights, strict=True):
            draw_strip(axes, strip.outline, strip.label, top - size)
            top -= size + _GAP
        _title(fig, height, source)
        _legend(fig, strips)
    return fig


def write_figure2(
    panels: Sequence[tuple[str, Path]], figure_paths: Sequence[Path], dpi: int = 200, width_in: float = 12.0
) -> None:
    """Draw the pipeline from saved outlines and save it.

    Args:
        panels: name of each suite and its outline's file.
        figure_paths: destinations, .png or .pdf.
        dpi: dots per inch of the PNG.
        width_in: width of the figure, inches.

    Raises:
        UserError: if an outline is missing or malformed, or there is no suite to draw.
    """
    if not panels:
        raise UserError("config/paper.yaml: key `figure2.panels` names no suite of this scale; add one.")
    strips = [PipelineStrip(name, read_outline(path)) for name, path in panels]
    save_figure(draw_figure2(strips, width_in), figure_paths, dpi, font_size=10.0)
