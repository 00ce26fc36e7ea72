"""The sweep's figure draws the paper's ratios and survives an empty sweep."""

import pytest

from nexusflow.paper.gap_figure import draw_gap_sweep
from nexusflow.paper.gap_sweep import build_gap_sweep, paper_ratios


def test_paper_ratios_are_reference_lines() -> None:
    fig = draw_gap_sweep(build_gap_sweep([]), paper_ratios(), default_gap=0.25)
    heights = {float(line.get_ydata()[0]) for line in fig.axes[2].lines}  # type: ignore[index]
    assert set(paper_ratios().values()) <= heights
    labels = [text.get_text() for text in fig.axes[2].get_legend().get_texts()]
    assert "paper's AMOTA: 0.89" in labels and "paper's Lanes: 0.86" in labels
    assert "not yet run" in [text.get_text() for text in fig.axes[0].texts]
    assert any("default gap 0.25" in text.get_text() for text in fig.texts)


@pytest.mark.parametrize("index", [0, 1])
def test_unlabelled_city_is_named(index: int) -> None:
    fig = draw_gap_sweep(build_gap_sweep([]), paper_ratios())
    labels = [text.get_text() for text in fig.axes[index].get_legend().get_texts()]
    assert labels[-1] == ["in Boston, no track labels", "in Singapore, no map labels"][index]
