"""Normalisation of every image by itself, scaled and shifted image by image.

Letters: N images, C channels, H × W cells.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ImageNorm"]


class ImageNorm(nn.InstanceNorm2d):
    """Subtracts each image's own mean and divides by its own standard deviation, channel by channel.

    PyTorch's layer of this kind copies channels-last features into another layout and back. On a CPU the
    images therefore pass one after the other through batch normalisation, which does not and computes the
    same; a further scale and shift of an image then costs nothing.

    Args:
        channels: features to normalise.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def modulated(self, x_NCHW: Tensor, scale_NC: Tensor, shift_NC: Tensor) -> Tensor:
        """Normalises, applies the layer's weight and bias, then a scale and a shift of every image.

        Args:
            x_NCHW: features.
            scale_NC: factors.
            shift_NC: summands.

        Returns:
            (N, C, H, W) in the precision of the features.
        """
        weight_NC, bias_NC = scale_NC * self.weight, scale_NC * self.bias + shift_NC
        if x_NCHW.device.type != "cpu":
            y_NCHW = F.instance_norm(x_NCHW, eps=self.eps)
            factors, summands = (t.to(y_NCHW.dtype)[:, :, None, None] for t in (weight_NC, bias_NC))
            return torch.addcmul(summands, factors, y_NCHW)
        images = zip(x_NCHW.split(1), weight_NC.unbind(), bias_NC.unbind(), strict=True)
        return torch.cat([F.batch_norm(x, None, None, w, b, True, eps=self.eps) for x, w, b in images])

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Normalises, then applies the layer's weight and bias.

        Args:
            x_NCHW: features.

        Returns:
            (N, C, H, W) in the precision of the features.
        """
        scale_NC = x_NCHW.new_ones(x_NCHW.shape[:2], dtype=self.weight.dtype)
        return self.modulated(x_NCHW, scale_NC, torch.zeros_like(scale_NC))
