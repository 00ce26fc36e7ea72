"""Sealed results are told from others, and put back with the records of how they were made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nexusflow.config.records import _name_of, _place_of, pull_results, restore_results, seal_results
from nexusflow.core.errors import UserError

FILES = ("results/toy/data/a.txt", "results/toy/table.csv", "results/table.csv")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A project in which Snakemake has made three files, the last two alike, and one of another scale."""
    root = tmp_path / "made"
    for name in (*FILES, "results/other/b.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("numbers" if name.endswith("csv") else "data")
        record = root / ".snakemake" / "metadata" / _place_of(name)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"rule": "toy", "params": ["1"]}))
    return root


def test_files_of_the_scale_come_back_in_order_with_their_records(made: Path, tmp_path: Path) -> None:
    assert seal_results(made, "toy") == 3
    clone = tmp_path / "clone"
    shutil.copytree(made / "results", clone / "results")
    # Published twice, kept once.
    (clone / "results/toy/table.csv").unlink()
    assert restore_results(clone, "toy") == 3
    assert (clone / "results/toy/table.csv").read_text() == "numbers"
    times = [(clone / name).stat().st_mtime_ns for name in FILES]
    assert times[0] < min(times[1:])
    for name in FILES:
        record = json.loads((clone / ".snakemake" / "metadata" / _place_of(name)).read_text())
        assert record == {"rule": "toy", "params": ["1"]}
    assert not (clone / ".snakemake" / "metadata" / _place_of("results/other/b.txt")).exists()


def test_names_of_any_length_find_their_way_back() -> None:
    for name in ("results/a.csv", "results/" + "long/" * 120 + "a.csv"):
        assert _name_of(_place_of(name)) == name
        assert all(len(part) < 256 for part in _place_of(name).parts)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / FILES[0]).write_text("other"), "a.txt is not the file that was sealed"),
        (lambda root: (root / FILES[0]).unlink(), "a.txt is missing"),
        (lambda root: (root / "results/toy/records.json").unlink(), "records.json is missing"),
        (lambda root: (root / "results/toy/records.json").write_text("{}"), "keys 'format' and 'scale'"),
    ],
)
def test_what_was_not_sealed_is_not_restored(made: Path, tmp_path: Path, spoil, message: str) -> None:
    seal_results(made, "toy")
    clone = tmp_path / "clone"
    shutil.copytree(made / "results", clone / "results")
    spoil(clone)
    with pytest.raises(UserError, match=message):
        restore_results(clone, "toy")
    assert not (clone / ".snakemake").exists()


def test_there_must_be_something_to_seal(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run the workflow first"):
        seal_results(tmp_path, "toy")


def test_a_failed_pull_ends_with_the_message_of_dvc(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`dvc pull` failed"):
        pull_results(tmp_path, "toy")


@pytest.mark.slow
def test_what_dvc_keeps_is_pulled_and_restored(made: Path, tmp_path: Path) -> None:
    seal_results(made, "toy")

    def run(folder: Path, *command: str) -> None:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    dvc = [sys.executable, "-m", "dvc"]
    run(made, "git", "init", "--quiet")
    run(made, *dvc, "init", "--quiet")
    run(made, *dvc, "remote", "add", "--default", "local", str(tmp_path / "remote"))
    run(made, *dvc, "add", "--quiet", "results")
    run(made, *dvc, "push", "--quiet")
    run(made, "git", "add", "results.dvc", ".dvc/config", ".gitignore", ".dvcignore")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    run(made, "git", *identity, "commit", "--quiet", "--message", "results")
    run(tmp_path, "git", "clone", "--quiet", str(made), "clone")
    clone = tmp_path / "clone"
    pull_results(clone, "toy")
    assert restore_results(clone, "toy") == 3
    assert (clone / FILES[1]).read_text() == "numbers"
