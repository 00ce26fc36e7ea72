"""Lemma 1 drawn: left side against right side of every sample, a panel per pair of tasks.

Letters: N samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from nexusflow.paper.analysis_files import AnalysisContext
from nexusflow.paper.lemma_data import LOSSES, READINGS, SUITES, LemmaPair, LemmaSide, factor_text
from nexusflow.paper.style import INK, MUTED, heading, new_figure, paper_style, tidy

__all__ = ["draw_lemma"]

_COLOURS = {"analytic": "#0072B2", "local": "#E69F00", "secant": "#009E73"}
_MARKERS = {"analytic": "o", "local": "^", "secant": "s"}
_VIOLATED = "#F3E3E3"
_COLUMNS = 4
# A right side farther than this from every left side is named instead of drawn: it would press all
# others into a line.
_FAR = 1e3


def _number(value: float) -> str:
    """Three digits, or two and a power of ten where the number is large or small."""
    if value == 0 or 1e-3 <= value < 1e3:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} · $10^{{{int(exponent)}}}$"


def _scale_axis(axis: Any, low: float, high: float) -> None:
    """Label a logarithmic axis by plain numbers, as many as there is room for."""
    decades = math.log10(high / low)
    subs = (
        (1.0,) if decades > 2 else (1.0, 2.0, 5.0) if decades > 0.8 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    )
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _limits(*values: np.ndarray) -> tuple[float, float]:
    """Limits of a logarithmic axis with some room at both ends."""
    all_values = np.concatenate(values)
    low, high = math.log10(all_values.min()), math.log10(all_values.max())
    room = 0.06 * max(high - low, 0.5)
    return 10 ** (low - room), 10 ** (high + room)


def _draw_points(axes: Axes, pair: LemmaPair) -> None:
    """Draw the readings that lie near the left sides and name the others."""
    seen_N = pair.left_N > 0
    left_N = pair.left_N[seen_N]
    rights = {key: side.right_N[seen_N] for key, side in pair.sides.items()}
    near = {
        key: right_N
        for key, right_N in rights.items()
        if np.isfinite(right_N).all() and right_N.min() > 0 and np.median(right_N) < _FAR * left_N.max()
    }
    low_y, high_y = _limits(left_N)
    low_x, high_x = _limits(left_N, *near.values())
    axes.fill_between([low_x, high_x], [low_x, high_x], high_y, color=_VIOLATED, linewidth=0, zorder=0)
    axes.plot([low_x, high_x], [low_x, high_x], color=INK, linewidth=1.0, zorder=1)
    for key, right_N in near.items():
        axes.scatter(
            right_N, left_N, s=14, color=_COLOURS[key], marker=_MARKERS[key], alpha=0.6, linewidths=0
        )
    axes.set(xscale="log", yscale="log", xlim=(low_x, high_x), ylim=(low_y, high_y))
    _scale_axis(axes.xaxis, low_x, high_x)
    _scale_axis(axes.yaxis, low_y, high_y)
    far = [key for key, right_N in rights.items() if key not in near and np.isfinite(right_N).all()]
    for row, key in enumerate(far):
        text = f"{key}: far right,\nmedian {_number(float(np.median(rights[key])))}"
        place: dict[str, Any] = {"transform": axes.transAxes, "va": "top"}
        axes.text(0.03, 0.97 - 0.2 * row, text, fontsize="small", color=_COLOURS[key], **place)


def _draw_panel(axes: Axes, pair: LemmaPair) -> None:
    axes.set_box_aspect(1)
    if (pair.left_N > 0).any():
        _draw_points(axes, pair)
    else:
        text = "both tasks coincide:\nevery left side is 0"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED)
        axes.set(xticks=[], yticks=[])
    axes.set_xlabel("right side")
    axes.set_title(f"{pair.tasks[0]} and {pair.tasks[1]}", pad=17)
    item = pair.analysis.item
    place: dict[str, Any] = {"xytext": (0, 4), "xycoords": "axes fraction", "textcoords": "offset points"}
    subtitle = f"{SUITES.get(item.suite, item.suite)}, {item.label}"
    axes.annotate(subtitle, (0, 1), va="bottom", fontsize="small", color=MUTED, **place)
    tidy(axes)


def _say(side: LemmaSide) -> str:
    if side.vacuous or side.lipschitz is None:
        return "right side infinite, says nothing"
    return f"L = {_number(side.lipschitz)}, holds for {side.share:.0%}"


def _write_numbers(axes: Axes, pair: LemmaPair) -> None:
    """Write the numbers of a panel into the one below it, one line per reading in its colour."""
    axes.set_axis_off()
    delta = "infinite" if pair.delta is None else _number(pair.delta)
    lines = [(INK, f"δ = {delta}, factor {factor_text(pair)} ({LOSSES.get(pair.loss, pair.loss)})")]
    lines += [(_COLOURS[key], f"{key}: {_say(side)}") for key, side in pair.sides.items()]
    for row, (colour, text) in enumerate(lines):
        place: dict[str, Any] = {"transform": axes.transAxes, "va": "top"}
        axes.text(0, 1 - row / len(lines), text, fontsize="small", color=colour, **place)


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
    columns = max(3, min(_COLUMNS, len(pairs)))
    rows = math.ceil(len(pairs) / columns)
    panel = width_in / columns
    with paper_style():
        fig = new_figure(width_in, 1.35 + (panel + 1.35) * rows)
        grid = fig.subplots(2 * rows, columns, squeeze=False, height_ratios=[panel, 0.85] * rows)
        places = [
            (grid[2 * row, column], grid[2 * row + 1, column])
            for row in range(rows)
            for column in range(columns)
        ]
        for (axes, below), pair in zip(places, pairs, strict=False):
            _draw_panel(axes, pair)
            _write_numbers(below, pair)
        for axes, below in places[len(pairs) :]:
            axes.set_axis_off()
            below.set_axis_off()
        for row in range(rows):
            grid[2 * row, 0].set_ylabel("left side ‖h′₁ − h′₂‖")
        marks = [
            Line2D([], [], linestyle="", marker=_MARKERS[key], color=_COLOURS[key], label=text)
            for key, text in READINGS.items()
        ]
        marks.append(Line2D([], [], color=INK, linewidth=1.0, label="both sides equal; shaded: violated"))
        heading(fig, f"{title} (seed {context.seed})", context.source([pair.analysis for pair in pairs]))
        fig.legend(handles=marks, loc="outside lower center", ncols=len(marks))
    return fig
