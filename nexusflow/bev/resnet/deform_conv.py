"""Modulated deformable convolution (DCNv2) in plain PyTorch; equal to mmcv's operator.

Letters: F images, C input channels, O output channels, K = k·k kernel points, h/w output rows/columns, H/W
input rows/columns.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.bev.layers import full_precision

__all__ = ["DeformConv", "deform_conv"]


def _positions(offset_FKhw2: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Return the sampled positions (F, K, h, w, 2) as (x, y), in input pixels."""
    rows, columns = offset_FKhw2.shape[2:4]
    device = offset_FKhw2.device
    steps = torch.arange(kernel, device=device, dtype=torch.float32)
    y_K, x_K = torch.meshgrid(steps, steps, indexing="ij")
    y_h = torch.arange(rows, device=device, dtype=torch.float32) * stride - padding
    x_w = torch.arange(columns, device=device, dtype=torch.float32) * stride - padding
    y = y_K.flatten()[:, None, None] + y_h[:, None]
    x = x_K.flatten()[:, None, None] + x_w
    base_Khw2 = torch.stack(torch.broadcast_tensors(x, y), -1)
    return base_Khw2 + offset_FKhw2.flip(-1)


def deform_conv(
    x_FCHW: Tensor, offset_FZhw: Tensor, mask_FKhw: Tensor, weight_OCkk: Tensor, stride: int, padding: int
) -> Tensor:
    """Convolve at shifted, weighted positions; zero is read outside.

    Args:
        x_FCHW: input.
        offset_FZhw: shifts in input pixels, Z = 2·K: row and column shift of each kernel point in turn.
        mask_FKhw: factors of the kernel points.
        weight_OCkk: kernel.
        stride: stride (input pixels).
        padding: padding (input pixels).

    Returns:
        (F, O, h, w) float32.

    Source: Deformable ConvNets v2, Zhu et al. 2019; one deformable group, no dilation, no bias.
    """
    kernel = weight_OCkk.shape[-1]
    height, width = x_FCHW.shape[-2:]
    with full_precision(x_FCHW):
        offset_FKhw2 = offset_FZhw.float().unflatten(1, (kernel * kernel, 2)).permute(0, 1, 3, 4, 2)
        where = _positions(offset_FKhw2, kernel, stride, padding)
        size_2 = torch.tensor([width, height], device=x_FCHW.device, dtype=torch.float32)
        grid_FK_P2 = ((where + 0.5) * (2.0 / size_2) - 1.0).flatten(2, 3)
        # Positions are in float32; far away ones read zero and must not overflow integers.
        x = x_FCHW.float().contiguous()
        samples_FCKP = F.grid_sample(x, grid_FK_P2.clamp(-4.0, 4.0), align_corners=False)
        samples_FCKP = samples_FCKP * mask_FKhw.float().flatten(2)[:, None]
        weight_OZ = weight_OCkk.float().flatten(1)
        mixed_FOP = weight_OZ @ samples_FCKP.flatten(1, 2)
    return mixed_FOP.unflatten(2, tuple(where.shape[2:4]))


class DeformConv(nn.Conv2d):
    """A 3×3 convolution that learns where it looks; its parameters have the names that mmcv gives them.

    Args:
        inner: input channels.
        outer: output channels.
        stride: stride (input pixels).
    """

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__(inner, outer, 3, stride, 1, bias=False)
        self.conv_offset = nn.Conv2d(inner, 27, 3, stride, 1)

    def forward(self, x_FCHW: Tensor) -> Tensor:
        """Return (F, O, h, w) float32."""
        row, column, mask = self.conv_offset(x_FCHW).chunk(3, 1)
        offset = torch.cat([row, column], 1)
        return deform_conv(x_FCHW, offset, mask.sigmoid(), self.weight, self.stride[0], 1)
