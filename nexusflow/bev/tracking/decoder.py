"""Track decoder: self-attention, cross-attention to the BEV grid, feed-forward, refinement after each layer.

Letters: B batch, C BEV channels, H/W grid, Q queries, D query channels, K classes, L layers, M sampled
points.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from nexusflow.bev.boxes import refine_code
from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.deformable import deformable_sample, init_offsets
from nexusflow.bev.layers import Attention, FeedForward, full_precision, mlp, sample_grid, sine_position
from nexusflow.bev.tracking.queries import PRIOR_LOGIT

__all__ = ["DeformableCrossAttention", "PatternCrossAttention", "TrackDecoder"]


class PatternCrossAttention(nn.Module):
    """Concatenate a 3×3 pattern of BEV samples around the reference, shifted by learned offsets.

    Weighted sums lose which sample came from where; concatenation keeps it, so that a query learns within
    minutes in which direction its object lies.
    """

    offsets_M2: Tensor

    def __init__(self, config: BEVModelConfig) -> None:
        super().__init__()
        self.half_m, self.spacing_m = config.bev_half_m, config.track.pattern_spacing_m
        steps = torch.tensor([-1.0, 0.0, 1.0])
        pattern = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2) * self.spacing_m
        self.register_buffer("offsets_M2", pattern, persistent=False)
        self.shift = nn.Linear(config.track.dim, pattern.numel())
        nn.init.zeros_(self.shift.weight)
        nn.init.zeros_(self.shift.bias)
        self.out = nn.Linear(len(pattern) * config.encoder.channels, config.track.dim)

    def forward(self, query_BQD: Tensor, centre_BQ2: Tensor, bev_BCHW: Tensor) -> Tensor:
        """Return (B, Q, D)."""
        shift = self.shift(query_BQD).float().unflatten(-1, (-1, 2)) * self.spacing_m
        where = centre_BQ2[:, :, None] + self.offsets_M2 + shift
        samples = sample_grid(bev_BCHW, where.flatten(1, 2), self.half_m)
        return self.out(samples.reshape(*query_BQD.shape[:2], -1))


class DeformableCrossAttention(nn.Module):
    """Softmax-weighted points around the reference.

    Source: deformable attention as in UniAD's track decoder (one level).
    """

    def __init__(self, config: BEVModelConfig) -> None:
        super().__init__()
        section = config.track
        self.half_m, self.cell_m = config.bev_half_m, 2.0 * config.bev_half_m / config.bev_cells
        self.heads, self.points = section.heads, section.points
        self.offsets = nn.Linear(section.dim, section.heads * section.points * 2)
        self.weights = nn.Linear(section.dim, section.heads * section.points)
        self.value = nn.Conv2d(config.encoder.channels, section.dim, 1)
        self.out = nn.Linear(section.dim, section.dim)
        init_offsets(self.offsets, section.heads, section.points)

    def forward(self, query_BQD: Tensor, centre_BQ2: Tensor, bev_BCHW: Tensor) -> Tensor:
        """Return (B, Q, D)."""
        offsets = self.offsets(query_BQD).float().unflatten(-1, (self.heads, self.points, 2)) * self.cell_m
        weights = self.weights(query_BQD).float().unflatten(-1, (self.heads, self.points)).softmax(-1)
        where = (centre_BQ2[:, :, None, None] + offsets) / self.half_m
        return self.out(deformable_sample(self.value(bev_BCHW), where, weights))


class DecoderLayer(nn.Module):
    """One post-norm decoder layer with its own class and box heads."""

    def __init__(self, config: BEVModelConfig) -> None:
        super().__init__()
        section = config.track
        kinds = {"pattern": PatternCrossAttention, "deformable": DeformableCrossAttention}
        self.self_attention = Attention(section.dim, section.heads)
        self.cross_attention = kinds[section.cross_attention](config)
        self.norms = nn.ModuleList(nn.LayerNorm(section.dim) for _ in range(2))
        self.feed_forward = FeedForward(section.dim, section.ffn_channels)
        self.classify = mlp(section.dim, section.dim, config.num_classes, norm=True)
        self.regress = mlp(section.dim, section.dim, section.dim, 10)
        nn.init.constant_(self.classify[-1].bias, PRIOR_LOGIT)  # type: ignore[arg-type]
        nn.init.normal_(self.regress[-1].weight, std=0.01)  # type: ignore[arg-type]
        nn.init.zeros_(self.regress[-1].bias)  # type: ignore[arg-type]

    def forward(
        self, query_BQD: Tensor, position_BQD: Tensor, centre_BQ2: Tensor, mask_BQQ: Tensor, bev_BCHW: Tensor
    ) -> Tensor:
        """Return the updated queries."""
        placed = query_BQD + position_BQD
        query = self.norms[0](query_BQD + self.self_attention(placed, placed, query_BQD, mask_BQQ))
        query = self.norms[1](query + self.cross_attention(query + position_BQD, centre_BQ2, bev_BCHW))
        return self.feed_forward(query)


class TrackDecoder(nn.Module):
    """Decoder layers with iterative refinement of the reference centre.

    Args:
        config: the whole model's sizes.

    Source: track decoder of UniAD; see the config for the small size's variants.
    """

    low_3: Tensor
    high_3: Tensor

    def __init__(self, config: BEVModelConfig) -> None:
        super().__init__()
        self.dim, self.half_m = config.track.dim, config.bev_half_m
        self.sigmoid = config.track.refinement == "sigmoid"
        z_low, z_high = config.track.z_range_m
        half = config.bev_half_m
        self.register_buffer("low_3", torch.tensor([-half, -half, z_low]), persistent=False)
        self.register_buffer("high_3", torch.tensor([half, half, z_high]), persistent=False)
        self.position = mlp(config.track.dim, config.track.dim, config.track.dim)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.track.layers))

    def forward(
        self, content_BQD: Tensor, code_BQ10: Tensor, mask_BQQ: Tensor, bev_BCHW: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decode all queries.

        Args:
            content_BQD: query embeddings.
            code_BQ10: codes whose centre is the first reference (metres).
            mask_BQQ: who may look at whom.
            bev_BCHW: BEV grid.

        Returns:
            logits (L, B, Q, K) and codes (L, B, Q, 10) in float32, and the final embeddings (B, Q, D).
        """
        logits, codes = [], []
        query, code = content_BQD, code_BQ10
        for module in self.layers:
            layer = cast(DecoderLayer, module)
            centre = code[..., :2]
            position = self.position(sine_position(centre, self.dim, self.half_m))
            query = layer(query, position, centre, mask_BQQ, bev_BCHW)
            delta = layer.regress(query)
            with full_precision(query):
                predicted = refine_code(code.float(), delta.float(), self.low_3, self.high_3, self.sigmoid)
            logits.append(layer.classify(query).float())
            codes.append(predicted)
            code = predicted.detach()
        return torch.stack(logits), torch.stack(codes), query
