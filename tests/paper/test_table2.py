"""Table 2: every number leads back to a file, nothing is invented, equal inputs give equal bytes."""

import json
import statistics
from pathlib import Path

import pandas as pd
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import write_json
from nexusflow.paper.table2 import build_table2, write_table2
from nexusflow.paper.tables import MethodRow, TableContext
from tests.paper.fabricate import METRICS, metrics_content, write_metrics

CONTEXT = TableContext("smoke", "fabricated scenes", (0, 1, 2), 0.25)


@pytest.fixture
def rows(tmp_path: Path) -> list[MethodRow]:
    one_seed = write_metrics(tmp_path, "baseline", (1,))
    return [
        MethodRow("full", "Full supervision", "full", "Full supervision", write_metrics(tmp_path, "full")),
        MethodRow("baseline", "Baseline (UniAD)", "baseline", "Baseline (UniAD)", one_seed),
        MethodRow("mtpsl", "MTPSL", "mtpsl", "MTPSL"),
        MethodRow("control", "Fine-tuned", "control", None, write_metrics(tmp_path, "control"), "A note."),
        MethodRow(
            "trivial", "Constant", "trivial", None, write_metrics(tmp_path, "trivial", (0,), 0.1), "", (0,)
        ),
    ]


def _row(frame: pd.DataFrame, row_id: str, region: str) -> pd.Series:
    chosen = frame[(frame["id"] == row_id) & (frame["region"] == region)]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_cells_are_means_of_the_files(rows: list[MethodRow]) -> None:
    frame = build_table2(rows, CONTEXT).frame
    contents = [json.loads(path.read_text()) for path in rows[0].metrics]
    for region, key in (("all", "overall"), ("boston", "boston"), ("singapore", "singapore")):
        record = _row(frame, "full", region)
        assert record["n"] == 3
        for metric in METRICS:
            values = [content["metrics"][key][metric] for content in contents]
            assert record[metric] == pytest.approx(statistics.mean(values))
            assert record[f"{metric} std"] == pytest.approx(statistics.stdev(values))


def test_one_seed_has_no_spread(rows: list[MethodRow]) -> None:
    record = _row(build_table2(rows, CONTEXT).frame, "baseline", "all")
    assert record["n"] == 1
    assert record["seeds"] == "1"
    assert pd.isna(record["AMOTA std"])


def test_paper_values_stand_beside_the_whole_region_only(rows: list[MethodRow]) -> None:
    frame = build_table2(rows, CONTEXT).frame
    assert _row(frame, "full", "all")["Drivable paper"] == "71.42"
    assert _row(frame, "mtpsl", "all")["IDS paper"] == "1089"
    assert pd.isna(_row(frame, "full", "all")["Contour paper"])
    assert pd.isna(_row(frame, "full", "boston")["Drivable paper"])
    assert pd.isna(_row(frame, "control", "all")["AMOTA paper"])


def test_missing_rows_stay_not_yet_run(rows: list[MethodRow]) -> None:
    record = _row(build_table2(rows, CONTEXT).frame, "mtpsl", "all")
    assert record["status"] == "not yet run"
    assert record["n"] == 0
    assert all(pd.isna(record[name]) for metric in METRICS for name in (metric, f"{metric} std"))
    assert all(
        pd.isna(record[name]) for name in ("train seconds", "steps", "peak memory MiB", "inputs sha256")
    )


def test_cost_is_averaged(rows: list[MethodRow]) -> None:
    frame = build_table2(rows, CONTEXT).frame
    assert _row(frame, "full", "all")["train seconds"] == 101.0
    assert pd.isna(_row(frame, "full", "boston")["train seconds"])


def test_metric_absent_at_one_seed_is_left_empty_with_a_note(rows: list[MethodRow]) -> None:
    content = metrics_content("full", 1)
    content["metrics"]["overall"]["AMOTP"] = None
    write_json(rows[0].metrics[1], content)
    table = build_table2(rows, CONTEXT)
    assert pd.isna(_row(table.frame, "full", "all")["AMOTP"])
    assert not pd.isna(_row(table.frame, "full", "boston")["AMOTP"])
    assert "AMOTP (all) is absent at seed 1." in table.notes["full"]


def test_files_are_written_with_caption_notes_and_groups(rows: list[MethodRow], tmp_path: Path) -> None:
    csv_path, md_path = tmp_path / "out" / "table2.csv", tmp_path / "out" / "table2.md"
    table = write_table2(rows, CONTEXT, csv_path, md_path, "Table 2. Title")
    text = md_path.read_text()
    assert text.startswith("# Table 2. Title\n")
    for part in (
        "Scale `smoke`",
        "fabricated scenes, domain gap 0.25",
        "seeds: 0, 1, 2",
        "not comparable in absolute terms",
        table.inputs_sha256[:16],
        "*Not in the paper:*",
        "Not yet run at seed 0, 2.",
        "Not yet run: there is no result to report.",
        "A note.",
        "## Boston",
    ):
        assert part in text
    assert "Not yet run at seed 1, 2" not in text  # the reference has one seed by definition
    mtpsl = next(line for line in text.splitlines() if line.startswith("| MTPSL"))
    assert "not yet run" in mtpsl and "– [0.255]" in mtpsl
    frame = pd.read_csv(csv_path)
    assert len(frame) == 3 * len(rows)
    assert list(frame["id"].unique()) == [row.id for row in rows]
    assert list(frame.columns).index("AMOTA paper") == list(frame.columns).index("AMOTA") + 2


def test_equal_inputs_give_equal_bytes_and_other_inputs_another_hash(
    rows: list[MethodRow], tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in ("a.csv", "a.md", "b.csv", "b.md")]
    first = write_table2(rows, CONTEXT, paths[0], paths[1])
    write_table2(rows, CONTEXT, paths[2], paths[3])
    assert paths[0].read_bytes() == paths[2].read_bytes()
    assert paths[1].read_bytes() == paths[3].read_bytes()
    write_json(rows[0].metrics[0], metrics_content("full", 0, strength=1.01))
    assert build_table2(rows, CONTEXT).inputs_sha256 != first.inputs_sha256


def test_impossible_paper_value_is_footnoted() -> None:
    table = build_table2([MethodRow("a", "A", "a", "Ours (w/o inv)")], CONTEXT, "table3")
    assert any("cannot exceed 1" in note for note in table.notes["a"])
    assert _row(table.frame, "a", "all")["Recall paper"] == "1.355"


def test_malformed_input_leaves_the_old_table(rows: list[MethodRow], tmp_path: Path) -> None:
    csv_path = tmp_path / "table2.csv"
    csv_path.write_text("old")
    rows[0].metrics[0].write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        write_table2(rows, CONTEXT, csv_path, tmp_path / "table2.md")
    assert csv_path.read_text() == "old"
