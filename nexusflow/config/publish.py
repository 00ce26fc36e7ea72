"""Hands result files to the writers of tables and figures; which files, config/paper.yaml says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.core.errors import UserError
from nexusflow.paper.comparison import LabelledRun, write_comparison
from nexusflow.paper.config import RunLabel
from nexusflow.paper.logs import LoggedRun
from nexusflow.paper.tables import TableContext

__all__ = ["draw_figure", "write_table"]

_SUITE = "nuscenes"


def _metrics(configuration: Configuration, layout: Layout, run: str, seeds: list[int]) -> tuple[Path, ...]:
    """Metrics files of a run; none where the run is only declared."""
    if run == "trivial":
        return (layout.metrics(_SUITE, run, 0),)
    if configuration.row(_SUITE, run).is_declared_only:
        return ()
    return tuple(layout.metrics(_SUITE, run, seed) for seed in seeds)


def _context(configuration: Configuration, seeds: list[int]) -> TableContext:
    world = configuration.scale.nuscenes.world
    scenes = f"{world.train_scenes} + {world.val_scenes} scenes of {world.key_frames} key frames"
    return TableContext(
        scale=configuration.scale_name,
        data=f"{configuration.scale.description} ({scenes})",
        seeds=tuple(seeds),
        domain_gap=world.domain_gap,
    )


def _labelled(
    configuration: Configuration, layout: Layout, labels: tuple[RunLabel, ...], seeds: list[int]
) -> list[LabelledRun]:
    return [LabelledRun(x.run, x.label, _metrics(configuration, layout, x.run, seeds)) for x in labels]


def _methods(name: str, configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    """Write a table with one method per row."""
    from nexusflow.paper.table2 import rows_from_config, write_table2

    part = getattr(configuration.paper, name)
    files = {
        row.run: _metrics(configuration, layout, row.run, list(row.seeds) if row.seeds else seeds)
        for row in part.rows
    }
    rows = rows_from_config(part, {run: paths for run, paths in files.items() if paths})
    context = _context(configuration, seeds)
    write_table2(
        rows, context, layout.base / f"{name}.csv", layout.base / f"{name}.md", part.title, part.paper_table
    )


def _comparison(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    part, base = configuration.paper.comparison, layout.base
    write_comparison(
        _labelled(configuration, layout, part.treatments, seeds),
        _labelled(configuration, layout, part.references, seeds),
        _context(configuration, seeds),
        base / "comparison.csv",
        base / "comparison.md",
        _figure_paths(layout, "comparison"),
        part.confidence,
        configuration.paper.style.dpi,
        configuration.paper.style.width_in,
    )


def _gap_sweep(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    from nexusflow.paper.gap_sweep import GapPoint, write_gap_sweep

    points = [
        GapPoint(
            point.gap,
            point.full,
            point.baseline,
            _metrics(configuration, layout, point.full, seeds),
            _metrics(configuration, layout, point.baseline, seeds),
        )
        for point in configuration.paper.gap_sweep.points
    ]
    write_gap_sweep(
        points,
        _context(configuration, seeds),
        layout.base / "gap_sweep.csv",
        _figure_paths(layout, "gap_sweep"),
        dpi=configuration.paper.style.dpi,
        width_in=configuration.paper.style.width_in,
    )


def _logged(layout: Layout, labels: tuple[RunLabel, ...], seeds: list[int]) -> list[LoggedRun]:
    return [
        LoggedRun(x.run, x.label, tuple(layout.checkpoint(_SUITE, x.run, seed) / "log.csv" for seed in seeds))
        for x in labels
    ]


def _figure_paths(layout: Layout, name: str) -> list[Path]:
    return [layout.base / f"{name}.{ending}" for ending in ("png", "pdf")]


def _source(configuration: Configuration, seeds: list[int]) -> str:
    return _context(configuration, seeds).source()


def _collapse(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    from nexusflow.paper.collapse import write_collapse

    runs = _logged(layout, configuration.paper.collapse.runs, seeds)
    style = configuration.paper.style
    source = _source(configuration, seeds)
    write_collapse(runs, _figure_paths(layout, "collapse"), style.dpi, source, style.width_in)


def _learning_curves(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    from nexusflow.paper.learning_curves import write_learning_curves

    part = configuration.paper.learning_curves
    write_learning_curves(
        _logged(layout, part.runs, seeds),
        _figure_paths(layout, "learning_curves"),
        panels=part.panels,
        smoothing=part.smoothing,
        dpi=configuration.paper.style.dpi,
        width_in=configuration.paper.style.width_in,
        source=_source(configuration, seeds),
    )


def _figure6(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    from nexusflow.paper.figure6 import write_figure6

    part, style = configuration.paper.figure6, configuration.paper.style
    write_figure6(
        layout.base / "qualitative" / "figure6.npz",
        _figure_paths(layout, "figure6"),
        score_threshold=part.score_threshold,
        match_m=part.match_m,
        max_rings=part.max_rings,
        width_in=style.width_in,
        show_truth=part.show_truth,
        dpi=style.dpi,
    )


_TABLES: dict[str, Callable[[Configuration, Layout, list[int]], None]] = {
    "table2": partial(_methods, "table2"),
    "alignment_options": partial(_methods, "alignment_options"),
    "comparison": _comparison,
    "gap_sweep": _gap_sweep,
}
_FIGURES = {"figure6": _figure6, "collapse": _collapse, "learning_curves": _learning_curves}


def write_table(configuration: Configuration, layout: Layout, name: str, seeds: list[int]) -> None:
    """Write a table.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        name: table2, alignment_options, comparison or gap_sweep.
        seeds: training seeds.

    Raises:
        UserError: for an unknown name, or a missing or malformed result file.
    """
    if name not in _TABLES:
        raise UserError(f"There is no table `{name}`; the tables are {', '.join(_TABLES)}.")
    _TABLES[name](configuration, layout, seeds)


def draw_figure(configuration: Configuration, layout: Layout, name: str, seeds: list[int]) -> None:
    """Draw a figure.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        name: figure6, collapse or learning_curves.
        seeds: training seeds.

    Raises:
        UserError: for an unknown name, or a missing or malformed result file.
    """
    if name not in _FIGURES:
        raise UserError(f"There is no figure `{name}`; the figures are {', '.join(_FIGURES)}.")
    _FIGURES[name](configuration, layout, seeds)
