"""The plan as a table and as a file."""

from pathlib import Path

import pandas as pd
import pytest

from nexusflow.config.plan import PlannedData, PlannedRun
from nexusflow.config.plan_table import print_plan, summary, write_plan

DATA = [PlannedData("nuscenes", "archives", 279.4, "a page")]


def run(
    name: str, hours: float | None, device: str | None, done: bool = False, basis: str = "b"
) -> PlannedRun:
    return PlannedRun("nuscenes", name, 0, 100, 400, done, device, hours, None, 50_000.0, None, basis)


RUNS = [
    run("baseline", 384.0, "gpu", basis="published: others"),
    run("full", 16.5, "gpu", done=True),
    run("ours", None, None, basis="not measured"),
]


def test_the_total_counts_what_is_unknown_apart() -> None:
    assert summary(RUNS, DATA) == [
        "400.5 GPU-hours of training in 2 runs, 384.0 of them still to come",
        "1 further runs were never measured; their hours come on top",
        "1 runs are estimated from numbers that others published for their own code",
        "279.4 GiB of disk for data, checkpoints apart",
    ]


def test_every_run_is_printed_with_its_basis(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    print_plan(RUNS, DATA, "Scale full")
    text = capsys.readouterr().out
    assert "Scale full" in text and "baseline" in text and "384.0" in text and "50,000" in text
    assert "1: published: others" in text and "3: not measured" in text and "?" in text


def test_the_file_has_a_row_for_each_run(tmp_path: Path) -> None:
    write_plan(RUNS, tmp_path / "plan.csv")
    table = pd.read_csv(tmp_path / "plan.csv")
    assert list(table["run"]) == ["baseline", "full", "ours"]
    assert table.loc[0, "hours"] == 384.0 and pd.isna(table.loc[2, "hours"])
