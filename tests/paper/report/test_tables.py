"""Grids show ours, the regions, and ours beside the paper's values with the difference."""

import io
from pathlib import Path

import pandas as pd
import pytest

from nexusflow.paper.report.grid import Grid, read_cells
from nexusflow.paper.report.tables import table_grids
from tests.paper.report.fabricate import MARKUP, ROOT


def texts(grid: Grid) -> list[list[str]]:
    return [[cell.text for cell in row] for row in grid.rows]


def test_a_table_of_methods_has_three_parts(results: Path) -> None:
    ours, beside, cities = table_grids(read_cells(results / "table2.csv"))
    assert ours.header == ("Method", "Seeds", "AMOTA ↑", "Lanes ↑ (%)", "Train seconds", "Steps")
    assert texts(ours)[0] == ["Full supervision", "0, 1", "0.500 ± 0.010", "69.9 ± 0.2", "566", "1500"]
    assert texts(ours)[2][0] == f"{MARKUP} (not yet run)"
    assert beside.header == ("Method", "Metric", "Ours", "Paper (other data)", "Ours − paper")
    assert texts(beside)[1] == ["Full supervision", "Lanes ↑ (%)", "69.9 ± 0.2", "31.40", "+38.5"]
    assert texts(beside)[2][4] == "−0.039" and len(beside.rows) == 4
    assert {row[1] for row in texts(cities)} == {"Boston"} and not cities.open
    assert "Steps" not in cities.header


def test_a_table_of_settings_has_a_metric_in_each_row(results: Path) -> None:
    ours, beside = table_grids(read_cells(results / "tableB1.csv"))
    assert ours.header == ("Metric", "Baseline", "1")
    assert texts(ours)[1] == ["Depth aErr ↓ (m)", "0.6952", "0.7322"]
    assert texts(beside)[0] == ["Baseline", "Seg IoU ↑ (%)", "25.90", "26.75", "−0.85"]


def test_a_value_that_the_paper_does_not_have_has_no_difference() -> None:
    text = "method,region,AMOTA,AMOTA std,AMOTA paper\nOurs,all,,,0.329\nControl,all,0.3,,\n"
    _, beside = table_grids(pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False))
    assert texts(beside) == [["Ours", "AMOTA ↑", "0.329"]]


@pytest.mark.parametrize("path", sorted((ROOT / "docs/results").rglob("*.csv")), ids=lambda path: path.stem)
def test_measured_tables_lose_no_row(path: Path) -> None:
    frame = read_cells(path)
    grids = [grid for grid in table_grids(frame) if grid.title != "Ours beside the paper"]
    assert sum(len(grid.rows) for grid in grids) == len(frame)
    assert all(len(row) == len(grid.header) == len(grid.numeric) for grid in grids for row in grid.rows)
