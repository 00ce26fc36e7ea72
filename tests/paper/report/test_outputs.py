"""Titles come from the configuration, captions from the package."""

from pathlib import Path

from nexusflow.config.outputs import FIGURES, TABLES
from nexusflow.paper.report.outputs import load_captions, order_of, title_of
from tests.paper.report.fabricate import source


def test_every_table_and_figure_of_the_workflow_has_words() -> None:
    captions = load_captions()
    assert set(TABLES) <= set(captions.tables)
    assert set(FIGURES) <= set(captions.figures)


def test_titles() -> None:
    paper = source().paper
    assert title_of("table2", paper) == "Table 2. nuScenes, S-Geo partition"
    assert title_of("figure6", paper) == "Figure 6. Qualitative comparison"
    assert title_of("comparison", paper) == "What the alignment changed"
    assert title_of("never_heard_of", paper) == "Never heard of"


def test_unknown_files_come_last() -> None:
    files = {name: Path(name) for name in ("b", "a", "table2", "table1")}
    assert order_of(files, ("table1", "table2", "table3")) == ["table1", "table2", "a", "b"]
