"""Locks of a killed Snakemake never ask for a second command; those of a live one hold."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nexusflow.config import locks
from nexusflow.config.locks import release_stale_locks, stale_locks

ROOT = Path(__file__).resolve().parents[2]
SNAKEFILE = """
from nexusflow.config.locks import release_stale_locks

release_stale_locks()


rule slow:
    output:
        "slow.txt",
    shell:
        "echo half > {output}; while [ -e wait ]; do sleep 0.1; done; echo whole > {output}"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Snakemake's folder with two locks in it."""
    (tmp_path / "locks").mkdir()
    for name in ("0.input.lock", "0.output.lock"):
        (tmp_path / "locks" / name).write_text("results/table2.csv\n")
    monkeypatch.setattr(locks, "_held", [])
    return tmp_path


def test_locks_without_an_owner_are_removed(folder: Path) -> None:
    assert len(stale_locks(folder)) == 2
    assert len(release_stale_locks(folder)) == 2
    assert stale_locks(folder) == [] and list((folder / "locks").iterdir()) == []


def test_locks_of_a_live_owner_stay(folder: Path) -> None:
    owner = os.open(folder / "owners.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(owner, fcntl.LOCK_SH)
    assert stale_locks(folder) == [] and release_stale_locks(folder) == []
    assert len(list((folder / "locks").iterdir())) == 2
    os.close(owner)
    # The second caller is an owner by now.
    assert stale_locks(folder) == []


def test_owners_live_side_by_side(folder: Path) -> None:
    release_stale_locks(folder)
    (folder / "locks" / "0.output.lock").write_text("results/table2.csv\n")
    assert release_stale_locks(folder) == [] and len(locks._held) == 2


def start(project: Path) -> subprocess.Popen[str]:
    search = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", "slow.txt"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": search},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_after_a_kill_the_same_command_finishes(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    (tmp_path / "wait").touch()
    first = start(tmp_path)
    try:
        deadline = time.monotonic() + 300
        while not (tmp_path / "slow.txt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        # While it lives, nobody else may make the same file.
        second = start(tmp_path)
        said = second.communicate()[0]
        assert "cannot be locked" in said and second.returncode != 0, said
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
    assert (tmp_path / "slow.txt").read_text() == "half\n"
    assert list((tmp_path / ".snakemake" / "locks").iterdir()), "the kill must have left a lock"
    (tmp_path / "wait").unlink()
    third = start(tmp_path)
    said = third.communicate()[0]
    assert third.returncode == 0, said
    assert (tmp_path / "slow.txt").read_text() == "whole\n"
