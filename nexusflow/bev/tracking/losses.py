"""Tracking losses: heat map, classification, boxes; hidden samples and padding count for nothing.

Letters: B batch, T frames, L layers, Q queries, K classes, G truth boxes, H/W grid.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nexusflow.bev.boxes import boxes_to_code
from nexusflow.bev.config import TrackConfig, TrackLossConfig
from nexusflow.bev.types import FrameTruth, TrackFrameOutput, TrackOutput
from nexusflow.core.parts import PoolCounts

__all__ = ["focal_loss", "heat_targets", "track_losses"]


def focal_loss(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> Tensor:
    """Return the elementwise sigmoid focal loss of float32 logits against 0/1 targets."""
    plain = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p = logits.sigmoid()
    miss = p + targets - 2.0 * p * targets
    return (alpha * targets + (1.0 - alpha) * (1.0 - targets)) * miss**gamma * plain


def heat_targets(truth: FrameTruth, classes: int, cells: int, half_m: float, min_sigma: float) -> Tensor:
    """Draw a Gaussian per truth box into its class's map.

    Args:
        truth: truth of one frame.
        classes: number of classes.
        cells: cells per side.
        half_m: half-width of the grid (metres).
        min_sigma: smallest standard deviation (cells).

    Returns:
        (B, K, H, W) in [0, 1], exactly 1 in the cell that holds a centre.

    Source: heat-map targets of CenterPoint, with a width that grows with the box's footprint.
    """
    size = 2.0 * half_m / cells
    boxes = truth.boxes_BG9
    # floor puts the peak exactly on a cell, so that every object has one positive
    column, row = (((boxes[..., k] + half_m) / size).floor().clamp(0, cells - 1) for k in (0, 1))
    sigma = ((boxes[..., 3] * boxes[..., 4]).clamp(min=0).sqrt() / size * 0.25).clamp(min=min_sigma)
    axis = torch.arange(cells, device=boxes.device, dtype=torch.float32)
    across = torch.exp(-((axis - column[..., None]) ** 2) / (2 * sigma[..., None] ** 2))
    along = torch.exp(-((axis - row[..., None]) ** 2) / (2 * sigma[..., None] ** 2))
    blobs_BGHW = along[..., :, None] * across[..., None, :] * truth.valid_BG[..., None, None]
    target = torch.zeros(len(boxes), classes, cells, cells, device=boxes.device)
    index = truth.labels_BG.clamp(min=0)[..., None, None].expand_as(blobs_BGHW)
    return target.scatter_reduce(1, index, blobs_BGHW, "amax")


def _heat_loss(heat_BKHW: Tensor, target_BKHW: Tensor, visible_B: Tensor) -> Tensor:
    """Return the summed penalty-reduced focal loss of the visible samples."""
    log_p, log_not_p = F.logsigmoid(heat_BKHW), F.logsigmoid(-heat_BKHW)
    p = heat_BKHW.sigmoid()
    positive = target_BKHW == 1.0
    loss = torch.where(positive, -((1 - p) ** 2) * log_p, -((1 - target_BKHW) ** 4) * p**2 * log_not_p)
    return (loss * visible_B[:, None, None, None]).sum()


def _frame_sums(
    frame: TrackFrameOutput, truth: FrameTruth, part: slice, config: TrackLossConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Return summed classification and box losses, and the positives per layer."""
    assert frame.targets_LBQ is not None
    logits, codes = frame.logits_LBQK[:, :, part], frame.codes_LBQ10[:, :, part]
    targets = frame.targets_LBQ[:, :, part]
    index = targets.clamp(min=0)
    layers, _, queries, classes = logits.shape
    matched, counted = (targets >= 0).float(), (targets >= -1).float()
    labels = truth.labels_BG.clamp(min=0)[None, :, None].expand(layers, -1, queries, -1)
    label = labels.gather(-1, index[..., None])[..., 0]
    wanted_K = F.one_hot(label, classes) * matched[..., None]
    focal = focal_loss(logits, wanted_K, config.focal_alpha, config.focal_gamma).sum(-1) * counted
    truth_code = boxes_to_code(truth.boxes_BG9)[None].expand(layers, -1, -1, -1)
    wanted = truth_code.gather(2, index[..., None].expand(-1, -1, -1, 10))
    # Empty slots may hold anything; replacing them first keeps non-finite values out of the gradient.
    error = torch.where(matched[..., None] > 0, codes - wanted, 0.0).abs()
    box = error * torch.tensor(config.code_weights, device=codes.device)
    return focal.sum(), box.sum(), matched.sum() / layers


def track_losses(
    output: TrackOutput,
    config: TrackConfig,
    cells: int,
    half_m: float,
    pool_counts: PoolCounts | None = None,
) -> dict[str, Tensor]:
    """Compute the tracking losses of a batch of clips.

    Args:
        output: the tracking former's output in training, with targets.
        config: tracking section.
        cells: BEV cells per side.
        half_m: half-width of the grid (metres).
        pool_counts: where this is a part of a batch, gives the objects and positives of the whole batch.

    Returns:
        `track/heat`, `track/cls`, `track/box`, `track/dn_cls`, `track/dn_box`: weighted scalars per visible
        object, summed over decoder layers. They are zero, with zero gradient, if no sample is visible.

    Source: losses of UniAD's ClipMatcher; CenterPoint for the heat map. Sums run over frames of visible
        samples only, and so do the counts that divide them.
    """
    assert output.truth is not None, "losses need a truth"
    weights = config.loss
    names = ["track/cls", "track/box", "track/dn_cls", "track/dn_box"]
    zero = output.frames[0].logits_LBQK.sum() * 0.0
    totals = dict.fromkeys(names, zero)
    counts = {"live": zero.detach(), "dn": zero.detach(), "objects": zero.detach()}
    heat = zero
    for t, frame in enumerate(output.frames):
        truth = output.truth.frame(t)
        live = frame.detections + frame.slots
        queries = frame.logits_LBQK.shape[2]
        parts = {"live": slice(0, live), "dn": slice(live, queries)}
        for key, prefix in (("live", ""), ("dn", "dn_")):
            if parts[key].start == parts[key].stop:
                continue
            focal, box, positives = _frame_sums(frame, truth, parts[key], weights)
            totals[f"track/{prefix}cls"] = totals[f"track/{prefix}cls"] + focal
            totals[f"track/{prefix}box"] = totals[f"track/{prefix}box"] + box
            counts[key] = counts[key] + positives
        counts["objects"] = counts["objects"] + truth.valid_BG.sum()
        if frame.heat_BKHW is not None:
            target = heat_targets(truth, frame.heat_BKHW.shape[1], cells, half_m, config.heat_min_sigma_cells)
            heat = heat + _heat_loss(frame.heat_BKHW, target, truth.visible_B)
    if pool_counts is not None:
        pooled = pool_counts({f"track/{name}": count for name, count in counts.items()})
        counts = {name: pooled[f"track/{name}"] for name in counts}
    factor = {"cls": weights.classification, "box": weights.box}
    losses = {}
    for name, total in totals.items():
        group = "dn" if "dn_" in name else "live"
        scale = factor[name.split("_")[-1].split("/")[-1]] * (weights.denoising if group == "dn" else 1.0)
        losses[name] = scale * total / counts[group].clamp(min=1.0)
    if output.frames[0].heat_BKHW is not None:
        losses["track/heat"] = weights.heat * heat / counts["objects"].clamp(min=1.0)
    return losses
