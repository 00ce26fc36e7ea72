"""Runs behind tables and figures: all of them exist."""

from pathlib import Path

import pytest

from nexusflow.config.load import load_configuration
from nexusflow.config.outputs import FIGURES, TABLES, VIDEOS
from nexusflow.config.paper_runs import RunReference, runs_behind


@pytest.mark.parametrize("output", sorted({*TABLES, *FIGURES, *VIDEOS}))
def test_every_run_of_a_table_or_figure_is_declared(config_folder: Path, output: str) -> None:
    configuration = load_configuration(config_folder, "smoke")
    found = runs_behind(configuration.paper, output)
    assert found and len(set(found)) == len(found)
    for item in found:
        if item.run != "trivial":
            configuration.row(item.suite, item.run)


def test_suites_and_seeds_come_along(config_folder: Path) -> None:
    paper = load_configuration(config_folder, "smoke").paper
    assert RunReference("nyuv2", "trivial", (0,)) in runs_behind(paper, "table4")
    assert RunReference("nyuv2", "nexusflow_centre") in runs_behind(paper, "figure7")
    assert RunReference("nuscenes", "baseline") in runs_behind(paper, "table2")
