"""Masked truth: independent of hidden labels, trimmed, restricted to the grid."""

from __future__ import annotations

from dataclasses import replace

import torch

from tests.bev.conftest import make_batch, tiny_config


def test_hidden_labels_leave_no_trace_not_even_in_shapes() -> None:
    truth = make_batch(tiny_config(), clips=2, boxes=4).truth
    visible = torch.tensor([False, True])
    labels = truth.labels_BTG.clone()
    labels[1, :, 2:] = -1
    first = replace(truth, visible_B=visible, labels_BTG=labels).masked(8.0)
    labels = labels.clone()
    labels[0, :, 1:] = -1
    second = replace(truth, visible_B=visible, labels_BTG=labels, boxes_BTG9=truth.boxes_BTG9 + 0.0).masked(
        8.0
    )
    assert first.labels_BTG.shape == second.labels_BTG.shape == (2, 2, 2)
    for name in ("boxes_BTG9", "labels_BTG", "instances_BTG"):
        assert torch.equal(getattr(first, name), getattr(second, name))


def test_boxes_outside_the_grid_are_dropped() -> None:
    truth = make_batch(tiny_config(), boxes=3).truth
    truth.boxes_BTG9[0, 0, 1, 0] = 8.5
    masked = truth.masked(8.0)
    assert masked.labels_BTG[0, 0].tolist() == [*truth.labels_BTG[0, 0, [0, 2]].tolist(), -1]
    assert masked.frame(0).valid_BG[0].tolist() == [True, True, False]


def test_single_frames() -> None:
    truth = make_batch(tiny_config(), clips=2).truth
    single = truth.as_single_frames()
    assert single.labels_BTG.shape == (4, 1, 5) and single.visible_B.shape == (4,)
    assert torch.equal(single.boxes_BTG9[1, 0], truth.boxes_BTG9[0, 1])
