"""The collapse figure finds the monitors by name and shows shrinkage."""

import re
from pathlib import Path

import pytest

from nexusflow.core.errors import UserError
from nexusflow.paper.collapse import PANELS, draw_collapse, write_collapse
from nexusflow.paper.logs import LoggedRun, read_log
from tests.paper.fabricate import write_log


def test_every_panel_finds_its_columns(tmp_path: Path) -> None:
    columns = read_log(write_log(tmp_path / "log.csv", 0)).columns
    for panel in PANELS:
        assert any(re.fullmatch(pattern, column) for pattern in panel.patterns for column in columns), (
            panel.title
        )


def test_all_seeds_and_tasks_are_drawn(tmp_path: Path) -> None:
    logs = tuple(write_log(tmp_path / f"{seed}.csv", seed) for seed in (0, 1))
    fig = draw_collapse([LoggedRun("ours", "Ours", logs), LoggedRun("later", "Later")], "fabricated")
    spread = fig.axes[[panel.title for panel in PANELS].index("Spread of z (std)")]
    assert len(spread.lines) == 2  # track and map
    assert spread.get_yscale() == "log"
    labels = [text.get_text() for legend in fig.legends for text in legend.get_texts()]
    assert "Ours" in labels and "Later (not yet run)" in labels


def test_collapse_is_visible_and_its_absence_does_not_look_like_it(tmp_path: Path) -> None:
    index = [panel.title for panel in PANELS].index("Spread of z (std)")

    def axis_ratio(collapse: bool) -> float:
        log = write_log(tmp_path / f"{collapse}.csv", 0, collapse)
        low, high = draw_collapse([LoggedRun("a", "A", (log,))]).axes[index].get_ylim()
        return high / low

    assert axis_ratio(True) > 1e3
    assert axis_ratio(False) >= 10  # at least a decade: 30 % of change must look small


def test_run_without_alignment_is_not_logged(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", 0, alignment=False)
    fig = draw_collapse([LoggedRun("baseline", "Baseline", (log,))])
    assert all("not logged" in [text.get_text() for text in axes.texts] for axes in fig.axes)


def test_bytes_are_equal(tmp_path: Path) -> None:
    runs = [LoggedRun("ours", "Ours", (write_log(tmp_path / "log.csv", 0),))]
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        write_collapse(runs, [path], dpi=50)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_malformed_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"log\.csv has no column 'step'"):
        draw_collapse([LoggedRun("a", "A", (tmp_path / "log.csv",))])
