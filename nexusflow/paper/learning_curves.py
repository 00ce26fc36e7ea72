"""Training losses of several runs over steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nexusflow.core.errors import UserError
from nexusflow.paper.logs import LoggedRun, draw_over_seeds, read_log
from nexusflow.paper.style import MUTED, heading, new_figure, paper_style, run_colours, save_figure, tidy

__all__ = ["DEFAULT_PANELS", "draw_learning_curves", "write_learning_curves"]

# Title → glob of log columns; the columns that match are added up.
DEFAULT_PANELS = {
    "Total loss": "loss/total",
    "Tracking loss": "loss/track/*",
    "Map loss": "loss/map/*",
    "Alignment loss (weighted)": "loss/nexusflow/align",
}
_LOG_SCALE_RANGE = 30.0


def _panel_curve(log: pd.DataFrame, pattern: str) -> pd.Series | None:
    """Add up the columns that match; None if there are none."""
    columns = [column for column in log.columns if fnmatchcase(column, pattern)]
    return log[columns].sum(axis=1, min_count=1) if columns else None


def _is_wide(curves: Sequence[pd.Series]) -> bool:
    """Tell whether a panel needs a logarithmic axis: all values positive and far apart."""
    values = pd.concat(list(curves)).dropna()
    return bool(len(values) and values.min() > 0 and values.max() / values.min() > _LOG_SCALE_RANGE)


def _collect(
    logs: Mapping[str, Sequence[pd.DataFrame]], panels: Mapping[str, str]
) -> dict[str, dict[str, list[pd.Series]]]:
    """Find the curves: panel title → run → one series per seed; panels without curves are left out."""
    curves = {}
    for title, pattern in panels.items():
        found = {
            run: [curve for log in run_logs if (curve := _panel_curve(log, pattern)) is not None]
            for run, run_logs in logs.items()
        }
        if any(found.values()):
            curves[title] = found
    return curves


def draw_learning_curves(
    runs: Sequence[LoggedRun],
    panels: dict[str, str] | None = None,
    smoothing: int = 5,
    source: str = "",
    width_in: float = 12.0,
    title: str = "Training losses",
) -> Figure:
    """Draw training losses over steps.

    Args:
        runs: runs with their logs, one per seed; runs without logs are named as not yet run.
        panels: title → glob of the log columns added up in that panel; empty panels are left out.
        smoothing: window of the running mean, in rows of the log.
        source: scale, data and seeds, written below the title.
        width_in: width of the figure, inches.
        title: title of the figure.

    Returns:
        One panel per loss; line = mean over seeds, band = range over seeds.

    Raises:
        UserError: if a log is malformed or no log has any of the columns.
    """
    logs = {run.run: [read_log(path) for path in run.logs] for run in runs}
    curves = _collect(logs, dict(DEFAULT_PANELS if panels is None else panels))
    if not curves and any(logs.values()):
        path = next(run.logs[0] for run in runs if run.logs)
        wanted = ", ".join((DEFAULT_PANELS if panels is None else panels).values())
        raise UserError(f"{path} and the other logs have none of the columns {wanted}.")
    colours = run_colours([run.run for run in runs])
    with paper_style():
        columns = max(1, min(2, len(curves)))
        rows = max(1, math.ceil(len(curves) / columns))
        fig = new_figure(width_in, 0.9 + 3.2 * rows)
        grid = fig.subplots(rows, columns, squeeze=False)
        for axes, (panel, by_run) in zip(grid.flat, curves.items(), strict=False):
            for run, series in by_run.items():
                draw_over_seeds(axes, series, colours[run], window=smoothing)
            if _is_wide([curve for series in by_run.values() for curve in series]):
                axes.set_yscale("log")
            axes.set_title(panel)
            axes.set_xlabel("training step")
            tidy(axes)
        for axes in grid.flat[len(curves) :]:
            axes.set_axis_off()
        if not curves:
            grid.flat[0].text(0.5, 0.5, "not yet run", ha="center", va="center", color=MUTED)
        handles = [
            Line2D([], [], color=colours[run.run], label=run.label + ("" if run.logs else " (not yet run)"))
            for run in runs
        ]
        heading(fig, title, source)
        fig.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
    return fig


def write_learning_curves(
    runs: Sequence[LoggedRun],
    figure_paths: Sequence[Path],
    panels: dict[str, str] | None = None,
    smoothing: int = 5,
    dpi: int = 200,
    source: str = "",
    width_in: float = 12.0,
    title: str = "Training losses",
) -> None:
    """Draw training losses and save them.

    Args:
        runs: runs with their logs.
        figure_paths: destinations, .png or .pdf.
        panels: title → glob of log columns; None = total, tracking, map and alignment loss.
        smoothing: window of the running mean, in rows of the log.
        dpi: dots per inch of the PNG.
        source: scale, data and seeds, written below the title.
        width_in: width of the figure, inches.
        title: title of the figure.

    Raises:
        UserError: if a log is malformed.
    """
    save_figure(draw_learning_curves(runs, panels, smoothing, source, width_in, title), figure_paths, dpi)
