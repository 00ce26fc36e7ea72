"""Lemma 1 drawn: samples that violate it lie in the shade, an infinite bound is said to say nothing."""

from dataclasses import replace
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
    assert len(fig.axes) == 2 * 4  # numbers below every panel
    for axes, pair in zip(fig.axes[:4], pairs, strict=True):
        assert axes.get_xscale() == axes.get_yscale() == "log"
        analytic, local, secant = clouds(axes)
        assert len(analytic) == len(local) == len(secant) == 12
        np.testing.assert_allclose(local[:, 0], 2 * pair.left_N)
        assert (secant[:, 0] < secant[:, 1]).sum() == 3
        low, high = axes.get_xlim()
        assert low < secant[:, 0].min() and analytic[:, 0].max() < high
    assert "Lemma 1 (seed 0)" in fig.get_suptitle()


@pytest.mark.parametrize(("vacuous", "said"), [(False, "L = 1.0 · $10^{3}$"), (True, "right side infinite")])
def test_numbers_stand_below_every_panel(tmp_path: Path, vacuous: bool, said: str) -> None:
    pairs = read_lemma([write_lemma_of(tmp_path, "a", vacuous=vacuous)], CONTEXT)
    fig = draw_lemma(pairs, CONTEXT, "Lemma 1")
    axes, below = fig.axes[0], fig.axes[3]
    lines = [text.get_text() for text in below.texts]
    assert lines[0] == "δ = 0.5, factor √2 (centre loss)"
    assert lines[1].startswith(f"analytic: {said}")
    assert lines[3] == "secant: L = 1.5, holds for 75%"
    assert len(clouds(axes)) == (2 if vacuous else 3)


def test_a_bound_that_is_far_off_is_named_instead_of_drawn(tmp_path: Path) -> None:
    (pair,) = read_lemma([write_lemma_of(tmp_path, "a")], CONTEXT)
    analytic = replace(pair.sides["analytic"], right_N=1e6 * pair.left_N)
    axes = draw_lemma([replace(pair, sides=pair.sides | {"analytic": analytic})], CONTEXT, "Lemma 1").axes[0]
    assert len(clouds(axes)) == 2 and axes.get_xlim()[1] < 10
    assert axes.texts[0].get_text().startswith("analytic: far right,\nmedian 1.6 · $10^{6}$")


def test_tasks_that_coincide_have_nothing_to_draw(tmp_path: Path) -> None:
    (pair,) = read_lemma([write_lemma_of(tmp_path, "a")], CONTEXT)
    axes = draw_lemma([replace(pair, left_N=np.zeros(12))], CONTEXT, "Lemma 1").axes[0]
    assert "every left side is 0" in axes.texts[0].get_text()
