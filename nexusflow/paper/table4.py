"""Table 4: NYUv2 metrics of every method, as CSV and Markdown; the last epoch is the main number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nexusflow.core.files import write_text
from nexusflow.paper.method_markdown import (
    EMPTY,
    cost_section,
    format_metric,
    grouped,
    inputs_section,
    method_caption,
    metrics_section,
    notes_section,
    number_notes,
    records_of,
)
from nexusflow.paper.metrics import SUITE_REPORTS
from nexusflow.paper.published import metric_label
from nexusflow.paper.rows import MethodRow, TableContext
from nexusflow.paper.tables import MethodTable, build_method_table, markdown_grid, write_csv

__all__ = ["build_table4", "table4_markdown", "write_table4"]

_REPORT = SUITE_REPORTS["nyuv2"]
_MAIN = "Last epoch: the main numbers"
_FURTHER = "Last epoch: further metrics"
_BEST = "Best epoch, selected on the reported split and therefore optimistic"
_BEST_TEXT = (
    "Of every run, the validation during training with the largest mean relative gain over the last one. "
    "MTAN and MTPSL select their epochs in a like manner, on the very images that they report; the paper "
    "does not say which epoch it reports.\n\n"
)


def build_table4(rows: Sequence[MethodRow], context: TableContext, table: str = "table4") -> MethodTable:
    """Gather Table 4 from metrics files and the provenance beside them.

    Args:
        rows: methods in order, of the suite nyuv2.
        context: scale, data, seeds.
        table: table of the paper whose values stand beside ours.

    Returns:
        The table: metrics of the last epoch, of the best epoch ("best …"), and cost.

    Raises:
        UserError: naming the file and key if an input is malformed.

    Source:
        Table 4 of the paper; further metrics as in MTAN.
    """
    return build_method_table(rows, table, context)


def _best_section(records: Sequence[Mapping[str, Any]], marks: Mapping[str, str]) -> str:
    """Write the grid of the best epochs; rows that record none get dashes."""
    cells = []
    for record in records:
        step, std = record["best step"], record["best step std"]
        spread = "" if pd.isna(std) else f" ± {std:.0f}"
        cells.append(
            [
                f"{record['method']}{marks[record['id']]}",
                EMPTY if pd.isna(step) else f"{step:.0f}{spread}",
                *(
                    format_metric(metric, record[f"best {metric}"], record[f"best {metric} std"])
                    for metric in _REPORT.selected
                ),
            ]
        )
    header = ["Method", "step", *(metric_label(metric) for metric in _REPORT.selected)]
    return f"\n## {_BEST}\n\n{_BEST_TEXT}" + markdown_grid(header, grouped(records, cells))


def table4_markdown(table: MethodTable, context: TableContext, title: str) -> str:
    """Write the table for people.

    Args:
        table: the finished table.
        context: scale, data, seeds.
        title: heading.

    Returns:
        Markdown: caption, main numbers, further metrics, best epoch, training cost, footnotes, inputs.
    """
    marks, sentences = number_notes(table.notes)
    records = records_of(table.frame)
    return "".join(
        [
            method_caption(title, table, context, _REPORT.title),
            metrics_section(records, _REPORT.metrics, marks, _MAIN),
            metrics_section(records, _REPORT.further, marks, _FURTHER),
            _best_section(records, marks),
            cost_section(records, marks),
            notes_section(sentences),
            inputs_section(table.inputs),
        ]
    )


def write_table4(
    rows: Sequence[MethodRow],
    context: TableContext,
    csv_path: Path,
    markdown_path: Path,
    title: str = "Table 4. NYUv2, labels partitioned by clusters",
    table: str = "table4",
) -> MethodTable:
    """Build Table 4 and write it as CSV and Markdown.

    Args:
        rows: methods in order, of the suite nyuv2.
        context: scale, data, seeds.
        csv_path: destination of the CSV.
        markdown_path: destination of the Markdown.
        title: heading.
        table: table of the paper whose values stand beside ours.

    Returns:
        The table.

    Raises:
        UserError: naming the file and key if an input is malformed.
    """
    built = build_table4(rows, context, table)
    write_csv(csv_path, built.frame)
    write_text(markdown_path, table4_markdown(built, context, title))
    return built
