"""Look of all figures, and saving them so that equal figures give equal bytes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from nexusflow.core.errors import UserError
from nexusflow.core.files import atomic_path

__all__ = [
    "INK",
    "MUTED",
    "REGION_LABELS",
    "TASK_COLOURS",
    "heading",
    "new_figure",
    "paper_style",
    "run_colours",
    "save_figure",
    "tidy",
]

INK = "#222222"
MUTED = "#8A8A8A"
REGION_LABELS = {"all": "both cities", "boston": "Boston", "singapore": "Singapore"}

# Okabe and Ito's colours: told apart with every common kind of colour blindness.
_CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#4D4D4D", "#882255")
TASK_COLOURS = _CYCLE[:4]
# One run keeps its colour in every figure.
_FIXED = {
    "full": "#4D4D4D",
    "baseline": "#D55E00",
    "nexusflow_two_stage": "#0072B2",
    "nexusflow_one_stage": "#56B4E9",
    "baseline_finetuned": "#E69F00",
}
_LETTERS_PER_INCH = 13
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
}


@contextmanager
def paper_style(font_size: float = 11.0) -> Iterator[None]:
    """Use the figures' style inside a block; the importer's settings are back afterwards.

    Args:
        font_size: size of labels, in points.

    Yields:
        Nothing.
    """
    import seaborn as sns

    settings = {
        **sns.axes_style("ticks"),
        "font.family": ["DejaVu Sans"],
        "font.size": font_size,
        "axes.titlesize": font_size * 1.05,
        "axes.labelsize": font_size,
        "xtick.labelsize": font_size * 0.9,
        "ytick.labelsize": font_size * 0.9,
        "legend.fontsize": font_size * 0.9,
        "figure.titlesize": font_size * 1.25,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.edgecolor": MUTED,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#E6E6E6",
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "lines.linewidth": 2.0,
        "pdf.fonttype": 42,
        "svg.hashsalt": "nexusflow",
    }
    with matplotlib.style.context(["default", settings]):
        yield


def new_figure(width_in: float, height_in: float) -> Figure:
    """Make a figure that belongs to no window and no global list.

    Args:
        width_in: width in inches.
        height_in: height in inches.

    Returns:
        An empty figure with constrained layout.
    """
    fig = Figure(figsize=(width_in, height_in), layout="constrained")
    engine = fig.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(w_pad=0.08, h_pad=0.06)
    return fig


def tidy(axes: Axes) -> None:
    """Remove the upper and right frame lines of a panel.

    Args:
        axes: the panel.
    """
    axes.spines[["top", "right"]].set_visible(False)


def heading(fig: Figure, title: str, source: str = "") -> None:
    """Write the figure's title at its upper left, and what it was measured on below.

    Args:
        fig: the figure.
        title: what it shows.
        source: scale, data and seeds.
    """
    lines = textwrap.wrap(source, int(_LETTERS_PER_INCH * fig.get_figwidth()))
    # Blank lines below the title keep room for the source in the layout.
    fig.suptitle(title + " \n" * len(lines), x=0.008, ha="left", fontweight="bold", linespacing=1.5)
    if lines:
        top = 1 - 0.37 / fig.get_figheight()
        fig.text(0.008, top, "\n".join(lines), va="top", fontsize="small", color=MUTED)


def run_colours(runs: Sequence[str]) -> dict[str, str]:
    """Give every run a colour; the main runs keep theirs in every figure.

    Args:
        runs: run names in order.

    Returns:
        Run name → colour.
    """
    colours = {run: _FIXED[run] for run in runs if run in _FIXED}
    free = [colour for colour in _CYCLE if colour not in colours.values()] or list(_CYCLE)
    others = [run for run in dict.fromkeys(runs) if run not in colours]
    colours.update({run: free[index % len(free)] for index, run in enumerate(others)})
    return {run: colours[run] for run in runs}


def save_figure(fig: Figure, paths: Sequence[Path], dpi: int = 200, font_size: float = 11.0) -> None:
    """Save a figure in several formats, atomically and without dates or version numbers.

    Args:
        fig: the figure.
        paths: files ending in .png or .pdf.
        dpi: dots per inch of pixel formats.
        font_size: the size the figure was drawn with, in points.

    Raises:
        UserError: if a path ends in anything else.
    """
    for path in (Path(path) for path in paths):
        if path.suffix not in _METADATA:
            raise UserError(f"Cannot save {path}: figures are written as .png or .pdf; change the file name.")
        # Ticks are made while drawing, so the style must hold here as well.
        with paper_style(font_size), atomic_path(path) as temporary:
            fig.savefig(temporary, format=path.suffix[1:], dpi=dpi, metadata=_METADATA[path.suffix])
