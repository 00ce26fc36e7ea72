"""Table 5: measured time and memory, ratios, the paper's values beside them."""

from pathlib import Path

import pandas as pd
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import write_json
from nexusflow.paper.rows import MethodRow, TableContext
from nexusflow.paper.table5 import write_table5
from tests.paper.fabricate_dense import cost_content, write_dense_metrics

CONTEXT = TableContext("smoke", "fabricated rooms", (0, 1, 2), embedded=True)


@pytest.fixture
def rows(tmp_path: Path) -> list[MethodRow]:
    write_json(tmp_path / "cost.json", cost_content())

    def row(id: str, label: str, run: str, paper: str | None) -> MethodRow:
        return MethodRow(id, label, run, paper, write_dense_metrics(tmp_path, run), suite="nyuv2")

    return [
        row("full", "Full supervision", "full", "Full supervision"),
        row("baseline", "Baseline", "baseline", "Baseline"),
        MethodRow("mtpsl", "MTPSL", "mtpsl", "MTPSL", suite="nyuv2"),
        row("ours", "Ours", "nexusflow_centre", "Ours"),
    ]


def _write(rows: list[MethodRow], folder: Path, context: TableContext = CONTEXT) -> tuple[pd.DataFrame, str]:
    write_table5(rows, folder / "cost.json", context, folder / "table5.csv", folder / "table5.md")
    return pd.read_csv(folder / "table5.csv").set_index("id"), (folder / "table5.md").read_text()


def _cells(text: str, method: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {method}"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_cells_and_ratios(rows: list[MethodRow], tmp_path: Path) -> None:
    frame, text = _write(rows, tmp_path)
    ours = frame.loc["ours"]
    assert ours["train seconds"] == 81.0 and ours["train seconds std"] == 1.0 and ours["n"] == 3
    assert ours["peak memory MiB"] == 440.0 and ours["idle memory MiB"] == 210.0
    assert ours["memory ratio"] == pytest.approx(440 / 420, abs=1e-5)
    assert ours["step time ratio"] == pytest.approx(1.04 / 1.02, abs=1e-5)
    assert ours["training time paper"] == "~8 h" and ours["memory paper"] == "4554 MiB"
    assert ours["memory ratio paper"] == pytest.approx(4554 / 3906, abs=1e-5)
    assert ours["training time ratio paper"] == 1.0
    assert frame.loc["baseline", "memory ratio"] == 1.0
    assert frame.loc["mtpsl", "training time ratio paper"] == 1.25
    assert frame.loc["mtpsl", "status"] == "not yet run"
    assert _cells(text, "MTPSL")[2:5] == ["–", "–", "– [1.25]"]
    assert pd.isna(frame.loc["mtpsl", "memory ratio"]) and pd.isna(frame.loc["mtpsl", "train seconds"])


def test_caption_says_what_was_measured(rows: list[MethodRow], tmp_path: Path) -> None:
    _, text = _write(rows, tmp_path)
    for part in (
        "invented CPU, 1 thread per training",
        "batch of 8 images of 96 × 128 pixels",
        "in 5 turns",
        "peak resident memory above the idle process",
        "Ratios: to the row “Baseline”",
        "not comparable in absolute terms",
        "training time (s)",
    ):
        assert part in text
    assert _cells(text, "Ours") == [
        "3",
        "81 ± 1.0 [~8 h]",
        "0.104 (0.004)",
        "76.9",
        "1.02 [1.00]",
        "440 [4554 MiB]",
        "1.05 [1.17]",
    ]


def test_long_trainings_are_shown_in_hours(rows: list[MethodRow], tmp_path: Path) -> None:
    for path in rows[0].metrics:
        write_json(path.with_name("provenance.json"), {"train_seconds": 8.04 * 3600, "steps": 1})
    _, text = _write(rows, tmp_path)
    assert "training time (h)" in text
    assert _cells(text, "Full supervision")[1] == "8.0 ± 0.0 [~8 h]"


def test_what_is_missing_is_said(rows: list[MethodRow], tmp_path: Path) -> None:
    write_json(tmp_path / "cost.json", cost_content(("baseline", "nexusflow_centre")))
    rows[3].metrics[1].with_name("provenance.json").unlink()
    frame, text = _write(rows, tmp_path)
    assert frame.loc["full", "status"] == "not yet run" and frame.loc["full", "train seconds"] == 81.0
    assert "Its training steps were not measured." in text
    assert "Some of its runs do not say how long they took." in text
    assert frame.loc["ours", "n"] == 2


def test_reference_and_scale_are_checked(rows: list[MethodRow], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"key `table5\.reference` names no row: baseline"):
        _write([rows[0]], tmp_path)
    write_json(tmp_path / "cost.json", cost_content() | {"scale": "full"})
    with pytest.raises(UserError, match=r"cost\.json: key 'scale' is full, not smoke"):
        _write(rows, tmp_path)
    assert not (tmp_path / "table5.csv").exists()
