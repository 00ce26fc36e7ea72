"""Learning curves: columns are added up by pattern; empty panels are left out."""

from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.paper.learning_curves import draw_learning_curves, write_learning_curves
from nexusflow.paper.logs import LoggedRun, read_log
from tests.paper.fabricate import write_log


def _titles(fig: object) -> list[str]:
    return [axes.get_title(loc="left") for axes in fig.axes if axes.axison]  # type: ignore[attr-defined]


def test_columns_of_a_panel_are_added_up(tmp_path: Path) -> None:
    path = write_log(tmp_path / "log.csv", 0)
    fig = draw_learning_curves([LoggedRun("a", "A", (path,))], {"Track": "loss/track/*"}, smoothing=1)
    log = read_log(path)
    expected = log["loss/track/focal"] + log["loss/track/box"]
    assert np.allclose(fig.axes[0].lines[0].get_ydata(), expected)


def test_panel_that_no_run_logs_is_left_out(tmp_path: Path) -> None:
    run = LoggedRun("a", "A", (write_log(tmp_path / "log.csv", 0, alignment=False),))
    assert _titles(draw_learning_curves([run])) == ["Total loss", "Tracking loss", "Map loss"]


def test_unknown_columns_are_explained(tmp_path: Path) -> None:
    run = LoggedRun("a", "A", (write_log(tmp_path / "log.csv", 0),))
    with pytest.raises(UserError, match=r"none of the columns nothing/\*"):
        draw_learning_curves([run], {"Nothing": "nothing/*"})


def test_runs_without_logs_are_named(tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        write_learning_curves([LoggedRun("a", "A")], [path], dpi=50)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    fig = draw_learning_curves([LoggedRun("a", "A")])
    assert "not yet run" in [text.get_text() for text in fig.axes[0].texts]
