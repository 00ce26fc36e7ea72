"""SIGKILL at random moments, also within saving, then the same call: the same bytes in the end."""

import multiprocessing
import random
import signal
from pathlib import Path

import pytest

from tests.training.killed import CONFIG, train

COMPARED = ("model.safetensors", "method.safetensors", "log.csv")
# How often each place is passed between the first step and the last one, and beyond.
LAST_CALL = {"batch": CONFIG.steps, "write": 7, "sync": 16, "rename": 8, "prune": 4}


@pytest.fixture(scope="module")
def forks() -> multiprocessing.context.ForkServerContext:
    """Processes that start from one in which torch is there already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.killed"])
    return context


def call(forks: multiprocessing.context.ForkServerContext, *arguments: object) -> int | None:
    process = forks.Process(target=train, args=arguments)
    process.start()
    process.join(timeout=300)
    return process.exitcode


@pytest.fixture(scope="module")
def whole(forks: multiprocessing.context.ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert call(forks, str(folder)) == 0
    return folder


@pytest.mark.parametrize("seed", [0, 1])
def test_a_killed_run_ends_with_the_same_bytes(
    forks: multiprocessing.context.ForkServerContext, whole: Path, tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    kills = [(place, draw.randint(1, last)) for place, last in LAST_CALL.items()]
    draw.shuffle(kills)
    codes = [call(forks, str(tmp_path), *kill) for kill in kills]
    # A run that has little left to do may be finished before its kill.
    assert set(codes) <= {-signal.SIGKILL, 0} and codes[0] == -signal.SIGKILL, list(
        zip(kills, codes, strict=True)
    )
    assert call(forks, str(tmp_path)) == 0
    assert {path.name for path in tmp_path.iterdir()} == {*COMPARED, "provenance.json"}
    for name in COMPARED:
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes(), (name, kills)
