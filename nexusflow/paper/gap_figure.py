"""Figure of the domain-gap sweep: both runs against the dial, and their ratio with the paper's."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nexusflow.paper.published import metric_label
from nexusflow.paper.style import MUTED, REGION_LABELS, heading, new_figure, paper_style, run_colours, tidy

__all__ = ["draw_gap_sweep"]

_COLOURS = run_colours(["full", "baseline"])
_METRIC_COLOURS = {"AMOTA": "#0072B2", "Lanes": "#009E73"}
_MARKERS = {"AMOTA": "o", "Lanes": "s"}
_ROLE_LABELS = {"full": "full supervision", "baseline": "baseline"}


def _draw_line(
    axes: Axes, part: pd.DataFrame, column: str, colour: str, linestyle: str, marker: str = "o"
) -> bool:
    """Draw the mean over seeds with the single seeds behind it."""
    part = part.dropna(subset=[column])
    if part.empty:
        return False
    mean = part.groupby("gap")[column].mean()
    faint = 1.0 if linestyle == "-" else 0.75
    axes.plot(mean.index, mean, color=colour, linestyle=linestyle, marker=marker, markersize=6, alpha=faint)
    if linestyle == "-":
        axes.scatter(part["gap"], part[column], s=14, color=colour, alpha=0.4, linewidths=0)
    return True


def _finish(axes: Axes, drawn: bool, title: str, default_gap: float | None) -> None:
    axes.set_title(title)
    axes.set_xlabel("domain gap")
    axes.set_xlim(-0.04, 1.04)
    if default_gap is not None:
        axes.axvline(default_gap, color=MUTED, linewidth=1.0, linestyle=(0, (1, 2)), zorder=0)
    if drawn:
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    else:
        axes.text(0.5, 0.5, "not yet run", transform=axes.transAxes, ha="center", va="center", color=MUTED)
    tidy(axes)


def _draw_metric(
    axes: Axes, frame: pd.DataFrame, metric: str, city: str, default_gap: float | None, left: str
) -> None:
    drawn = False
    for role, colour in _COLOURS.items():
        part = frame[frame["role"] == role]
        drawn |= _draw_line(axes, part[part["region"] == "all"], metric, colour, "-")
        drawn |= _draw_line(axes, part[part["region"] == city], metric, colour, "--", marker=".")
    _finish(axes, drawn, metric_label(metric), default_gap)
    handles = [Line2D([], [], color=_COLOURS[role], label=text) for role, text in _ROLE_LABELS.items()]
    handles.append(
        Line2D([], [], color=MUTED, linestyle="--", label=f"in {REGION_LABELS[city]}, no {left} labels")
    )
    axes.legend(handles=handles, loc="lower left")


def _draw_ratio(
    axes: Axes, frame: pd.DataFrame, ratios: Mapping[str, float], default_gap: float | None
) -> None:
    drawn = False
    part = frame[(frame["role"] == "baseline") & (frame["region"] == "all")]
    handles = []
    for metric, ratio in ratios.items():
        colour, marker = _METRIC_COLOURS[metric], _MARKERS[metric]
        drawn |= _draw_line(axes, part, f"{metric} ratio", colour, "-", marker)
        axes.axhline(ratio, color=colour, linewidth=1.3, linestyle=(0, (4, 2)))
        handles.append(Line2D([], [], color=colour, marker=marker, label=metric))
        text = f"paper's {metric}: {ratio:.2f}"
        handles.append(Line2D([], [], color=colour, linewidth=1.3, linestyle=(0, (4, 2)), label=text))
    axes.axhline(1.0, color=MUTED, linewidth=0.9)
    _finish(axes, drawn, "Baseline / full supervision", default_gap)
    axes.legend(handles=handles, loc="lower left")


def draw_gap_sweep(
    frame: pd.DataFrame,
    ratios: Mapping[str, float],
    default_gap: float | None = None,
    unlabelled: tuple[str, str] = ("boston", "singapore"),
    source: str = "",
    width_in: float = 12.0,
) -> Figure:
    """Draw AMOTA and Lanes of both runs against the domain gap, and baseline / full.

    Args:
        frame: result of `gap_sweep.build_gap_sweep`.
        ratios: the paper's ratio per metric, drawn as reference lines.
        default_gap: the setting used everywhere else, marked by a dotted line.
        unlabelled: city without track labels and city without map labels; drawn dashed.
        source: scale, data and seeds, written below the title.
        width_in: width of the figure, inches.

    Returns:
        Three panels; lines are means over seeds, small dots single seeds.
    """
    with paper_style():
        fig = new_figure(width_in, 4.9)
        left, middle, right = fig.subplots(1, 3)
        _draw_metric(left, frame, "AMOTA", unlabelled[0], default_gap, "track")
        _draw_metric(middle, frame, "Lanes", unlabelled[1], default_gap, "map")
        _draw_ratio(right, frame, ratios, default_gap)
        marked = "" if default_gap is None else f"; dotted line: default gap {default_gap:g}"
        heading(fig, "What the domain gap costs", source + marked)
    return fig
