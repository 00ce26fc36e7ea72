"""Provenance and cost of runs."""

from pathlib import Path

import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_json, write_json
from nexusflow.paper.report.present import find_files
from nexusflow.paper.report.runs import jobs_grid, read_runs, run_labels, runs_grid, seeds_of, versions_of
from tests.paper.report.fabricate import source


def test_every_run_shows_what_it_was_trained_with(results: Path) -> None:
    records = read_runs(find_files(results).provenance)
    grid = runs_grid(records, run_labels(source().paper))
    first = dict(zip(grid.header, (cell.text for cell in grid.rows[0]), strict=True))
    assert len(grid.rows) == 3 and seeds_of(records) == [0, 1]
    assert first["Suite"] == "nuScenes" and first["Method"] == "Full supervision" and first["Steps"] == "40"
    assert first["Training (s)"] == "61.4" and first["Peak memory (MiB)"] == "1\u202f234"
    assert first["Configuration"] == sha256_json({"lambda": 1.0})[:12]
    assert first["Code"] == "c0dec0dec0de" and "Finished" not in first
    assert versions_of(records) == ["torch 2.13.0"]


def test_a_record_without_a_key_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "provenance.json", {"suite": "nuscenes", "run": "full", "seed": 0})
    with pytest.raises(UserError, match=r"provenance\.json has no key 'steps'"):
        read_runs([tmp_path / "provenance.json"])


def test_jobs_are_summed_by_rule(results: Path, tmp_path: Path) -> None:
    grid = jobs_grid(find_files(results).benchmarks)
    assert [cell.text for cell in grid.rows[0]] == ["train", "3", "4.5 min", "90.5 s", "4.4 min", "700"]
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.tsv").write_text("time\n1\n")
    with pytest.raises(UserError, match=r"a\.tsv has no column 's'"):
        jobs_grid([tmp_path / "train" / "a.tsv"])
