"""BEV encoder of the small size (lifting, temporal fusion, U-Net) and the warp of the previous grid.

Letters: B samples, N cameras, C channels, H/W BEV rows/columns, h/w feature rows/columns.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.bev.bevformer import BEVFormerEncoder
from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.layers import ConvBlock, ResidualBlock, full_precision, levels_of, sample_grid
from nexusflow.bev.lifting import BilinearLift, LiftGeometry

__all__ = ["LiftUNetEncoder", "build_encoder", "warp_grid"]


def warp_grid(previous_BCHW: Tensor, motion_B44: Tensor, half_m: float) -> Tensor:
    """Bring the previous BEV grid into the current ego frame.

    Args:
        previous_BCHW: grid in the previous ego frame.
        motion_B44: transform of points from the current to the previous ego frame (metres).
        half_m: half-width of the grid (metres).

    Returns:
        (B, C, H, W) float32; zero where the previous grid did not reach.
    """
    height, width = previous_BCHW.shape[-2:]
    device = previous_BCHW.device
    x = (torch.arange(width, device=device) + 0.5) * (2.0 * half_m / width) - half_m
    y = (torch.arange(height, device=device) + 0.5) * (2.0 * half_m / height) - half_m
    cells_P2 = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
    with full_precision(previous_BCHW):
        where = cells_P2 @ motion_B44[:, :2, :2].float().transpose(1, 2) + motion_B44[:, None, :2, 3].float()
    return sample_grid(previous_BCHW, where, half_m).unflatten(1, (height, width)).permute(0, 3, 1, 2)


class BEVUNet(nn.Module):
    """Small U-Net over the BEV grid."""

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...], groups: int) -> None:
        super().__init__()
        self.down = nn.ModuleList()
        inner = widths[0]
        for index, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            first = [ConvBlock(inner, width, groups, stride=2)] if index else []
            self.down.append(
                nn.Sequential(*first, *(ResidualBlock(width, width, groups) for _ in range(depth)))
            )
            inner = width
        pairs = list(zip(widths[1:], widths[:-1], strict=True))
        self.up = nn.ModuleList(nn.Conv2d(lower, upper, 1) for lower, upper in pairs)
        self.merge = nn.ModuleList(ConvBlock(upper, upper, groups) for _, upper in pairs)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        levels = []
        for stage in self.down:
            x_BCHW = stage(x_BCHW)
            levels.append(x_BCHW)
        x = levels.pop()
        for up, merge in zip(reversed(self.up), reversed(self.merge), strict=True):
            level = levels.pop()
            x = merge(level + F.interpolate(up(x), size=level.shape[-2:], mode="nearest"))
        return x


class LiftUNetEncoder(nn.Module):
    """Precomputed bilinear lifting, additive temporal fusion, U-Net.

    The half of the fusion that reads the previous grid starts at zero: training on single frames leaves it
    untouched, so switching to clips starts from a working model.

    Args:
        config: the whole model's sizes.
        image_channels: channels of the camera features.
        feature_hw: rows and columns of the camera features.
    """

    def __init__(self, config: BEVModelConfig, image_channels: int, feature_hw: tuple[int, int]) -> None:
        super().__init__()
        section, groups = config.encoder, config.norm_groups
        geometry = LiftGeometry((config.image_height, config.image_width), feature_hw, section.min_depth_m)
        self.lift = BilinearLift(
            config.bev_half_m, config.bev_cells, section.heights_m, geometry, section.cached_rigs
        )
        width = section.unet_widths[0]
        self.reduce = nn.Conv2d(image_channels * len(section.heights_m), width, 1)
        self.position = nn.Parameter(torch.randn(1, width, config.bev_cells, config.bev_cells) * 0.02)
        self.previous = nn.Conv2d(section.channels, width, 1, bias=False)
        nn.init.zeros_(self.previous.weight)
        self.norm = nn.GroupNorm(groups, width)
        self.unet = BEVUNet(section.unet_widths, section.unet_depths, groups)
        self.out = ConvBlock(width, section.channels, groups, kernel=1)

    def forward(
        self,
        features: Tensor | tuple[Tensor, ...],
        ego2img_BN44: Tensor,
        previous_BCHW: Tensor | None,
    ) -> Tensor:
        """Return the BEV grid (B, C, H, W).

        Args:
            features: camera features (B, N, C, h, w), of one level.
            ego2img_BN44: projections (pixels, metres).
            previous_BCHW: previous grid in the current ego frame, or None.
        """
        (features_BNChw,) = levels_of(features)
        x = self.reduce(self.lift(features_BNChw, ego2img_BN44)) + self.position
        if previous_BCHW is not None:
            x = x + self.previous(previous_BCHW)
        x = F.relu(self.norm(x.contiguous(memory_format=torch.channels_last)))
        return self.out(self.unet(x))


def build_encoder(config: BEVModelConfig, image_channels: int, feature_hw: tuple[int, int]) -> nn.Module:
    """Return the encoder that the config names.

    Args:
        config: the whole model's sizes.
        image_channels: channels of the camera features.
        feature_hw: rows and columns of the camera features.

    Returns:
        A module with forward(features, ego2img_BN44, previous_BCHW | None) → (B, C, H, W); the features are
        (B, N, C, h, w), or a tuple of them with several levels.
    """
    if config.encoder.kind == "bevformer":
        image_hw = (config.image_height, config.image_width)
        grid = (config.bev_half_m, config.bev_cells)
        levels = config.backbone.num_levels
        return BEVFormerEncoder(config.encoder, image_channels, *grid, image_hw, config.recompute, levels)
    return LiftUNetEncoder(config, image_channels, feature_hw)
