"""The snapshot copies what is there and names the runs behind it."""

from pathlib import Path

import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, write_json
from nexusflow.paper.snapshot import write_snapshot


def provenance(path: Path, run: str) -> Path:
    content = {
        "run": run,
        "seed": 0,
        "scale": "smoke",
        "steps": 12,
        "train_seconds": 3.5,
        "precision": "32-true",
        "code": "0123456789abcdef",
        "data": "ab" * 32,
        "finished": "2020-02-03T04:05:06+00:00",
        "versions": {"torch": "2"},
    }
    write_json(path, content)
    return path


def test_tables_and_figures_are_copied_with_their_runs(tmp_path: Path) -> None:
    source = tmp_path / "results"
    source.mkdir()
    (source / "table2.csv").write_text("a,b\n1,2\n")
    (source / "figure6.pdf").write_text("left out")
    files = [provenance(tmp_path / f"{run}.json", run) for run in ("full", "baseline")]
    write_snapshot(source, files, tmp_path / "docs")
    assert (tmp_path / "docs" / "table2.csv").read_text() == "a,b\n1,2\n"
    assert not (tmp_path / "docs" / "figure6.pdf").exists()
    page = (tmp_path / "docs" / "README.md").read_text()
    assert "| baseline | 0 | 12 |" in page
    assert "2020-02-03" in page


def test_runs_of_two_suites_are_told_apart(tmp_path: Path) -> None:
    source = tmp_path / "results"
    source.mkdir()
    (source / "table4.csv").write_text("a,b\n1,2\n")
    files = []
    for suite in ("nuscenes", "nyuv2"):
        files.append(provenance(tmp_path / f"{suite}.json", "full"))
        write_json(files[-1], read_json(files[-1]) | {"suite": suite})
    write_snapshot(source, files, tmp_path / "docs")
    page = (tmp_path / "docs" / "README.md").read_text()
    assert "| nuscenes/full | 0 |" in page and "| nyuv2/full | 0 |" in page


def test_nothing_to_copy_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no table or figure"):
        write_snapshot(tmp_path, [], tmp_path / "docs")
