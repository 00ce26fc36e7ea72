"""Losses of segmentation, depth and normals, over visible labels and valid pixels only.

Letters: B images, K classes, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from nexusflow.core.parts import PoolCounts

__all__ = ["VOID", "dense_losses"]

VOID = -1


def _mean_over_valid(error_BHW: Tensor, valid_BHW: Tensor) -> Tensor:
    """Mean per image over its valid pixels; zero for an image without any."""
    total_B = error_BHW.masked_fill(~valid_BHW, 0.0).sum((1, 2))
    return total_B / valid_BHW.sum((1, 2)).clamp(min=1)


def dense_losses(
    outputs: Mapping[str, Tensor],
    labels_BHW: Tensor,
    depth_B1HW: Tensor,
    normals_B3HW: Tensor,
    visible: Mapping[str, Tensor],
    pool_counts: PoolCounts | None = None,
) -> dict[str, Tensor]:
    """Compute the three task losses of a batch.

    Args:
        outputs: "segmentation" log-probabilities (B, K, H, W), "depth" (B, 1, H, W) metres, "normal" unit
            vectors (B, 3, H, W).
        labels_BHW: classes, int64, -1 = void.
        depth_B1HW: metres, 0 = invalid.
        normals_B3HW: unit vectors, zero = invalid.
        visible: task → which images show its labels, bool (B,).
        pool_counts: where this is a part of a batch, gives B of the whole batch.

    Returns:
        Scalars `segmentation/nll`, `depth/l1` (metres) and `normal/cosine`: per image the mean over valid
        pixels, summed over images with visible labels, divided by B. Hidden images and images without a valid
        pixel add exactly zero, and no gradient.

    Source: the losses of MTAN and MTPSL, with the sum over labelled images divided by the batch size.
    """
    valid_labels_BHW = labels_BHW != VOID
    nll_BHW = F.nll_loss(outputs["segmentation"], labels_BHW.clamp(min=0), reduction="none")
    valid_depth_BHW = depth_B1HW[:, 0] != 0
    l1_BHW = (outputs["depth"] - depth_B1HW).abs()[:, 0]
    valid_normals_BHW = (normals_B3HW != 0).any(1)
    cosine_BHW = 1 - (outputs["normal"] * normals_B3HW).sum(1)
    errors = {
        "segmentation/nll": (nll_BHW, valid_labels_BHW),
        "depth/l1": (l1_BHW, valid_depth_BHW),
        "normal/cosine": (cosine_BHW, valid_normals_BHW),
    }
    images: int | Tensor = len(labels_BHW)
    if pool_counts is not None:
        images = pool_counts({"images": torch.tensor(images, device=labels_BHW.device)})["images"]
    losses = {}
    for name, (error_BHW, valid_BHW) in errors.items():
        shown_B = visible[name.split("/")[0]]
        per_image_B = _mean_over_valid(error_BHW, valid_BHW & shown_B[:, None, None])
        losses[name] = per_image_B.sum() / images
    return losses
