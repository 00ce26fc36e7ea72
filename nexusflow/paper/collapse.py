"""Does the alignment collapse? Monitors of training: spread, rank, log-determinant and cosine of h' and z."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from nexusflow.paper.logs import LoggedRun, draw_over_seeds, read_log
from nexusflow.paper.style import INK, MUTED, heading, new_figure, paper_style, run_colours, save_figure, tidy

__all__ = ["PANELS", "MonitorPanel", "draw_collapse", "write_collapse"]


@dataclass(frozen=True)
class MonitorPanel:
    """One panel and the log columns that it shows.

    Args:
        title: what is shown.
        reading: how to read it.
        patterns: regular expressions of whole column names; group 1, if there is one, names the curve.
        log_scale: whether the axis is logarithmic.
        mark: a value marked by a thin line, if any.
    """

    title: str
    reading: str
    patterns: tuple[str, ...]
    log_scale: bool = False
    mark: float | None = None


# Column names in log.csv. Edit here if a monitor is renamed; several patterns may name the same monitor.
PANELS = (
    MonitorPanel(
        "Alignment loss",
        "falls: aligned or collapsed",
        (r"loss/(?:\w+/)?align",),
        log_scale=True,
    ),
    MonitorPanel(
        "Loss relative to |z|²",
        "falls: not by shrinking",
        (r"monitor/(?:\w+/)?relative_loss",),
        log_scale=True,
    ),
    MonitorPanel(
        "Distance, same / shuffled",
        "1: nothing shared",
        (r"monitor/(?:\w+/)?distance_ratio",),
        mark=1.0,
    ),
    MonitorPanel(
        "Spread of z (std)",
        "to 0: collapse",
        (r"monitor/(?:\w+/)?(track|map)/latent_std", r"monitor/z_std/(\w+)"),
        log_scale=True,
    ),
    MonitorPanel(
        "Effective rank of z",
        "to 1: collapse",
        (r"monitor/(?:\w+/)?(track|map)/latent_rank", r"monitor/z_rank/(\w+)"),
        mark=1.0,
    ),
    MonitorPanel(
        "Cosine of z, two tasks",
        "equal lines near 1: collapse",
        (r"monitor/(?:\w+/)?cosine_(same|shuffled)", r"monitor/cosine/(same|shuffled)"),
    ),
    MonitorPanel(
        "Spread of h′ (std)",
        "to 0: collapse before the flow",
        (r"monitor/(?:\w+/)?(track|map)/embedding_std", r"monitor/h_std/(\w+)"),
        log_scale=True,
    ),
    MonitorPanel(
        "Effective rank of h′",
        "to 1: collapse before the flow",
        (r"monitor/(?:\w+/)?(track|map)/embedding_rank", r"monitor/h_rank/(\w+)"),
        mark=1.0,
    ),
    MonitorPanel(
        "Log-determinant of the flow",
        "to −∞: the flow shrinks",
        (r"monitor/(?:\w+/)?(track|map)/log_det_mean", r"monitor/log_det/(\w+)"),
        mark=0.0,
    ),
)
_LINE_STYLES = {"": "-", "track": "-", "map": "--", "same": "-", "shuffled": ":"}


def _curves(logs: Sequence[pd.DataFrame], panel: MonitorPanel) -> dict[str, list[pd.Series]]:
    """Find a panel's columns; name of the curve → one series per seed."""
    curves: dict[str, list[pd.Series]] = {}
    for log in logs:
        for column in log.columns:
            for pattern in panel.patterns:
                match = re.fullmatch(pattern, column)
                if match:
                    name = match[1] if match.groups() else ""
                    curves.setdefault(name, []).append(log[column])
    return curves


def _draw_panel(
    axes: Axes, panel: MonitorPanel, logs: dict[str, list[pd.DataFrame]], colours: dict[str, str]
) -> None:
    drawn = False
    for run, run_logs in logs.items():
        for name, series in _curves(run_logs, panel).items():
            if panel.log_scale:
                series = [curve.where(curve > 0) for curve in series]
            drawn |= draw_over_seeds(axes, series, colours[run], _LINE_STYLES.get(name, "-."))
    if drawn and panel.log_scale:
        _whole_decades(axes)
    if drawn and panel.mark is not None:
        axes.axhline(panel.mark, color=INK, linewidth=0.9, zorder=1)
    if not drawn:
        axes.text(0.5, 0.5, "not logged", transform=axes.transAxes, ha="center", va="center", color=MUTED)
        axes.set_yticks([])
    axes.set_title(panel.title, pad=17)
    place: dict[str, Any] = {"xytext": (0, 4), "xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(panel.reading, (0, 1), va="bottom", fontsize="small", color=MUTED, **place)
    tidy(axes)


def _whole_decades(axes: Axes) -> None:
    """Show whole powers of ten, so that a few per cent of change do not look like a collapse."""
    low, high = (math.log10(value) for value in axes.dataLim.intervaly)
    bottom, top = math.floor(low + 1e-9), math.ceil(high - 1e-9)
    axes.set_yscale("log")
    axes.set_ylim(10.0**bottom * 0.9, 10.0 ** max(top, bottom + 1) * 1.1)
    axes.yaxis.set_minor_formatter(NullFormatter())


def draw_collapse(runs: Sequence[LoggedRun], source: str = "", width_in: float = 12.0) -> Figure:
    """Draw the collapse monitors of several runs over training.

    Args:
        runs: runs with their logs, one per seed; runs without logs are named in the legend as not yet run.
        source: scale, data and seeds, written below the title.
        width_in: width of the figure, inches.

    Returns:
        Nine panels; colour = run, line style = task (or same/shuffled pairs), band = range over seeds.

    Raises:
        UserError: if a log is malformed.

    Source:
        Our measurement; the paper claims that invertibility prevents collapse and shows none.
    """
    logs = {run.run: [read_log(path) for path in run.logs] for run in runs}
    colours = run_colours([run.run for run in runs])
    with paper_style():
        fig = new_figure(width_in, 9.4)
        grid = fig.subplots(3, 3, sharex=True)
        for axes, panel in zip(grid.flat, PANELS, strict=True):
            _draw_panel(axes, panel, logs, colours)
        for axes in grid[-1]:
            axes.set_xlabel("training step")
        handles = [
            Line2D([], [], color=colours[run.run], label=run.label + ("" if run.logs else " (not yet run)"))
            for run in runs
        ]
        styles: list[tuple[Any, str]] = [
            ("-", "track; same sample"),
            ("--", "map"),
            (":", "shuffled samples"),
        ]
        keys = [Line2D([], [], color=MUTED, linestyle=style, label=text) for style, text in styles]
        heading(fig, "Does the alignment collapse?", source)
        fig.legend(handles=handles, loc="outside lower left", ncols=min(3, len(handles)))
        fig.legend(handles=keys, loc="outside lower right", ncols=len(keys))
    return fig


def write_collapse(
    runs: Sequence[LoggedRun],
    figure_paths: Sequence[Path],
    dpi: int = 200,
    source: str = "",
    width_in: float = 12.0,
) -> None:
    """Draw the collapse monitors and save them.

    Args:
        runs: runs with their logs.
        figure_paths: destinations, .png or .pdf.
        dpi: dots per inch of the PNG.
        source: scale, data and seeds, written below the title.
        width_in: width of the figure, inches.

    Raises:
        UserError: if a log is malformed.
    """
    save_figure(draw_collapse(runs, source, width_in), figure_paths, dpi)
