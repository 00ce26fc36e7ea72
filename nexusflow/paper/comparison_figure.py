"""Dot plot of paired differences: one panel per metric, one line per region, one colour per reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from nexusflow.paper.metrics import NUSCENES_METRICS, REGIONS
from nexusflow.paper.published import metric_info
from nexusflow.paper.style import INK, MUTED, REGION_LABELS, heading, new_figure, paper_style, tidy

__all__ = ["draw_comparison"]

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
_BETTER_SIDE = "#EAF4EC"
_SEED_LIFT = 0.11


def _treatment_to_show(frame: pd.DataFrame) -> str:
    """Choose the last treatment that has results; the paper's final method stands last."""
    measured = frame[frame["n"] > 0]
    return str((measured if len(measured) else frame)["treatment label"].iloc[-1])


def _number(value: Any) -> float:
    return float("nan") if pd.isna(value) else float(value)


def _draw_line(axes: Axes, record: Mapping[Any, Any], height: float, colour: str) -> float:
    """Draw one mean with its interval and its seeds; give the largest distance from zero."""
    seeds = [float(text) for text in str(record["differences"]).split()] if record["n"] else []
    if not seeds:
        return 0.0
    mean = _number(record["difference mean"])
    ends = [_number(record["interval low"]), _number(record["interval high"])]
    if np.isfinite(ends).all():
        axes.plot(ends, [height, height], color=colour, linewidth=2.6, solid_capstyle="round", zorder=2)
    if len(seeds) > 1:
        above = [height + _SEED_LIFT] * len(seeds)
        axes.scatter(seeds, above, s=15, facecolors="none", edgecolors=colour, linewidths=1.0, zorder=3)
    axes.scatter([mean], [height], s=58, color=colour, edgecolors="white", linewidths=1.2, zorder=4)
    return float(np.nanmax(np.abs([*seeds, mean, *ends])))


def _draw_panel(axes: Axes, part: pd.DataFrame, metric: str, references: list[str]) -> None:
    offsets = np.linspace(0.2, -0.2, len(references)) if len(references) > 1 else np.zeros(1)
    reach = 0.0
    for row, region in enumerate(REGIONS):
        for reference, offset, colour in zip(references, offsets, _COLOURS, strict=False):
            chosen = part[(part["region"] == region) & (part["reference label"] == reference)]
            for record in chosen.to_dict("records"):
                reach = max(reach, _draw_line(axes, record, -row + float(offset), colour))
    info = metric_info(metric)
    limit = 1.15 * reach if reach > 0 else 1.0
    axes.axvspan(*((0, limit) if info.direction == "up" else (-limit, 0)), color=_BETTER_SIDE, zorder=0)
    axes.axvline(0, color=INK, linewidth=1.0, zorder=1)
    axes.set_xlim(-limit, limit)
    axes.set_ylim(-len(REGIONS) + 0.5, 0.5)
    axes.set_yticks([-row for row in range(len(REGIONS))], [REGION_LABELS[region] for region in REGIONS])
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    axes.grid(axis="y", visible=False)
    axes.set_title(metric + (f" ({info.unit})" if info.unit else ""))
    if reach == 0:
        axes.text(0.5, 0.5, "not yet run", transform=axes.transAxes, ha="center", va="center", color=MUTED)
    tidy(axes)


def _legend_label(shown: pd.DataFrame, reference: str) -> str:
    measured = (shown.loc[shown["reference label"] == reference, "n"] > 0).any()
    return f"against {reference}" + ("" if measured else " (not yet run)")


def draw_comparison(
    frame: pd.DataFrame, confidence: float = 0.95, source: str = "", width_in: float = 12.0
) -> Figure:
    """Draw what the alignment changed.

    Args:
        frame: result of `comparison.compare_runs`.
        confidence: level of the intervals, for the legend.
        source: scale, data and seeds, written below the title.
        width_in: width of the figure, inches.

    Returns:
        The figure: means with intervals (large dots), single seeds (small dots), better side shaded.
    """
    treatment = _treatment_to_show(frame)
    shown = frame[frame["treatment label"] == treatment]
    references = list(dict.fromkeys(shown["reference label"]))[: len(_COLOURS)]
    with paper_style():
        fig = new_figure(width_in, 7.4)
        grid = fig.subplots(3, 3, sharey=True)
        for axes, metric in zip(grid.flat, NUSCENES_METRICS, strict=True):
            _draw_panel(axes, shown[shown["metric"] == metric], metric, references)
        handles = [
            Line2D([], [], color=colour, marker="o", linewidth=2.6, label=_legend_label(shown, reference))
            for reference, colour in zip(references, _COLOURS, strict=False)
        ]
        handles.append(
            Line2D(
                [],
                [],
                color=MUTED,
                marker="o",
                markersize=4,
                markerfacecolor="none",
                linewidth=0,
                label="one seed",
            )
        )
        handles.append(
            Line2D(
                [],
                [],
                color=_BETTER_SIDE,
                linewidth=9,
                label=f"better side; bars: {confidence:.0%} t interval",
            )
        )
        heading(fig, f"What changes with: {treatment} (paired by seed)", source)
        fig.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return fig
