"""Invented results, written once."""

from pathlib import Path

import pytest

from tests.paper.report.fabricate import write_results


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("project") / "results" / "smoke"
    base.mkdir(parents=True)
    write_results(base)
    return base
