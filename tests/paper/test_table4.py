"""Table 4: means of the files, the paper's values, the best epoch apart, nothing invented."""

import json
import statistics
from pathlib import Path

import pandas as pd
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import write_json
from nexusflow.paper.rows import MethodRow, TableContext
from nexusflow.paper.table4 import build_table4, write_table4
from tests.paper.fabricate_dense import METRICS, dense_metrics_content, write_dense_metrics

CONTEXT = TableContext("smoke", "fabricated rooms", (0, 1, 2), embedded=True)


@pytest.fixture
def rows(tmp_path: Path) -> list[MethodRow]:
    def row(id: str, label: str, paper: str | None, seeds: tuple[int, ...] = (0, 1, 2)) -> MethodRow:
        return MethodRow(id, label, id, paper, write_dense_metrics(tmp_path, id, seeds), suite="nyuv2")

    trivial = write_dense_metrics(tmp_path, "trivial", (0,), -0.8, trained=False)
    return [
        row("full", "Full supervision", "Full supervision"),
        row("baseline", "Baseline", "Baseline", (1,)),
        MethodRow("mtpsl", "MTPSL", "mtpsl", "MTPSL", suite="nyuv2"),
        MethodRow("jtr", "JTR", "jtr", note="The paper has no JTR on NYUv2.", suite="nyuv2"),
        MethodRow("trivial", "Trivial", "trivial", metrics=trivial, seeds=(0,), suite="nyuv2"),
    ]


def _row(frame: pd.DataFrame, row_id: str) -> pd.Series:
    chosen = frame[frame["id"] == row_id]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_cells_are_means_of_the_files(rows: list[MethodRow]) -> None:
    record = _row(build_table4(rows, CONTEXT).frame, "full")
    contents = [json.loads(path.read_text()) for path in rows[0].metrics]
    for metric in METRICS:
        values = [content["metrics"]["overall"][metric] for content in contents]
        if "/" in metric:
            assert metric not in record
            continue
        assert record[metric] == pytest.approx(statistics.mean(values))
        assert record[f"{metric} std"] == pytest.approx(statistics.stdev(values))
    bests = [json.loads(path.with_name("provenance.json").read_text()) for path in rows[0].metrics]
    steps = [best["best_validation"]["step"] for best in bests]
    assert record["best step"] == statistics.mean(steps) == 1140
    assert record["best Seg IoU"] > record["Seg IoU"]
    assert record["train seconds"] == 81.0


def test_paper_and_missing_rows(rows: list[MethodRow]) -> None:
    frame = build_table4(rows, CONTEXT).frame
    assert _row(frame, "full")["Depth aErr paper"] == "0.5694"
    assert _row(frame, "mtpsl")["Seg IoU paper"] == "29.65"
    assert pd.isna(_row(frame, "jtr")["Seg IoU paper"])
    for name in ("mtpsl", "jtr"):
        record = _row(frame, name)
        assert record["status"] == "not yet run"
        assert all(pd.isna(record[cell]) for cell in ("Seg IoU", "best Seg IoU", "Norm <30", "train seconds"))
    assert pd.isna(_row(frame, "trivial")["best step"])
    assert pd.isna(_row(frame, "baseline")["Seg IoU std"])


def test_best_epoch_absent_at_one_seed_is_left_out_with_a_note(rows: list[MethodRow]) -> None:
    write_json(rows[0].metrics[1].with_name("provenance.json"), {"train_seconds": 1.0, "steps": 1200})
    table = build_table4(rows, CONTEXT)
    assert pd.isna(_row(table.frame, "full")["best Seg IoU"])
    assert not pd.isna(_row(table.frame, "full")["Seg IoU"])
    assert "Seg IoU (best epoch) is absent at seed 1." in table.notes["full"]
    assert not any("best epoch" in note for note in table.notes["trivial"])


def test_metric_absent_at_one_seed_is_left_empty(rows: list[MethodRow]) -> None:
    content = dense_metrics_content("full", 1)
    del content["metrics"]["overall"]["Norm RMSE"]
    write_json(rows[0].metrics[1], content)
    table = build_table4(rows, CONTEXT)
    assert pd.isna(_row(table.frame, "full")["Norm RMSE"])
    assert "Norm RMSE (all) is absent at seed 1." in table.notes["full"]


def test_written_files(rows: list[MethodRow], tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.csv", "a.md", "b.csv", "b.md")]
    write_table4(rows, CONTEXT, paths[0], paths[1], "Table 4. Title")
    write_table4(rows, CONTEXT, paths[2], paths[3], "Table 4. Title")
    assert paths[0].read_bytes() == paths[2].read_bytes()
    assert paths[1].read_bytes() == paths[3].read_bytes()
    text = paths[1].read_text()
    assert text.startswith("# Table 4. Title\n")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[:3] == [
        "## Last epoch: the main numbers",
        "## Last epoch: further metrics",
        "## Best epoch, selected on the reported split and therefore optimistic",
    ]
    for part in ("fabricated rooms", "of NYUv2 at full scale", "The paper has no JTR", "*Not in the paper:*"):
        assert part in text
    mtpsl = [line for line in text.splitlines() if line.startswith("| MTPSL")]
    assert "– [29.65]" in mtpsl[0] and "not yet run" in mtpsl[0]
    assert "[" not in mtpsl[2]  # the paper does not say that its numbers are of the best epoch
    frame = pd.read_csv(paths[0])
    assert list(frame["id"]) == [row.id for row in rows]
    assert list(frame.columns).index("Seg IoU paper") == list(frame.columns).index("Seg IoU") + 2


def test_malformed_input_leaves_the_old_table(rows: list[MethodRow], tmp_path: Path) -> None:
    csv_path = tmp_path / "table4.csv"
    csv_path.write_text("old")
    rows[0].metrics[0].write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        write_table4(rows, CONTEXT, csv_path, tmp_path / "table4.md")
    assert csv_path.read_text() == "old"
