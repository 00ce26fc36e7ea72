"""The paper's BEV encoder: layers of temporal self-attention, spatial cross-attention and feed-forward.

Letters: B samples, N cameras, C channels, H/W BEV rows/columns, Q = H·W, h/w feature rows/columns, Z heights,
E heads, M points, R pillars that a camera sees, L levels of camera features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nexusflow.bev.config import EncoderConfig
from nexusflow.bev.deformable import deformable_sample, init_offsets
from nexusflow.bev.layers import FeedForward, kept_or_recomputed, levels_of
from nexusflow.bev.lifting import pillar_points

__all__ = ["BEVFormerEncoder"]


class TemporalSelfAttention(nn.Module):
    """Deformable attention to the warped previous grid and the current one, averaged."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads, self.points = config.heads, config.temporal_points
        count = 2 * config.heads * config.temporal_points
        self.offsets = nn.Linear(2 * config.channels, 2 * count)
        self.weights = nn.Linear(2 * config.channels, count)
        self.value = nn.Conv2d(config.channels, config.channels, 1)
        self.out = nn.Linear(config.channels, config.channels)
        init_offsets(self.offsets, 2 * config.heads, config.temporal_points)

    def forward(
        self, query_BQC: Tensor, position_QC: Tensor, previous_BCHW: Tensor, cells_Q2: Tensor
    ) -> Tensor:
        batch, _, channels = query_BQC.shape
        height, width = previous_BCHW.shape[-2:]
        current_BCHW = query_BQC.transpose(1, 2).unflatten(2, (height, width))
        flat_BQC = previous_BCHW.flatten(2).transpose(1, 2)
        both = torch.cat([flat_BQC, query_BQC + position_QC], -1)
        shape = (2, self.heads, self.points)
        size = torch.tensor([width, height], device=query_BQC.device, dtype=torch.float32)
        offsets = self.offsets(both).float().unflatten(-1, (*shape, 2)) * (2.0 / size)
        weights = self.weights(both).float().unflatten(-1, shape).softmax(-1)
        mixed = torch.zeros(batch, height * width, channels, device=query_BQC.device)
        for queue, value in enumerate((previous_BCHW, current_BCHW)):
            where = cells_Q2[:, None, None] + offsets[:, :, queue]
            mixed = mixed + 0.5 * deformable_sample(self.value(value), where, weights[:, :, queue])
        return self.out(mixed)


class SpatialCrossAttention(nn.Module):
    """Deformable attention of each pillar to all levels of the cameras that see it, averaged over cameras."""

    def __init__(self, config: EncoderConfig, image_channels: int, levels: int = 1) -> None:
        super().__init__()
        self.heads, self.points, self.heights = config.heads, config.points, len(config.heights_m)
        self.levels = levels
        count = config.heads * levels * self.heights * config.points
        self.offsets = nn.Linear(config.channels, 2 * count)
        self.weights = nn.Linear(config.channels, count)
        self.value = nn.Conv2d(image_channels, config.channels, 1)
        self.out = nn.Linear(config.channels, config.channels)
        init_offsets(self.offsets, config.heads, self.heights * config.points, levels)

    def forward(
        self,
        query_BQC: Tensor,
        features: Tensor | tuple[Tensor, ...],
        where_BNQZ2: Tensor,
        seen_BNQZ: Tensor,
    ) -> Tensor:
        levels = levels_of(features)
        batch, cameras = levels[0].shape[:2]
        values = [self.value(level.flatten(0, 1)).unflatten(0, (batch, cameras)) for level in levels]
        shape = (self.heads, self.levels, self.heights, self.points, 2)
        offsets = self.offsets(query_BQC).float().unflatten(-1, shape)
        # The weights of all levels together sum to one.
        weights = self.weights(query_BQC).float().unflatten(-1, (self.heads, -1)).softmax(-1)
        weights = weights.unflatten(-1, (self.levels, -1))
        hit_BNQ = seen_BNQZ.any(-1)
        mixed_BQC = torch.zeros(*query_BQC.shape[:2], values[0].shape[2], device=query_BQC.device)
        for camera in range(cameras):
            # Only pillars that the camera sees in some sample: about a quarter of them.
            rows_R = hit_BNQ[:, camera].any(0).nonzero()[:, 0]
            hit_BR1 = hit_BNQ[:, camera, rows_R, None].float()
            centre = where_BNQZ2[:, camera, rows_R][:, :, None, :, None]
            for level, value in enumerate(values):
                size = torch.tensor(
                    [value.shape[-1], value.shape[-2]], device=value.device, dtype=torch.float32
                )
                where = (centre + offsets[:, rows_R, :, level] * (2.0 / size)).flatten(3, 4)
                sampled = deformable_sample(value[:, camera], where, weights[:, rows_R, :, level])
                mixed_BQC.index_add_(1, rows_R, sampled * hit_BR1)
        return self.out(mixed_BQC / hit_BNQ.sum(1).clamp(min=1)[..., None])


class EncoderLayer(nn.Module):
    """Temporal self-attention, spatial cross-attention, feed-forward, each with residual and LayerNorm."""

    def __init__(self, config: EncoderConfig, image_channels: int, levels: int = 1) -> None:
        super().__init__()
        self.temporal = TemporalSelfAttention(config)
        self.spatial = SpatialCrossAttention(config, image_channels, levels)
        self.norms = nn.ModuleList(nn.LayerNorm(config.channels) for _ in range(2))
        self.feed_forward = FeedForward(config.channels, config.ffn_channels)

    def forward(
        self,
        query_BQC: Tensor,
        position_QC: Tensor,
        previous_BCHW: Tensor,
        cells_Q2: Tensor,
        cameras: tuple[tuple[Tensor, ...], Tensor, Tensor],
    ) -> Tensor:
        query = self.norms[0](query_BQC + self.temporal(query_BQC, position_QC, previous_BCHW, cells_Q2))
        query = self.norms[1](query + self.spatial(query + position_QC, *cameras))
        return self.feed_forward(query)


class BEVFormerEncoder(nn.Module):
    """BEV queries refined by temporal and spatial attention.

    Args:
        config: encoder section.
        image_channels: channels of the camera features.
        half_m: half-width of the grid (metres).
        cells: cells per side.
        image_hw: size of the input images (pixels).
        recompute: compute the layers' activations again in the backward pass instead of keeping them.
        levels: levels of the camera features.

    Source: BEVFormer's encoder as used by UniAD, without the motion-signal input; the previous grid is warped
    by the full ego motion instead of being shifted and rotated apart.
    """

    points_R4: Tensor
    cells_Q2: Tensor

    def __init__(
        self,
        config: EncoderConfig,
        image_channels: int,
        half_m: float,
        cells: int,
        image_hw: tuple[int, int],
        recompute: bool = False,
        levels: int = 1,
    ) -> None:
        super().__init__()
        self.config, self.cells, self.image_hw, self.recompute = config, cells, image_hw, recompute
        points = torch.from_numpy(pillar_points(half_m, cells, config.heights_m))
        self.register_buffer("points_R4", points, persistent=False)
        self.register_buffer("cells_Q2", points[:: len(config.heights_m), :2] / half_m, persistent=False)
        self.queries_QC = nn.Parameter(torch.randn(cells * cells, config.channels) * 0.02)
        self.position_QC = nn.Parameter(torch.randn(cells * cells, config.channels) * 0.02)
        self.layers = nn.ModuleList(
            EncoderLayer(config, image_channels, levels) for _ in range(config.layers)
        )
        # One level needs no name.
        self.level_LC11 = (
            nn.Parameter(torch.randn(levels, image_channels, 1, 1) * 0.02) if levels > 1 else None
        )

    def _project(self, ego2img_BN44: Tensor) -> tuple[Tensor, Tensor]:
        """Return normalised image positions (B, N, Q, Z, 2) in [-1, 1] and which points are seen."""
        height, width = self.image_hw
        projected = torch.einsum("bnij,rj->bnri", ego2img_BN44[..., :3, :].float(), self.points_R4)
        depth = projected[..., 2]
        uv = projected[..., :2] / depth.clamp(min=self.config.min_depth_m)[..., None]
        where = uv / torch.tensor([width, height], device=uv.device, dtype=uv.dtype) * 2.0 - 1.0
        seen = (depth > self.config.min_depth_m) & (where.abs() < 1.0).all(-1)
        shape = (self.cells * self.cells, len(self.config.heights_m))
        return where.clamp(-10, 10).unflatten(2, shape), seen.unflatten(2, shape)

    def forward(
        self,
        features: Tensor | tuple[Tensor, ...],
        ego2img_BN44: Tensor,
        previous_BCHW: Tensor | None,
    ) -> Tensor:
        """Return the BEV grid (B, C, H, W); without a previous grid the current queries stand in for it."""
        levels = levels_of(features)
        if self.level_LC11 is not None:
            levels = tuple(x + name for x, name in zip(levels, self.level_LC11, strict=True))
        batch = levels[0].shape[0]
        where, seen = self._project(ego2img_BN44)
        query = self.queries_QC[None].expand(batch, -1, -1)
        side = (self.cells, self.cells)
        if previous_BCHW is None:
            previous_BCHW = query.transpose(1, 2).unflatten(2, side)
        for layer in self.layers:
            cameras = (levels, where, seen)
            inputs = (query, self.position_QC, previous_BCHW, self.cells_Q2, cameras)
            query = kept_or_recomputed(layer, self.recompute, *inputs)
        return query.transpose(1, 2).unflatten(2, side)
