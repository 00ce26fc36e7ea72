"""The dot plot shows the last treatment that has results, and all metrics."""

from pathlib import Path

from nexusflow.paper.comparison import LabelledRun, compare_runs
from nexusflow.paper.comparison_figure import draw_comparison
from tests.paper.fabricate import METRICS, write_metrics


def test_last_measured_treatment_is_shown(tmp_path: Path) -> None:
    runs = [LabelledRun("a", "First", write_metrics(tmp_path, "a")), LabelledRun("b", "Second")]
    base = LabelledRun("baseline", "Baseline", write_metrics(tmp_path, "baseline"))
    fig = draw_comparison(compare_runs(runs, [base])[0], source="fabricated")
    assert "First" in fig.get_suptitle()
    assert [axes.get_title(loc="left").split(" ")[0] for axes in fig.axes] == list(METRICS)
    assert "fabricated" in [text.get_text() for text in fig.texts]
