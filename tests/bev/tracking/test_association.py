"""Anchoring of tracks to detection queries."""

import torch

from nexusflow.bev.config import TrackerThresholds
from nexusflow.bev.tracking.association import anchor_tracks
from nexusflow.bev.tracking.lifecycle import empty_slots, update_tracks
from nexusflow.bev.types import TrackFrameOutput, TrackSlots

THRESHOLDS = TrackerThresholds(birth=0.4, keep=0.3, association_m=3.0, unmatched_penalty=2.0)


def scene(
    detections: list[tuple[float, int, float]], tracks: list[tuple[float, int, float]]
) -> tuple[TrackFrameOutput, TrackSlots]:
    """One scene of (x, label, probability) queries."""
    rows = detections + tracks
    logits = torch.full((2, 1, len(rows), 3), -6.0)
    codes = torch.zeros(2, 1, len(rows), 10)
    for query, (x, label, p) in enumerate(rows):
        logits[:, 0, query, label] = torch.logit(torch.tensor(p))
        codes[:, 0, query, 0] = x
    content = torch.arange(len(rows), dtype=torch.float32)[None, :, None].expand(1, -1, 4).clone()
    valid = torch.ones(1, len(rows), dtype=torch.bool)
    frame = TrackFrameOutput(None, logits, codes, content, valid, len(detections), len(tracks))
    slots = empty_slots(1, len(tracks), 4, 3, torch.device("cpu"))
    slots.valid_BS[:] = True
    slots.ids_BS = torch.arange(len(tracks))[None] + 10
    return frame, slots


def test_a_track_takes_over_the_detection_of_its_object() -> None:
    frame, slots = scene([(1.0, 0, 0.9), (9.0, 0, 0.8)], [(2.5, 0, 0.5)])
    anchored = anchor_tracks(frame, slots, THRESHOLDS)
    assert anchored.codes_LBQ10[-1, 0, 2, 0] == 1.0
    assert anchored.content_BQD[0, 2, 0] == 0.0
    assert torch.isclose(anchored.logits_LBQK[-1, 0, 2, 0].sigmoid(), torch.tensor(0.9))
    kept, reported, next_id = update_tracks(anchored, slots, torch.tensor([50]), THRESHOLDS)
    assert sorted(kept.ids_BS[reported].tolist()) == [10, 50], (
        "the taken detection must not start a second track"
    )
    assert int(next_id) == 51


def test_another_class_or_a_far_detection_is_no_anchor() -> None:
    for detection in [(1.0, 1, 0.9), (6.0, 0, 0.9), (1.0, 0, 0.05)]:
        frame, slots = scene([detection], [(2.5, 0, 0.5)])
        anchored = anchor_tracks(frame, slots, THRESHOLDS)
        assert anchored.codes_LBQ10[-1, 0, 1, 0] == 2.5
        assert torch.isclose(anchored.logits_LBQK[-1, 0, 1, 0], frame.logits_LBQK[-1, 0, 1, 0] - 2.0)


def test_two_tracks_never_share_a_detection() -> None:
    frame, slots = scene([(0.0, 0, 0.9), (2.0, 0, 0.9)], [(0.2, 0, 0.6), (1.0, 0, 0.6)])
    anchored = anchor_tracks(frame, slots, THRESHOLDS)
    assert anchored.codes_LBQ10[-1, 0, 2:, 0].tolist() == [0.0, 2.0]


def test_nothing_of_the_input_is_changed() -> None:
    frame, slots = scene([(1.0, 0, 0.9)], [(2.5, 0, 0.5)])
    before = [x.clone() for x in (frame.logits_LBQK, frame.codes_LBQ10, frame.content_BQD)]
    anchor_tracks(frame, slots, THRESHOLDS)
    after = (frame.logits_LBQK, frame.codes_LBQ10, frame.content_BQD)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
