"""Small residual networks with random shifts, so that a deformable convolution is not a plain one."""

from __future__ import annotations

import torch

from nexusflow.bev.backbone_config import ResNetDCNConfig
from nexusflow.bev.resnet.backbone import ResNetDCN

SMALL = {
    "kind": "resnet_dcn",
    "depth": 50,
    "base_channels": 8,
    "neck_channels": 8,
    "norm": "batch",
    "frozen_stages": -1,
    "implementation": "torch",
}
TRAINED = {"weights": {"source": "imagenet", "file": "unread.safetensors"}}


def make_resnet(recompute: bool = False, **changes: object) -> ResNetDCN:
    torch.manual_seed(0)
    network = ResNetDCN(ResNetDCNConfig.model_validate({**SMALL, **changes}), recompute)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "conv_offset" in name:
                parameter.normal_(std=0.02, generator=generator)
    return network


def make_images(height: int = 64, width: int = 96) -> torch.Tensor:
    return 255 * torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(2)) - 115
