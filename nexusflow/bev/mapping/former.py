"""Mapping former: map memory, class queries, and masks as products of queries with upsampled features.

Letters: B frames, C BEV channels, D query channels, Q queries, K map classes, H/W grid, E mask channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.layers import Attention, ConvBlock, FeedForward, full_precision, mlp
from nexusflow.bev.types import MapOutput

__all__ = ["MapFormer"]

MASK_PRIOR = -2.0  # about an eighth of the canvas is painted


class MapLayer(nn.Module):
    """Cross-attention to the memory, self-attention among the queries, feed-forward (post-norm)."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.cross_attention = Attention(dim, heads)
        self.self_attention = Attention(dim, heads)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.feed_forward = FeedForward(dim, hidden)

    def forward(self, query_BQD: Tensor, place_QD: Tensor, memory_BPD: Tensor, keys_BPD: Tensor) -> Tensor:
        placed = query_BQD + place_QD
        query = self.norms[0](query_BQD + self.cross_attention(placed, keys_BPD, memory_BPD))
        placed = query + place_QD
        query = self.norms[1](query + self.self_attention(placed, placed, query))
        return self.feed_forward(query)


class MapFormer(nn.Module):
    """Class queries read the map memory and are multiplied with mask features at twice its resolution.

    Args:
        config: the whole model's sizes.

    Source: UniAD's MapFormer, reduced to queries per class (see `MapConfig.queries`).
    """

    def __init__(self, config: BEVModelConfig) -> None:
        super().__init__()
        section, groups = config.map, config.norm_groups
        self.classes, self.map_cells = config.map_classes, config.map_cells
        count = config.map_classes * section.queries_per_class
        self.memory = ConvBlock(config.encoder.channels, section.dim, groups)
        self.position = nn.Parameter(torch.randn(1, section.dim, config.bev_cells, config.bev_cells) * 0.02)
        self.content = nn.Parameter(torch.randn(count, section.dim))
        self.place = nn.Parameter(torch.randn(count, section.dim))
        self.layers = nn.ModuleList(
            MapLayer(section.dim, section.heads, section.ffn_channels) for _ in range(section.layers)
        )
        self.narrow = nn.Conv2d(section.dim, section.mask_channels, 1)
        self.refine = ConvBlock(section.mask_channels, section.mask_channels, groups)
        self.to_mask = mlp(section.dim, section.dim, section.mask_channels)
        self.bias = nn.Linear(section.dim, 1)
        nn.init.constant_(self.bias.bias, MASK_PRIOR)

    def forward(self, bev_BCHW: Tensor, frames_per_clip: int) -> MapOutput:
        """Predict the masks of a batch of frames.

        Args:
            bev_BCHW: BEV grids.
            frames_per_clip: how many consecutive rows belong to one clip; only noted in the output.

        Returns:
            Mask logits on the map canvas, final queries and map memory.
        """
        memory = self.memory(bev_BCHW)
        tokens = memory.flatten(2).transpose(1, 2)
        keys = tokens + self.position.flatten(2).transpose(1, 2)
        query = self.content[None].expand(len(memory), -1, -1)
        for layer in self.layers:
            query = layer(query, self.place, tokens, keys)
        narrow = self.narrow(memory)
        fine = self.refine(F.interpolate(narrow, scale_factor=2.0, mode="bilinear", align_corners=False))
        with full_precision(fine):
            query = query.float()
            weights = self.to_mask(query)
            pixels_BPE = fine.float().permute(0, 2, 3, 1).flatten(1, 2)
            logits = (pixels_BPE @ weights.transpose(1, 2)).transpose(1, 2) + self.bias(query)
            per_class = logits.unflatten(2, fine.shape[-2:]).unflatten(1, (self.classes, -1))
            masks = per_class[:, :, 0] if per_class.shape[2] == 1 else per_class.logsumexp(2)
        if masks.shape[-1] != self.map_cells:
            masks = F.interpolate(masks, size=(self.map_cells,) * 2, mode="bilinear", align_corners=False)
        return MapOutput(masks, query, memory, frames_per_clip)
