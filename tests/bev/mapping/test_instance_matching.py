"""Boxes and costs against numbers made by hand; matching against all permutations."""

from __future__ import annotations

import itertools

import pytest
import torch

from nexusflow.bev.mapping.instance_config import InstanceLossConfig
from nexusflow.bev.mapping.instance_matching import (
    box_costs,
    choose_queries,
    dice_loss,
    generalised_iou,
    match,
    match_masks,
)
from nexusflow.bev.mapping.instance_truth import FrameInstances

CONFIG = InstanceLossConfig()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0.5, 0.5, 0.2, 0.4), (0.5, 0.5, 0.2, 0.4), 1.0),
        ((1.0, 1.0, 2.0, 2.0), (2.0, 2.0, 2.0, 2.0), 1 / 7 - 2 / 9),
        ((0.5, 0.5, 1.0, 1.0), (3.5, 0.5, 1.0, 1.0), 0 - 2 / 4),
        ((1.0, 1.0, 2.0, 2.0), (1.0, 1.0, 1.0, 1.0), 1 / 4),
    ],
)
def test_generalised_iou(first: tuple[float, ...], second: tuple[float, ...], expected: float) -> None:
    a, b = torch.tensor(first), torch.tensor(second)
    assert generalised_iou(a, b).item() == pytest.approx(expected, abs=1e-5)
    assert generalised_iou(b, a).item() == pytest.approx(expected, abs=1e-5)


def test_dice() -> None:
    truth = torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert dice_loss(truth, truth).item() == pytest.approx(0.0, abs=1e-5)
    assert dice_loss(torch.tensor([0.0, 0.0, 3.0, 1.0]), truth).item() == pytest.approx(1.0)
    # Raw masks: 2·(2 + 1) / (4 + 1 + 2)
    assert dice_loss(torch.tensor([2.0, 1.0, 0.0, 0.0]), truth).item() == pytest.approx(1 - 6 / 7, abs=1e-5)


def some_truth() -> FrameInstances:
    boxes = torch.tensor([[0.2, 0.3, 0.2, 0.1], [0.7, 0.6, 0.3, 0.3], [0.5, 0.5, 0.1, 0.9]])
    return FrameInstances(torch.tensor([0, 2, 1]), boxes, torch.zeros(3, 4, 4), torch.zeros(4, 4))


def test_cost_of_one_pair() -> None:
    truth = some_truth()
    classes, boxes = torch.tensor([[0.3, -1.0, 0.7]]), torch.tensor([[0.6, 0.5, 0.4, 0.2]])
    cost = box_costs(classes, boxes, truth, CONFIG, factor=2.0)[0, 1]
    p = torch.sigmoid(torch.tensor(0.7))
    focal = 0.25 * (1 - p) ** 2 * -p.log() - 0.75 * p**2 * -(1 - p).log()
    iou = generalised_iou(boxes[0], truth.boxes_M4[1])
    expected = 4.0 * focal + 5.0 * (0.1 + 0.1 + 0.1 + 0.1) - 2.0 * iou
    torch.testing.assert_close(cost, expected)


def test_the_cheapest_matching_of_all() -> None:
    torch.manual_seed(0)
    cost = torch.randn(5, 3)
    rows, columns = match(cost)
    best = min(sum(cost[q, m] for m, q in enumerate(p)) for p in itertools.permutations(range(5), 3))
    torch.testing.assert_close(cost[rows, columns].sum(), best)
    assert sorted(columns.tolist()) == [0, 1, 2]


def test_repeated_matchings_choose_new_queries() -> None:
    cost = torch.tensor([[0.0], [3.0], [1.0], [2.0]])
    assert choose_queries(cost, 3).tolist() == [0, 2, 3]
    assert choose_queries(cost, 1).tolist() == [0]
    # Two instances and four queries: no third round.
    assert sorted(choose_queries(torch.rand(4, 2), 3).tolist()) == [0, 1, 2, 3]
    # More instances than queries: every query once.
    assert sorted(choose_queries(torch.rand(2, 5), 3).tolist()) == [0, 1]


def test_masks_decide_between_equal_boxes() -> None:
    masks = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    truth = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    rows, columns = match_masks(torch.zeros(2, 2), masks, truth, CONFIG)
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == {0: 1, 1: 0}
