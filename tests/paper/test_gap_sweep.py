"""The domain-gap sweep: ratios per seed, the paper's reference values, robustness to missing runs."""

import json
from pathlib import Path

import pandas as pd
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import write_json
from nexusflow.paper.gap_sweep import GapPoint, build_gap_sweep, paper_ratios, write_gap_sweep
from nexusflow.paper.tables import TableContext
from tests.paper.fabricate import metrics_content, write_metrics

CONTEXT = TableContext("smoke", "fabricated scenes", (0, 1), 0.5)


@pytest.fixture
def points(tmp_path: Path) -> list[GapPoint]:
    return [
        GapPoint(0.5, "f5", "b5", write_metrics(tmp_path, "f5"), write_metrics(tmp_path, "b5", (0, 1), 0.8)),
        GapPoint(0.0, "f0", "b0", write_metrics(tmp_path, "f0"), write_metrics(tmp_path, "b0", (2, 9), 0.9)),
        GapPoint(1.0, "f1", "b1"),
    ]


def test_paper_ratios() -> None:
    assert {name: round(value, 2) for name, value in paper_ratios().items()} == {"AMOTA": 0.89, "Lanes": 0.86}


def test_rows_and_ratios(points: list[GapPoint], tmp_path: Path) -> None:
    frame = build_gap_sweep(points, "smoke")
    assert len(frame) == 3 * (3 + 2 + 3 + 2)
    assert list(frame["gap"].unique()) == [0.0, 0.5]
    row = frame[(frame["run"] == "b5") & (frame["seed"] == 1) & (frame["region"] == "boston")].iloc[0]
    ours, full = (
        json.loads((tmp_path / run / "seed1" / "metrics.json").read_text())["metrics"]["boston"]["Lanes"]
        for run in ("b5", "f5")
    )
    assert row["Lanes"] == ours
    assert row["Lanes ratio"] == pytest.approx(ours / full)
    assert frame[frame["role"] == "full"]["AMOTA ratio"].isna().all()
    assert frame[frame["seed"] == 9]["AMOTA ratio"].isna().all()  # full supervision has no such seed


def test_nothing_is_divided_by_zero(tmp_path: Path) -> None:
    full, base = write_metrics(tmp_path, "f", (0,)), write_metrics(tmp_path, "b", (0,))
    content = metrics_content("f", 0)
    content["metrics"]["overall"]["AMOTA"] = 0.0
    write_json(full[0], content)
    frame = build_gap_sweep([GapPoint(0.0, "f", "b", full, base)])
    row = frame[(frame["role"] == "baseline") & (frame["region"] == "all")].iloc[0]
    assert pd.isna(row["AMOTA ratio"]) and row["Lanes ratio"] > 0


def test_repeated_gap_and_wrong_world_are_refused(points: list[GapPoint]) -> None:
    with pytest.raises(UserError, match="repeats a `gap`"):
        build_gap_sweep([points[0], points[0]])
    write_json(points[0].full[0], metrics_content("f5", 0, domain_gap=0.1))
    with pytest.raises(UserError, match=r"'domain_gap' is 0.1, not 0.5"):
        build_gap_sweep(points)


def test_files_are_written_twice_alike(points: list[GapPoint], tmp_path: Path) -> None:
    paths = [tmp_path / f"gap.{ending}" for ending in ("csv", "png")]
    write_gap_sweep(points, CONTEXT, paths[0], paths[1:], dpi=50)
    first = [path.read_bytes() for path in paths]
    write_gap_sweep(points, CONTEXT, paths[0], paths[1:], dpi=50)
    assert [path.read_bytes() for path in paths] == first
    assert len(pd.read_csv(paths[0])) == 30
