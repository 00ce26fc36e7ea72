"""Pieces of diagrams: tints, boxes whose edges lie where they say, slabs of coupling layers."""

from itertools import pairwise

import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from nexusflow.paper.diagram import Box, arrow, slabs, tint


def test_a_tint_lies_between_white_and_the_colour() -> None:
    assert tint("#000000", 0.0) == (1.0, 1.0, 1.0)
    assert tint("#336699", 1.0) == pytest.approx((0.2, 0.4, 0.6))
    assert tint("#000000", 0.25) == pytest.approx((0.75, 0.75, 0.75))


def test_edges_of_a_box() -> None:
    axes = Figure().add_subplot()
    box = Box(axes, 1.0, 2.0, 3.0, 0.5)
    assert (box.right, box.top, box.bottom) == ((4.0, 2.0), (2.5, 2.25), (2.5, 1.75))
    assert [patch.get_hatch() for patch in axes.patches] == [None]
    Box(axes, 1.0, 2.0, 3.0, 0.5, hatched=True)
    assert [patch.get_hatch() for patch in axes.patches[1:]] == [None, "////"]


def test_lines_of_a_box_lie_below_its_title() -> None:
    axes = Figure().add_subplot()
    Box(axes, 0.0, 0.0, 2.0, 1.0).write("title", ["first", "second"])
    heights = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert heights["title"] > heights["first"] > heights["second"]
    # The three lines lie around the middle.
    assert abs(heights["title"] + heights["second"]) < 0.02


@pytest.mark.parametrize("count", [1, 4, 5])
def test_the_last_coupling_layer_changes_the_second_half(count: int) -> None:
    axes = Figure().add_subplot()
    slabs(axes, 0.0, 0.0, 2.0, 1.0, count, "#0072B2")
    changed = [patch for patch in axes.patches if patch.get_facecolor() != to_rgba("white")]
    assert len(axes.patches) == 2 * count and len(changed) == count
    lows = [patch.get_y() for patch in changed]  # type: ignore[attr-defined]
    assert lows[-1] == 0.0
    # The halves take turns.
    assert all(first != second for first, second in pairwise(lows))


def test_an_arrow_may_have_two_heads() -> None:
    axes = Figure().add_subplot()
    arrow(axes, (0.0, 0.0), (1.0, 0.0))
    arrow(axes, (0.0, 0.0), (1.0, 0.0), both=True)
    styles = [type(patch.get_arrowstyle()).__name__ for patch in axes.patches]  # type: ignore[attr-defined]
    assert styles == ["CurveFilledB", "CurveFilledAB"]
