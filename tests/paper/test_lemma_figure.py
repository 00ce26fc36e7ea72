"""Lemma 1 drawn: samples that violate it lie in the shade, an infinite bound is said to say nothing."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from nexusflow.paper.lemma_data import read_lemma
from nexusflow.paper.lemma_figure import draw_lemma
from tests.paper.fabricate_analyses import CONTEXT, write_lemma_of


def clouds(axes: Axes) -> list[np.ndarray]:
    """Points of every reading, right side first; the shade has no offsets of its own."""
    return [np.asarray(part.get_offsets()) for part in axes.collections[1:]]


def test_panels_hold_every_sample_of_every_reading(tmp_path: Path) -> None:
    pairs = read_lemma([write_lemma_of(tmp_path, "a"), write_lemma_of(tmp_path, "b", "nyuv2")], CONTEXT)
    fig = draw_lemma(pairs, CONTEXT, "Lemma 1")
    assert len(fig.axes) == 4
    for axes, pair in zip(fig.axes, pairs, strict=True):
        assert axes.get_xscale() == axes.get_yscale() == "log"
        analytic, local, secant = clouds(axes)
        assert len(analytic) == len(local) == len(secant) == 12
        np.testing.assert_allclose(local[:, 0], 2 * pair.left_N)
        assert (secant[:, 0] < secant[:, 1]).sum() == 3
        low, high = axes.get_xlim()
        assert low < secant[:, 0].min() and analytic[:, 0].max() < high
    assert "Lemma 1 (seed 0)" in fig.get_suptitle()


@pytest.mark.parametrize(("vacuous", "said"), [(False, "L = 1e+03"), (True, "right side infinite")])
def test_numbers_stand_below_every_panel(tmp_path: Path, vacuous: bool, said: str) -> None:
    pairs = read_lemma([write_lemma_of(tmp_path, "a", vacuous=vacuous)], CONTEXT)
    axes = draw_lemma(pairs, CONTEXT, "Lemma 1").axes[0]
    lines = [text.get_text() for text in axes.texts]
    assert lines[0] == "δ = 0.5, factor √2 (center loss)"
    assert lines[1].startswith(f"analytic: {said}")
    assert lines[3] == "secant: L = 1.5, holds for 75%"
    assert len(clouds(axes)[0]) == (0 if vacuous else 12)
