"""Which truth box each query answers for.

Targets are indices into the frame's truth; -1 means background, -2 means no loss.
Letters: B batch, Q queries, S slots, G truth boxes, K classes, L decoder layers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from nexusflow.bev.boxes import boxes_to_code
from nexusflow.bev.config import TrackLossConfig
from nexusflow.bev.types import FrameTruth

__all__ = ["BACKGROUND", "IGNORED", "match_detections", "match_tracks", "matching_cost"]

BACKGROUND = -1
IGNORED = -2


def matching_cost(
    logits_LBQK: Tensor, codes_LBQ10: Tensor, truth: FrameTruth, config: TrackLossConfig
) -> Tensor:
    """Return the cost of every query for every truth box, (L, B, Q, G).

    Source: focal cost and L1 cost over the first eight code values, as in UniAD's ClipMatcher.
    """
    log_p, log_not_p = F.logsigmoid(logits_LBQK), F.logsigmoid(-logits_LBQK)
    p = log_p.exp()
    positive = config.focal_alpha * (1 - p) ** config.focal_gamma * -log_p
    negative = (1 - config.focal_alpha) * p**config.focal_gamma * -log_not_p
    labels = truth.labels_BG.clamp(min=0)[None, :, None].expand(
        len(logits_LBQK), -1, logits_LBQK.shape[2], -1
    )
    focal = (positive - negative).gather(-1, labels)
    weights = torch.tensor(config.code_weights[:8], device=codes_LBQ10.device)
    wanted = boxes_to_code(truth.boxes_BG9)[..., :8] * weights
    got = codes_LBQ10[..., :8] * weights
    distance = (got[:, :, :, None] - wanted[None, :, None]).abs().sum(-1)
    return config.cost_classification * focal + config.cost_box * distance


@torch.no_grad()
def match_detections(
    logits_LBQK: Tensor, codes_LBQ10: Tensor, truth: FrameTruth, free_BG: Tensor, config: TrackLossConfig
) -> Tensor:
    """Assign detection queries one to one to truth boxes, layer by layer.

    Args:
        logits_LBQK: class logits of the detection queries.
        codes_LBQ10: box codes.
        truth: truth of the frame.
        free_BG: truth boxes that detection queries answer for.
        config: matching costs.

    Returns:
        (L, B, Q) targets; samples with hidden labels are ignored.
    """
    cost = matching_cost(logits_LBQK.float(), codes_LBQ10.float(), truth, config).cpu()
    free = free_BG.cpu()
    targets = torch.full(cost.shape[:3], BACKGROUND)
    for sample in range(cost.shape[1]):
        wanted = free[sample].nonzero()[:, 0]
        if not len(wanted):
            continue
        for layer in range(len(cost)):
            rows, columns = linear_sum_assignment(cost[layer, sample][:, wanted].numpy())
            targets[layer, sample, rows] = wanted[columns]
    targets = targets.to(logits_LBQK.device)
    return targets.masked_fill(~truth.visible_B[None, :, None], IGNORED)


def match_tracks(ids_BS: Tensor, valid_BS: Tensor, truth: FrameTruth) -> Tensor:
    """Give every track query the truth box of its own identity.

    Args:
        ids_BS: identities, -1 for false positives.
        valid_BS: slots that hold a query.
        truth: truth of the frame.

    Returns:
        (B, S) targets: background where the object has gone, ignored for empty slots and hidden samples.
    """
    same_BSG = (ids_BS[..., None] == truth.instances_BG[:, None]) & truth.valid_BG[:, None]
    same_BSG = same_BSG & (ids_BS >= 0)[..., None]
    index_BS = same_BSG.to(torch.uint8).argmax(-1)
    targets = torch.where(same_BSG.any(-1), index_BS, BACKGROUND)
    return targets.masked_fill(~(valid_BS & truth.visible_B[:, None]), IGNORED)
