"""Grids of the report: cells with the text that is shown and the value that they are sorted by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nexusflow.core.errors import UserError
from nexusflow.paper.method_markdown import EMPTY, format_metric
from nexusflow.paper.published import metric_info, metric_label

__all__ = [
    "Cell",
    "Grid",
    "column_grid",
    "is_metric",
    "label_of",
    "number_of",
    "plain_cells",
    "read_cells",
    "text_cell",
    "value_cell",
]


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: what is shown.
        value: number that the column is sorted by, None to sort by the text.
        mark: "code" for hashes, "none" for an unknown value, else empty.
    """

    text: str
    value: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Grid:
    """A table to sort.

    Args:
        title: what it is called.
        header: names of the columns.
        rows: one cell per column.
        numeric: for each column whether it holds numbers.
        open: whether it is shown unfolded.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: tuple[bool, ...]
    open: bool = True


def read_cells(path: Path, separator: str = ",") -> pd.DataFrame:
    """Read a table as it is printed: every cell stays text, so that 37.10 stays 37.10.

    Args:
        path: CSV or TSV file.
        separator: letter between cells.

    Returns:
        All cells as text, empty where nothing stands.

    Raises:
        UserError: if the file is missing, empty or not a table.
    """
    try:
        return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run the rule that makes it.") from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a table ({error}); delete it and make it again.") from error


def number_of(text: str) -> float | None:
    """Read a number.

    Args:
        text: a cell of a table.

    Returns:
        The number; None for an empty cell, for text and for what is not finite.
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def is_metric(name: str) -> bool:
    """Tell whether a name is that of a metric.

    Args:
        name: name of a column, or a cell of a column of names.

    Returns:
        True if the published tables know it.
    """
    try:
        metric_info(name)
    except UserError:
        return False
    return True


def label_of(name: str) -> str:
    """Write a column's name for people.

    Args:
        name: name in the CSV.

    Returns:
        A metric with arrow and unit; any other name with a capital letter.
    """
    return metric_label(name) if is_metric(name) else name[:1].upper() + name[1:]


def text_cell(text: str, mark: str = "") -> Cell:
    """Make a cell of text.

    Args:
        text: what is shown; a dash stands for nothing.
        mark: see `Cell`.

    Returns:
        The cell.
    """
    return Cell(text, mark=mark) if text else Cell(EMPTY, mark="none")


def value_cell(name: str, mean: str, std: str = "", decimals: int | None = None) -> Cell:
    """Make a cell of a number and its spread.

    Args:
        name: the metric, which decides how many digits are shown.
        mean: the number as the CSV has it.
        std: its standard deviation, empty if unknown.
        decimals: digits after the point for a name that is no metric; default: as in the CSV.

    Returns:
        The cell, sorted by the mean.
    """
    value, spread = number_of(mean), number_of(std)
    if value is None:
        return text_cell(mean)
    if is_metric(name):
        return Cell(format_metric(name, value, spread), value)
    text = mean if decimals is None else f"{value:.{decimals}f}"
    if spread is not None:
        text += f" ± {std if decimals is None else f'{spread:.{max(decimals, 1)}f}'}"
    return Cell(text, value)


def _decimals(numbers: Sequence[float]) -> int:
    """Three digits of the largest number, none of whole numbers."""
    largest = max((abs(number) for number in numbers), default=0.0)
    if largest == 0 or all(number == round(number) for number in numbers):
        return 0
    return min(6, max(0, 2 - math.floor(math.log10(largest))))


def plain_cells(name: str, texts: Sequence[str], spreads: Sequence[str] | None = None) -> list[Cell]:
    """Make a column's cells, numbers with equally many digits.

    Args:
        name: name of the column.
        texts: cells of the CSV.
        spreads: standard deviations beside them.

    Returns:
        One cell each; hashes are cut to twelve digits.
    """
    if name.endswith("sha256"):
        return [text_cell(text[:12], "code") for text in texts]
    numbers = [number for text in texts if (number := number_of(text)) is not None]
    decimals = _decimals(numbers)
    return [
        value_cell(name, text, std, decimals)
        for text, std in zip(texts, spreads or [""] * len(texts), strict=True)
    ]


def column_grid(title: str, columns: Sequence[tuple[str, Sequence[Cell]]], unfolded: bool = True) -> Grid:
    """Put columns together; those without any content are left out.

    Args:
        title: what the grid is called.
        columns: name and cells of every column.
        unfolded: whether it is shown unfolded.

    Returns:
        The grid.
    """
    kept = [(name, cells) for name, cells in columns if any(cell.mark != "none" for cell in cells)]
    return Grid(
        title=title,
        header=tuple(name for name, _ in kept),
        rows=tuple(zip(*(cells for _, cells in kept), strict=True)) if kept else (),
        numeric=tuple(
            any(c.value is not None for c in cells)
            and all(c.value is not None or c.mark == "none" for c in cells)
            for _, cells in kept
        ),
        open=unfolded,
    )
