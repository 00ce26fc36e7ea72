"""Rows of tables and what a table is measured on; reading the files of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nexusflow.core.errors import UserError
from nexusflow.paper.config import TableConfig
from nexusflow.paper.metrics import RunMetrics, load_run

__all__ = [
    "INITIAL_WEIGHTS",
    "MEASURED",
    "NOT_YET_RUN",
    "MethodRow",
    "TableContext",
    "load_row",
    "mean_and_std",
    "row_group",
    "row_notes",
    "rows_from_config",
    "suite_of",
]

INITIAL_WEIGHTS = {
    "none": "no pretrained weights",
    "imagenet": "backbone pretrained on ImageNet",
    "bevformer": "image backbone of BEVFormer, which has seen the boxes of both cities",
    "uniad": "image backbone of UniAD, which has seen the labels of both cities",
}
"""What a scale says of the weights before the first step, by their source."""
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
        suite: suite that the run belongs to.
    """

    id: str
    label: str
    run: str
    paper_row: str | None = None
    metrics: tuple[Path, ...] = ()
    note: str = ""
    seeds: tuple[int, ...] | None = None
    suite: str = "nuscenes"


@dataclass(frozen=True)
class TableContext:
    """On what a table was measured.

    Args:
        scale: scale name.
        data: one sentence part that describes the data set, e.g. "embedded street world, 72 + 48 scenes".
        seeds: the seeds that were asked for.
        domain_gap: domain gap of the embedded world, None for recorded data.
        comparable: True only where absolute values may be compared with the paper's.
        embedded: True where the data set is an embedded world; one with a domain gap always is.
        initialisation: source of the weights before the first step, "none" where they were drawn.
    """

    scale: str
    data: str
    seeds: tuple[int, ...]
    domain_gap: float | None = None
    comparable: bool = False
    embedded: bool = False
    initialisation: str = "none"

    @property
    def start(self) -> str:
        """Says what training starts with, for captions."""
        return INITIAL_WEIGHTS[self.initialisation]

    def source(self, with_gap: bool = True) -> str:
        """Say in one line what a figure was measured on.

        Args:
            with_gap: whether to name the domain gap.

        Returns:
            Scale, data, initial weights and seeds.
        """
        gap = f", domain gap {self.domain_gap:g}" if with_gap and self.domain_gap is not None else ""
        seeds = f"seed{'s' if len(self.seeds) > 1 else ''} {', '.join(map(str, self.seeds))}"
        return f"Scale {self.scale}; {self.data}{gap}; {self.start}; {seeds}"


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


def rows_from_config(section: TableConfig, metrics: Mapping[str, Sequence[Path]]) -> list[MethodRow]:
    """Join the rows of config/paper.yaml with the files that exist.

    Args:
        section: the table's section.
        metrics: run name → one metrics.json per seed; runs that are absent count as not yet run.

    Returns:
        One row per method, in the section's order.
    """
    return [
        MethodRow(
            id=row.id,
            label=row.label,
            run=row.run,
            paper_row=row.paper,
            metrics=tuple(metrics.get(row.run, ())),
            note=row.note,
            seeds=row.seeds,
            suite=row.suite,
        )
        for row in section.rows
    ]


def suite_of(rows: Sequence[MethodRow], table: str) -> str:
    """Name the suite of a table, and refuse rows that do not belong together.

    Args:
        rows: methods in order.
        table: name of the table, for the error.

    Returns:
        Suite name.

    Raises:
        UserError: if a row id repeats or the rows are of several suites.
    """
    ids = [row.id for row in rows]
    if len(set(ids)) != len(ids):
        raise UserError(f"The rows of {table} in config/paper.yaml repeat an `id`; give every row its own.")
    suites = {row.suite for row in rows}
    if len(suites) != 1:
        raise UserError(
            f"The rows of {table} in config/paper.yaml are of {len(suites)} suites; a table shows one."
        )
    return suites.pop()


def row_notes(row: MethodRow, files: Sequence[RunMetrics], context: TableContext) -> list[str]:
    """Collect the footnotes of a row: its own, and which seeds are missing.

    Args:
        row: the method.
        files: its files.
        context: the table's seeds.

    Returns:
        Sentences.
    """
    notes = [row.note] if row.note else []
    if not files:
        notes.append("Not yet run: there is no result to report.")
        return notes
    missing = sorted(set(context.seeds if row.seeds is None else row.seeds) - {file.seed for file in files})
    if missing:
        notes.append(f"Not yet run at seed {', '.join(map(str, missing))}.")
    return notes


def row_group(row: MethodRow) -> str:
    """Say whether the paper has this row.

    Args:
        row: the method.

    Returns:
        "paper" or "ours only".
    """
    return "paper" if row.paper_row is not None else "ours only"


def load_row(row: MethodRow, context: TableContext) -> list[RunMetrics]:
    """Read a row's files and refuse seeds that the table does not have.

    Args:
        row: the method.
        context: scale, seeds and domain gap that the files must fit.

    Returns:
        The files' content, sorted by seed.

    Raises:
        UserError: if a file is malformed, of another run, suite, scale, domain gap or seed, or if its run
            started with other weights than the configuration says.
    """
    files = load_run(row.metrics, row.run, context.scale, context.domain_gap, row.suite)
    seeds = context.seeds if row.seeds is None else row.seeds
    for file in files:
        if file.initialisation not in (None, context.initialisation):
            raise UserError(
                f"{file.path.with_name('provenance.json')}: key 'initialisation.source' is "
                f"{file.initialisation}, but the backbone's weights.source of the scale {context.scale} is "
                f"{context.initialisation}; train the run again."
            )
        if file.seed not in seeds:
            raise UserError(
                f"{file.path}: key 'seed' is {file.seed}, which is not one of the row's seeds {list(seeds)}; "
                "correct `seeds` or the list of files."
            )
    return files
