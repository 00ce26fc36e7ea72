"""Convolution blocks, and pooling whose places are kept for unpooling.

Letters: B images, C channels, H × W pixels, h × w half as many, N places.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.dense.config import DenseModelConfig

__all__ = ["attention_block", "conv_block", "initialise", "normalisation", "pool", "unpool"]


def normalisation(channels: int, config: DenseModelConfig) -> nn.Module:
    """Build the normalisation layer that the configuration asks for.

    Args:
        channels: features to normalise.
        config: sizes.

    Returns:
        BatchNorm or GroupNorm.
    """
    if config.norm == "group":
        return nn.GroupNorm(config.norm_groups, channels)
    return nn.BatchNorm2d(channels)


def conv_block(inputs: int, outputs: int, config: DenseModelConfig) -> nn.Sequential:
    """Build 3×3 convolution, normalisation, ReLU.

    Args:
        inputs: channels in.
        outputs: channels out.
        config: sizes.

    Returns:
        The block; it keeps height and width.
    """
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
    return nn.Sequential(convolution, normalisation(outputs, config), nn.ReLU(inplace=True))


def attention_block(inputs: int, outputs: int, config: DenseModelConfig) -> nn.Sequential:
    """Build the mask of MTAN: two 1×1 convolutions, each normalised, ReLU between, sigmoid at the end.

    Args:
        inputs: channels in.
        outputs: channels of the mask.
        config: sizes.

    Returns:
        The block; its output lies in (0, 1).
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1),
        normalisation(outputs, config),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 1),
        normalisation(outputs, config),
        nn.Sigmoid(),
    )


def pool(x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Halve height and width by the maximum of 2×2 pixels.

    Args:
        x_BCHW: features.

    Returns:
        The maxima (B, C, h, w) and their places in the flattened input, int64 of the same shape.
    """
    pooled_BChw, places_BChw = F.max_pool2d(x_BCHW, 2, return_indices=True)
    return pooled_BChw, places_BChw


def unpool(x_BChw: Tensor, places_BChw: Tensor, height: int, width: int) -> Tensor:
    """Put features back to the places of their maxima, zeros elsewhere.

    The 2×2 windows do not overlap, so every place is written once and the result is deterministic.

    Args:
        x_BChw: features.
        places_BChw: places of `pool`.
        height: height of the result, pixels.
        width: width of the result, pixels.

    Returns:
        Features (B, C, height, width).
    """
    if x_BChw.is_contiguous():
        flat = x_BChw.new_zeros((*x_BChw.shape[:2], height * width))
        return flat.scatter(2, places_BChw.flatten(2), x_BChw.flatten(2)).unflatten(2, (height, width))
    # In the order in which channels-last features lie in memory: no copy into another layout.
    x_BNC, places_BNC = (t.permute(0, 2, 3, 1).flatten(1, 2) for t in (x_BChw, places_BChw))
    flat = x_BChw.new_zeros((len(x_BNC), height * width, x_BNC.shape[2]))
    return flat.scatter(1, places_BNC, x_BNC).unflatten(1, (height, width)).permute(0, 3, 1, 2)


def initialise(model: nn.Module) -> None:
    """Draw convolution weights from Xavier's normal distribution and set biases to zero.

    Args:
        model: changed in place.
    """
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
