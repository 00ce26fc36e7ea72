"""Cells keep what was printed, and know the number that they are sorted by."""

from pathlib import Path

import pytest

from nexusflow.core.errors import UserError
from nexusflow.paper.report.grid import (
    Cell,
    column_grid,
    label_of,
    number_of,
    plain_cells,
    read_cells,
    text_cell,
    value_cell,
)


def test_cells_stay_as_printed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,value\nNA,37.10\n,nan\n")
    assert read_cells(path).to_numpy().tolist() == [["NA", "37.10"], ["", "nan"]]


@pytest.mark.parametrize(("content", "message"), [(None, "is missing"), ("", "is not a table")])
def test_a_broken_table_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=rf"a\.csv {message}"):
        read_cells(path)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e3", 1000.0), ("-0.5", -0.5), ("", None), ("nan", None), ("inf", None), ("x", None)],
)
def test_numbers_are_finite(text: str, number: float | None) -> None:
    assert number_of(text) == number


def test_metrics_have_their_digits_and_arrows() -> None:
    assert value_cell("AMOTA", "0.30212", "0.043") == Cell("0.302 ± 0.043", 0.30212)
    assert value_cell("Lanes", "58.61", "") == Cell("58.6", 58.61)
    assert value_cell("Lanes", "") == text_cell("")
    assert label_of("AMOTP") == "AMOTP ↓ (m)" and label_of("train seconds") == "Train seconds"


def test_a_column_has_equally_many_digits() -> None:
    assert [cell.text for cell in plain_cells("p", ["0.5", "0.12345", ""])] == ["0.500", "0.123", "–"]
    assert [cell.text for cell in plain_cells("steps", ["1500", "400"])] == ["1500", "400"]
    assert plain_cells("inputs sha256", ["ab" * 32]) == [Cell("ab" * 6, mark="code")]


def test_columns_without_content_are_left_out() -> None:
    grid = column_grid("t", [("a", [text_cell("x")]), ("b", [text_cell("")]), ("c", [Cell("1", 1.0)])])
    assert grid.header == ("a", "c") and grid.numeric == (False, True)
    assert grid.rows == ((Cell("x"), Cell("1", 1.0)),)
