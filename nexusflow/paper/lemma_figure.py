"""Lemma 1 drawn: left side against right side of every sample, a panel per pair of tasks.

Letters: N samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nexusflow.paper.analysis_files import AnalysisContext
from nexusflow.paper.lemma_data import READINGS, LemmaPair, LemmaSide, factor_text
from nexusflow.paper.style import INK, MUTED, heading, new_figure, paper_style, tidy

__all__ = ["draw_lemma"]

_COLOURS = {"analytic": "#0072B2", "local": "#E69F00", "secant": "#009E73"}
_MARKERS = {"analytic": "o", "local": "^", "secant": "s"}
_COLUMNS = 4
_LINE = 0.105


def _limits(values_N: np.ndarray) -> tuple[float, float]:
    """Limits of a logarithmic axis with some room at both ends."""
    low, high = math.log10(values_N.min()), math.log10(values_N.max())
    room = 0.06 * max(high - low, 0.5)
    return 10 ** (low - room), 10 ** (high + room)


def _say(side: LemmaSide) -> str:
    if side.vacuous:
        return "right side infinite: says nothing"
    assert side.lipschitz is not None
    return f"L = {_number(side.lipschitz)}, holds for {side.share:.0%}"


def _number(value: float) -> str:
    """Three digits, or a power of ten."""
    return f"{value:.3g}" if 1e-3 <= value < 1e4 else f"{value:.1e}".replace("e+0", "e").replace("e+", "e")


def _draw_panel(axes: Axes, pair: LemmaPair) -> None:
    seen = {
        key: (pair.left_N > 0) & (side.right_N > 0) & np.isfinite(side.right_N)
        for key, side in pair.sides.items()
    }
    shown = np.concatenate([pair.sides[key].right_N[seen_N] for key, seen_N in seen.items()])
    axes.set(xscale="log", yscale="log", xlabel="right side")
    if shown.size:
        left_N = pair.left_N[pair.left_N > 0]
        (low_x, high_x), (low_y, high_y) = _limits(np.append(shown, left_N)), _limits(left_N)
        axes.fill_between([low_x, high_x], [low_x, high_x], high_y, color="#F3E3E3", linewidth=0, zorder=0)
        axes.plot([low_x, high_x], [low_x, high_x], color=INK, linewidth=1.0, zorder=1)
        axes.set(xlim=(low_x, high_x), ylim=(low_y, high_y))
        for key, seen_N in seen.items():
            points = (pair.sides[key].right_N[seen_N], pair.left_N[seen_N])
            axes.scatter(*points, s=13, color=_COLOURS[key], marker=_MARKERS[key], alpha=0.55, linewidths=0)
    else:
        axes.text(0.5, 0.5, "nothing to draw", transform=axes.transAxes, ha="center", color=MUTED)
    first, second = pair.tasks
    axes.set_title(f"{first} and {second}")
    tidy(axes)


def _annotate(axes: Axes, pair: LemmaPair) -> None:
    """Write the numbers below a panel, one line per reading in its colour."""
    delta = "infinite" if pair.delta is None else _number(pair.delta)
    lines = [(INK, f"δ = {delta}, factor {factor_text(pair)} ({pair.loss} loss)")]
    lines += [(_COLOURS[key], f"{key}: {_say(side)}") for key, side in pair.sides.items()]
    for row, (colour, text) in enumerate(lines):
        axes.text(0, -0.32 - row * _LINE, text, transform=axes.transAxes, fontsize="small", color=colour)


def draw_lemma(
    pairs: Sequence[LemmaPair], context: AnalysisContext, title: str, width_in: float = 12.0
) -> Figure:
    """Draw both sides of Lemma 1, sample by sample.

    Args:
        pairs: pairs of tasks of all runs.
        context: scale, data and seed.
        title: title of the figure; the seed is added.
        width_in: width of the figure, inches.

    Returns:
        The figure; samples below the diagonal fulfil the inequality, colour = reading of L.

    Source: Lemma 1 of the paper, which measures none of its quantities.
    """
    columns = min(_COLUMNS, len(pairs))
    rows = math.ceil(len(pairs) / columns)
    source = context.source([pair.analysis for pair in pairs])
    with paper_style():
        fig = new_figure(width_in, 1.5 + 4.1 * rows)
        grid = fig.subplots(rows, columns, squeeze=False)
        for axes, pair in zip(grid.flat, pairs, strict=False):
            _draw_panel(axes, pair)
            _annotate(axes, pair)
        for axes in grid.flat[len(pairs) :]:
            axes.set_axis_off()
        for row in grid:
            row[0].set_ylabel("left side ‖h′₁ − h′₂‖")
        marks = [
            Line2D([], [], linestyle="", marker=_MARKERS[key], color=_COLOURS[key], label=text)
            for key, text in READINGS.items()
        ]
        marks.append(Line2D([], [], color=INK, linewidth=1.0, label="both sides equal; shaded: violated"))
        heading(fig, f"{title} (seed {context.seed})", source)
        fig.legend(handles=marks, loc="outside lower center", ncols=len(marks))
    return fig
