"""Deformable attention in plain PyTorch: softmax-weighted bilinear samples around reference points.

Letters: B batch, Q queries, D channels, E heads, M points per head, H/W value grid.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.bev.layers import full_precision

__all__ = ["deformable_sample", "init_offsets"]


def init_offsets(layer: nn.Linear, heads: int, points: int, levels: int = 1) -> None:
    """Start offsets as rings, alike on all levels: one direction per head, radius growing with the index.

    Args:
        layer: linear layer to (heads, levels, points, 2); its weights become zero.
        heads: attention heads.
        points: points per head and level.
        levels: levels of the values.
    """
    angles = torch.arange(heads, dtype=torch.float32) * (2.0 * math.pi / heads)
    directions = torch.stack([angles.cos(), angles.sin()], -1)
    directions = directions / directions.abs().amax(-1, keepdim=True)
    radii = torch.arange(1, points + 1, dtype=torch.float32)
    with torch.no_grad():
        layer.weight.zero_()
        rings = directions[:, None, None] * radii[:, None]
        layer.bias.copy_(rings.expand(heads, levels, points, 2).flatten())


def deformable_sample(value_BDHW: Tensor, where_BQEM2: Tensor, weights_BQEM: Tensor) -> Tensor:
    """Sum weighted samples, each head from its own channels.

    Args:
        value_BDHW: values; D is a multiple of the number of heads.
        where_BQEM2: positions in [-1, 1]² (x along columns, y along rows); zero is read outside.
        weights_BQEM: weights.

    Returns:
        (B, Q, D) float32.
    """
    heads = where_BQEM2.shape[2]
    with full_precision(value_BDHW):
        value = value_BDHW.float().unflatten(1, (heads, -1)).flatten(0, 1).contiguous()
        grid = where_BQEM2.float().transpose(1, 2).flatten(0, 1)
        samples = F.grid_sample(value, grid, align_corners=False)
        weights = weights_BQEM.float().transpose(1, 2).flatten(0, 1)[:, None]
        mixed = (samples * weights).sum(-1)
    return mixed.unflatten(0, (-1, heads)).flatten(1, 2).transpose(1, 2)
