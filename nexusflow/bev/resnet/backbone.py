"""The paper's image backbone: residual network, frozen parts, pyramid.

Letters: F images, C channels, H/W image rows/columns, h/w feature rows/columns.
"""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.bev.backbone_config import ResNetDCNConfig
from nexusflow.bev.layers import kept_or_recomputed
from nexusflow.bev.resnet.mmdet_parts import build_mmdet_pyramid, build_mmdet_resnet, has_mmdet
from nexusflow.bev.resnet.network import Pyramid, ResNet

__all__ = ["ResNetDCN"]


class ResNetDCN(nn.Module):
    """ResNet with deformable convolutions and pyramid, as an image backbone of the BEV model.

    Args:
        config: sizes, what is frozen, and whose blocks are used.
        recompute: compute the activations of trained blocks again in the backward pass.

    Attributes:
        implementation: whose blocks these are, mmdet or torch.

    Raises:
        UserError: if MMDetection is asked for and missing.

    Source: UniAD stage 1, Hu et al. 2023.
    """

    # Of ImageNet, RGB, as the Caffe models want it: no division.
    pixel_mean = (123.675, 116.28, 103.53)
    pixel_std = (1.0, 1.0, 1.0)

    def __init__(self, config: ResNetDCNConfig, recompute: bool = False) -> None:
        super().__init__()
        self.frozen_stages, self.frozen_norm = config.frozen_stages, config.norm == "frozen"
        self.recompute = recompute
        self.strides, self.stride = config.strides, config.strides[0]
        used = (3,) if config.num_levels == 1 else (1, 2, 3)
        self.first_used = used[0]
        widths = tuple(config.base_channels * 2**stage * 4 for stage in used)
        # Both libraries draw numbers in an order of their own; the weights below are drawn in ours.
        with torch.random.fork_rng(devices=[]):
            body = (config.depth, config.base_channels, config.deformable_stages, config.style)
            neck = (widths, config.neck_channels, config.num_levels)
            self.body: nn.Module
            self.neck: nn.Module
            self.implementation = config.implementation
            if self.implementation == "auto":
                self.implementation = "mmdet" if has_mmdet() else "torch"
            if self.implementation == "mmdet":
                self.body, self.neck = build_mmdet_resnet(*body), build_mmdet_pyramid(*neck)
            else:
                self.body, self.neck = ResNet(*body), Pyramid(*neck)
        self._draw_weights()
        for module in self._frozen_modules():
            module.requires_grad_(False)
        self.train()

    @property
    def stages(self) -> list[nn.Module]:
        """The four stages of the residual network."""
        return [self.body.get_submodule(f"layer{number}") for number in range(1, 5)]

    @property
    def stem(self) -> list[nn.Module]:
        """First convolution and its normalisation."""
        return [self.body.get_submodule("conv1"), self.body.get_submodule("bn1")]

    @property
    def _norms(self) -> list[nn.Module]:
        return [module for module in self.body.modules() if isinstance(module, nn.BatchNorm2d)]

    def _draw_weights(self) -> None:
        """Draw all weights; shifts of deformable convolutions start at zero."""
        for name, module in sorted(self.named_modules()):
            if isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
            elif isinstance(weight := getattr(module, "weight", None), Tensor):
                if name.endswith("conv_offset"):
                    nn.init.zeros_(weight)
                elif name.startswith("neck."):
                    nn.init.xavier_uniform_(weight)
                else:
                    nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
                if isinstance(module.bias, Tensor):
                    nn.init.zeros_(module.bias)

    def _frozen_modules(self) -> list[nn.Module]:
        """Return what neither learns nor gathers statistics."""
        frozen = list(self._norms) if self.frozen_norm else []
        if self.frozen_stages >= 0:
            frozen += [*self.stem, *self.stages[: self.frozen_stages]]
        return frozen

    def train(self, mode: bool = True) -> Self:
        """Switch the mode; what is frozen stays in evaluation mode, all of it once nothing is trained."""
        super().train(mode and any(parameter.requires_grad for parameter in self.parameters()))
        for module in self._frozen_modules():
            module.eval()
        return self

    def forward(self, images_FCHW: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Extract features.

        Args:
            images_FCHW: normalised RGB images.

        Returns:
            (F, neck channels, h, w) at stride 32; with four levels a tuple, finest first.
        """
        convolution, norm = self.stem
        x = F.relu(norm(convolution(images_FCHW.flip(1))))
        x = F.max_pool2d(x, 3, 2, 1)
        used = []
        for number, stage in enumerate(self.stages):
            for block in stage.children():
                x = kept_or_recomputed(block, self.recompute and number >= self.frozen_stages, x)
            if number >= self.first_used:
                used.append(x)
        levels: tuple[Tensor, ...] = tuple(self.neck(used))
        return levels[0] if len(levels) == 1 else levels
