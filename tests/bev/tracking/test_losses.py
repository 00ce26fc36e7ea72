"""Heat-map targets and the normalisation of the tracking losses."""

from __future__ import annotations

import torch

from nexusflow.bev.config import TrackConfig
from nexusflow.bev.tracking.losses import focal_loss, heat_targets, track_losses
from nexusflow.bev.types import FrameTruth, TrackFrameOutput, TrackOutput, TrackTruth


def test_heat_targets_peak_at_the_centre_cell() -> None:
    boxes = torch.zeros(1, 2, 9)
    boxes[0, :, :2] = torch.tensor([[3.2, -1.7], [0.0, 0.0]])
    boxes[..., 3:5] = 2.0
    truth = FrameTruth(boxes, torch.tensor([[4, -1]]), torch.tensor([[1, -1]]), torch.tensor([True]))
    heat = heat_targets(truth, 7, 16, 8.0, 0.8)
    assert heat.shape == (1, 7, 16, 16)
    assert (heat == 1.0).nonzero().tolist() == [[0, 4, 6, 11]]
    assert 0.0 < heat[0, 4, 6, 12] < 1.0 and heat.sum((2, 3))[0].nonzero().tolist() == [[4]]


def test_focal_loss_against_a_hand_computed_value() -> None:
    loss = focal_loss(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0]), 0.25, 2.0)
    log2 = 0.6931472
    torch.testing.assert_close(loss, torch.tensor([0.25 * 0.25 * log2, 0.75 * 0.25 * log2]))


def _output(targets: list[list[int]], visible: list[bool]) -> TrackOutput:
    clips, queries = len(targets), len(targets[0])
    boxes = torch.zeros(clips, 1, 2, 9)
    boxes[..., 0] = torch.tensor([2.0, -2.0])
    boxes[..., 3:6] = 1.0
    labels = torch.zeros(clips, 1, 2, dtype=torch.int64)
    truth = TrackTruth(boxes, labels, labels, torch.tensor(visible)).masked(8.0)
    logits = torch.zeros(1, clips, queries, 7, requires_grad=True)
    codes = torch.zeros(1, clips, queries, 10, requires_grad=True)
    valid = torch.ones(clips, queries, dtype=torch.bool)
    frame = TrackFrameOutput(None, logits, codes, torch.zeros(clips, queries, 4), valid, queries, 0)
    frame.targets_LBQ = torch.tensor(targets)[None]
    return TrackOutput([frame], truth, False)


def test_losses_are_means_per_visible_object() -> None:
    one = track_losses(_output([[0, 1, -1]], [True]), TrackConfig(), 16, 8.0)
    two = track_losses(_output([[0, 1, -1], [0, 1, -1]], [True, True]), TrackConfig(), 16, 8.0)
    hidden = track_losses(_output([[0, 1, -1], [-2, -2, -2]], [True, False]), TrackConfig(), 16, 8.0)
    for name in ("track/cls", "track/box"):
        torch.testing.assert_close(one[name], two[name])
        torch.testing.assert_close(one[name], hidden[name])


def test_ignored_queries_get_no_gradient() -> None:
    output = _output([[0, 1, -1], [-2, -2, -2]], [True, False])
    frame = output.frames[0]
    sum(track_losses(output, TrackConfig(), 16, 8.0).values()).backward()
    assert not frame.logits_LBQK.grad[:, 1].any() and frame.logits_LBQK.grad[:, 0].all()
    assert not frame.codes_LBQ10.grad[:, 1].any() and not frame.codes_LBQ10.grad[:, 0, 2].any()


def test_nothing_visible_gives_zero() -> None:
    losses = track_losses(_output([[-2, -2]], [False]), TrackConfig(), 16, 8.0)
    assert all(float(value.detach()) == 0.0 for value in losses.values())
