"""Figure of an ablation: lines at the right places, the paper's best setting marked, gaps where runs wait."""

from pathlib import Path

import numpy as np
import pytest

from nexusflow.paper.ablation_figure import draw_ablation
from nexusflow.paper.rows import MethodRow, TableContext
from nexusflow.paper.tables import MethodTable, build_method_table
from tests.paper.fabricate_dense import write_dense_metrics

CONTEXT = TableContext("smoke", "fabricated rooms", (0, 1, 2), embedded=True)
VALUES = {"baseline": None, "one": 1, "two": 2, "three": 3}


def _table(folder: Path, waiting: tuple[str, ...] = (), seeds: tuple[int, ...] = (0, 1, 2)) -> MethodTable:
    rows = [
        MethodRow(
            name,
            name,
            name,
            "Baseline" if value is None else str(value),
            () if name in waiting else write_dense_metrics(folder, name, seeds),
            suite="nyuv2",
        )
        for name, value in VALUES.items()
    ]
    return build_method_table(rows, "tableB1", CONTEXT)


def test_lines_and_marks_are_where_the_table_says(tmp_path: Path) -> None:
    table = _table(tmp_path)
    fig = draw_ablation(table.frame, VALUES, "layers", "Title", CONTEXT)
    assert [axes.get_title(loc="left") for axes in fig.axes] == [
        "Seg IoU ↑ (%)",
        "Depth aErr ↓ (m)",
        "Norm mErr ↓ (deg)",
    ]
    settings = table.frame.set_index("id")
    for axes, metric in zip(fig.axes, ("Seg IoU", "Depth aErr", "Norm mErr"), strict=True):
        level, best, ours = axes.lines[:3]
        assert level.get_ydata()[0] == pytest.approx(settings.loc["baseline", metric])
        assert list(best.get_xdata()) == [3, 3]  # Table B.1 of the paper: three layers are best in all
        np.testing.assert_allclose(np.asarray(ours.get_xdata(), float), [1, 2, 3])
        np.testing.assert_allclose(
            np.asarray(ours.get_ydata(), float), settings.loc[["one", "two", "three"], metric]
        )
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert labels == ["Ours, mean ± std over seeds", "baseline", "best setting in the paper"]


def test_waiting_runs_leave_gaps(tmp_path: Path) -> None:
    fig = draw_ablation(_table(tmp_path, ("baseline", "two"), (0,)).frame, VALUES, "layers", "T", CONTEXT)
    ours = fig.axes[0].lines[1]
    assert np.isnan(np.asarray(ours.get_ydata(), float)).tolist() == [False, True, False]
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert labels[:2] == ["Ours", "baseline (not yet run)"]
    empty = draw_ablation(_table(tmp_path, tuple(VALUES)).frame, VALUES, "layers", "T", CONTEXT)
    assert all(axes.texts[0].get_text() == "not yet run" for axes in empty.axes)


def test_the_papers_curve_is_drawn_where_it_may_be_compared(tmp_path: Path) -> None:
    full = TableContext("full", "NYUv2", (0, 1, 2), comparable=True)
    axes = draw_ablation(_table(tmp_path).frame, VALUES, "layers", "T", full).axes[0]
    assert any(list(line.get_ydata()) == [28.57, 29.46, 31.70] for line in axes.lines)
