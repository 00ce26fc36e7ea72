"""Hands result files to the writers of tables and figures; which files, config/paper.yaml says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from nexusflow.config.contexts import data_and_start, nuscenes_context, nyuv2_context, suite_contexts
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.config.publish_analyses import ANALYSIS_FIGURES, ANALYSIS_TABLES
from nexusflow.config.publish_pictures import draw_figure2, draw_video
from nexusflow.core.errors import UserError
from nexusflow.paper.comparison import LabelledRun, write_comparison
from nexusflow.paper.config import RunLabel, TableConfig
from nexusflow.paper.logs import LoggedRun
from nexusflow.paper.rows import MethodRow, rows_from_config

__all__ = ["draw_figure", "write_ledger", "write_table"]


def _metrics(
    configuration: Configuration, layout: Layout, run: str, seeds: list[int], suite: str = "nuscenes"
) -> tuple[Path, ...]:
    """Metrics files of a run; none where the run is only declared."""
    if run == "trivial":
        return (layout.metrics(suite, run, 0),)
    if configuration.row(suite, run).is_declared_only:
        return ()
    return tuple(layout.metrics(suite, run, seed) for seed in seeds)


def _labelled(
    configuration: Configuration, layout: Layout, labels: tuple[RunLabel, ...], seeds: list[int]
) -> list[LabelledRun]:
    return [LabelledRun(x.run, x.label, _metrics(configuration, layout, x.run, seeds)) for x in labels]


def _rows(
    part: TableConfig, configuration: Configuration, layout: Layout, seeds: list[int]
) -> list[MethodRow]:
    """Rows of a table with the files of their runs."""
    files = {
        row.run: _metrics(configuration, layout, row.run, list(row.seeds or seeds), row.suite)
        for row in part.rows
    }
    return rows_from_config(part, {run: paths for run, paths in files.items() if paths})


def _methods(name: str, configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    """Write a table with one method per row."""
    from nexusflow.paper.table2 import write_table2

    part = getattr(configuration.paper, name)
    rows, context = _rows(part, configuration, layout, seeds), nuscenes_context(configuration, seeds)
    write_table2(
        rows, context, layout.base / f"{name}.csv", layout.base / f"{name}.md", part.title, part.paper_table
    )


def _dense_methods(name: str, configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    """Write a table with one method per row, on NYUv2."""
    from nexusflow.paper.table4 import write_table4

    part = getattr(configuration.paper, name)
    rows, context = _rows(part, configuration, layout, seeds), nyuv2_context(configuration, seeds)
    write_table4(
        rows, context, layout.base / f"{name}.csv", layout.base / f"{name}.md", part.title, part.paper_table
    )


def _table5(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    from nexusflow.paper.table5 import write_table5

    part, base = configuration.paper.table5, layout.base
    write_table5(
        _rows(part, configuration, layout, seeds),
        layout.cost("nyuv2"),
        nyuv2_context(configuration, seeds),
        base / "table5.csv",
        base / "table5.md",
        part.title,
        part.reference,
        part.paper_table,
    )


def _table1(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    """Write the distances between tasks, of the suites that the scale has."""
    from nexusflow.paper.table1 import MMDRow, write_table1

    part, rows = configuration.paper.table1, []
    for row in part.rows:
        if getattr(configuration.scale, row.suite) is None:
            continue
        declared = configuration.row(row.suite, row.run).is_declared_only
        files = [layout.analysis("mmd", row.suite, row.run, seed) for seed in row.seeds or seeds]
        rows.append(MMDRow(row.suite, row.run, row.label, row.paper, () if declared else tuple(files)))
    source = f"Scale `{layout.scale}`; data: {data_and_start(configuration)}; seeds: "
    source += ", ".join(map(str, seeds))
    csv_path, markdown_path = layout.base / "table1.csv", layout.base / "table1.md"
    write_table1(rows, layout.scale, part.title, source, csv_path, markdown_path)


def _table_b(name: str, configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    """Write an ablation as table and figure."""
    from nexusflow.paper.table_b import write_table_b

    part, style = getattr(configuration.paper, name), configuration.paper.style
    write_table_b(
        part,
        _rows(part, configuration, layout, seeds),
        nyuv2_context(configuration, seeds),
        layout.base / f"{name}.csv",
        layout.base / f"{name}.md",
        _figure_paths(layout, name),
        style.dpi,
        style.width_in,
    )


def _comparison(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    part, base = configuration.paper.comparison, layout.base
    write_comparison(
        _labelled(configuration, layout, part.treatments, seeds),
        _labelled(configuration, layout, part.references, seeds),
        nuscenes_context(configuration, seeds),
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
        nuscenes_context(configuration, seeds),
        layout.base / "gap_sweep.csv",
        _figure_paths(layout, "gap_sweep"),
        dpi=configuration.paper.style.dpi,
        width_in=configuration.paper.style.width_in,
    )


def _logged(
    layout: Layout, labels: tuple[RunLabel, ...], seeds: list[int], suite: str = "nuscenes"
) -> list[LoggedRun]:
    return [
        LoggedRun(x.run, x.label, tuple(layout.checkpoint(suite, x.run, seed) / "log.csv" for seed in seeds))
        for x in labels
    ]


def _figure_paths(layout: Layout, name: str) -> list[Path]:
    return [layout.base / f"{name}.{ending}" for ending in ("png", "pdf")]


def _source(configuration: Configuration, seeds: list[int]) -> str:
    return nuscenes_context(configuration, seeds).source()


def _collapse(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    from nexusflow.paper.collapse import write_collapse

    runs = _logged(layout, configuration.paper.collapse.runs, seeds)
    style = configuration.paper.style
    source = _source(configuration, seeds)
    write_collapse(runs, _figure_paths(layout, "collapse"), style.dpi, source, style.width_in)


def _learning_curves(name: str, configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    """Draw curves of the training logs of one suite."""
    from nexusflow.paper.learning_curves import write_learning_curves

    part = getattr(configuration.paper, name)
    context = nuscenes_context if part.suite == "nuscenes" else nyuv2_context
    write_learning_curves(
        _logged(layout, part.runs, seeds, part.suite),
        _figure_paths(layout, name),
        panels=part.panels,
        smoothing=part.smoothing,
        dpi=configuration.paper.style.dpi,
        width_in=configuration.paper.style.width_in,
        source=context(configuration, seeds).source(),
        title=part.title,
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


def _figure7(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    from nexusflow.paper.figure7 import write_figure7

    style = configuration.paper.style
    write_figure7(
        layout.base / "qualitative" / "figure7.npz",
        _figure_paths(layout, "figure7"),
        dpi=style.dpi,
        width_in=style.width_in,
    )


_METHOD_TABLES = (
    "table2",
    "table3",
    "tableA1",
    "tableA2",
    "alignment_options",
    "alignment_settings",
    "compute_matched",
    "weights_nuscenes",
    "matching",
    "taps_nuscenes",
)
_TABLES: dict[str, Callable[[Configuration, Layout, list[int]], None]] = {
    **{name: partial(_methods, name) for name in _METHOD_TABLES},
    "weights_nyuv2": partial(_dense_methods, "weights_nyuv2"),
    "taps_nyuv2": partial(_dense_methods, "taps_nyuv2"),
    "normalisation_nyuv2": partial(_dense_methods, "normalisation_nyuv2"),
    "table4": partial(_dense_methods, "table4"),
    "table1": _table1,
    "table5": _table5,
    "tableB1": partial(_table_b, "tableB1"),
    "tableB2": partial(_table_b, "tableB2"),
    "comparison": _comparison,
    "gap_sweep": _gap_sweep,
    **ANALYSIS_TABLES,
}
_FIGURES: dict[str, Callable[[Configuration, Layout, list[int]], None]] = {
    "figure2": draw_figure2,
    "video": draw_video,
    "figure6": _figure6,
    "figure7": _figure7,
    "collapse": _collapse,
    "learning_curves": partial(_learning_curves, "learning_curves"),
    "rivals_nuscenes": partial(_learning_curves, "rivals_nuscenes"),
    "rivals_nyuv2": partial(_learning_curves, "rivals_nyuv2"),
    **ANALYSIS_FIGURES,
}


def write_table(configuration: Configuration, layout: Layout, name: str, seeds: list[int]) -> None:
    """Write a table.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        name: a key of `_TABLES`.
        seeds: training seeds.

    Raises:
        UserError: for an unknown name, or a missing or malformed result file.
    """
    if name not in _TABLES:
        raise UserError(f"There is no table `{name}`; the tables are {', '.join(_TABLES)}.")
    _TABLES[name](configuration, layout, seeds)


def write_ledger(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    """Write the ledger of claims from the result files that are there.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        seeds: training seeds.

    Raises:
        UserError: for a malformed result file.
    """
    from nexusflow.config.ledger import claim_files
    from nexusflow.paper.claims import write_claims

    contexts = suite_contexts(configuration, seeds)
    write_claims(configuration.paper, claim_files(configuration, layout, seeds), contexts, layout.base)


def draw_figure(configuration: Configuration, layout: Layout, name: str, seeds: list[int]) -> None:
    """Draw a figure.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        name: a key of `_FIGURES`.
        seeds: training seeds.

    Raises:
        UserError: for an unknown name, or a missing or malformed result file.
    """
    if name not in _FIGURES:
        raise UserError(f"There is no figure `{name}`; the figures are {', '.join(_FIGURES)}.")
    _FIGURES[name](configuration, layout, seeds)
