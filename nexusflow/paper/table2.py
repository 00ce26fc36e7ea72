"""Table 2 and its sisters (3, A.1, A.2): nuScenes metrics of every method, as CSV and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nexusflow.core.files import write_text
from nexusflow.paper.method_markdown import (
    cost_section,
    format_metric,
    inputs_section,
    method_caption,
    metrics_section,
    notes_section,
    number_notes,
    records_of,
)
from nexusflow.paper.metrics import NUSCENES_METRICS, SUITE_REPORTS
from nexusflow.paper.rows import rows_from_config
from nexusflow.paper.style import REGION_LABELS
from nexusflow.paper.tables import MethodRow, MethodTable, TableContext, build_method_table, write_csv

__all__ = ["build_table2", "format_metric", "rows_from_config", "table2_markdown", "write_table2"]


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


def table2_markdown(table: MethodTable, context: TableContext, title: str) -> str:
    """Write the table for people.

    Args:
        table: the finished table.
        context: scale, data, seeds.
        title: heading.

    Returns:
        Markdown: caption, one grid per region, training cost, footnotes, inputs.
    """
    marks, sentences = number_notes(table.notes)
    parts = [method_caption(title, table, context, SUITE_REPORTS["nuscenes"].title)]
    for region, name in REGION_LABELS.items():
        records = records_of(table.frame, region)
        parts.append(metrics_section(records, NUSCENES_METRICS, marks, f"{name[0].upper()}{name[1:]}"))
    parts.append(cost_section(records_of(table.frame), marks))
    parts += [notes_section(sentences), inputs_section(table.inputs)]
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
