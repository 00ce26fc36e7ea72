"""Tables B.1 and B.2: NYUv2 metrics against one setting, metrics as rows, as CSV, Markdown and figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nexusflow.core.files import write_text
from nexusflow.paper.ablation_figure import draw_ablation
from nexusflow.paper.config import AblationTableConfig
from nexusflow.paper.method_markdown import (
    EMPTY,
    format_metric,
    inputs_section,
    method_caption,
    notes_section,
    number_notes,
)
from nexusflow.paper.metrics import SUITE_REPORTS
from nexusflow.paper.published import metric_info, metric_label
from nexusflow.paper.rows import MethodRow, TableContext
from nexusflow.paper.style import save_figure
from nexusflow.paper.tables import MethodTable, build_method_table, markdown_grid, write_csv

__all__ = ["ablation_frame", "build_table_b", "table_b_markdown", "write_table_b"]

_REPORT = SUITE_REPORTS["nyuv2"]


def build_table_b(rows: Sequence[MethodRow], context: TableContext, table: str) -> MethodTable:
    """Gather an ablation from metrics files, one row per setting.

    Args:
        rows: settings in order; `paper_row` names the column of the printed table.
        context: scale, data, seeds.
        table: "tableB1" or "tableB2".

    Returns:
        The table, one row per setting; `ablation_frame` turns it into the paper's layout.

    Raises:
        UserError: naming the file and key if an input is malformed.

    Source:
        Tables B.1 and B.2 of the paper.
    """
    return build_method_table(rows, table, context)


def _cells(records: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    """Lay the settings of one metric side by side."""
    cells: dict[str, Any] = {}
    for record in records:
        label = record["method"]
        cells |= {label: record[metric], f"{label} std": record[f"{metric} std"]}
        cells |= {f"{label} n": record["n"], f"{label} paper": record.get(f"{metric} paper")}
    return cells


def ablation_frame(table: MethodTable) -> pd.DataFrame:
    """Lay an ablation out as the paper prints it.

    Args:
        table: result of `build_table_b`.

    Returns:
        One row per metric, the paper's first; per setting its mean, "std", "n" and "paper".
    """
    records = [{str(key): value for key, value in row.items()} for row in table.frame.to_dict("records")]
    shared = {"scale": records[0]["scale"], "data": records[0]["data"]}
    return pd.DataFrame.from_records(
        [
            {
                "metric": metric,
                "group": "paper" if metric in _REPORT.metrics else "ours only",
                "better": metric_info(metric).direction,
                "unit": metric_info(metric).unit,
                **_cells(records, metric),
                **shared,
                "inputs sha256": table.inputs_sha256,
            }
            for metric in (*_REPORT.metrics, *_REPORT.further)
        ]
    )


def _text(record: Mapping[str, Any], label: str) -> str:
    text = format_metric(str(record["metric"]), record[label], record[f"{label} std"])
    paper = record[f"{label} paper"]
    return text if paper is None or pd.isna(paper) else f"{text} [{paper}]"


def _grid(frame: pd.DataFrame, labels: Mapping[str, str], group: str) -> str:
    """Write the metrics of one group; the first line says how many seeds each setting has."""
    part = frame[frame["group"] == group].to_dict("records")
    seeds = [str(part[0][f"{label} n"]) if part[0][f"{label} n"] else EMPTY for label in labels]
    lines = [["seeds", *seeds]]
    for row in part:
        record = {str(key): value for key, value in row.items()}
        lines.append([metric_label(str(record["metric"])), *(_text(record, label) for label in labels)])
    header = ["", *(f"{label}{mark}" for label, mark in labels.items())]
    return markdown_grid(header, lines)


def table_b_markdown(table: MethodTable, context: TableContext, title: str, axis: str) -> str:
    """Write an ablation for people.

    Args:
        table: result of `build_table_b`.
        context: scale, data, seeds.
        title: heading.
        axis: what the numbers above the columns count.

    Returns:
        Markdown: caption, main numbers, further metrics, footnotes, inputs.
    """
    marks, sentences = number_notes(table.notes)
    frame = ablation_frame(table)
    labels = {
        str(row["method"]): f"{' (not in the paper)' if row['group'] != 'paper' else ''}{marks[row['id']]}"
        for row in table.frame.to_dict("records")
    }
    return "".join(
        [
            method_caption(title, table, context, _REPORT.title),
            f"\n## Last epoch: the main numbers\n\nNumbers above the columns: {axis}.\n\n",
            _grid(frame, labels, "paper"),
            "\n## Last epoch: further metrics\n\n",
            _grid(frame, labels, "ours only"),
            notes_section(sentences),
            inputs_section(table.inputs),
        ]
    )


def write_table_b(
    section: AblationTableConfig,
    rows: Sequence[MethodRow],
    context: TableContext,
    csv_path: Path,
    markdown_path: Path,
    figure_paths: Sequence[Path],
    dpi: int = 200,
    width_in: float = 12.0,
) -> MethodTable:
    """Build Table B.1 or B.2 and write it as CSV, Markdown and figure.

    Args:
        section: the table's section of config/paper.yaml.
        rows: its settings with their files, by `rows_from_config`.
        context: scale, data, seeds.
        csv_path: destination of the CSV.
        markdown_path: destination of the Markdown.
        figure_paths: destinations of the figure, .png or .pdf.
        dpi: dots per inch of the PNG.
        width_in: width of the figure, inches.

    Returns:
        The table, one row per setting.

    Raises:
        UserError: naming the file and key if an input is malformed.
    """
    built = build_table_b(rows, context, section.paper_table)
    write_csv(csv_path, ablation_frame(built))
    write_text(markdown_path, table_b_markdown(built, context, section.title, section.axis))
    values = {row.id: row.value for row in section.rows}
    figure = draw_ablation(built.frame, values, section.axis, section.title, context, width_in)
    save_figure(figure, figure_paths, dpi)
    return built
