"""The examples run, and their losses fall."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples"
TASKS = ("segmentation", "depth", "edges")


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    names = ("toy", "plain_loop", "torchjd_weights")
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)


def assert_losses_fall(history: list[dict[str, float]]) -> None:
    first, last = ({n: sum(h[n] for h in part) for n in part[0]} for part in (history[:3], history[-3:]))
    assert all(last[task] < 0.9 * first[task] for task in TASKS), (first, last)


def test_plain_loop(example):
    history = example("plain_loop").train(30)
    assert_losses_fall(history)
    assert history[-1]["alignment"] < history[0]["alignment"]


def test_torchjd(example):
    pytest.importorskip("torchjd")
    assert_losses_fall(example("torchjd_weights").train(30))


def test_without_torchjd_the_message_says_what_to_install(example, monkeypatch):
    for name in ("torchjd", "torchjd.aggregation", "torchjd.autojac"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SystemExit, match="pip install torchjd"):
        example("torchjd_weights")
