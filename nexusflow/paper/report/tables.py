"""From the CSV of a table to its grids: ours, the regions, and ours beside the paper's values."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nexusflow.paper.method_markdown import format_metric
from nexusflow.paper.metrics import COST_COLUMNS
from nexusflow.paper.report.grid import (
    Cell,
    Grid,
    column_grid,
    is_metric,
    label_of,
    number_of,
    plain_cells,
    text_cell,
    value_cell,
)
from nexusflow.paper.style import REGION_LABELS

__all__ = ["table_grids"]

_HIDDEN = (
    "id",
    "group",
    "status",
    "n",
    "scale",
    "data",
    "better",
    "unit",
    "treatment",
    "reference",
    "differences",
)
# Columns that say which row it is, in the order in which they are shown.
_NAMES = (
    "suite",
    "method",
    "treatment label",
    "reference label",
    "gap",
    "role",
    "seed",
    "region",
    "metric",
    "seeds",
)
# Value → column of the paper's value, where the names do not say it.
_PAPER_COLUMNS = {"step time ratio": "training time ratio paper"}
# The paper's value of one reading stands in a column of its own and is another quantity.
_PAPER_ALONE = {"paper": "MMD, paper (kernel and estimator unknown)"}
_NAME_LABELS = {"treatment label": "Run", "reference label": "Against", "n": "Seeds"}


def _paper_column(frame: pd.DataFrame, name: str) -> str | None:
    column = _PAPER_COLUMNS.get(name, f"{name} paper")
    return column if column in frame.columns else None


def _companions(frame: pd.DataFrame) -> set[str]:
    """Columns that belong to another one: spread, number of seeds and the paper's value."""
    found = {f"{name}{end}" for name in frame.columns for end in (" std", "_std", " n", " paper")}
    aliases = [column for name, column in _PAPER_COLUMNS.items() if name in frame.columns]
    return {*found.intersection(frame.columns), *aliases}


def _values(frame: pd.DataFrame) -> list[str]:
    """Columns of measured values, in the CSV's order."""
    aside = {*_HIDDEN, *_NAMES, *_PAPER_ALONE, *_companions(frame)}
    named = {"run"} if {"method", "role", "treatment label"} & set(frame.columns) else set()
    return [
        name
        for name in frame.columns
        if name not in aside | named and not name.endswith(("sha256", " paper"))
    ]


def _spread(frame: pd.DataFrame, name: str) -> list[str] | None:
    column = next((f"{name}{end}" for end in (" std", "_std") if f"{name}{end}" in frame.columns), None)
    return None if column is None else list(frame[column])


def _name_cells(frame: pd.DataFrame, name: str) -> list[Cell]:
    texts = list(frame[name])
    if name == "region":
        return [text_cell(REGION_LABELS.get(text, text)) for text in texts]
    if name == "metric":
        return [text_cell(label_of(text)) for text in texts]
    if name == "seeds":
        return [text_cell(", ".join(text.split())) for text in texts]
    if name == "method" and "status" in frame.columns:
        states = frame["status"]
        return [
            text_cell(text if state == "measured" else f"{text} ({state})")
            for text, state in zip(texts, states, strict=True)
        ]
    return plain_cells(name, texts)


def _value_cells(frame: pd.DataFrame, name: str) -> list[Cell]:
    spreads = _spread(frame, name)
    if "metric" not in frame.columns or name.startswith("seeds "):
        return plain_cells(name, list(frame[name]), spreads)
    # Every row has a metric of its own, which decides the digits.
    digits = spreads or [""] * len(frame)
    return [
        value_cell(metric, text, std)
        for metric, text, std in zip(frame["metric"], frame[name], digits, strict=True)
    ]


def _ours(frame: pd.DataFrame, title: str, unfolded: bool = True) -> Grid:
    """Our numbers, one row as in the CSV."""
    names = [name for name in _NAMES if name in frame.columns]
    names += ["n"] if "n" in frame.columns and "seeds" not in frame.columns else []
    columns = [(_NAME_LABELS.get(name, label_of(name)), _name_cells(frame, name)) for name in names]
    columns += [(label_of(name), _value_cells(frame, name)) for name in _values(frame)]
    lonely = [name for name in frame.columns if name.endswith(" paper") and name not in _companions(frame)]
    columns += [(label_of(name[:-6]) + ", paper", plain_cells(name, list(frame[name]))) for name in lonely]
    columns += [
        (label, [text_cell(text) for text in frame[name]])
        for name, label in _PAPER_ALONE.items()
        if name in frame.columns
    ]
    return column_grid(title, columns, unfolded)


def _difference(metric: str, ours: str, printed: str) -> Cell:
    """Ours minus the paper's, where both are numbers."""
    first, second = number_of(ours), number_of(printed)
    if first is None or second is None:
        return text_cell("")
    value = first - second
    text = format_metric(metric, abs(value)) if is_metric(metric) else f"{abs(value):.3g}"
    return Cell(f"{'−' if value < 0 else '+'}{text}", value)


def _beside(frame: pd.DataFrame) -> Grid | None:
    """Ours, the paper's value and the difference, one row per value that the paper prints."""
    rows: list[tuple[Cell, Cell, Cell, Cell, Cell]] = []
    for record in frame.to_dict("records"):
        for name in _values(frame):
            column = _paper_column(frame, name)
            printed = "" if column is None else str(record[column])
            if not printed:
                continue
            metric = str(record.get("metric", name))
            who = str(record.get("method", name))
            mean, std = str(record[name]), str(record.get(f"{name} std", ""))
            ours = value_cell(metric, mean, std)
            paper = Cell(printed, number_of(printed))
            rows.append(
                (text_cell(who), text_cell(label_of(metric)), ours, paper, _difference(metric, mean, printed))
            )
    if not rows:
        return None
    setting = "Method" if "method" in frame.columns else "Setting"
    header = (setting, "Metric", "Ours", "Paper (other data)", "Ours − paper")
    return column_grid("Ours beside the paper", list(zip(header, zip(*rows, strict=True), strict=True)))


def _split(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Whole data first, then the regions."""
    title = "Ours" if any(name.endswith("paper") for name in frame.columns) else "Values"
    if "region" not in frame.columns:
        return [(title, frame)]
    whole = frame["region"] == "all"
    if whole.all():
        return [(title, frame.drop(columns="region"))]
    further = frame[~whole].drop(columns=[name for name in COST_COLUMNS if name in frame.columns])
    return [(title, frame[whole].drop(columns="region")), ("By city", further)]


def table_grids(frame: pd.DataFrame) -> Sequence[Grid]:
    """Lay out a table.

    Args:
        frame: cells as text, see `read_cells`. A column "X std" is the spread of "X", "X paper" the value
            that the paper prints for it, "X n" its number of seeds.

    Returns:
        Ours; ours beside the paper's values if there are any; ours by region if there is more than one.
    """
    parts = _split(frame)
    grids = [_ours(parts[0][1], parts[0][0])]
    beside = _beside(parts[0][1])
    if beside is not None:
        grids.append(beside)
    grids += [_ours(part, title, unfolded=False) for title, part in parts[1:]]
    return grids
