"""Detections are matched one to one; tracks keep their identity; hidden samples are left alone."""

from __future__ import annotations

import torch

from nexusflow.bev.boxes import boxes_to_code
from nexusflow.bev.config import TrackLossConfig
from nexusflow.bev.tracking.matching import match_detections, match_tracks
from nexusflow.bev.types import FrameTruth


def _truth(visible: bool = True) -> FrameTruth:
    boxes = torch.zeros(1, 3, 9)
    boxes[0, :2, 0] = torch.tensor([4.0, -4.0])
    boxes[0, :2, 3:6] = 1.0
    labels = torch.tensor([[2, 5, -1]])
    return FrameTruth(boxes, labels, torch.tensor([[70, 80, -1]]), torch.tensor([visible]))


def _predictions() -> tuple[torch.Tensor, torch.Tensor]:
    boxes = torch.zeros(1, 1, 4, 9)
    boxes[..., 3:6] = 1.0
    boxes[0, 0, :, 0] = torch.tensor([0.0, -3.8, 9.0, 4.1])
    return torch.full((1, 1, 4, 7), -3.0), boxes_to_code(boxes)


def test_nearest_queries_answer_and_padding_is_never_matched() -> None:
    logits, codes = _predictions()
    truth = _truth()
    targets = match_detections(logits, codes, truth, truth.valid_BG, TrackLossConfig())
    assert targets.tolist() == [[[-1, 1, -1, 0]]]


def test_class_decides_between_equally_near_queries() -> None:
    logits, codes = _predictions()
    codes[0, 0, 0] = codes[0, 0, 3]
    logits[0, 0, 0, 2] = 3.0
    truth = _truth()
    assert match_detections(logits, codes, truth, truth.valid_BG, TrackLossConfig())[0, 0, 0] == 0


def test_tracked_boxes_can_be_left_out() -> None:
    logits, codes = _predictions()
    free = torch.tensor([[False, True, False]])
    assert match_detections(logits, codes, _truth(), free, TrackLossConfig()).tolist() == [[[-1, 1, -1, -1]]]


def test_hidden_samples_are_ignored() -> None:
    logits, codes = _predictions()
    truth = _truth(visible=False)
    assert (match_detections(logits, codes, truth, truth.valid_BG, TrackLossConfig()) == -2).all()
    assert (match_tracks(torch.tensor([[70]]), torch.tensor([[True]]), truth) == -2).all()


def test_tracks_keep_their_identity() -> None:
    ids = torch.tensor([[80, 70, 99, -1, 80]])
    valid = torch.tensor([[True, True, True, True, False]])
    assert match_tracks(ids, valid, _truth()).tolist() == [[1, 0, -1, -1, -2]]
