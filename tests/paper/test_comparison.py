"""Paired differences: pairing by seed, direction, intervals."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nexusflow.core.errors import UserError
from nexusflow.paper.comparison import LabelledRun, compare_runs, write_comparison
from nexusflow.paper.paired import paired_interval
from nexusflow.paper.tables import TableContext
from tests.paper.fabricate import write_metrics

CONTEXT = TableContext("smoke", "fabricated scenes", (0, 1, 2), 0.25)


def _one(frame: pd.DataFrame, reference: str, region: str, metric: str) -> pd.Series:
    chosen = frame[
        (frame["reference"] == reference) & (frame["region"] == region) & (frame["metric"] == metric)
    ]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_interval_is_the_paired_t_interval() -> None:
    differences = [0.1, 0.3, -0.05, 0.2]
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.9)
    assert paired_interval(differences, 0.9) == pytest.approx((expected.low, expected.high))
    assert paired_interval(differences[:2]) is None


def test_differences_are_paired_by_seed(tmp_path: Path) -> None:
    ours = LabelledRun("ours", "Ours", write_metrics(tmp_path, "ours", (2, 1, 0), 1.1))
    base = LabelledRun("baseline", "Baseline", write_metrics(tmp_path, "baseline", (1, 2, 3)))
    frame, hashes = compare_runs([ours], [base])
    assert set(hashes) == {
        ("ours", 0),
        ("ours", 1),
        ("ours", 2),
        ("baseline", 1),
        ("baseline", 2),
        ("baseline", 3),
    }
    record = _one(frame, "baseline", "boston", "Lanes")
    assert record["seeds"] == "1 2"

    def lanes(run: str, seed: int) -> float:
        content = json.loads((tmp_path / run / f"seed{seed}" / "metrics.json").read_text())
        return content["metrics"]["boston"]["Lanes"]

    differences = [lanes("ours", seed) - lanes("baseline", seed) for seed in (1, 2)]
    assert record["difference mean"] == pytest.approx(np.mean(differences))
    assert record["difference std"] == pytest.approx(np.std(differences, ddof=1))
    assert pd.isna(record["interval low"])


def test_counts_follow_the_direction_of_the_metric(tmp_path: Path) -> None:
    better = LabelledRun("ours", "Ours", write_metrics(tmp_path, "ours", strength=1.5))
    base = LabelledRun("baseline", "Baseline", write_metrics(tmp_path, "baseline"))
    frame, _ = compare_runs([better], [base])
    amota, ids = (_one(frame, "baseline", "all", metric) for metric in ("AMOTA", "IDS"))
    assert (amota["seeds better"], amota["seeds worse"]) == (3, 0)
    assert (ids["seeds better"], ids["seeds worse"]) == (0, 3)
    assert amota["interval low"] < amota["difference mean"] < amota["interval high"]


def test_equal_runs_are_equal(tmp_path: Path) -> None:
    paths = write_metrics(tmp_path, "a")
    copies = write_metrics(tmp_path, "b")
    for source, copy in zip(paths, copies, strict=True):
        copy.write_text(source.read_text().replace('"run": "a"', '"run": "b"'))
    frame, _ = compare_runs([LabelledRun("a", "A", paths)], [LabelledRun("b", "B", copies)])
    assert (frame["seeds equal"] == 3).all()
    assert (frame["difference mean"] == 0).all()


def test_same_run_on_both_sides_is_refused() -> None:
    run = LabelledRun("a", "A")
    with pytest.raises(UserError, match="as treatment and as reference"):
        compare_runs([run], [run])


@pytest.mark.parametrize("seeds", [(), (0,), (0, 1, 2)])
def test_written_files_for_any_number_of_seeds(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    ours = LabelledRun("ours", "Ours", write_metrics(tmp_path, "ours", seeds, 1.1))
    base = LabelledRun("baseline", "Baseline", write_metrics(tmp_path, "baseline"))
    paths = [tmp_path / f"comparison.{ending}" for ending in ("csv", "md", "png")]
    frame = write_comparison([ours], [base], CONTEXT, paths[0], paths[1], [paths[2]], dpi=50)
    assert len(pd.read_csv(paths[0])) == len(frame) == 27
    text = paths[1].read_text()
    assert "## Ours − Baseline" in text and "domain gap 0.25" in text
    assert ("not yet run" in text) == (not seeds)
    if not seeds:
        return
    first = [path.read_bytes() for path in paths]
    write_comparison([ours], [base], CONTEXT, paths[0], paths[1], [paths[2]], dpi=50)
    assert [path.read_bytes() for path in paths] == first
