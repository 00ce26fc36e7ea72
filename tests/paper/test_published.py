"""Published numbers: complete, parsed, and equal to the paper's text."""

import pytest

from nexusflow.core.errors import UserError
from nexusflow.paper.published import (
    metric_info,
    metric_label,
    published_cell,
    published_cells,
    published_frame,
    published_metric,
    published_title,
)

SHAPES = {
    "table1": (2, 6),
    "table2": (6, 8),
    "table3": (7, 8),
    "table4": (5, 3),
    "table5": (4, 2),
    "tableA1": (4, 8),
    "tableA2": (3, 8),
    "tableB1": (3, 7),
    "tableB2": (3, 7),
}


@pytest.mark.parametrize(("table", "shape"), SHAPES.items())
def test_every_table_has_all_its_cells(table: str, shape: tuple[int, int]) -> None:
    frame = published_frame(table)
    assert frame.shape == shape
    assert not frame.isna().any(axis=None)
    assert sum(cell.table == table for cell in published_cells().values()) == shape[0] * shape[1]
    assert published_title(table)


def test_there_are_no_other_tables() -> None:
    assert {table for table, _, _ in published_cells()} == set(SHAPES)
    assert len(published_cells()) == 237


@pytest.mark.parametrize(
    ("table", "row", "column", "printed", "value"),
    [
        ("table2", "Full supervision", "AMOTA", "0.323", 0.323),
        ("table2", "Full supervision", "Drivable", "71.42", 71.42),
        ("table2", "Baseline (UniAD)", "IDS", "1025", 1025.0),
        ("table2", "MTPSL", "Recall", "0.321", 0.321),
        ("table2", "JTR", "Crossing", "12.1", 12.1),
        ("table2", "Ours (one stage)", "AMOTP", "1.353", 1.353),
        ("table2", "Ours (two stage)", "Lanes", "37.1", 37.1),
        ("table3", "8 layers", "IDS", "1054", 1054.0),
        ("table4", "Ours (pair)", "Norm mErr", "31.74", 31.74),
        ("table5", "MTPSL", "GPU memory", "8900 MiB", 8900.0),
        ("table5", "MTPSL", "Training time", "~10 h", 10.0),
        ("tableA1", "MLP + coupling", "Crossing", "20.75", 20.75),
        ("tableA2", "Ours (R-Geo)", "IDS", "653", 653.0),
        ("tableB1", "Depth aErr", "1", "0.6841", 0.6841),
        ("tableB2", "Seg IoU", "6", "27.10", 27.1),
    ],
)
def test_cells_are_as_printed(table: str, row: str, column: str, printed: str, value: float) -> None:
    cell = published_cell(table, row, column)
    assert (cell.printed, cell.value) == (printed, value)


def test_spread_and_missing_cells() -> None:
    cell = published_cell("table1", "nuScenes", "Ours")
    assert (cell.value, cell.spread, cell.metric) == (1.56, 0.47, "MMD")
    assert published_cell("table1", "NYU-V2", "JTR").value is None


def test_impossible_recall_is_flagged_and_nothing_else() -> None:
    impossible = {key for key, cell in published_cells().items() if cell.impossible}
    assert impossible == {
        ("table3", "Ours (w/o inv)", "Recall"),
        ("tableA1", "MLP, no coupling", "Recall"),
    }
    assert all(published_cells()[key].note for key in impossible)
    for key, cell in published_cells().items():
        bound = metric_info(cell.metric).upper_bound
        if bound is not None and cell.value is not None:
            assert (cell.value > bound) == (key in impossible)


def test_repeated_rows_agree_between_tables() -> None:
    for table in ("table3", "tableA1", "tableA2"):
        assert list(published_frame(table).loc["Baseline"]) == list(
            published_frame("table2").loc["Baseline (UniAD)"]
        )


def test_every_metric_has_a_direction() -> None:
    for cell in published_cells().values():
        assert metric_info(cell.metric).direction in ("up", "down")
    assert metric_label("AMOTP") == "AMOTP ↓ (m)"


def test_metrics_are_found_whichever_way_a_table_lies() -> None:
    upright = published_metric("table4", "Ours (centre)", "Seg IoU")
    lying = published_metric("tableB1", "3", "Seg IoU")
    assert upright is not None and lying is not None
    assert upright.printed == lying.printed == "31.70"
    assert published_metric("table4", "Baseline", "Depth RMSE") is None
    with pytest.raises(UserError, match="known columns: Baseline, 1, 2"):
        published_metric("tableB2", "7", "Seg IoU")
    with pytest.raises(UserError, match="known rows: Full supervision"):
        published_metric("table4", "JTR", "Seg IoU")


def test_unknown_names_are_explained() -> None:
    with pytest.raises(UserError, match="known rows: Full supervision"):
        published_cell("table2", "UniAD", "AMOTA")
    with pytest.raises(UserError, match="known tables: table1"):
        published_frame("table9")
    with pytest.raises(UserError, match="Unknown metric"):
        metric_info("mAP")
