"""The image backbones by name.

Letters: F images, C channels, h/w feature rows/columns.
"""

from __future__ import annotations

from torch import nn

from nexusflow.bev.backbone import ImageBackbone
from nexusflow.bev.config import BEVModelConfig, ResNetDCNConfig

__all__ = ["build_backbone"]


def build_backbone(config: BEVModelConfig) -> nn.Module:
    """Return the image backbone that the config names.

    Args:
        config: the whole model's sizes.

    Returns:
        A module with forward(images_FCHW) → (F, C, h, w), or with several levels a tuple of them, finest
        first; `pixel_mean` and `pixel_std` say how RGB images are normalised, `strides` where levels lie.

    Raises:
        UserError: if it is made of a library that is not installed.
    """
    section = config.backbone
    if isinstance(section, ResNetDCNConfig):
        from nexusflow.bev.resnet.backbone import ResNetDCN

        return ResNetDCN(section, config.recompute)
    return ImageBackbone(section, config.norm_groups, config.recompute)
