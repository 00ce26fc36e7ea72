"""Losses of the mapping former with instance queries, over visible frames only.

Letters: B clips, F frames, V visible frames, K map classes, Q queries, M things of a frame, L layers or
masks, P cells, N matched queries, H/W canvas.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nexusflow.bev.layers import full_precision
from nexusflow.bev.mapping.instance_config import InstanceLossConfig
from nexusflow.bev.mapping.instance_former import InstanceMapFormer
from nexusflow.bev.mapping.instance_matching import (
    box_costs,
    choose_queries,
    dice_loss,
    generalised_iou,
    match,
    match_masks,
)
from nexusflow.bev.mapping.instance_truth import FrameInstances, read_instances
from nexusflow.bev.types import InstanceMapOutput
from nexusflow.core.parts import PoolCounts

__all__ = ["instance_map_losses"]

NAMES = ("thing_cls", "thing_box", "thing_giou", "thing_dice", "stuff_dice", "stuff_cls")
FINENESS = 2  # masks are compared on a grid this much finer than the memory


class _Frame(NamedTuple):
    """What one visible frame says: memory (P, D), states (Q, D), classes (L, Q, K), boxes (L, Q, 4)."""

    memory_PD: Tensor
    states_QD: Tensor
    classes_LQK: Tensor
    boxes_LQ4: Tensor


def _focal(logits: Tensor, truth: Tensor, config: InstanceLossConfig) -> Tensor:
    """Return the summed sigmoid focal loss."""
    plain = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    p = logits.sigmoid()
    miss = p + truth - 2.0 * p * truth
    alpha = config.focal_alpha * truth + (1.0 - config.focal_alpha) * (1.0 - truth)
    return (alpha * miss**config.focal_gamma * plain).sum()


def _fine(masks_NHW: Tensor, cells: int) -> Tensor:
    """Bring masks to a square of `cells`, flattened (N, P)."""
    if masks_NHW.shape[-1] == cells or not len(masks_NHW):
        return masks_NHW.new_zeros(0, cells * cells) if not len(masks_NHW) else masks_NHW.flatten(-2)
    size = (cells, cells)
    return F.interpolate(masks_NHW[:, None], size=size, mode="bilinear", align_corners=False).flatten(1)


def _location_sums(frame: _Frame, truth: FrameInstances, config: InstanceLossConfig) -> list[Tensor]:
    """Return focal, L1 and generalised-IoU losses, summed over queries and layers."""
    focal, distance, giou = [], [], []
    for classes_QK, boxes_Q4 in zip(frame.classes_LQK, frame.boxes_LQ4, strict=True):
        rows, columns = match(box_costs(classes_QK, boxes_Q4, truth, config))
        wanted_QK = torch.zeros_like(classes_QK)
        wanted_QK[rows, truth.labels_M[columns]] = 1.0
        focal.append(_focal(classes_QK, wanted_QK, config))
        boxes, known = boxes_Q4[rows], truth.boxes_M4[columns]
        distance.append((boxes - known).abs().sum())
        giou.append((1.0 - generalised_iou(boxes, known)).sum())
    return [torch.stack(parts).sum() for parts in (focal, distance, giou)]


def _thing_dice(
    former: InstanceMapFormer, frame: _Frame, truth: FrameInstances, config: InstanceLossConfig
) -> Tensor:
    """Return the dice losses of the matched things' masks, summed over things and masks.

    Thing queries do not see each other in the mask decoder. So those that the matching turns down, which have
    no loss, are decoded without gradient, for the matching alone.
    """
    cells = FINENESS * former.cells
    truth_MP = _fine(truth.masks_MHW, cells)
    with torch.no_grad():
        classes, boxes = frame.classes_LQK[-1], frame.boxes_LQ4[-1]
        chosen = choose_queries(box_costs(classes, boxes, truth, config), config.rounds)
        # Where masks are matched the cost of classification counts twice.
        cost = box_costs(classes[chosen], boxes[chosen], truth, config, factor=2.0)
        masks = former.thing_masks.last_masks(frame.states_QD[chosen][None], frame.memory_PD[None])[0]
        masks = masks.unflatten(-1, (former.cells, former.cells))
        rows, columns = match_masks(cost, _fine(masks, cells), truth_MP, config)
    matched = frame.states_QD[chosen[rows]][None]
    masks_LNP = former.thing_masks(matched, frame.memory_PD[None])[0][:, 0]
    grid = masks_LNP.unflatten(-1, (former.cells, former.cells))
    return torch.stack([dice_loss(_fine(level, cells), truth_MP[columns]) for level in grid]).sum()


def _stuff_sums(
    former: InstanceMapFormer, memory_VPD: Tensor, truths: list[FrameInstances], config: InstanceLossConfig
) -> tuple[Tensor, Tensor]:
    """Return the dice losses of all masks and the focal losses of presence, summed over frames."""
    cells = FINENESS * former.cells
    masks, presence = former.stuff(memory_VPD)
    truth_VP = _fine(torch.stack([truth.stuff_HW for truth in truths]), cells)
    grid = masks[:, :, 0].unflatten(-1, (former.cells, former.cells))
    dice = torch.stack([dice_loss(_fine(level, cells), truth_VP) for level in grid]).sum()
    return dice, _focal(presence, torch.ones_like(presence), config)


def _aligned(output: InstanceMapOutput, numbers: Tensor, visible_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return predicted rows of the visible frames (V,) and their numbers (V, K, H, W)."""
    frames = output.frames_per_clip
    if numbers.dim() == 4:
        numbers = numbers[:, None]
    numbers = numbers[:, -frames:]
    clips, shown = len(visible_B), numbers.shape[1]
    rows = torch.arange(clips * frames, device=numbers.device).unflatten(0, (clips, frames))[:, -shown:]
    return rows[visible_B].flatten(), numbers[visible_B].flatten(0, 1)


def _weighted(
    sums: dict[str, Tensor], things: Tensor, frames: Tensor, config: InstanceLossConfig
) -> dict[str, Tensor]:
    """Weight the sums, and divide them by the things and frames of the whole batch."""
    weights = {
        "thing_cls": config.classification,
        "thing_box": config.box,
        "thing_giou": config.giou,
        "thing_dice": config.dice,
        "stuff_dice": config.dice,
        "stuff_cls": config.stuff,
    }
    # A group's share over its own count: the count itself only cancels while there is one.
    share = {
        "thing": (things / (things + frames).clamp(min=1.0)) / things.clamp(min=1.0),
        "stuff": (frames / (things + frames).clamp(min=1.0)) / frames.clamp(min=1.0),
    }
    return {f"map/{name}": weights[name] * sums[name] * share[name[:5]] for name in NAMES}


def instance_map_losses(
    former: InstanceMapFormer,
    output: InstanceMapOutput,
    numbers: Tensor,
    visible_B: Tensor,
    pool_counts: PoolCounts | None = None,
) -> dict[str, Tensor]:
    """Compute the losses of classes, boxes and masks of things, and of masks and presence of the stuff.

    Args:
        former: decodes masks.
        output: its output.
        numbers: number of the instance of a map class in a cell, 0 = none; (B, K, H, W) of the last frame or
            (B, T, K, H, W) of all frames.
        visible_B: clips whose map labels may be used.
        pool_counts: where this is a part of a batch, gives the things and frames of the whole batch.

    Returns:
        Weighted scalars: `map/thing_…` per thing and `map/stuff_…` per frame, summed over layers, and
        multiplied with the things' or the frames' share of both counts. They are zero, with zero gradient, if
        nothing is visible.

    Source: losses of UniAD's MapFormer, of the visible frames only.
    """
    config = former.config.loss
    rows_V, numbers_VKHW = _aligned(output, numbers, visible_B)
    truths = [read_instances(numbers_KHW) for numbers_KHW in numbers_VKHW]
    device = output.memory_FCHW.device
    counts = {
        "map/things": torch.tensor(float(sum(len(truth.labels_M) for truth in truths)), device=device),
        "map/frames": torch.tensor(float(len(truths)), device=device),
    }
    if pool_counts is not None:
        counts = dict(pool_counts(counts))
    things, frames = counts["map/things"].float(), counts["map/frames"].float()
    # Every parameter takes part, so that an unlabelled batch leaves zeros rather than nothing.
    zero = torch.stack([parameter.sum() for parameter in former.parameters()]).sum() * 0.0
    sums = dict.fromkeys(NAMES, zero)
    with full_precision(output.memory_FCHW):
        memory_VPD = output.memory_FCHW[rows_V].float().flatten(2).transpose(1, 2)
        for place, truth in enumerate(truths):
            row = rows_V[place]
            frame = _Frame(
                memory_VPD[place],
                output.queries_FQD[row].float(),
                output.classes_LFQK[:, row].float(),
                output.boxes_LFQ4[:, row].float(),
            )
            found = [*_location_sums(frame, truth, config)]
            if len(truth.labels_M):
                found.append(_thing_dice(former, frame, truth, config))
            for name, value in zip(NAMES, found, strict=False):
                sums[name] = sums[name] + value
        if truths:
            dice, presence = _stuff_sums(former, memory_VPD, truths, config)
            sums["stuff_dice"], sums["stuff_cls"] = zero + dice, zero + presence
    return _weighted(sums, things, frames, config)
