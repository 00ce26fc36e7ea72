"""Mask losses of the mapping former: focal and dice, over visible samples only.

Letters: B clips, F frames, K map classes, H/W canvas.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nexusflow.bev.config import MapConfig
from nexusflow.bev.types import MapOutput
from nexusflow.core.parts import PoolCounts

__all__ = ["map_losses"]


def map_losses(
    output: MapOutput,
    masks: Tensor,
    visible_B: Tensor,
    config: MapConfig,
    pool_counts: PoolCounts | None = None,
) -> dict[str, Tensor]:
    """Compute the mask losses.

    Args:
        output: the mapping former's output.
        masks: 0/1 truth, (B, K, H, W) of the last frame or (B, T, K, H, W) of all frames.
        visible_B: clips whose map labels may be used.
        config: mapping section.
        pool_counts: where this is a part of a batch, gives the visible frames of the whole batch.

    Returns:
        `map/focal` and `map/dice`: weighted means per visible frame; zero with zero gradient if none is
        visible.

    Source: focal and dice loss of UniAD's MapFormer, dice on probabilities.
    """
    logits = output.logits_FKHW.unflatten(0, (-1, output.frames_per_clip))
    if masks.dim() == 4:
        logits, masks = logits[:, -1:], masks[:, None]
    masks = masks[:, -logits.shape[1] :]
    shown = visible_B[:, None].expand(-1, logits.shape[1]).flatten()
    frames = shown.sum()
    if pool_counts is not None:
        frames = pool_counts({"map/frames": frames})["map/frames"]
    count = frames.clamp(min=1).float()
    flat = logits.float().flatten(0, 1).flatten(2)
    # Hidden targets are emptied first so that nothing, not even rounding, can depend on them.
    truth = masks.flatten(0, 1).flatten(2).masked_fill(~shown[:, None, None], 0).float()
    plain = F.binary_cross_entropy_with_logits(flat, truth, reduction="none")
    p = flat.sigmoid()
    miss = p + truth - 2.0 * p * truth
    alpha = config.focal_alpha * truth + (1.0 - config.focal_alpha) * (1.0 - truth)
    focal_FK = (alpha * miss**config.focal_gamma * plain).mean(-1)
    overlap = 2.0 * (p * truth).sum(-1)
    dice_FK = 1.0 - (overlap + 1.0) / ((p * p).sum(-1) + truth.sum(-1) + 1.0)
    weights = (shown.float() / count)[:, None]
    return {
        "map/focal": config.focal * torch.sum(focal_FK * weights),
        "map/dice": config.dice * torch.sum(dice_FK * weights),
    }
