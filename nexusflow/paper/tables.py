"""Tables of methods: our mean and spread over seeds, the paper's value beside it, CSV and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from nexusflow.core.files import sha256_json, write_text
from nexusflow.paper.metrics import COST_COLUMNS, SUITE_REPORTS, RunMetrics, SuiteReport
from nexusflow.paper.published import published_metric
from nexusflow.paper.rows import (
    MEASURED,
    NOT_YET_RUN,
    MethodRow,
    TableContext,
    load_row,
    mean_and_std,
    row_group,
    row_notes,
    suite_of,
)

__all__ = ["MethodRow", "MethodTable", "TableContext", "build_method_table", "markdown_grid", "write_csv"]


@dataclass(frozen=True)
class MethodTable:
    """A finished table.

    Args:
        frame: one row per method × region, all columns of the CSV.
        notes: row id → footnotes.
        inputs: (run, seed, sha256) of every file that went in.
    """

    frame: pd.DataFrame
    notes: dict[str, list[str]] = field(default_factory=dict)
    inputs: tuple[tuple[str, int, str], ...] = ()

    @property
    def inputs_sha256(self) -> str:
        """Hash over the hashes of all input files."""
        return sha256_json([list(item) for item in self.inputs])


def _mean_over_seeds(
    name: str, where: str, files: Sequence[RunMetrics], found: Sequence[float | None], notes: list[str]
) -> tuple[float | None, float | None]:
    """Average a metric, unless a seed has no value: a mean over the others would be biased."""
    if any(value is None for value in found):
        absent = [str(file.seed) for file, value in zip(files, found, strict=True) if value is None]
        notes.append(f"{name} ({where}) is absent at seed {', '.join(absent)}.")
        return None, None
    return mean_and_std([value for value in found if value is not None])


def _metric_cells(
    row: MethodRow,
    files: Sequence[RunMetrics],
    region: str,
    table: str,
    report: SuiteReport,
    notes: list[str],
) -> dict[str, Any]:
    """Fill mean, std and paper value of every metric for one region."""
    cells: dict[str, Any] = {}
    for metric in (*report.metrics, *report.further):
        found = [file.value(region, metric) for file in files]
        mean, std = _mean_over_seeds(metric, region, files, found, notes)
        wanted = region == "all" and row.paper_row is not None
        paper = published_metric(table, str(row.paper_row), metric) if wanted else None
        cells |= {metric: mean, f"{metric} std": std}
        if metric in report.metrics:
            cells[f"{metric} paper"] = paper.printed if paper else None
        if paper and paper.note:
            notes.append(f"Paper's {metric}: {paper.note}.")
    return cells


def _best_cells(files: Sequence[RunMetrics], report: SuiteReport, notes: list[str]) -> dict[str, Any]:
    """Average the best validation over seeds, where runs record one."""
    cells: dict[str, Any] = {}
    for metric in ("step", *report.selected) if report.selected else ():
        found = [file.best.get(metric) for file in files]
        recorded = any(value is not None for value in found)
        mean, std = _mean_over_seeds(metric, "best epoch", files, found, notes) if recorded else (None, None)
        cells |= {f"best {metric}": mean, f"best {metric} std": std}
    return cells


def _cost_cells(files: Sequence[RunMetrics], region: str) -> dict[str, float | None]:
    """Average the training cost over seeds; it belongs to the run, so it stands in the first region only."""
    if region != "all":
        return dict.fromkeys(COST_COLUMNS)
    return {
        column: mean_and_std([file.cost[column] for file in files if column in file.cost])[0]
        for column in COST_COLUMNS
    }


def _records(
    row: MethodRow, files: Sequence[RunMetrics], table: str, context: TableContext, notes: list[str]
) -> list[dict[str, Any]]:
    """Make the rows of one method, one per region."""
    report = SUITE_REPORTS[row.suite]
    return [
        {
            "id": row.id,
            "method": row.label,
            "group": row_group(row),
            "run": row.run,
            "region": region,
            "status": MEASURED if files else NOT_YET_RUN,
            "n": len(files),
            "seeds": " ".join(str(file.seed) for file in files),
            **_metric_cells(row, files, region, table, report, notes),
            **_best_cells(files, report, notes),
            **_cost_cells(files, region),
            "scale": context.scale,
            "data": context.data,
            "inputs sha256": sha256_json([file.sha256 for file in files]) if files else None,
        }
        for region in report.regions
    ]


def build_method_table(rows: Sequence[MethodRow], table: str, context: TableContext) -> MethodTable:
    """Gather metrics files into one table; no cell is ever filled from anything else.

    Args:
        rows: methods in order.
        table: table of the paper whose values stand beside ours, e.g. "table2".
        context: scale, data and seeds.

    Returns:
        The table: one row per method × region ("all", on nuScenes also "boston" and "singapore").

    Raises:
        UserError: if a row id repeats, the rows are of several suites, or a file is malformed or of another
            run, suite, scale, or seed.
    """
    suite_of(rows, table)
    records: list[dict[str, Any]] = []
    notes: dict[str, list[str]] = {}
    inputs: list[tuple[str, int, str]] = []
    for row in rows:
        files = load_row(row, context)
        sentences = row_notes(row, files, context)
        records += _records(row, files, table, context, sentences)
        notes[row.id] = list(dict.fromkeys(sentences))
        inputs += [(file.run, file.seed, file.sha256) for file in files]
    return MethodTable(pd.DataFrame.from_records(records), notes, tuple(inputs))


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV: six significant digits, empty cells for what is unknown, "\\n" line ends.

    Args:
        path: destination.
        frame: the table; its index is not written.
    """
    write_text(path, frame.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def markdown_grid(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Lay out a Markdown table.

    Args:
        header: column names.
        rows: cells; pipes in them are escaped.
        left: number of left-aligned columns, the others are right-aligned.

    Returns:
        The table, with a newline at its end.
    """
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [list(header), *map(list, rows)]]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(header))]
    lines = []
    for index, row in enumerate(cells):
        padded = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("| " + " | ".join(padded) + " |")
        if index == 0:
            rule = ["-" * w if c < left else "-" * (w - 1) + ":" for c, w in enumerate(widths)]
            lines.append("| " + " | ".join(rule) + " |")
    return "\n".join(lines) + "\n"
