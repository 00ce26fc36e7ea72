"""Figures 3 and 4: t-SNE pictures of the tasks' features, a column per run, a row per kind of features.

Letters: N points of a task, P points of all tasks.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from nexusflow.paper.analysis_files import (
    FEATURES,
    TASK_COLOURS,
    AnalysedRun,
    Analysis,
    AnalysisContext,
    read_analyses,
)
from nexusflow.paper.style import INK, MUTED, heading, new_figure, paper_style, save_figure

__all__ = ["draw_pictures", "write_pictures"]

_MARKERS = ("o", "^", "s", "D")
# Points are drawn in turns, so that no task covers the others.
_TURNS = 12
_MARGIN = 1.08
_LETTERS_PER_INCH = 15
_POST_HOC = (
    "Post hoc: the run has no surrogates of its own; they were trained afterwards on its frozen features."
)


def _note(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED)


def _draw_points(axes: Axes, points: Sequence[NDArray[np.float64]], size: float) -> None:
    """Draw the points of all tasks and frame them in a square."""
    all_P2 = np.concatenate(points)
    low_2, high_2 = all_P2.min(0), all_P2.max(0)
    centre_2, reach = (low_2 + high_2) / 2, float((high_2 - low_2).max()) / 2
    if reach == 0:
        axes.plot(0.5, 0.42, marker="o", color=INK, markersize=5, transform=axes.transAxes)
        _note(axes, "all points coincide")
        return
    for turn in range(_TURNS):
        for points_N2, colour, marker in zip(points, TASK_COLOURS, _MARKERS, strict=False):
            part_N2 = points_N2[turn::_TURNS]
            axes.scatter(
                part_N2[:, 0], part_N2[:, 1], s=size, color=colour, marker=marker, alpha=0.65, linewidths=0
            )
    axes.set_xlim(centre_2[0] - _MARGIN * reach, centre_2[0] + _MARGIN * reach)
    axes.set_ylim(centre_2[1] - _MARGIN * reach, centre_2[1] + _MARGIN * reach)


def _draw_panel(axes: Axes, analysis: Analysis | None, kind: str, size: float) -> None:
    """Draw one picture with its numbers below it, or say in a few words why there is none."""
    axes.set_box_aspect(1)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    if analysis is None:
        _note(axes, "not yet run")
        return
    if kind not in analysis.entry("pictures"):
        symbol = FEATURES[kind].split(",")[0]
        _note(axes, f"no picture: {symbol} is\nof another width\nin every task")
        return
    points = [analysis.array(f"{kind}/{task}", (None, 2)) for task in analysis.tasks]
    _draw_points(axes, points, size)
    mixing, accuracy, chance = (
        analysis.number("pictures", kind, name) for name in ("mixing", "accuracy", "chance")
    )
    axes.set_xlabel(
        f"mixing {mixing:.2f}\nprobe {accuracy:.0%}, chance {chance:.0%}", loc="left", linespacing=1.35
    )
    # What lies inside the heads has not passed any surrogate.
    if analysis.post_hoc and kind != "h":
        axes.set_title("post hoc", loc="right", fontsize="small", fontweight="normal", color=MUTED)


def _explain(fig: Figure, analyses: Sequence[Analysis], features: Sequence[str]) -> None:
    """Write below the figure how to read the numbers."""
    settings = analyses[0]
    text = (
        f"t-SNE of all tasks together, perplexity {settings.number('perplexity'):g}; distances between "
        "groups mean nothing. The numbers are computed in the space of the features. Mixing: share of other "
        f"tasks' points among the {settings.number('neighbours'):g} nearest neighbours, 0 = apart, 1 = as if "
        "tasks were dealt at random. Probe: how often a linear classifier names the task of a point on "
        "frames that it has not seen."
    )
    if any(analysis.post_hoc for analysis in analyses) and set(features) != {"h"}:
        text += f" {_POST_HOC}"
    lines = textwrap.wrap(text, int(_LETTERS_PER_INCH * fig.get_figwidth()))
    fig.supxlabel("\n".join(lines), x=0.008, ha="left", fontsize="small", color=MUTED, linespacing=1.35)


def draw_pictures(
    runs: Sequence[AnalysedRun],
    features: Sequence[str],
    context: AnalysisContext,
    title: str,
    width_in: float = 12.0,
) -> Figure:
    """Draw how far the tasks' features are mixed.

    Args:
        runs: runs with their files of `nexusflow analyse embedding`, a column each.
        features: kinds of features, a row each: h, embedding or latent.
        context: scale, data and seed.
        title: title of the figure; the seed is added.
        width_in: width of the figure, inches.

    Returns:
        The figure; colour and shape of a point = its task.

    Raises:
        UserError: if a file is missing, malformed or of another run.

    Source: Figures 3 and 4 of the paper; the numbers below the pictures are an addition.
    """
    found = read_analyses(runs, context, "pictures")
    analyses = [analysis for _, analysis in found if analysis is not None]
    panel = min((width_in - 0.5) / len(found), 4.2)
    with paper_style():
        fig = new_figure(width_in, 1.45 + (panel + 0.75) * len(features))
        grid = fig.subplots(len(features), len(found), squeeze=False)
        for row, kind in zip(grid, features, strict=True):
            for axes, (_, analysis) in zip(row, found, strict=True):
                _draw_panel(axes, analysis, kind, size=4.2 * panel)
            row[0].set_ylabel(FEATURES[kind])
        for axes, (item, _) in zip(grid[0], found, strict=True):
            axes.set_title(item.label)
        tasks = analyses[0].tasks
        marks: list[Any] = [
            Line2D([], [], linestyle="", marker=marker, color=colour, markersize=8, label=task)
            for task, colour, marker in zip(tasks, TASK_COLOURS, _MARKERS, strict=False)
        ]
        heading(fig, f"{title} (seed {context.seed})", context.source(analyses))
        fig.legend(handles=marks, loc="outside upper right", ncols=len(marks))
        _explain(fig, analyses, features)
    return fig


def write_pictures(
    runs: Sequence[AnalysedRun],
    features: Sequence[str],
    context: AnalysisContext,
    figure_paths: Sequence[Path],
    title: str,
    dpi: int = 200,
    width_in: float = 12.0,
) -> None:
    """Draw the pictures and save them.

    Args:
        runs: runs with their files of `nexusflow analyse embedding`.
        features: kinds of features, a row each.
        context: scale, data and seed.
        figure_paths: destinations, .png or .pdf.
        title: title of the figure.
        dpi: dots per inch of the PNG.
        width_in: width of the figure, inches.

    Raises:
        UserError: if a file is missing, malformed or of another run.
    """
    save_figure(draw_pictures(runs, features, context, title, width_in), figure_paths, dpi)
