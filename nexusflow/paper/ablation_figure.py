"""Figure of an ablation: one panel per metric, a line over the setting, the baseline as a level line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nexusflow.paper.metrics import SUITE_REPORTS
from nexusflow.paper.published import metric_info, metric_label
from nexusflow.paper.rows import TableContext
from nexusflow.paper.style import INK, MUTED, heading, new_figure, paper_style, run_colours, tidy

__all__ = ["draw_ablation"]

_OURS = "#0072B2"
_METRICS = SUITE_REPORTS["nyuv2"].metrics
_DOTTED, _DASHED = (0, (1, 2)), (0, (4, 2))


def _best_in_paper(settings: pd.DataFrame, metric: str) -> int | None:
    """Find the setting with the best printed value."""
    printed = settings.dropna(subset=[f"{metric} paper"])
    cells = zip(printed[f"{metric} paper"].astype(float), printed["value"].astype(int), strict=True)
    choose = max if metric_info(metric).direction == "up" else min
    return choose(cells, default=(0.0, None))[1]


def _draw_settings(axes: Axes, settings: pd.DataFrame, metric: str, comparable: bool) -> None:
    """Draw mean and spread over the settings, and the paper's curve where it is on the same scale."""
    # A setting that is not yet run interrupts the line.
    means, spread = settings[metric].astype(float), settings[f"{metric} std"].astype(float).fillna(0.0)
    style: dict[str, Any] = {"marker": "o", "markersize": 7, "capsize": 4, "elinewidth": 1.6}
    if means.notna().any():
        axes.errorbar(settings["value"], means, yerr=spread, color=_OURS, zorder=3, **style)
    if comparable:
        printed = settings.dropna(subset=[f"{metric} paper"])
        numbers = printed[f"{metric} paper"].astype(float)
        axes.plot(
            printed["value"], numbers, color=MUTED, linestyle=_DASHED, marker="o", markerfacecolor="white"
        )


def _draw_panel(
    axes: Axes, frame: pd.DataFrame, metric: str, axis: str, colours: Mapping[str, str], comparable: bool
) -> None:
    settings = frame.dropna(subset=["value"])
    levels = frame[frame["value"].isna()].dropna(subset=[metric])
    for record in levels.to_dict("records"):
        mean, std = float(record[metric]), record[f"{metric} std"]
        colour = colours[str(record["run"])]
        axes.axhline(mean, color=colour, zorder=2)
        if not pd.isna(std):
            axes.axhspan(mean - std, mean + std, color=colour, alpha=0.15, linewidth=0, zorder=1)
    best = _best_in_paper(settings, metric)
    if best is not None:
        axes.axvline(best, color=INK, linewidth=1.4, linestyle=_DOTTED, zorder=1)
    _draw_settings(axes, settings, metric, comparable)
    values = sorted(int(value) for value in settings["value"])
    axes.set_xticks(values)
    axes.set_xlim(values[0] - 0.4, values[-1] + 0.4)
    axes.set_xlabel(axis)
    axes.set_title(metric_label(metric))
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.12)
    if frame[metric].isna().all():
        axes.text(0.5, 0.5, "not yet run", transform=axes.transAxes, ha="center", va="center", color=MUTED)
        axes.set_yticks([])
    tidy(axes)


def _handles(frame: pd.DataFrame, colours: Mapping[str, str], comparable: bool) -> list[Line2D]:
    spread = ", mean ± std over seeds" if (frame["n"] > 1).any() else ""
    handles = [Line2D([], [], color=_OURS, marker="o", markersize=7, label=f"Ours{spread}")]
    for record in frame[frame["value"].isna()].to_dict("records"):
        waiting = "" if record["n"] else " (not yet run)"
        handles.append(
            Line2D([], [], color=colours[str(record["run"])], label=f"{record['method']}{waiting}")
        )
    if comparable:
        handles.append(
            Line2D([], [], color=MUTED, linestyle=_DASHED, marker="o", markerfacecolor="white", label="paper")
        )
    handles.append(
        Line2D([], [], color=INK, linewidth=1.4, linestyle=_DOTTED, label="best setting in the paper")
    )
    return handles


def draw_ablation(
    frame: pd.DataFrame,
    values: Mapping[str, int | None],
    axis: str,
    title: str,
    context: TableContext,
    width_in: float = 12.0,
) -> Figure:
    """Draw how the three main metrics depend on one setting.

    Args:
        frame: one row per setting, as made by `tables.build_method_table`.
        values: row id → setting; None for runs drawn as level lines.
        axis: label of the horizontal axis.
        title: title of the figure.
        context: scale, data and seeds for the line below the title.
        width_in: width of the figure, inches.

    Returns:
        Three panels; bars and bands are one standard deviation over seeds.

    Source:
        Tables B.1 and B.2 of the paper, which has no such figure.
    """
    frame = frame.assign(value=pd.Series([values[row] for row in frame["id"]], frame.index, dtype=float))
    levels = [str(run) for run in frame.loc[frame["value"].isna(), "run"]]
    colours = run_colours(levels)
    with paper_style():
        fig = new_figure(width_in, 4.6)
        for axes, metric in zip(fig.subplots(1, len(_METRICS)), _METRICS, strict=True):
            _draw_panel(axes, frame, metric, axis, colours, context.comparable)
        heading(fig, title, context.source())
        handles = _handles(frame, colours, context.comparable)
        fig.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return fig
