"""Which query answers for which map instance: costs, one-to-one matching, the mask decoder's queries.

Letters: Q queries, M instances, K thing classes, N rows of both, H/W canvas, R chosen queries.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from nexusflow.bev.mapping.instance_config import InstanceLossConfig
from nexusflow.bev.mapping.instance_truth import FrameInstances

__all__ = ["box_costs", "choose_queries", "dice_loss", "generalised_iou", "match", "match_masks"]

EPS = 1e-6


def generalised_iou(boxes_N4: Tensor, others_N4: Tensor) -> Tensor:
    """Return the generalised IoU of boxes given by centre and size.

    Args:
        boxes_N4: (…, 4) boxes.
        others_N4: (…, 4) boxes; leading dimensions are broadcast.

    Returns:
        (…) in [-1, 1].

    Source: Rezatofighi et al. 2019.
    """
    low, high = (boxes_N4[..., :2] + sign * 0.5 * boxes_N4[..., 2:] for sign in (-1, 1))
    other_low, other_high = (others_N4[..., :2] + sign * 0.5 * others_N4[..., 2:] for sign in (-1, 1))
    shared = (torch.minimum(high, other_high) - torch.maximum(low, other_low)).clamp(min=0).prod(-1)
    union = boxes_N4[..., 2:].prod(-1) + others_N4[..., 2:].prod(-1) - shared
    hull = (torch.maximum(high, other_high) - torch.minimum(low, other_low)).prod(-1)
    return shared / union.clamp(min=EPS) - (hull - union) / hull.clamp(min=EPS)


def dice_loss(masks_NP: Tensor, truth_NP: Tensor) -> Tensor:
    """Return one minus the dice of masks, summed over the last dimension; leading ones are broadcast.

    Source: dice with squared sums, on raw masks, as in UniAD's MapFormer.
    """
    overlap = (masks_NP * truth_NP).sum(-1)
    return 1.0 - 2.0 * overlap / ((masks_NP**2).sum(-1) + (truth_NP**2).sum(-1) + 2.0 * EPS)


def box_costs(
    classes_QK: Tensor,
    boxes_Q4: Tensor,
    truth: FrameInstances,
    config: InstanceLossConfig,
    factor: float = 1.0,
) -> Tensor:
    """Return the cost (Q, M) of every query for every instance: class, L1 distance and generalised IoU.

    Args:
        classes_QK: class logits.
        boxes_Q4: centre and size in [0, 1].
        truth: the frame's instances.
        config: costs.
        factor: of the cost of classification.
    """
    log_p, log_not_p = F.logsigmoid(classes_QK), F.logsigmoid(-classes_QK)
    p = log_p.exp()
    positive = config.focal_alpha * (1.0 - p) ** config.focal_gamma * -log_p
    negative = (1.0 - config.focal_alpha) * p**config.focal_gamma * -log_not_p
    cost = factor * config.cost_classification * (positive - negative)[:, truth.labels_M]
    cost = cost + config.cost_box * (boxes_Q4[:, None] - truth.boxes_M4[None]).abs().sum(-1)
    return cost - config.cost_giou * generalised_iou(boxes_Q4[:, None], truth.boxes_M4[None])


@torch.no_grad()
def match(cost_QM: Tensor) -> tuple[Tensor, Tensor]:
    """Assign instances one to one at the least cost.

    Args:
        cost_QM: cost of every query for every instance.

    Returns:
        Queries and their instances, both (min(Q, M),), on the costs' device.
    """
    rows, columns = linear_sum_assignment(cost_QM.cpu().numpy())
    device = cost_QM.device
    return torch.from_numpy(rows).to(device), torch.from_numpy(columns).to(device)


@torch.no_grad()
def choose_queries(cost_QM: Tensor, rounds: int) -> Tensor:
    """Choose the queries that are handed to the mask decoder.

    Args:
        cost_QM: cost of every query for every instance.
        rounds: queries per instance at most.

    Returns:
        (R,) queries: those of repeated matchings, each among the queries that are left, in the order of the
        matchings.

    Source: query filtering of UniAD's MapFormer.
    """
    queries, instances = cost_QM.shape
    left = torch.arange(queries, device=cost_QM.device)
    chosen = []
    for _ in range(min(rounds, max(1, queries // max(1, instances)))):
        rows, _ = match(cost_QM[left])
        chosen.append(left[rows])
        left = left[~torch.isin(left, chosen[-1])]
    return torch.cat(chosen)


@torch.no_grad()
def match_masks(
    cost_RM: Tensor, masks_RP: Tensor, truth_MP: Tensor, config: InstanceLossConfig
) -> tuple[Tensor, Tensor]:
    """Match once more, with the masks.

    Args:
        cost_RM: cost of classes and boxes.
        masks_RP: predicted masks.
        truth_MP: masks of the instances, of the same size.
        config: costs.

    Returns:
        Rows of the first dimension and their instances.
    """
    overlap_RM = masks_RP @ truth_MP.t()
    sizes_RM = (masks_RP**2).sum(-1)[:, None] + (truth_MP**2).sum(-1)[None] + 2.0 * EPS
    return match(cost_RM + config.cost_dice * (1.0 - 2.0 * overlap_RM / sizes_RM))
