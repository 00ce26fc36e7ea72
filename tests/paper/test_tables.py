"""The generic table: means, spreads, Markdown layout."""

import statistics
from pathlib import Path

import pandas as pd
import pytest

from nexusflow.core.errors import UserError
from nexusflow.paper.tables import (
    MethodRow,
    TableContext,
    build_method_table,
    markdown_grid,
    mean_and_std,
    write_csv,
)
from tests.paper.fabricate import write_metrics

CONTEXT = TableContext("smoke", "fabricated", (0, 1, 2), 0.25)


def test_mean_and_std() -> None:
    assert mean_and_std([]) == (None, None)
    assert mean_and_std([2.0]) == (2.0, None)
    mean, std = mean_and_std([1.0, 2.0, 4.0])
    assert mean == pytest.approx(7 / 3)
    assert std == pytest.approx(statistics.stdev([1.0, 2.0, 4.0]))


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


def test_source_line() -> None:
    assert CONTEXT.source() == "Scale smoke; fabricated, domain gap 0.25; seeds 0, 1, 2"
    assert CONTEXT.source(with_gap=False) == "Scale smoke; fabricated; seeds 0, 1, 2"
    assert TableContext("full", "nuScenes", (0,)).source() == "Scale full; nuScenes; seed 0"
