"""Locks, marks, half-written files and dvc.lock."""

import fcntl
import os
from pathlib import Path

import pytest

from nexusflow.config.doctor.marks import check_dvc, check_leftovers, check_snakemake

WHOLE = """schema: '2.0'
stages:
  data:
    cmd: snakemake stage_data
    outs:
    - path: results/smoke
      hash: md5
      md5: 0123.dir
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("locks", "incomplete"):
        (tmp_path / ".snakemake" / name).mkdir(parents=True)
    profile = tmp_path / "profiles" / "default" / "config.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("rerun-incomplete: true\n")
    return tmp_path


def levels(project: Path) -> list[str]:
    return [finding.level for finding in check_snakemake(project)]


def test_nothing_left() -> None:
    assert [x.level for x in check_snakemake(Path("nowhere"))] == ["ok"]


def test_locks_of_the_dead_and_of_the_living(project: Path) -> None:
    (project / ".snakemake" / "locks" / "0.output.lock").write_text("results/table2.csv\n")
    dead = check_snakemake(project)[0]
    assert dead.level == "note" and "killed" in dead.text
    owner = os.open(project / ".snakemake" / "owners.lock", os.O_RDWR)
    fcntl.flock(owner, fcntl.LOCK_SH)
    assert "is running" in check_snakemake(project)[0].text
    os.close(owner)


def test_marks_need_the_profile(project: Path) -> None:
    (project / ".snakemake" / "incomplete" / "cmVzdWx0cw==").write_text("{}")
    assert levels(project) == ["ok", "note"]
    (project / "profiles" / "default" / "config.yaml").unlink()
    assert levels(project) == ["ok", "act"]


def test_half_written_files(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".gitignore").touch()
    assert check_leftovers(tmp_path) == []
    (tmp_path / "cache" / ".images.a1b2c3d_.npy").touch()
    assert check_leftovers(tmp_path)[0].level == "note"


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (None, "note"),
        (WHOLE, "ok"),
        (WHOLE.replace("      md5: 0123.dir\n", ""), "act"),
        (WHOLE[:30], "act"),
        ("<<<<<<< HEAD\n" + WHOLE, "act"),
        ("", "act"),
    ],
)
def test_dvc_lock(tmp_path: Path, text: str | None, level: str) -> None:
    if text is not None:
        (tmp_path / "dvc.lock").write_text(text)
    finding = check_dvc(tmp_path)[0]
    assert finding.level == level and (level != "act" or "git checkout" in finding.advice)


def test_lock_of_a_further_pipeline(tmp_path: Path) -> None:
    lock = tmp_path / "workflow" / "smoke" / "dvc.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(WHOLE)
    assert [(f.subject, f.level) for f in check_dvc(tmp_path)] == [
        ("dvc.lock", "note"),
        ("workflow/smoke/dvc.lock", "ok"),
    ]
    lock.write_text(WHOLE[:30])
    assert "dvc repro workflow/smoke/dvc.yaml" in check_dvc(tmp_path)[1].advice


def test_damaged_lock_of_dvc(tmp_path: Path) -> None:
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    inner = tmp_path / ".dvc" / "tmp" / "rwlock"
    inner.write_text("{}")
    assert len(check_dvc(tmp_path)) == 1
    inner.write_text('{"results')
    assert check_dvc(tmp_path)[1].level == "act"
