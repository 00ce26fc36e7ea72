"""Table 5: training time and memory of every method on NYUv2, measured, as CSV and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_json, write_text
from nexusflow.paper.cost import CostReport, StepCost, read_cost
from nexusflow.paper.method_markdown import (
    EMPTY,
    grouped,
    inputs_section,
    notes_section,
    number_notes,
    scale_sentence,
)
from nexusflow.paper.metrics import RunMetrics
from nexusflow.paper.published import published_cell
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
from nexusflow.paper.tables import MethodTable, markdown_grid, write_csv

__all__ = ["build_table5", "table5_markdown", "write_table5"]

_TIME, _MEMORY = "Training time", "GPU memory"
# Largest training time shown in a unit, seconds per unit, name.
_UNITS = ((600.0, 1.0, "s"), (7200.0, 60.0, "min"), (float("inf"), 3600.0, "h"))


def _ratio(value: float | None, reference: float | None) -> float | None:
    return None if value is None or not reference else value / reference


def _paper_values(table: str, row: MethodRow) -> dict[str, float | None]:
    names = (_TIME, _MEMORY)
    if row.paper_row is None:
        return dict.fromkeys(names)
    return {name: published_cell(table, row.paper_row, name).value for name in names}


def _paper_cells(table: str, row: MethodRow, reference: MethodRow) -> dict[str, Any]:
    """Fill what the paper prints, and its ratios to the reference, of rounded values."""
    ours, theirs = _paper_values(table, row), _paper_values(table, reference)
    printed = {
        name: published_cell(table, row.paper_row, name).printed if row.paper_row else None
        for name in (_TIME, _MEMORY)
    }
    return {
        "training time paper": printed[_TIME],
        "memory paper": printed[_MEMORY],
        "training time ratio paper": _ratio(ours[_TIME], theirs[_TIME]),
        "memory ratio paper": _ratio(ours[_MEMORY], theirs[_MEMORY]),
    }


def _cost_cells(cost: StepCost | None, reference: StepCost | None) -> dict[str, float | None]:
    """Fill what was measured step by step, and the ratios to the reference."""

    def of(name: str) -> float | None:
        return None if cost is None else float(getattr(cost, name))

    def ratio(name: str) -> float | None:
        return _ratio(of(name), None if reference is None else float(getattr(reference, name)))

    return {
        "seconds per step": of("seconds"),
        "seconds per step IQR": of("seconds_iqr"),
        "images per second": of("images_per_second"),
        "peak memory MiB": of("peak_memory_mib"),
        "idle memory MiB": of("idle_memory_mib"),
        "step time ratio": ratio("seconds"),
        "memory ratio": ratio("peak_memory_mib"),
    }


def _time_cells(files: Sequence[RunMetrics]) -> dict[str, Any]:
    values = [file.cost["train seconds"] for file in files if "train seconds" in file.cost]
    mean, std = mean_and_std(values)
    return {"train seconds": mean, "train seconds std": std, "n": len(values)}


def _record(
    row: MethodRow, files: Sequence[RunMetrics], report: CostReport, reference: MethodRow, table: str
) -> dict[str, Any]:
    """Make the row of one method."""
    cost = report.rows.get(row.run)
    return {
        "id": row.id,
        "method": row.label,
        "group": row_group(row),
        "run": row.run,
        "status": MEASURED if cost is not None else NOT_YET_RUN,
        **_time_cells(files),
        "seeds": " ".join(str(file.seed) for file in files),
        **_cost_cells(cost, report.rows.get(reference.run)),
        **_paper_cells(table, row, reference),
        "device": report.device,
        "threads": report.threads,
        "batch size": report.batch_size,
        "image height": report.image_height,
        "image width": report.image_width,
        "cost sha256": report.sha256,
        "inputs sha256": sha256_json([file.sha256 for file in files]) if files else None,
    }


def _notes(
    row: MethodRow, files: Sequence[RunMetrics], report: CostReport, context: TableContext
) -> list[str]:
    notes = row_notes(row, files, context)
    if files and row.run not in report.rows:
        notes.append("Its training steps were not measured.")
    if len(files) != sum("train seconds" in file.cost for file in files):
        notes.append("Some of its runs do not say how long they took.")
    return notes


def build_table5(
    rows: Sequence[MethodRow],
    report: CostReport,
    context: TableContext,
    reference: str = "baseline",
    table: str = "table5",
) -> MethodTable:
    """Gather the cost of training.

    Args:
        rows: methods in order, of the suite nyuv2; training time is taken from the provenance beside their
            metrics files.
        report: cost of single steps, measured in turns.
        context: scale, data, seeds.
        reference: id of the row that the ratios refer to.
        table: table of the paper whose values stand beside ours.

    Returns:
        The table, one row per method.

    Raises:
        UserError: if there is no row `reference`, the cost file is of another scale, or a file is malformed.

    Source:
        Table 5 of the paper.
    """
    suite_of(rows, table)
    by_id = {row.id: row for row in rows}
    if reference not in by_id:
        raise UserError(f"config/paper.yaml: key `{table}.reference` names no row: {reference}.")
    if report.scale not in (None, context.scale):
        raise UserError(
            f"{report.path}: key 'scale' is {report.scale}, not {context.scale}; scales are never mixed."
        )
    records, notes, inputs = [], {}, []
    for row in rows:
        files = load_row(row, context)
        record = _record(row, files, report, by_id[reference], table)
        records.append(record | {"scale": context.scale, "data": context.data})
        notes[row.id] = _notes(row, files, report, context)
        inputs += [(file.run, file.seed, file.sha256) for file in files]
    return MethodTable(pd.DataFrame.from_records(records), notes, tuple(inputs))


def _text(value: Any, decimals: int, paper: Any = None) -> str:
    """Write a number and, in brackets, the paper's."""
    text = EMPTY if value is None or pd.isna(value) else f"{value:.{decimals}f}"
    if paper is None or pd.isna(paper):
        return text
    return f"{text} [{paper if isinstance(paper, str) else f'{paper:.2f}'}]"


def _time_text(record: Mapping[str, Any], seconds_per_unit: float) -> str:
    paper, mean, std = record["training time paper"], record["train seconds"], record["train seconds std"]
    if pd.isna(mean):
        return _text(None, 0, paper)
    decimals = 0 if seconds_per_unit == 1.0 else 1
    text = f"{mean / seconds_per_unit:.{decimals}f}"
    if not pd.isna(std):
        text += f" ± {std / seconds_per_unit:.{max(decimals, 1)}f}"
    return text if paper is None or pd.isna(paper) else f"{text} [{paper}]"


def _step_text(record: Mapping[str, Any]) -> str:
    if record["status"] == NOT_YET_RUN:
        return EMPTY
    return f"{record['seconds per step']:.3f} ({record['seconds per step IQR']:.3f})"


def _caption(title: str, context: TableContext, report: CostReport, reference: str) -> str:
    size = f"{report.image_height} × {report.image_width}"
    plural = "s" if report.threads > 1 else ""
    return (
        f"# {title}\n\n"
        f"{scale_sentence(context)} Device: {report.device}, {report.threads} thread{plural} per training; "
        f"batch of {report.batch_size} images of {size} pixels.\n\n"
        "Training time: wall clock of a whole training without validation, mean ± sample standard deviation "
        "over seeds; other work may have run beside it. Time per step (median, with the distance of the "
        "quartiles in round brackets), images per second and memory: measured in a process per method, in "
        f"{report.rounds} turns, so that a busy machine burdens all methods alike. Memory: {report.memory}. "
        f"Ratios: to the row “{reference}”.\n\n"
        "In square brackets: what the paper prints, of one A100 at 288 × 384 pixels, and the ratios of its "
        "rounded values. Times and memory are **not comparable in absolute terms**; ratios are.\n"
    )


def table5_markdown(
    table: MethodTable, context: TableContext, report: CostReport, title: str, reference: str = "baseline"
) -> str:
    """Write the table for people.

    Args:
        table: result of `build_table5`.
        context: scale, data, seeds.
        report: the measurement, for the caption.
        title: heading.
        reference: id of the row that the ratios refer to.

    Returns:
        Markdown: caption, one grid, footnotes, inputs.
    """
    marks, sentences = number_notes(table.notes)
    records = [{str(key): value for key, value in row.items()} for row in table.frame.to_dict("records")]
    seconds = [float(row["train seconds"]) for row in records if not pd.isna(row["train seconds"])]
    longest = max(seconds, default=0.0)
    _, per_unit, unit = next(entry for entry in _UNITS if longest <= entry[0])
    lines = [
        [
            f"{row['method']}{marks[row['id']]}",
            str(row["n"]) if row["n"] else NOT_YET_RUN,
            _time_text(row, per_unit),
            _step_text(row),
            _text(row["images per second"], 1),
            _text(row["step time ratio"], 2, row["training time ratio paper"]),
            _text(row["peak memory MiB"], 0, row["memory paper"]),
            _text(row["memory ratio"], 2, row["memory ratio paper"]),
        ]
        for row in records
    ]
    header = ["Method", "seeds", f"training time ({unit})", "time per step (s)", "images/s", "time ratio"]
    header += ["peak memory (MiB)", "memory ratio"]
    name = next(row["method"] for row in records if row["id"] == reference)
    parts = [_caption(title, context, report, name), "\n", markdown_grid(header, grouped(records, lines))]
    cost = f"\nCost file: sha256 `{report.sha256[:16]}`.\n"
    return "".join([*parts, cost, notes_section(sentences), inputs_section(table.inputs)])


def write_table5(
    rows: Sequence[MethodRow],
    cost_path: Path,
    context: TableContext,
    csv_path: Path,
    markdown_path: Path,
    title: str = "Table 5. Cost of training on NYUv2",
    reference: str = "baseline",
    table: str = "table5",
) -> MethodTable:
    """Build Table 5 and write it as CSV and Markdown.

    Args:
        rows: methods in order, of the suite nyuv2.
        cost_path: the file that `nexusflow cost` wrote.
        context: scale, data, seeds.
        csv_path: destination of the CSV.
        markdown_path: destination of the Markdown.
        title: heading.
        reference: id of the row that the ratios refer to.
        table: table of the paper whose values stand beside ours.

    Returns:
        The table.

    Raises:
        UserError: naming the file and key if an input is malformed.
    """
    report = read_cost(cost_path)
    built = build_table5(rows, report, context, reference, table)
    write_csv(csv_path, built.frame)
    write_text(markdown_path, table5_markdown(built, context, report, title, reference))
    return built
