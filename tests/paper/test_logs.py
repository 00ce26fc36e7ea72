"""Reading log.csv and drawing over seeds."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from nexusflow.core.errors import UserError
from nexusflow.paper.logs import draw_over_seeds, read_log, running_mean


def test_log_is_sorted_and_empty_cells_are_nan(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss/total\n20,1.5\n10,\n")
    log = read_log(path)
    assert list(log.index) == [10, 20]
    assert pd.isna(log["loss/total"].iloc[0]) and log["loss/total"].iloc[1] == 1.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "missing"),
        ("", "not a CSV table"),
        ("loss\n1\n", "no column 'step'"),
        ("step,loss\n1,abc\n", "column 'loss' holds something"),
        ("step,loss\n1,1\n1,2\n", "empty or repeated"),
    ],
)
def test_malformed_logs_are_explained(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "log.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=rf"log\.csv.*{message}"):
        read_log(path)


def test_running_mean_keeps_constants_and_length() -> None:
    values = pd.Series([1.0, 1.0, 4.0], index=[1, 2, 3])
    assert list(running_mean(values, 3)) == [1.0, 2.0, 2.5]
    assert list(running_mean(values, 1)) == [1.0, 1.0, 4.0]


def test_only_common_steps_are_averaged() -> None:
    axes = Figure().subplots()
    curves = [pd.Series([1.0, 2.0], index=[1, 2]), pd.Series([3.0, 4.0], index=[2, 3])]
    assert draw_over_seeds(axes, curves, "#000000")
    line = axes.lines[0]
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([2.0], [2.5])
    assert not draw_over_seeds(axes, [pd.Series([float("nan")])], "#000000")
