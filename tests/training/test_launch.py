"""Two ranks as processes: they end together, with one sentence, and go on to the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nexusflow.training.launch import rank_environment

ROOT = Path(__file__).parents[2]
COMPARED = ("model.safetensors", "method.safetensors", "log.csv")


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.launched", str(folder), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        stderr=subprocess.PIPE,
        text=True,
    )


def ranks_of(launcher: int) -> list[int]:
    """The launcher's children, in the order in which they were started."""
    text = Path(f"/proc/{launcher}/task/{launcher}/children").read_text()
    return [int(number) for number in text.split()]


def wait_for(folder: Path, pattern: str) -> None:
    deadline = time.monotonic() + 100
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Exit code and what was said, but for the progress bar."""
    _, said = process.communicate(timeout=100)
    return process.returncode, [line for line in said.splitlines() if line.startswith("error")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert ended(start(folder)) == (0, [])
    return folder


def same_in_the_end(folder: Path, whole: Path) -> None:
    assert ended(start(folder)) == (0, [])
    assert {path.name for path in folder.iterdir()} == {*COMPARED, "provenance.json"}
    for name in COMPARED:
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.slow
def test_two_ranks_publish_one_run(whole: Path) -> None:
    assert json.loads((whole / "provenance.json").read_text())["ranks"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_all_and_the_run_goes_on(whole: Path, tmp_path: Path, victim: int) -> None:
    process = start(tmp_path)
    wait_for(tmp_path, "work/resume_*3.safetensors")
    ranks = ranks_of(process.pid)
    os.kill(ranks[victim], signal.SIGKILL)
    code, said = ended(process)
    assert code == 1 and len(said) == 1
    assert said[0].startswith(f"error: Rank {victim} of 2 was killed by SIGKILL")
    assert not any(Path(f"/proc/{rank}").exists() for rank in ranks)
    same_in_the_end(tmp_path, whole)


@pytest.mark.slow
def test_sigterm_saves_the_step_under_way(whole: Path, tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for(tmp_path, "work/resume_*3.safetensors")
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (128 + signal.SIGTERM, [])
    same_in_the_end(tmp_path, whole)


@pytest.mark.slow
def test_sigterm_before_the_first_step_ends_all_at_once(tmp_path: Path) -> None:
    process = start(tmp_path)
    while len(ranks := ranks_of(process.pid)) < 2:
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (128 + signal.SIGTERM, [])
    assert not any(_runs(rank) for rank in ranks)


@pytest.mark.slow
def test_ranks_end_with_a_killed_launcher(tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for(tmp_path, "work/resume_*2.safetensors")
    ranks = ranks_of(process.pid)
    assert len(ranks) == 2
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20
    while any(_runs(rank) for rank in ranks):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(process: int) -> bool:
    """Whether it is there and no zombie, which only its adopter can clear away."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_the_mistake_of_another_rank_is_the_one_sentence(tmp_path: Path) -> None:
    assert ended(start(tmp_path, "5")) == (1, ["error: Frame 7 is missing."])


def test_a_rank_is_told_in_the_words_of_torchrun() -> None:
    told = rank_environment(1, 2, 4000)
    assert (told["RANK"], told["WORLD_SIZE"], told["MASTER_PORT"]) == ("1", "2", "4000")
