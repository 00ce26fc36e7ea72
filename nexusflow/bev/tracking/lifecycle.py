"""Birth, misses and death of tracks: by truth in training, by scores at test time.

Letters: B batch, Q live queries (detections, then slots), S slots, D query channels, K classes, G truth
boxes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nexusflow.bev.config import TrackConfig, TrackerThresholds
from nexusflow.bev.noise import BatchNoise
from nexusflow.bev.types import FrameTruth, TrackFrameOutput, TrackSlots

__all__ = ["carry_by_truth", "empty_slots", "update_tracks"]

HIDDEN_SCORE = 0.35  # hidden samples under `hidden_propagation: scores` carry queries above this


def empty_slots(batch: int, slots: int, dim: int, classes: int, device: torch.device) -> TrackSlots:
    """Return slots that hold no track."""
    return TrackSlots(
        torch.zeros(batch, slots, dim, device=device),
        torch.zeros(batch, slots, 10, device=device),
        torch.zeros(batch, slots, classes, device=device),
        torch.full((batch, slots), -1, device=device),
        torch.zeros(batch, slots, dtype=torch.bool, device=device),
        torch.zeros(batch, slots, dtype=torch.int64, device=device),
    )


def _take(
    frame: TrackFrameOutput, order_BS: Tensor, ids: Tensor, valid: Tensor, misses: Tensor
) -> TrackSlots:
    """Fill slots with the chosen live queries."""

    def pick(x: Tensor) -> Tensor:
        return x.gather(1, order_BS[..., None].expand(-1, -1, x.shape[-1]))

    valid_BS = valid.gather(1, order_BS)
    code = pick(frame.codes_LBQ10[-1]).detach()
    probs = pick(frame.logits_LBQK[-1]).detach().sigmoid()
    ids_BS = ids.gather(1, order_BS).masked_fill(~valid_BS, -1)
    misses_BS = misses.gather(1, order_BS).masked_fill(~valid_BS, 0)
    memory = None if frame.memory is None else frame.memory.taken(order_BS)
    return TrackSlots(pick(frame.content_BQD), code, probs, ids_BS, valid_BS, misses_BS, memory)


def carry_by_truth(
    frame: TrackFrameOutput, truth: FrameTruth, config: TrackConfig, rng: BatchNoise
) -> TrackSlots:
    """Choose the queries that become track queries of the next frame in training.

    A query is carried if it answers for an object and lies near it; a track query takes precedence over the
    detection query of the same object. Some are dropped, some false positives are added.

    Args:
        frame: output with targets.
        truth: truth of the frame.
        config: tracking section.
        rng: noise of the step.

    Returns:
        `config.train_slots` slots; hidden samples hold none unless the config propagates them by score.

    Source: training selection of UniAD's query interaction module, with centre distance in place of IoU.
    """
    assert frame.targets_LBQ is not None
    live = frame.detections + frame.slots
    targets_BQ = frame.targets_LBQ[-1, :, :live]
    index_BQ = targets_BQ.clamp(min=0)
    scores_BQ = frame.logits_LBQK[-1, :, :live].detach().sigmoid().amax(-1)
    centres = truth.boxes_BG9[..., :2].gather(1, index_BQ[..., None].expand(-1, -1, 2))
    offset_BQ = (frame.codes_LBQ10[-1, :, :live, :2].detach() - centres).norm(dim=-1)
    matched_BQ = (targets_BQ >= 0) & (offset_BQ <= config.carry_distance_m)
    ids_BQ = truth.instances_BG.gather(1, index_BQ).masked_fill(~matched_BQ, -1)
    is_track_Q = torch.arange(live, device=ids_BQ.device) >= frame.detections
    tracked_BQ = matched_BQ & is_track_Q
    doubled_BQ = ((ids_BQ[:, :, None] == ids_BQ[:, None]) & tracked_BQ[:, None]).any(-1) & ~is_track_Q
    random = rng.rand(2, *ids_BQ.shape, batch_dim=1).to(ids_BQ.device)
    kept_BQ = matched_BQ & ~doubled_BQ & (random[0] >= config.drop_probability)
    wanted_B1 = (kept_BQ & (random[1] < config.false_positive_probability)).sum(-1, keepdim=True)
    idle_BQ = (targets_BQ == -1) & ~is_track_Q
    rank_BQ = torch.where(idle_BQ, scores_BQ, -1.0).argsort(-1, descending=True).argsort(-1)
    false_BQ = idle_BQ & (rank_BQ < wanted_B1)
    if config.hidden_propagation == "scores":
        false_BQ = false_BQ | (
            ~truth.visible_B[:, None] & (scores_BQ >= HIDDEN_SCORE) & frame.valid_BQ[:, :live]
        )
    priority = tracked_BQ.float() + 2.0 * kept_BQ + 1.0 * false_BQ + scores_BQ * 0.5
    valid_BQ = kept_BQ | false_BQ
    order = torch.where(valid_BQ, priority, -1.0).topk(min(config.train_slots, live), dim=1).indices
    return _take(frame, order, ids_BQ, valid_BQ, torch.zeros_like(ids_BQ))


def _births(
    scores_BQ: Tensor, centres_BQ2: Tensor, blocked_BQ: Tensor, thresholds: TrackerThresholds
) -> Tensor:
    """Choose new tracks greedily by score, none near a stronger one."""
    order = scores_BQ.argsort(dim=1, descending=True, stable=True)
    sorted_centres = centres_BQ2.gather(1, order[..., None].expand(-1, -1, 2))
    born = (scores_BQ.gather(1, order) >= thresholds.birth) & ~blocked_BQ.gather(1, order)
    near_BQQ = torch.cdist(sorted_centres, sorted_centres) < thresholds.suppression_m
    for query in range(1, born.shape[1]):
        born[:, query] &= ~(born[:, :query] & near_BQQ[:, query, :query]).any(-1)
    return torch.zeros_like(born).scatter(1, order, born)


def update_tracks(
    frame: TrackFrameOutput, slots: TrackSlots, next_id_B: Tensor, thresholds: TrackerThresholds
) -> tuple[TrackSlots, Tensor, Tensor]:
    """Apply the life-cycle rules of test time to one frame.

    Args:
        frame: output of this frame (no denoising queries).
        slots: the tracks that entered the frame (identity and misses; S equals `frame.slots`).
        next_id_B: next unused identity per scene.
        thresholds: the rules' numbers.

    Returns:
        the tracks that leave the frame, which of them are reported in it (B, S), and the next unused
        identities.

    Source: runtime tracker of UniAD; births near live tracks are suppressed because detection queries also
        answer for tracked objects here.
    """
    detections = frame.detections
    scores_BQ, labels_BQ = frame.logits_LBQK[-1].sigmoid().max(-1)
    centres_BQ2 = frame.codes_LBQ10[-1, ..., :2]
    score_BS, label_BS, centre_BS2 = (
        scores_BQ[:, detections:],
        labels_BQ[:, detections:],
        centres_BQ2[:, detections:],
    )
    misses_BS = torch.where(score_BS >= thresholds.keep, 0, slots.misses_BS + 1)
    alive_BS = slots.valid_BS & (misses_BS < thresholds.max_misses)
    near_BSS = torch.cdist(centre_BS2, centre_BS2) < thresholds.duplicate_m
    same_BSS = label_BS[:, :, None] == label_BS[:, None]
    place = torch.arange(score_BS.shape[1], device=score_BS.device)
    equal_earlier = (score_BS[:, None] == score_BS[:, :, None]) & (place[None, :] < place[:, None])
    stronger_BSS = (score_BS[:, None] > score_BS[:, :, None]) | equal_earlier
    alive_BS = alive_BS & ~(near_BSS & same_BSS & stronger_BSS & alive_BS[:, None]).any(-1)
    seen_BS = alive_BS & (score_BS >= thresholds.keep)
    to_tracks = torch.cdist(centres_BQ2[:, :detections], centre_BS2)
    blocked = ((to_tracks < thresholds.suppression_m) & seen_BS[:, None]).any(-1)
    born = _births(scores_BQ[:, :detections], centres_BQ2[:, :detections], blocked, thresholds)
    new_ids = next_id_B[:, None] + born.long().cumsum(1) - 1
    valid_BQ = torch.cat([born, alive_BS], 1)
    ids_BQ = torch.cat([new_ids, slots.ids_BS], 1).masked_fill(~valid_BQ, -1)
    misses_BQ = torch.cat([torch.zeros_like(new_ids), misses_BS], 1)
    reported_BQ = torch.cat([born, seen_BS], 1)
    # Live tracks keep their slots first; births take what is left, strongest first.
    priority = torch.cat([scores_BQ[:, :detections], 1.0 + score_BS], 1)
    order = (
        torch.where(valid_BQ, priority, -1.0).topk(min(thresholds.slots, valid_BQ.shape[1]), dim=1).indices
    )
    kept = _take(frame, order, ids_BQ, valid_BQ, misses_BQ)
    return kept, reported_BQ.gather(1, order) & kept.valid_BS, next_id_B + born.sum(-1)
