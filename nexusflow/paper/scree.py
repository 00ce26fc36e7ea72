"""Figure 5: share of the variance along every principal direction, with what it amounts to.

Letters: K eigenvalues, 2 ends of a band.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nexusflow.paper.analysis_files import FEATURES, AnalysedRun, Analysis, AnalysisContext, read_analyses
from nexusflow.paper.style import MUTED, heading, new_figure, paper_style, run_colours, save_figure, tidy

__all__ = ["draw_scree", "write_scree"]

# Of all tasks together, see `nexusflow.analysis.task_spectra`.
_PART = "all"
# Smaller shares say nothing about the features and would press the curves together.
_FLOOR = 1e-6


def _label(item: AnalysedRun, analysis: Analysis | None, kind: str) -> str:
    """Name a run, and say its effective rank with band, or why there is none."""
    if analysis is None:
        return f"{item.label}: not yet run"
    name = item.label + (" (post hoc)" if analysis.post_hoc and kind != "h" else "")
    if _PART not in analysis.entry("spectra", kind):
        return f"{name}: widths of the tasks differ"
    keys = ("spectra", kind, _PART)
    rank, dim = analysis.number(*keys, "effective_rank"), analysis.number(*keys, "dim")
    if rank == 0:
        return f"{name}: all points coincide"
    low, high = analysis.entry(*keys, "effective_rank_band")
    # The bootstrap's band is shifted to the estimate, which may lift it above what is possible.
    return f"{name}: effective rank {rank:.1f} [{low:.1f}, {min(high, dim):.1f}] of {dim:g}"


def _draw_curve(axes: Axes, analysis: Analysis, kind: str, colour: str, label: str) -> None:
    shares_K = analysis.array(f"{kind}/{_PART}/shares", (None,))
    band_2K = analysis.array(f"{kind}/{_PART}/band", (2, len(shares_K)))
    index_K = np.arange(1, len(shares_K) + 1)
    seen_K = shares_K > _FLOOR
    axes.plot(index_K[seen_K], shares_K[seen_K], color=colour, linewidth=1.4, label=label)
    band_2K = np.maximum(band_2K[:, seen_K], _FLOOR)
    axes.fill_between(index_K[seen_K], *band_2K, color=colour, alpha=0.35, linewidth=0)


def _draw_panel(
    axes: Axes, found: Sequence[tuple[AnalysedRun, Analysis | None]], kind: str, colours: dict[str, str]
) -> None:
    counts = []
    for item, analysis in found:
        label = _label(item, analysis, kind)
        if analysis is None or _PART not in analysis.entry("spectra", kind):
            axes.plot([], [], color=colours[item.run], label=label)
            continue
        _draw_curve(axes, analysis, kind, colours[item.run], label)
        counts.append(len(analysis.arrays[f"{kind}/{_PART}/shares"]))
    if counts:
        even = 1 / max(counts)
        axes.axhline(even, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
        place: dict[str, Any] = {
            "xytext": (-2, 3),
            "xycoords": ("axes fraction", "data"),
            "textcoords": "offset points",
        }
        axes.annotate("all directions alike", (1, even), ha="right", fontsize="small", color=MUTED, **place)
    axes.set_yscale("log")
    axes.set_title(FEATURES[kind])
    axes.set_xlabel("component")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.margins(x=0.01)
    tidy(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), handlelength=1.6)


def draw_scree(
    runs: Sequence[AnalysedRun],
    features: Sequence[str],
    context: AnalysisContext,
    title: str,
    width_in: float = 12.0,
) -> Figure:
    """Draw how many directions the features of all tasks together fill.

    Args:
        runs: runs with their files of `nexusflow analyse spectrum`, a curve each.
        features: kinds of features, a panel each: h, embedding or latent.
        context: scale, data and seed.
        title: title of the figure; the seed is added.
        width_in: width of the figure, inches.

    Returns:
        The figure; bands come from the bootstrap over scenes or images.

    Raises:
        UserError: if a file is missing, malformed or of another run.

    Source: Figure 5 of the paper, which shows eigenvalues themselves; their shares do not depend on the
    scale of the features. Bands, effective rank and the spectrum of h′ are additions.
    """
    found = read_analyses(runs, context, "spectra")
    analyses = [analysis for _, analysis in found if analysis is not None]
    colours = run_colours([item.run for item in runs])
    source = context.source(analyses)
    source += (
        f"; all tasks together; bands: {analyses[0].number('confidence'):.0%} of the sets of resampled scenes"
    )
    if any(analysis.post_hoc for analysis in analyses):
        source += "; post hoc: surrogates trained afterwards on frozen features"
    with paper_style():
        fig = new_figure(width_in, 4.6 + 0.3 * len(found))
        for axes, kind in zip(
            fig.subplots(1, len(features), squeeze=False, sharex=True, sharey=True)[0], features, strict=True
        ):
            _draw_panel(axes, found, kind, colours)
        fig.axes[0].set_ylabel("share of the variance")
        heading(fig, f"{title} (seed {context.seed})", source)
    return fig


def write_scree(
    runs: Sequence[AnalysedRun],
    features: Sequence[str],
    context: AnalysisContext,
    figure_paths: Sequence[Path],
    title: str,
    dpi: int = 200,
    width_in: float = 12.0,
) -> None:
    """Draw the spectra and save them.

    Args:
        runs: runs with their files of `nexusflow analyse spectrum`.
        features: kinds of features, a panel each.
        context: scale, data and seed.
        figure_paths: destinations, .png or .pdf.
        title: title of the figure.
        dpi: dots per inch of the PNG.
        width_in: width of the figure, inches.

    Raises:
        UserError: if a file is missing, malformed or of another run.
    """
    save_figure(draw_scree(runs, features, context, title, width_in), figure_paths, dpi)
