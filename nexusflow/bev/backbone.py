"""Image backbone: residual stages and a light feature pyramid that ends in one map.

Letters: F images, C channels, h/w feature rows/columns.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.bev.config import BackboneConfig
from nexusflow.bev.layers import ConvBlock, ResidualBlock, kept_or_recomputed

__all__ = ["ImageBackbone"]


class ImageBackbone(nn.Module):
    """Residual stages at strides 4, 8, 16, … merged top-down to the stride of one stage.

    Args:
        config: widths, depths and the output stage.
        groups: groups of the group normalisations.
        recompute: compute the blocks' activations again in the backward pass instead of keeping them.
    """

    # Much the same for all cameras; learned from scratch, it needs no statistics of a data set.
    pixel_mean = (118.0, 118.0, 118.0)
    pixel_std = (60.0, 60.0, 60.0)

    def __init__(self, config: BackboneConfig, groups: int, recompute: bool = False) -> None:
        super().__init__()
        self.recompute = recompute
        self.output_stage = config.output_stage
        self.strides, self.stride = config.strides, config.strides[0]
        self.stem = ConvBlock(3, config.stem_channels, groups, stride=2)
        self.stages = nn.ModuleList()
        inner = config.stem_channels
        for width, depth in zip(config.widths, config.depths, strict=True):
            blocks: list[nn.Module] = [ConvBlock(inner, width, groups, stride=2)]
            blocks += [ResidualBlock(width, width, groups) for _ in range(depth)]
            self.stages.append(nn.Sequential(*blocks))
            inner = width
        used = config.widths[config.output_stage :]
        self.laterals = nn.ModuleList(nn.Conv2d(width, config.neck_channels, 1) for width in used)
        self.neck = ConvBlock(config.neck_channels, config.neck_channels, groups)

    def forward(self, images_FCHW: Tensor) -> Tensor:
        """Extract features.

        Args:
            images_FCHW: normalised images.

        Returns:
            (F, neck channels, h, w) features at the output stride.
        """
        x = kept_or_recomputed(self.stem, self.recompute, images_FCHW)
        levels = []
        for index, stage in enumerate(self.stages):
            for block in stage:  # type: ignore[attr-defined]
                x = kept_or_recomputed(block, self.recompute, x)
            if index >= self.output_stage:
                levels.append(self.laterals[index - self.output_stage](x))
        merged = levels[-1]
        for level in reversed(levels[:-1]):
            merged = level + F.interpolate(merged, size=level.shape[-2:], mode="nearest")
        return self.neck(merged)
