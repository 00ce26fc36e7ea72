"""Layers of the mapping former with instance queries: deformable attention to one BEV grid, sine positions.

Letters: F frames, Q queries, P = H·W cells, D channels, E heads, M points.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nexusflow.bev.deformable import deformable_sample, init_offsets
from nexusflow.bev.layers import Attention, FeedForward

__all__ = ["GridAttention", "LocationLayer", "MemoryLayer", "cell_centres", "grid_position"]

TEMPERATURE = 10_000.0


def cell_centres(cells: int) -> Tensor:
    """Return the centres (P, 2) of a square grid's cells in [0, 1]²: x along columns, y along rows."""
    axis = (torch.arange(cells, dtype=torch.float32) + 0.5) / cells
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).flatten(0, 1)


def grid_position(cells: int, dim: int) -> Tensor:
    """Encode the cells of a square grid by sines and cosines.

    Args:
        cells: cells per side.
        dim: channels, a multiple of 4; the first half encodes the row, the second the column.

    Returns:
        (P, dim).

    Source: normalised sine positions of DETR, centred in the cells (UniAD's offset of -0.5).
    """
    x_P, y_P = cell_centres(cells).unbind(-1)
    steps = torch.arange(dim // 4, dtype=torch.float32)
    frequencies = 2.0 * math.pi * TEMPERATURE ** (-steps * 4.0 / dim)
    halves = [torch.stack([(a := p[:, None] * frequencies).sin(), a.cos()], -1) for p in (y_P, x_P)]
    return torch.cat([half.flatten(1) for half in halves], -1)


class GridAttention(nn.Module):
    """Deformable attention to one grid.

    Args:
        dim: channels.
        heads: heads.
        points: sampled points per head.

    Source: Deformable DETR with a single level; UniAD's four levels for one grid are a mistake that its
        authors confirmed.
    """

    def __init__(self, dim: int, heads: int, points: int) -> None:
        super().__init__()
        self.heads, self.points = heads, points
        self.offsets = nn.Linear(dim, 2 * heads * points)
        self.weights = nn.Linear(dim, heads * points)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        init_offsets(self.offsets, heads, points)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)

    def forward(self, query_FQD: Tensor, memory_FPD: Tensor, reference_FQn: Tensor) -> Tensor:
        """Read the grid around reference points or within reference boxes.

        Args:
            query_FQD: queries.
            memory_FPD: cells of a square grid, row by row.
            reference_FQn: centres (n = 2), or centres and sizes (n = 4), in [0, 1].

        Returns:
            (F, Q, D).
        """
        side = math.isqrt(memory_FPD.shape[1])
        value = self.value(memory_FPD).transpose(1, 2).unflatten(2, (side, side))
        offsets = self.offsets(query_FQD).float().unflatten(-1, (self.heads, self.points, 2))
        weights = self.weights(query_FQD).float().unflatten(-1, (self.heads, self.points)).softmax(-1)
        reference = reference_FQn.float()[:, :, None, None]
        if reference.shape[-1] == 2:
            where = reference + offsets / side
        else:
            where = reference[..., :2] + offsets * (reference[..., 2:] * (0.5 / self.points))
        return self.out(deformable_sample(value, 2.0 * where - 1.0, weights))


class MemoryLayer(nn.Module):
    """Deformable self-attention of the cells and feed-forward, each with residual and LayerNorm."""

    def __init__(self, dim: int, heads: int, points: int, hidden: int) -> None:
        super().__init__()
        self.attention = GridAttention(dim, heads, points)
        self.norm = nn.LayerNorm(dim)
        self.feed_forward = FeedForward(dim, hidden)

    def forward(self, memory_FPD: Tensor, position_PD: Tensor, centres_P2: Tensor) -> Tensor:
        """Return the refined cells (F, P, D)."""
        reference = centres_P2[None].expand(len(memory_FPD), -1, -1)
        mixed = self.attention(memory_FPD + position_PD, memory_FPD, reference)
        return self.feed_forward(self.norm(memory_FPD + mixed))


class LocationLayer(nn.Module):
    """Self-attention of the queries, deformable cross-attention, feed-forward (post-norm)."""

    def __init__(self, dim: int, heads: int, points: int, hidden: int) -> None:
        super().__init__()
        self.self_attention = Attention(dim, heads)
        self.cross_attention = GridAttention(dim, heads, points)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.feed_forward = FeedForward(dim, hidden)

    def forward(
        self, query_FQD: Tensor, place_QD: Tensor, memory_FPD: Tensor, reference_FQn: Tensor
    ) -> Tensor:
        """Return the refined queries (F, Q, D)."""
        placed = query_FQD + place_QD
        query = self.norms[0](query_FQD + self.self_attention(placed, placed, query_FQD))
        read = self.cross_attention(query + place_QD, memory_FPD, reference_FQn)
        return self.feed_forward(self.norms[1](query + read))
