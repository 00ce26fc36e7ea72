"""The command line where only the library is installed."""

import sys

import pytest

from nexusflow.__main__ import main


def test_a_missing_pipeline_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "nexusflow.cli", raising=False)
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit, match=r"typer.*\.\[pipeline,nuscenes\]"):
        main()
