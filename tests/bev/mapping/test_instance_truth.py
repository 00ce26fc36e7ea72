"""Instances read off a canvas made by hand."""

from __future__ import annotations

import torch

from nexusflow.bev.mapping.instance_truth import read_instances
from tests.bev.mapping.instances import numbered_canvas


def test_labels_boxes_and_masks() -> None:
    numbers = torch.zeros(3, 4, 8, dtype=torch.int16)
    numbers[0, 1, 2:4] = 7
    numbers[0, 3, 0] = 2
    numbers[1, :, 5] = 1
    numbers[2, 2:] = 1
    truth = read_instances(numbers)
    assert truth.labels_M.tolist() == [0, 0, 1]
    expected = [[0.5 / 8, 3.5 / 4, 1 / 8, 1 / 4], [3 / 8, 1.5 / 4, 2 / 8, 1 / 4], [5.5 / 8, 0.5, 1 / 8, 1.0]]
    torch.testing.assert_close(truth.boxes_M4, torch.tensor(expected))
    assert truth.masks_MHW[1].nonzero().tolist() == [[1, 2], [1, 3]]
    assert truth.masks_MHW.sum((1, 2)).tolist() == [1, 2, 4]
    assert truth.stuff_HW.sum() == 16 and truth.stuff_HW[2:].all()


def test_nothing() -> None:
    truth = read_instances(torch.zeros(4, 6, 6, dtype=torch.int16))
    assert truth.masks_MHW.shape == (0, 6, 6) and truth.boxes_M4.shape == (0, 4)
    assert not truth.stuff_HW.any()


def test_union_of_the_masks_is_the_class_mask() -> None:
    numbers = numbered_canvas()
    truth = read_instances(numbers)
    for label in range(3):
        union = truth.masks_MHW[truth.labels_M == label].sum(0)
        torch.testing.assert_close(union, (numbers[label] > 0).float())
