"""From masks of queries to one binary mask per class.

Letters: N candidates, K thing classes, Q queries, H/W canvas.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nexusflow.bev.mapping.instance_config import PaintingConfig

__all__ = ["paint_things", "strongest"]

THRESHOLD = 0.5


def strongest(classes_QK: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Choose the pairs of query and class of largest score.

    Args:
        classes_QK: class logits.
        count: pairs at most.

    Returns:
        Scores in [0, 1], classes and queries, all (N,), in falling order of the score.
    """
    flat = classes_QK.sigmoid().flatten()
    scores_N, places_N = flat.topk(min(count, len(flat)))
    classes = classes_QK.shape[1]
    return scores_N, places_N % classes, places_N // classes


def paint_things(
    scores_N: Tensor, labels_N: Tensor, masks_NHW: Tensor, classes: int, config: PaintingConfig
) -> Tensor:
    """Paint masks in the order of their scores, each on what the stronger ones left free.

    A score is multiplied with the squared mean of the mask where it is above one half.

    Args:
        scores_N: scores of the candidates.
        labels_N: their classes.
        masks_NHW: their masks, not negative.
        classes: number of thing classes.
        config: rules.

    Returns:
        (K, H, W) bool.

    Source: inference of UniAD's MapFormer, where cells of the first class do not count as painted.
    """
    on_NHW = masks_NHW > THRESHOLD
    area_N = on_NHW.sum((1, 2))
    mean_N = (masks_NHW * on_NHW).sum((1, 2)) / (area_N + 1)
    scores_N = scores_N * mean_N**2
    painted_KHW = torch.zeros(classes, *masks_NHW.shape[1:], dtype=torch.bool, device=masks_NHW.device)
    taken_HW = torch.zeros_like(painted_KHW[0])
    kept = (scores_N >= config.min_score) & (area_N > 0)
    order = scores_N.argsort(descending=True, stable=True)
    for row in order[kept[order]].tolist():
        mask_HW, label = on_NHW[row], int(labels_N[row])
        if (mask_HW & taken_HW).sum() > config.max_overlap * area_N[row]:
            continue
        mask_HW = mask_HW & ~taken_HW
        painted_KHW[label] |= mask_HW
        if label or config.first_class_occupies:
            taken_HW |= mask_HW
    return painted_KHW
