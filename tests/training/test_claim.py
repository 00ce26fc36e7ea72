"""Two processes never train the same run at the same time."""

import fcntl
import os
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nexusflow.core.errors import UserError
from nexusflow.methods.config import SupervisedConfig
from nexusflow.training import claim
from nexusflow.training.claim import claimed
from nexusflow.training.run import RunIdentity, train_run
from tests.training.test_loop import CONFIG
from tests.training.toy import ToySuite


def hold(folder: Path) -> int:
    """Be another owner: a lock of another open file is that of another process."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "owner.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.pwrite(descriptor, b"4711", 0)
    return descriptor


@pytest.fixture
def when_waiting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Let something happen once somebody waits, however slow the machine is."""

    def arrange(act: Callable[[], None]) -> None:
        def announced(*words: str, **options: Any) -> None:
            print(*words, **options)
            threading.Timer(0.05, act).start()

        monkeypatch.setattr(claim, "print", announced, raising=False)

    return arrange


def test_a_free_run_is_not_waited_for(tmp_path: Path) -> None:
    for _ in range(2):
        with claimed(tmp_path / "work") as waited:
            assert not waited and (tmp_path / "work" / "owner.lock").read_text() == str(os.getpid())


@pytest.mark.parametrize("finished", [False, True])
def test_an_owner_is_waited_for(
    tmp_path: Path,
    finished: bool,
    capsys: pytest.CaptureFixture[str],
    when_waiting: Callable[[Callable[[], None]], None],
) -> None:
    folder = tmp_path / "work"
    other = hold(folder)

    def leave() -> None:
        if finished:
            shutil.rmtree(folder)
        os.close(other)

    when_waiting(leave)
    with claimed(folder) as waited:
        assert waited and (folder / "owner.lock").read_text() == str(os.getpid())
    assert capsys.readouterr().err == "waiting for process 4711, which trains the same run\n"


def test_what_the_other_process_finished_is_not_trained_again(
    tmp_path: Path, when_waiting: Callable[[Callable[[], None]], None]
) -> None:
    identity = RunIdentity("smoke", "toy", "toy", 0, "code", {}, "data")
    train_run(identity, ToySuite(), SupervisedConfig(), CONFIG, tmp_path)
    written = (tmp_path / "provenance.json").stat().st_mtime_ns
    for again, steps in ((identity, 0), (RunIdentity("smoke", "toy", "toy", 0, "new", {}, "data"), 10)):
        other = hold(tmp_path / "work")
        when_waiting(partial(os.close, other))
        suite = ToySuite()
        train_run(again, suite, SupervisedConfig(), CONFIG, tmp_path)
        assert len(suite.batches) == steps
    assert (tmp_path / "provenance.json").stat().st_mtime_ns > written
    assert not (tmp_path / "work").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file")
    with pytest.raises(UserError, match=r"Cannot write to .*work"), claimed(tmp_path / "work"):
        pass
