"""Progress never changes what is iterated over."""

import pytest

from nexusflow.core import progress


def test_items_pass_through_unchanged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    assert list(progress.track([3, 1, 2], "Scenes")) == [3, 1, 2]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith("Scenes: 3/3")


def test_an_empty_loop_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.track([], "Scenes")) == []
    assert capsys.readouterr().err == ""
