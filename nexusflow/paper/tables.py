"""Tables of methods: our mean and spread over seeds, the paper's value beside it, CSV and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_json, write_text
from nexusflow.paper.metrics import COST_COLUMNS, NUSCENES_METRICS, REGIONS, RunMetrics, load_run
from nexusflow.paper.published import PublishedCell, published_cell, published_cells

__all__ = [
    "NOT_YET_RUN",
    "MethodRow",
    "MethodTable",
    "TableContext",
    "build_method_table",
    "markdown_grid",
    "mean_and_std",
    "write_csv",
]

NOT_YET_RUN = "not yet run"
MEASURED = "measured"


@dataclass(frozen=True)
class MethodRow:
    """One method of a table.

    Args:
        id: stable identifier.
        label: shown name.
        run: run name that the files must carry.
        paper_row: row label in the paper, None for rows that only we have.
        metrics: one metrics.json per seed; empty if the run does not exist yet.
        note: footnote.
        seeds: seeds this row should have if not the table's.
    """

    id: str
    label: str
    run: str
    paper_row: str | None = None
    metrics: tuple[Path, ...] = ()
    note: str = ""
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True)
class TableContext:
    """On what a table was measured.

    Args:
        scale: scale name.
        data: one sentence part that describes the data set, e.g. "embedded street world, 72 + 48 scenes".
        seeds: the seeds that were asked for.
        domain_gap: domain gap of the embedded world, None for recorded data.
        comparable: True only where absolute values may be compared with the paper's.
    """

    scale: str
    data: str
    seeds: tuple[int, ...]
    domain_gap: float | None = None
    comparable: bool = False

    def source(self, with_gap: bool = True) -> str:
        """Say in one line what a figure was measured on.

        Args:
            with_gap: whether to name the domain gap.

        Returns:
            Scale, data and seeds.
        """
        gap = f", domain gap {self.domain_gap:g}" if with_gap and self.domain_gap is not None else ""
        plural = "s" if len(self.seeds) > 1 else ""
        return f"Scale {self.scale}; {self.data}{gap}; seed{plural} {', '.join(map(str, self.seeds))}"


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


def mean_and_std(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Average over seeds.

    Args:
        values: one value per seed.

    Returns:
        Mean (None if there is no value) and sample standard deviation (ddof 1; None for fewer than two).
    """
    if not values:
        return None, None
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return float(np.mean(values)), spread


def _paper_cell(table: str, row: MethodRow, metric: str) -> PublishedCell | None:
    """Find the printed value; contour, for one, is not printed at all."""
    if row.paper_row is None:
        return None
    cells = published_cells()
    if any(cell.table == table and cell.column == metric for cell in cells.values()):
        return published_cell(table, row.paper_row, metric)
    return None


def _metric_cells(
    row: MethodRow, files: Sequence[RunMetrics], region: str, table: str, notes: list[str]
) -> dict[str, Any]:
    """Fill mean, std and paper value of every metric for one region."""
    cells: dict[str, Any] = {}
    for metric in NUSCENES_METRICS:
        found = [file.value(region, metric) for file in files]
        values = [value for value in found if value is not None]
        # A mean over the seeds that happen to have a value would be biased: leave it out and say so.
        if len(values) != len(files):
            absent = [str(file.seed) for file, value in zip(files, found, strict=True) if value is None]
            notes.append(f"{metric} ({region}) is absent at seed {', '.join(absent)}.")
            values = []
        paper = _paper_cell(table, row, metric) if region == "all" else None
        mean, std = mean_and_std(values)
        cells |= {metric: mean, f"{metric} std": std, f"{metric} paper": paper.printed if paper else None}
        if paper and paper.note:
            notes.append(f"Paper's {metric}: {paper.note}.")
    return cells


def _cost_cells(files: Sequence[RunMetrics], region: str) -> dict[str, float | None]:
    """Average the training cost over seeds; it belongs to the run, so it stands in the first region only."""
    if region != "all":
        return dict.fromkeys(COST_COLUMNS)
    return {
        column: mean_and_std([file.cost[column] for file in files if column in file.cost])[0]
        for column in COST_COLUMNS
    }


def _row_notes(row: MethodRow, files: Sequence[RunMetrics], seeds: Sequence[int]) -> list[str]:
    notes = [row.note] if row.note else []
    if not files:
        notes.append("Not yet run: there is no result to report.")
        return notes
    missing = sorted(set(seeds) - {file.seed for file in files})
    if missing:
        notes.append(f"Not yet run at seed {', '.join(map(str, missing))}.")
    return notes


def _load_row(row: MethodRow, context: TableContext) -> list[RunMetrics]:
    """Read a row's files and refuse seeds that the table does not have."""
    files = load_run(row.metrics, row.run, context.scale, context.domain_gap)
    seeds = context.seeds if row.seeds is None else row.seeds
    for file in files:
        if file.seed not in seeds:
            raise UserError(
                f"{file.path}: key 'seed' is {file.seed}, which is not one of the row's seeds {list(seeds)}; "
                "correct `seeds` or the list of files."
            )
    return files


def _records(
    row: MethodRow, files: Sequence[RunMetrics], table: str, context: TableContext, notes: list[str]
) -> list[dict[str, Any]]:
    """Make the rows of one method, one per region."""
    return [
        {
            "id": row.id,
            "method": row.label,
            "group": "paper" if row.paper_row is not None else "ours only",
            "run": row.run,
            "region": region,
            "status": MEASURED if files else NOT_YET_RUN,
            "n": len(files),
            "seeds": " ".join(str(file.seed) for file in files),
            **_metric_cells(row, files, region, table, notes),
            **_cost_cells(files, region),
            "scale": context.scale,
            "data": context.data,
            "inputs sha256": sha256_json([file.sha256 for file in files]) if files else None,
        }
        for region in REGIONS
    ]


def build_method_table(rows: Sequence[MethodRow], table: str, context: TableContext) -> MethodTable:
    """Gather metrics files into one table; no cell is ever filled from anything else.

    Args:
        rows: methods in order.
        table: table of the paper whose values stand beside ours, e.g. "table2".
        context: scale, data and seeds.

    Returns:
        The table: one row per method × region ("all", "boston", "singapore").

    Raises:
        UserError: if a row id repeats or a file is malformed, of another run, scale, or seed.
    """
    ids = [row.id for row in rows]
    if len(set(ids)) != len(ids):
        raise UserError(f"The rows of {table} in config/paper.yaml repeat an `id`; give every row its own.")
    records: list[dict[str, Any]] = []
    notes: dict[str, list[str]] = {}
    inputs: list[tuple[str, int, str]] = []
    for row in rows:
        files = _load_row(row, context)
        row_notes = _row_notes(row, files, context.seeds if row.seeds is None else row.seeds)
        records += _records(row, files, table, context, row_notes)
        notes[row.id] = list(dict.fromkeys(row_notes))
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
