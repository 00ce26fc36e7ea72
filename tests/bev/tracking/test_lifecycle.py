"""Rules of birth, misses, death and duplicates at test time; selection by truth in training."""

from __future__ import annotations

from dataclasses import replace

import torch

from nexusflow.bev.config import TrackConfig, TrackerThresholds
from nexusflow.bev.noise import BatchNoise
from nexusflow.bev.tracking.lifecycle import carry_by_truth, empty_slots, update_tracks
from nexusflow.bev.types import FrameTruth, TrackFrameOutput, TrackSlots

RULES = TrackerThresholds(birth=0.5, keep=0.3, max_misses=2, suppression_m=1.5, duplicate_m=0.5, slots=4)


def _frame(
    detections: list[tuple[float, float]], tracks: list[tuple[float, float]], labels: list[int] | None = None
) -> TrackFrameOutput:
    """Build a frame from (x, score) of each query; y = 0, class 0 unless given."""
    rows = [*detections, *tracks]
    logits = torch.full((1, 1, len(rows), 7), -12.0)
    codes = torch.zeros(1, 1, len(rows), 10)
    for query, (x, score) in enumerate(rows):
        logits[0, 0, query, labels[query] if labels else 0] = torch.logit(torch.tensor(score))
        codes[0, 0, query, 0] = x
    content = torch.arange(float(len(rows)))[None, :, None].expand(1, -1, 4)
    valid = torch.ones(1, len(rows), dtype=torch.bool)
    return TrackFrameOutput(None, logits, codes, content, valid, len(detections), len(tracks))


def _slots(ids: list[int], misses: list[int] | None = None) -> TrackSlots:
    slots = empty_slots(1, len(ids), 4, 7, torch.device("cpu"))
    found = torch.tensor([ids])
    return replace(
        slots, ids_BS=found, valid_BS=found >= 0, misses_BS=torch.tensor([misses or [0] * len(ids)])
    )


def _live(slots: TrackSlots) -> list[int]:
    return sorted(slots.ids_BS[slots.valid_BS].tolist())


def test_births_need_score_and_room() -> None:
    frame = _frame([(0.0, 0.9), (1.0, 0.8), (9.0, 0.6), (20.0, 0.4)], [])
    slots, reported, next_id = update_tracks(frame, _slots([]), torch.tensor([7]), RULES)
    # The second lies within 1.5 m of a stronger birth, the last is too weak.
    assert _live(slots) == [7, 8] and int(reported.sum()) == 2 and next_id.tolist() == [9]


def test_births_near_live_tracks_are_suppressed() -> None:
    frame = _frame([(0.0, 0.9), (9.0, 0.9)], [(0.5, 0.6)])
    slots, _, _ = update_tracks(frame, _slots([3]), torch.tensor([7]), RULES)
    assert _live(slots) == [3, 7]


def test_a_missed_track_does_not_block_births() -> None:
    frame = _frame([(0.0, 0.9)], [(0.5, 0.1)])
    slots, reported, _ = update_tracks(frame, _slots([3]), torch.tensor([7]), RULES)
    assert _live(slots) == [3, 7] and slots.ids_BS[reported].tolist() == [7]


def test_misses_count_reset_and_end_a_track() -> None:
    weak, strong = _frame([], [(0.0, 0.1)]), _frame([], [(0.0, 0.9)])
    slots, reported, _ = update_tracks(weak, _slots([3]), torch.tensor([4]), RULES)
    assert _live(slots) == [3] and not reported.any() and slots.misses_BS.tolist() == [[1]]
    kept, reported, _ = update_tracks(strong, slots, torch.tensor([4]), RULES)
    assert reported.any() and kept.misses_BS.tolist() == [[0]]
    gone, _, _ = update_tracks(weak, slots, torch.tensor([4]), RULES)
    assert _live(gone) == []


def test_of_two_tracks_on_one_object_the_stronger_stays() -> None:
    same = update_tracks(_frame([], [(0.0, 0.6), (0.2, 0.8)]), _slots([1, 2]), torch.tensor([3]), RULES)[0]
    other = _frame([], [(0.0, 0.6), (0.2, 0.8)], labels=[0, 1])
    assert _live(same) == [2]
    assert _live(update_tracks(other, _slots([1, 2]), torch.tensor([3]), RULES)[0]) == [1, 2]
    equal = update_tracks(_frame([], [(0.0, 0.6), (0.2, 0.6)]), _slots([1, 2]), torch.tensor([3]), RULES)[0]
    assert _live(equal) == [1], "equal scores must not remove both"


def test_live_tracks_come_before_births_when_slots_run_out() -> None:
    frame = _frame([(50.0 + 10 * k, 0.9) for k in range(4)], [(0.0, 0.35), (10.0, 0.35)])
    slots, _, _ = update_tracks(frame, _slots([1, 2]), torch.tensor([10]), RULES)
    assert slots.ids_BS.shape == (1, 4) and {1, 2} < set(_live(slots))


def test_identities_are_never_used_twice() -> None:
    slots, next_id, seen = _slots([]), torch.tensor([0]), []
    for x in (0.0, 30.0, 60.0):
        count = slots.valid_BS.shape[1]
        frame = _frame([(x, 0.9), (x + 5, 0.9)], [(0.0, 0.01)] * count)
        before = set(_live(slots))
        slots, _, next_id = update_tracks(frame, slots, next_id, RULES)
        seen += [i for i in _live(slots) if i not in before]
    assert len(seen) == len(set(seen)) == 6


def _truth(visible: bool = True) -> FrameTruth:
    boxes = torch.zeros(1, 2, 9)
    boxes[0, :, 0] = torch.tensor([0.0, 10.0])
    return FrameTruth(boxes, torch.tensor([[0, 0]]), torch.tensor([[70, 80]]), torch.tensor([visible]))


def test_training_prefers_the_track_query_of_an_object() -> None:
    config = TrackConfig(train_slots=4, drop_probability=0.0, false_positive_probability=0.0)
    frame = _frame([(0.1, 0.5), (10.1, 0.5), (20.0, 0.9)], [(0.2, 0.3)])
    frame.targets_LBQ = torch.tensor([[[0, 1, -1, 0]]])
    slots = carry_by_truth(frame, _truth(), config, BatchNoise(0))
    chosen = {
        int(i): float(c) for i, c in zip(slots.ids_BS[0], slots.content_BSD[0, :, 0], strict=True) if i >= 0
    }
    assert chosen == {70: 3.0, 80: 1.0}


def test_training_drops_far_queries_and_adds_false_positives() -> None:
    config = TrackConfig(
        train_slots=4, drop_probability=0.0, false_positive_probability=1.0, carry_distance_m=1.0
    )
    frame = _frame([(0.1, 0.5), (13.0, 0.5), (20.0, 0.9), (30.0, 0.2)], [])
    frame.targets_LBQ = torch.tensor([[[0, 1, -1, -1]]])
    slots = carry_by_truth(frame, _truth(), config, BatchNoise(0))
    assert slots.ids_BS[slots.valid_BS].tolist() == [70, -1]
    assert slots.content_BSD[0, 1, 0] == 2.0, "the strongest idle detection becomes the false positive"


def test_hidden_samples_carry_nothing_unless_asked_to() -> None:
    frame = _frame([(0.1, 0.9), (13.0, 0.1)], [])
    frame.targets_LBQ = torch.full((1, 1, 2), -2)
    rng = BatchNoise(0)
    assert not carry_by_truth(frame, _truth(False), TrackConfig(), rng).valid_BS.any()
    by_score = carry_by_truth(frame, _truth(False), TrackConfig(hidden_propagation="scores"), rng)
    assert by_score.valid_BS.sum() == 1 and (by_score.ids_BS == -1).all()
