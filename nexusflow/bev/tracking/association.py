"""Anchors live tracks to this frame's detection queries at test time.

Clips of two frames teach a track query one step only; over twenty frames it drifts. Detection queries answer
for all objects and do not drift, so a track takes over state and embedding of its object's detection query,
which is also what it was trained to start from.

Letters: B scenes, Q queries (detections, then slots), D detections, S slots, L layers, K classes.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from nexusflow.bev.config import TrackerThresholds
from nexusflow.bev.types import TrackFrameOutput, TrackSlots

__all__ = ["anchor_tracks"]

_FORBIDDEN = 1e3
_NEVER_BORN = -20.0  # logit


def _pairs(cost_SD: Tensor) -> tuple[Tensor, Tensor]:
    """Best one-to-one assignment of a scene's tracks to detections, forbidden pairs left out."""
    slots, detections = linear_sum_assignment(cost_SD.cpu().numpy())
    rows, columns = torch.as_tensor(slots), torch.as_tensor(detections)
    allowed = cost_SD.cpu()[rows, columns] < _FORBIDDEN / 2
    return rows[allowed].to(cost_SD.device), columns[allowed].to(cost_SD.device)


def anchor_tracks(
    frame: TrackFrameOutput, slots: TrackSlots, thresholds: TrackerThresholds
) -> TrackFrameOutput:
    """Let every track take over the detection query of its object, and doubt tracks that find none.

    A pair needs equal classes and centres within `association_m`; the sum of distance minus score is
    minimised over the scene. A detection that is taken over cannot start a track. A track without detection
    keeps its own state, with its logits lowered by `unmatched_penalty`.

    Args:
        frame: output of this frame (no denoising queries).
        slots: the tracks that entered the frame.
        thresholds: the life cycle's numbers.

    Returns:
        The frame with the last layer's logits, codes and the embeddings replaced.

    Source: ours, for models trained on short clips; not part of UniAD, whose clips have five frames.
    """
    count = frame.detections
    logits_BQK, codes_BQ10 = frame.logits_LBQK[-1].clone(), frame.codes_LBQ10[-1].clone()
    content_BQD = frame.content_BQD.clone()
    scores_BQ, labels_BQ = logits_BQK.sigmoid().max(-1)
    distance_BSD = torch.cdist(codes_BQ10[:, count:, :2], codes_BQ10[:, :count, :2])
    same_BSD = labels_BQ[:, count:, None] == labels_BQ[:, None, :count]
    likely_BD = scores_BQ[:, :count] >= thresholds.association_score * thresholds.keep
    allowed_BSD = same_BSD & likely_BD[:, None] & (distance_BSD < thresholds.association_m)
    allowed_BSD &= slots.valid_BS[..., None]
    cost_BSD = torch.where(allowed_BSD, distance_BSD - scores_BQ[:, None, :count], _FORBIDDEN)
    for scene in range(len(cost_BSD)):
        tracks, found = _pairs(cost_BSD[scene])
        own = count + tracks
        unmatched = slots.valid_BS[scene].clone()
        unmatched[tracks] = False
        codes_BQ10[scene, own] = codes_BQ10[scene, found]
        content_BQD[scene, own] = content_BQD[scene, found]
        logits_BQK[scene, own] = torch.maximum(logits_BQK[scene, own], logits_BQK[scene, found])
        logits_BQK[scene, count:][unmatched] -= thresholds.unmatched_penalty
        logits_BQK[scene, found] = _NEVER_BORN
    return replace(
        frame,
        logits_LBQK=torch.cat([frame.logits_LBQK[:-1], logits_BQK[None]]),
        codes_LBQ10=torch.cat([frame.codes_LBQ10[:-1], codes_BQ10[None]]),
        content_BQD=content_BQD,
    )
