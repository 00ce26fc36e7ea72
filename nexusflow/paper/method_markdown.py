"""Tables of methods as Markdown: caption, grids with the paper's values in brackets, footnotes, inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nexusflow.paper.metrics import COST_COLUMNS
from nexusflow.paper.published import metric_label
from nexusflow.paper.rows import NOT_YET_RUN, TableContext
from nexusflow.paper.tables import MethodTable, markdown_grid

__all__ = [
    "EMPTY",
    "cost_section",
    "format_metric",
    "grouped",
    "inputs_section",
    "method_caption",
    "metrics_section",
    "notes_section",
    "number_notes",
    "paper_sentence",
    "records_of",
    "scale_sentence",
]

EMPTY = "–"
_DECIMALS = {
    "AMOTA": 3,
    "AMOTP": 3,
    "Recall": 3,
    "IDS": 0,
    "Seg IoU": 2,
    "Depth aErr": 4,
    "Norm mErr": 2,
    "Depth RMSE": 4,
    "Depth rel": 4,
    "Norm RMSE": 2,
}
_SUPERSCRIPTS = str.maketrans("0123456789,", "⁰¹²³⁴⁵⁶⁷⁸⁹ ")


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
        return EMPTY
    # A mean of counts over several seeds is no longer whole.
    decimals += metric == "IDS" and float(value) != round(float(value))
    text = f"{value:.{decimals}f}"
    return text if std is None or pd.isna(std) else f"{text} ± {std:.{decimals or 1}f}"


def number_notes(notes: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], list[str]]:
    """Number the footnotes; equal sentences share one number.

    Args:
        notes: row id → sentences.

    Returns:
        Row id → superscript, and the sentences in order.
    """
    sentences = list(dict.fromkeys(note for row in notes.values() for note in row))
    marks = {
        row: ",".join(str(sentences.index(note) + 1) for note in notes_of_row).translate(_SUPERSCRIPTS)
        for row, notes_of_row in notes.items()
    }
    return marks, sentences


def scale_sentence(context: TableContext) -> str:
    """Say on what a table was measured.

    Args:
        context: scale, data, seeds.

    Returns:
        The first sentence of a caption.
    """
    gap = "" if context.domain_gap is None else f", domain gap {context.domain_gap:g}"
    seeds = ", ".join(map(str, context.seeds))
    return f"Scale `{context.scale}`; data: {context.data}{gap}; {context.start}; seeds: {seeds}."


def paper_sentence(context: TableContext, recorded: str) -> str:
    """Say what the paper's values are, and whether they may be compared with ours.

    Args:
        context: says whether the values may be compared.
        recorded: name of the recorded data set.

    Returns:
        Two sentences.
    """
    embedded = context.embedded or context.domain_gap is not None
    verdict = (
        "They may be compared with ours in absolute terms."
        if context.comparable
        else "They are **not comparable in absolute terms** with ours"
        + (", which were measured in the embedded world." if embedded else ".")
    )
    return (
        f"In square brackets: the value printed in the paper, of {recorded} at full scale, single runs. "
        f"{verdict}"
    )


def method_caption(title: str, table: MethodTable, context: TableContext, recorded: str) -> str:
    """Write heading and caption of a table of methods.

    Args:
        title: heading.
        table: the finished table.
        context: scale, data, seeds.
        recorded: name of the recorded data set that the paper used.

    Returns:
        Markdown.
    """
    return (
        f"# {title}\n\n"
        f"{scale_sentence(context)} "
        "Mean ± sample standard deviation over seeds (no ± for one seed). "
        "↑ larger is better, ↓ smaller is better.\n\n"
        f"{paper_sentence(context, recorded)}\n\n"
        f"Inputs: {len(table.inputs)} metrics files, sha256 over all of them `{table.inputs_sha256[:16]}`.\n"
    )


def grouped(records: Sequence[Mapping[str, Any]], cells: Sequence[list[str]]) -> list[list[str]]:
    """Insert a line between the paper's rows and the rows that only we have.

    Args:
        records: one per line, with "group".
        cells: the lines.

    Returns:
        The lines with the inserted one.
    """
    lines: list[list[str]] = []
    previous = None
    for record, line in zip(records, cells, strict=True):
        if previous == "paper" and record["group"] != "paper":
            lines.append(["*Not in the paper:*", *[""] * (len(line) - 1)])
        previous = record["group"]
        lines.append(line)
    return lines


def records_of(frame: pd.DataFrame, region: str = "all") -> list[dict[str, Any]]:
    """Give the rows of one region.

    Args:
        frame: a table's frame.
        region: which region.

    Returns:
        One dictionary per method.
    """
    chosen = frame[frame["region"] == region]
    return [{str(key): value for key, value in record.items()} for record in chosen.to_dict("records")]


def _metric_text(record: Mapping[str, Any], metric: str) -> str:
    text = format_metric(metric, record[metric], record[f"{metric} std"])
    paper = record.get(f"{metric} paper")
    return text if paper is None or pd.isna(paper) else f"{text} [{paper}]"


def metrics_section(
    records: Sequence[Mapping[str, Any]], metrics: Sequence[str], marks: Mapping[str, str], heading: str
) -> str:
    """Write one grid of methods × metrics.

    Args:
        records: one per method.
        metrics: columns.
        marks: row id → superscript.
        heading: heading of the grid.

    Returns:
        Markdown.
    """
    cells = [
        [
            f"{record['method']}{marks[record['id']]}",
            NOT_YET_RUN if record["status"] == NOT_YET_RUN else str(record["n"]),
            *(_metric_text(record, metric) for metric in metrics),
        ]
        for record in records
    ]
    header = ["Method", "seeds", *(metric_label(metric) for metric in metrics)]
    return f"\n## {heading}\n\n" + markdown_grid(header, grouped(records, cells))


def cost_section(records: Sequence[Mapping[str, Any]], marks: Mapping[str, str]) -> str:
    """Write what training cost.

    Args:
        records: one per method.
        marks: row id → superscript.

    Returns:
        Markdown.
    """
    cells = [
        [
            f"{record['method']}{marks[record['id']]}",
            *(EMPTY if pd.isna(record[name]) else f"{record[name]:.0f}" for name in COST_COLUMNS),
        ]
        for record in records
    ]
    grid = markdown_grid(["Method", *COST_COLUMNS], grouped(records, cells))
    return "\n## Cost of training (mean over seeds)\n\n" + grid


def notes_section(sentences: Sequence[str]) -> str:
    """Write the footnotes.

    Args:
        sentences: in order of their numbers.

    Returns:
        Markdown, empty if there are none.
    """
    lines = "".join(f"{i}. {text}\n" for i, text in enumerate(sentences, 1))
    return f"\n## Notes\n\n{lines}" if sentences else ""


def inputs_section(inputs: Sequence[tuple[str, int, str]]) -> str:
    """List the files that went in.

    Args:
        inputs: (run, seed, sha256) of every metrics file.

    Returns:
        Markdown, empty if there are none.
    """
    rows = [[f"{run}, seed {seed}", f"`{digest[:16]}`"] for run, seed, digest in inputs]
    return "\n## Inputs\n\n" + markdown_grid(["metrics.json of", "sha256"], rows, left=2) if inputs else ""
