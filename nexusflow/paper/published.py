"""The numbers printed in the paper, as strings and as floats, keyed by table, row and column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from nexusflow.core.errors import UserError
from nexusflow.core.yaml_files import read_yaml

__all__ = [
    "MetricInfo",
    "PublishedCell",
    "metric_info",
    "metric_label",
    "published_cell",
    "published_cells",
    "published_frame",
    "published_metric",
    "published_title",
]

_DATA_PATH = Path(__file__).with_name("published.yaml")
_NOT_GIVEN = "\\"
_NUMBER = re.compile(r"^~?(?P<value>-?\d+(?:\.\d+)?)(?: ± (?P<spread>\d+(?:\.\d+)?))?(?: (?:h|MiB))?$")
_ARROWS = {"up": "↑", "down": "↓"}


@dataclass(frozen=True)
class MetricInfo:
    """What a metric means and which way is better.

    Args:
        name: the name used in the tables.
        direction: "up" if larger is better, else "down".
        unit: unit of the printed numbers, empty for pure numbers and counts.
        meaning: a few words.
        upper_bound: largest possible value, if the metric has one.
    """

    name: str
    direction: Literal["up", "down"]
    unit: str
    meaning: str
    upper_bound: float | None = None


@dataclass(frozen=True)
class PublishedCell:
    """One printed number.

    Args:
        table: "table1" … "table5", "tableA1", "tableA2", "tableB1" or "tableB2".
        row: row label.
        column: column label.
        metric: name of the metric that the cell measures.
        printed: the text in the paper.
        value: the number in it, None where the paper gives none.
        spread: the number after ±, if any.
        impossible: True if the metric cannot take this value.
        note: what is wrong with the cell, else empty.
    """

    table: str
    row: str
    column: str
    metric: str
    printed: str
    value: float | None
    spread: float | None = None
    impossible: bool = False
    note: str = ""


@cache
def _content() -> dict[str, Any]:
    content = read_yaml(_DATA_PATH)
    assert isinstance(content, dict)
    return content


def _parse(printed: str) -> tuple[float | None, float | None]:
    """Split a printed cell into its number and the number after ±."""
    if printed == _NOT_GIVEN:
        return None, None
    match = _NUMBER.match(printed)
    assert match is not None, f"unreadable published cell {printed!r}"
    spread = match["spread"]
    return float(match["value"]), None if spread is None else float(spread)


def _cells_of(table: str, content: dict[str, Any]) -> list[PublishedCell]:
    notes = {(note["row"], note["column"]): note for note in content.get("notes", [])}
    cells = []
    for row, values in content["rows"].items():
        assert len(values) == len(content["columns"]), f"{table}, row {row}: wrong number of cells"
        for column, printed in zip(content["columns"], values, strict=True):
            metric = {"column": column, "row": row}.get(content["metric"], content["metric"])
            value, spread = _parse(printed)
            note = notes.get((row, column), {})
            impossible = bool(note.get("impossible", False))
            cells.append(
                PublishedCell(
                    table, row, column, metric, printed, value, spread, impossible, note.get("note", "")
                )
            )
    return cells


@cache
def published_cells() -> dict[tuple[str, str, str], PublishedCell]:
    """Give every printed number of the paper's tables.

    Returns:
        Cells by (table, row, column), in the paper's order.

    Source:
        Tables 1–5, A.1, A.2, B.1, B.2.
    """
    return {
        (cell.table, cell.row, cell.column): cell
        for table, content in _content()["tables"].items()
        for cell in _cells_of(table, content)
    }


def published_cell(table: str, row: str, column: str) -> PublishedCell:
    """Look up one printed number.

    Args:
        table: table name, e.g. "table2".
        row: row label, e.g. "MTPSL".
        column: column label, e.g. "AMOTA".

    Returns:
        The cell.

    Raises:
        UserError: if the paper has no such cell.
    """
    cell = published_cells().get((table, row, column))
    if cell is None:
        tables = _content()["tables"]
        kind, known = "tables", list(tables)
        if table in tables:
            by_column = row in tables[table]["rows"]
            kind = "columns" if by_column else "rows"
            known = list(tables[table][kind])
        raise UserError(
            f"The paper has no cell ({table}, {row}, {column}); known {kind}: {', '.join(known)}; "
            "correct the `paper` key in config/paper.yaml."
        )
    return cell


def published_metric(table: str, label: str, metric: str) -> PublishedCell | None:
    """Look up what the paper prints for a method or setting, whichever way its table lies.

    Args:
        table: table name.
        label: label of the method or setting: a row, or a column where the table's rows are metrics.
        metric: metric name.

    Returns:
        The cell, or None if the table does not print this metric at all.

    Raises:
        UserError: if the table has no such method or setting.
    """
    printed = [cell for cell in published_cells().values() if (cell.table, cell.metric) == (table, metric)]
    if not printed:
        return None
    if _content()["tables"][table]["metric"] == "row":
        return published_cell(table, metric, label)
    return published_cell(table, label, metric)


def published_frame(table: str) -> pd.DataFrame:
    """Give a table as printed.

    Args:
        table: table name.

    Returns:
        Strings, indexed by row label, one column per printed column.

    Raises:
        UserError: if the paper has no such table.
    """
    content = _content()["tables"].get(table)
    if content is None:
        raise UserError(f"The paper has no {table}; known tables: {', '.join(_content()['tables'])}.")
    return pd.DataFrame.from_dict(content["rows"], orient="index", columns=content["columns"])


def published_title(table: str) -> str:
    """Give a table's subject in a few words.

    Args:
        table: table name.

    Returns:
        The title.
    """
    return str(_content()["tables"][table]["title"])


def metric_info(name: str) -> MetricInfo:
    """Say what a metric means and which way is better.

    Args:
        name: metric name as in the tables.

    Returns:
        Direction, unit and meaning.

    Raises:
        UserError: if the metric is unknown.
    """
    entry = _content()["metrics"].get(name)
    if entry is None:
        raise UserError(f"Unknown metric {name}; known metrics: {', '.join(_content()['metrics'])}.")
    return MetricInfo(name=name, **entry)


def metric_label(name: str) -> str:
    """Write a metric's name with its arrow and unit, for headings and axes.

    Args:
        name: metric name.

    Returns:
        For example "Lanes ↑ (%)".
    """
    info = metric_info(name)
    unit = f" ({info.unit})" if info.unit else ""
    return f"{name} {_ARROWS[info.direction]}{unit}"
