"""Ctrl-C and SIGTERM: held back until the loop has saved; the second one acts at once."""

import os
import signal
from pathlib import Path

import pytest
import torch

from nexusflow import cli
from nexusflow.training.interruption import Interrupted, InterruptionGuard
from tests.training.test_loop import CONFIG, run, same
from tests.training.toy import ToySuite


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [0, 4, CONFIG.steps - 1])
def test_a_signal_saves_and_loses_no_step(tmp_path: Path, number: signal.Signals, step: int) -> None:
    class Signalled(ToySuite):
        def batch(self, at: int) -> torch.Tensor:
            if at == step:
                os.kill(os.getpid(), number)
            return super().batch(at)

    with pytest.raises(Interrupted) as stop:
        run(tmp_path / "killed", suite=Signalled())
    assert stop.value.signum == number
    again = ToySuite()
    resumed = run(tmp_path / "killed", suite=again)
    assert again.batches == list(range(step + 1, CONFIG.steps))
    assert same(resumed, run(tmp_path / "whole"))


def test_the_second_signal_acts_at_once() -> None:
    # A process started in the background ignores Ctrl-C; this test wants it heard.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), InterruptionGuard() as guard:
            os.kill(os.getpid(), signal.SIGINT)
            assert guard.signum == signal.SIGINT
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("error", "code"),
    [(Interrupted(signal.SIGTERM), 143), (Interrupted(signal.SIGINT), 130), (KeyboardInterrupt(), 130)],
)
def test_the_exit_code_names_the_signal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: KeyboardInterrupt,
    code: int,
) -> None:
    def interrupted(**options: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", interrupted)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == code
    assert capsys.readouterr().err == "interrupted; the same command goes on where this one stopped\n"
