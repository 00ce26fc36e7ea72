"""Painting, by examples made by hand."""

from __future__ import annotations

import pytest
import torch

from nexusflow.bev.mapping.instance_config import PaintingConfig
from nexusflow.bev.mapping.painting import paint_things, strongest

RULES = PaintingConfig()


def row_masks(*rows: tuple[int, int], value: float = 1.0) -> torch.Tensor:
    """Masks over a canvas of one row of 20 cells."""
    masks = torch.zeros(len(rows), 1, 20)
    for mask, (start, stop) in zip(masks, rows, strict=True):
        mask[0, start:stop] = value
    return masks


def painted(canvas_HW: torch.Tensor) -> list[int]:
    return canvas_HW[0].nonzero()[:, 0].tolist()


def test_strongest_pairs() -> None:
    scores, labels, queries = strongest(torch.tensor([[0.0, 3.0], [2.0, -1.0]]), 2)
    assert labels.tolist() == [1, 0] and queries.tolist() == [0, 1]
    torch.testing.assert_close(scores, torch.tensor([3.0, 2.0]).sigmoid())
    assert len(strongest(torch.zeros(2, 2), 100)[0]) == 4


def test_the_stronger_one_keeps_the_cells_of_both() -> None:
    canvas = paint_things(
        torch.tensor([0.5, 0.9]), torch.tensor([1, 2]), row_masks((0, 10), (7, 15)), 3, RULES
    )
    assert painted(canvas[2]) == list(range(7, 15))
    assert painted(canvas[1]) == list(range(7))  # three of ten cells are taken: fewer than 40 %
    assert not canvas[0].any()


def test_too_much_overlap_is_dropped() -> None:
    canvas = paint_things(
        torch.tensor([0.5, 0.9]), torch.tensor([1, 2]), row_masks((0, 10), (5, 15)), 3, RULES
    )
    assert not canvas[1].any() and painted(canvas[2]) == list(range(5, 15))


def test_cells_of_the_first_class_stay_free() -> None:
    arguments = (torch.tensor([0.9, 0.5]), torch.tensor([0, 1]), row_masks((0, 10), (0, 10)), 3)
    canvas = paint_things(*arguments, RULES)
    assert painted(canvas[0]) == painted(canvas[1]) == list(range(10))
    taken = paint_things(*arguments, RULES.model_copy(update={"first_class_occupies": True}))
    assert painted(taken[0]) == list(range(10)) and not taken[1].any()


@pytest.mark.parametrize(("score", "kept"), [(0.16, True), (0.14, False)])
def test_scores_fall_with_the_square_of_the_mean(score: float, kept: bool) -> None:
    """Nineteen cells of 0.88: the mean is 19 · 0.88 / 20 = 0.836, its square 0.699."""
    canvas = paint_things(torch.tensor([score]), torch.tensor([1]), row_masks((0, 19), value=0.88), 3, RULES)
    assert bool(canvas.any()) == kept


def test_faint_masks_are_empty() -> None:
    assert not paint_things(torch.ones(1), torch.tensor([1]), row_masks((0, 19), value=0.5), 3, RULES).any()
