"""The generic table: regions and metrics of each suite, CSV and Markdown layout."""

from pathlib import Path

import pandas as pd
import pytest

from nexusflow.core.errors import UserError
from nexusflow.paper.tables import MethodRow, TableContext, build_method_table, markdown_grid, write_csv
from tests.paper.fabricate import write_metrics
from tests.paper.fabricate_dense import write_dense_metrics

CONTEXT = TableContext("smoke", "fabricated", (0, 1, 2), 0.25)


def test_repeated_row_ids_are_refused() -> None:
    rows = [MethodRow("a", "A", "a"), MethodRow("a", "B", "b")]
    with pytest.raises(UserError, match="repeat an `id`"):
        build_method_table(rows, "table2", CONTEXT)


def test_seeds_outside_the_table_are_refused(tmp_path: Path) -> None:
    row = MethodRow("full", "Full", "full", None, write_metrics(tmp_path, "full", (0, 7)))
    with pytest.raises(UserError, match="key 'seed' is 7"):
        build_method_table([row], "table2", CONTEXT)


def test_unknown_paper_row_is_refused() -> None:
    row = MethodRow("full", "Full", "full", "Oracle")
    with pytest.raises(UserError, match="correct the `paper` key"):
        build_method_table([row], "table2", CONTEXT)


def test_csv_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_csv(path, pd.DataFrame({"a": [1 / 3, None], "b": ["x", None], "n": [1, 2]}))
    assert path.read_bytes() == b"a,b,n\n0.333333,x,1\n,,2\n"


def test_markdown_grid() -> None:
    assert markdown_grid(["name", "v"], [["a|b", "1"]]) == (
        "| name |   v |\n| ---- | --: |\n| a\\|b |   1 |\n"
    )


def test_a_suite_decides_on_regions_and_columns(tmp_path: Path) -> None:
    street = MethodRow("a", "A", "a", metrics=write_metrics(tmp_path / "street", "a"))
    rooms = MethodRow("a", "A", "a", metrics=write_dense_metrics(tmp_path / "rooms", "a"), suite="nyuv2")
    first = build_method_table([street], "table2", CONTEXT).frame
    second = build_method_table([rooms], "table4", CONTEXT).frame
    assert list(first["region"]) == ["all", "boston", "singapore"]
    assert list(second["region"]) == ["all"]
    assert {"AMOTA", "AMOTA paper"} <= set(first) and not any("best" in name for name in first)
    assert {"Seg IoU paper", "Norm <30", "best step", "best Depth aErr std"} <= set(second)
    assert "Norm <30 paper" not in second and "AMOTA" not in second
