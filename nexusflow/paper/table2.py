"""Table 2 and its sisters (3, A.1, A.2): nuScenes metrics of every method, as CSV and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nexusflow.core.files import write_text
from nexusflow.paper.config import MethodTableConfig
from nexusflow.paper.metrics import COST_COLUMNS, NUSCENES_METRICS
from nexusflow.paper.published import metric_label
from nexusflow.paper.style import REGION_LABELS
from nexusflow.paper.tables import (
    NOT_YET_RUN,
    MethodRow,
    MethodTable,
    TableContext,
    build_method_table,
    markdown_grid,
    write_csv,
)

__all__ = ["build_table2", "format_metric", "rows_from_config", "table2_markdown", "write_table2"]

_DECIMALS = {"AMOTA": 3, "AMOTP": 3, "Recall": 3, "IDS": 0}
_SUPERSCRIPTS = str.maketrans("0123456789,", "⁰¹²³⁴⁵⁶⁷⁸⁹ ")
_EMPTY = "–"


def rows_from_config(section: MethodTableConfig, metrics: Mapping[str, Sequence[Path]]) -> list[MethodRow]:
    """Join the rows of config/paper.yaml with the files that exist.

    Args:
        section: the table's section.
        metrics: run name → one metrics.json per seed; runs that are absent count as not yet run.

    Returns:
        One row per method, in the section's order.
    """
    return [
        MethodRow(row.id, row.label, row.run, row.paper, tuple(metrics.get(row.run, ())), row.note, row.seeds)
        for row in section.rows
    ]


def build_table2(rows: Sequence[MethodRow], context: TableContext, table: str = "table2") -> MethodTable:
    """Gather Table 2 from metrics files.

    Args:
        rows: methods in order.
        context: scale, data, seeds.
        table: table of the paper whose values stand beside ours.

    Returns:
        The table.

    Raises:
        UserError: naming the file and key if an input is malformed.

    Source:
        Table 2 of the paper, contour IoU added.
    """
    return build_method_table(rows, table, context)


def format_metric(metric: str, value: float | None, std: float | None = None) -> str:
    """Write a mean with its spread at the precision of the paper's table.

    Args:
        metric: metric name.
        value: mean over seeds, None or NaN if unknown.
        std: sample standard deviation, None or NaN if unknown.

    Returns:
        For example "0.318 ± 0.004", or a dash.
    """
    decimals = _DECIMALS.get(metric, 1)
    if value is None or pd.isna(value):
        return _EMPTY
    # A mean of counts over several seeds is no longer whole.
    decimals += metric == "IDS" and float(value) != round(float(value))
    text = f"{value:.{decimals}f}"
    return text if std is None or pd.isna(std) else f"{text} ± {std:.{decimals or 1}f}"


def _number_notes(table: MethodTable) -> tuple[dict[str, str], list[str]]:
    """Number the footnotes; equal sentences share one number."""
    sentences = list(dict.fromkeys(note for notes in table.notes.values() for note in notes))
    marks = {
        row: ",".join(str(sentences.index(note) + 1) for note in notes).translate(_SUPERSCRIPTS)
        for row, notes in table.notes.items()
    }
    return marks, sentences


def _caption(title: str, table: MethodTable, context: TableContext) -> str:
    gap = "" if context.domain_gap is None else f", domain gap {context.domain_gap:g}"
    seeds = ", ".join(map(str, context.seeds))
    verdict = (
        "They may be compared with ours in absolute terms."
        if context.comparable
        else "They are **not comparable in absolute terms** with ours"
        + (", which were measured in the embedded world." if context.domain_gap is not None else ".")
    )
    return (
        f"# {title}\n\n"
        f"Scale `{context.scale}`; data: {context.data}{gap}; seeds: {seeds}. "
        "Mean ± sample standard deviation over seeds (no ± for one seed). "
        "↑ larger is better, ↓ smaller is better.\n\n"
        "In square brackets: the value printed in the paper, of nuScenes at full scale, single runs. "
        f"{verdict}\n\n"
        f"Inputs: {len(table.inputs)} metrics files, sha256 over all of them `{table.inputs_sha256[:16]}`.\n"
    )


def _metric_text(record: Mapping[str, Any], metric: str) -> str:
    text = format_metric(metric, record[metric], record[f"{metric} std"])
    paper = record[f"{metric} paper"]
    return text if paper is None or pd.isna(paper) else f"{text} [{paper}]"


def _grouped(records: Sequence[Mapping[str, Any]], cells: Sequence[list[str]]) -> list[list[str]]:
    """Insert a line between the paper's rows and the rows that only we have."""
    lines: list[list[str]] = []
    previous = None
    for record, line in zip(records, cells, strict=True):
        if previous == "paper" and record["group"] != "paper":
            lines.append(["*Not in the paper:*", *[""] * (len(line) - 1)])
        previous = record["group"]
        lines.append(line)
    return lines


def _region_records(table: MethodTable, region: str) -> list[dict[str, Any]]:
    chosen = table.frame[table.frame["region"] == region]
    return [{str(key): value for key, value in record.items()} for record in chosen.to_dict("records")]


def _metrics_section(table: MethodTable, region: str, marks: Mapping[str, str]) -> str:
    records = _region_records(table, region)
    cells = [
        [
            f"{record['method']}{marks[record['id']]}",
            NOT_YET_RUN if record["status"] == NOT_YET_RUN else str(record["n"]),
            *(_metric_text(record, metric) for metric in NUSCENES_METRICS),
        ]
        for record in records
    ]
    header = ["Method", "seeds", *(metric_label(metric) for metric in NUSCENES_METRICS)]
    name = REGION_LABELS[region]
    return f"\n## {name[0].upper()}{name[1:]}\n\n" + markdown_grid(header, _grouped(records, cells))


def _cost_section(table: MethodTable, marks: Mapping[str, str]) -> str:
    records = _region_records(table, "all")
    cells = [
        [
            f"{record['method']}{marks[record['id']]}",
            *(_EMPTY if pd.isna(record[name]) else f"{record[name]:.0f}" for name in COST_COLUMNS),
        ]
        for record in records
    ]
    return "\n## Cost of training (mean over seeds)\n\n" + markdown_grid(
        ["Method", *COST_COLUMNS], _grouped(records, cells)
    )


def table2_markdown(table: MethodTable, context: TableContext, title: str) -> str:
    """Write the table for people.

    Args:
        table: the finished table.
        context: scale, data, seeds.
        title: heading.

    Returns:
        Markdown: caption, one grid per region, training cost, footnotes, inputs.
    """
    marks, sentences = _number_notes(table)
    parts = [_caption(title, table, context)]
    parts += [_metrics_section(table, region, marks) for region in REGION_LABELS]
    parts.append(_cost_section(table, marks))
    if sentences:
        parts.append("\n## Notes\n\n" + "".join(f"{i}. {text}\n" for i, text in enumerate(sentences, 1)))
    if table.inputs:
        rows = [[f"{run}, seed {seed}", f"`{digest[:16]}`"] for run, seed, digest in table.inputs]
        parts.append("\n## Inputs\n\n" + markdown_grid(["metrics.json of", "sha256"], rows, left=2))
    return "".join(parts)


def write_table2(
    rows: Sequence[MethodRow],
    context: TableContext,
    csv_path: Path,
    markdown_path: Path,
    title: str = "Table 2. nuScenes, S-Geo partition",
    table: str = "table2",
) -> MethodTable:
    """Build Table 2 and write it as CSV and Markdown.

    Args:
        rows: methods in order.
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
    built = build_table2(rows, context, table)
    write_csv(csv_path, built.frame)
    write_text(markdown_path, table2_markdown(built, context, title))
    return built
