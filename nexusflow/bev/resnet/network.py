"""Residual network and feature pyramid in plain PyTorch, with the parameter names of MMDetection.

Letters: F images, C channels, H/W rows/columns.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.bev.resnet.deform_conv import DeformConv

__all__ = ["DEPTHS", "Bottleneck", "Pyramid", "ResNet"]

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
EXPANSION = 4


class Bottleneck(nn.Module):
    """1×1 with the stride, 3×3, 1×1, each with batch normalisation, and a skip connection.

    Args:
        inner: input channels.
        planes: channels of the 3×3 convolution; four times as many leave the block.
        stride: stride of the block.
        deformable: whether the 3×3 convolution is deformable.
        style: caffe: the stride is on the first 1×1 convolution; pytorch: on the 3×3 one.
    """

    def __init__(self, inner: int, planes: int, stride: int, deformable: bool, style: str) -> None:
        super().__init__()
        outer = planes * EXPANSION
        first, second = (stride, 1) if style == "caffe" else (1, stride)
        self.conv1, self.bn1 = nn.Conv2d(inner, planes, 1, first, bias=False), nn.BatchNorm2d(planes)
        self.conv2 = (
            DeformConv(planes, planes, second)
            if deformable
            else nn.Conv2d(planes, planes, 3, second, 1, bias=False)
        )
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, outer, 1, bias=False), nn.BatchNorm2d(outer)
        skip = (nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))
        self.downsample = nn.Sequential(*skip) if stride > 1 or inner != outer else None

    def forward(self, x_FCHW: Tensor) -> Tensor:
        """Return features of the block's output shape."""
        inside = F.relu(self.bn1(self.conv1(x_FCHW)))
        inside = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(inside)))))
        return F.relu(inside + (x_FCHW if self.downsample is None else self.downsample(x_FCHW)))


class ResNet(nn.Module):
    """Stem and four stages; `ResNetDCN` runs them.

    Args:
        depth: layers, 50 or 101.
        base_channels: channels of the stem.
        deformable: per stage, whether its 3×3 convolutions are deformable.
        style: see `Bottleneck`.

    Source: He et al. 2016.
    """

    def __init__(self, depth: int, base_channels: int, deformable: tuple[bool, ...], style: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, base_channels, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base_channels)
        inner = base_channels
        for stage, count in enumerate(DEPTHS[depth]):
            planes = base_channels * 2**stage
            blocks = []
            for index in range(count):
                stride = 2 if stage and not index else 1
                blocks.append(Bottleneck(inner, planes, stride, deformable[stage], style))
                inner = planes * EXPANSION
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))


class _Wrapped(nn.Module):
    """A convolution under the name that MMDetection's convolution modules give it."""

    def __init__(self, inner: int, outer: int, kernel: int = 1, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, kernel, stride, padding)

    def forward(self, x_FCHW: Tensor) -> Tensor:
        result: Tensor = self.conv(x_FCHW)
        return result


class Pyramid(nn.Module):
    """Top-down feature pyramid; more levels than inputs come from the last output by strided convolutions.

    Args:
        inner: channels of the inputs, finest first.
        outer: channels of the outputs.
        levels: number of outputs.

    Source: FPN, Lin et al. 2017.
    """

    def __init__(self, inner: tuple[int, ...], outer: int, levels: int) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(_Wrapped(channels, outer) for channels in inner)
        plain = [_Wrapped(outer, outer, 3, 1, 1) for _ in inner]
        extra = [_Wrapped(outer, outer, 3, 2, 1) for _ in range(levels - len(inner))]
        self.fpn_convs = nn.ModuleList([*plain, *extra])

    def forward(self, stages: list[Tensor]) -> tuple[Tensor, ...]:
        """Return the levels, finest first."""
        merged = [lateral(stage) for lateral, stage in zip(self.lateral_convs, stages, strict=True)]
        for index in range(len(merged) - 1, 0, -1):
            finer = merged[index - 1]
            merged[index - 1] = finer + F.interpolate(merged[index], size=finer.shape[-2:], mode="nearest")
        convolutions = list(self.fpn_convs)
        levels = [conv(x) for conv, x in zip(convolutions, merged, strict=False)]
        for conv in convolutions[len(merged) :]:
            levels.append(conv(levels[-1]))
        return tuple(levels)
