"""The same residual network and pyramid out of MMDetection's blocks, which are imported when asked for."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from nexusflow.bev.layers import full_precision
from nexusflow.bev.resnet.deform_conv import deform_conv
from nexusflow.core.errors import UserError

__all__ = ["build_mmdet_pyramid", "build_mmdet_resnet", "has_compiled_operator", "has_mmdet"]

_ADVICE = (
    "install the extra mmdet3d (`make environment-mmdet3d`), or set backbone.implementation to torch, which "
    "is the same network"
)


def has_mmdet() -> bool:
    """Say whether MMDetection is installed beside an mmcv with compiled operators."""
    try:
        return find_spec("mmdet") is not None and find_spec("mmcv._ext") is not None
    except (ImportError, OSError):
        # Looking for a part of a package imports the package, which may be broken.
        return False


def _mmdet() -> Any:
    """Return mmdet's models, and mmcv's operators, with a readable error where something is missing."""
    try:
        import mmcv.ops
        import mmdet.models
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"backbone.implementation is mmdet, which cannot be imported ({reason}); {_ADVICE}."
        ) from error
    return mmdet.models, mmcv.ops


def has_compiled_operator(device: torch.device) -> bool:
    """Say whether mmcv was compiled for a kind of device.

    Args:
        device: where the tensors are.

    Returns:
        False on a GPU where mmcv was built without CUDA.
    """
    from mmcv.ops import get_compiling_cuda_version

    return device.type == "cpu" or get_compiling_cuda_version() not in ("not available", "")


def _register_convolution() -> str:
    """Register mmcv's deformable convolution with a path for devices that it was not compiled for."""
    from mmcv.ops import ModulatedDeformConv2dPack, modulated_deform_conv2d
    from mmengine.registry import MODELS

    name = "NexusFlowDeformConv"
    if name in MODELS:
        return name

    class NexusFlowDeformConv(ModulatedDeformConv2dPack):  # type: ignore[misc]
        """mmcv's layer in full precision; plain PyTorch where its operator is not compiled."""

        def forward(self, x_FCHW: Tensor) -> Tensor:
            row, column, mask = self.conv_offset(x_FCHW).chunk(3, 1)
            offset, mask = torch.cat([row, column], 1), mask.sigmoid()
            if not has_compiled_operator(x_FCHW.device):
                return deform_conv(x_FCHW, offset, mask, self.weight, self.stride[0], self.padding[0])
            with full_precision(x_FCHW):
                # The operator takes row-major memory and one precision only.
                x, offset, mask, weight = (
                    t.float().contiguous() for t in (x_FCHW, offset, mask, self.weight)
                )
                sizes = (self.stride, self.padding, self.dilation, self.groups, self.deform_groups)
                result: Tensor = modulated_deform_conv2d(x, offset, mask, weight, self.bias, *sizes)
            return result

    MODELS.register_module(name=name, module=NexusFlowDeformConv)
    return name


def build_mmdet_resnet(depth: int, base_channels: int, deformable: tuple[bool, ...], style: str) -> nn.Module:
    """Build MMDetection's residual network; see `ResNet` for the arguments.

    Raises:
        UserError: if the extra is missing or mmcv has no compiled operators.
    """
    models, _ = _mmdet()
    dcn = {"type": _register_convolution(), "deform_groups": 1, "fallback_on_stride": False}
    network: nn.Module = models.ResNet(
        depth=depth,
        base_channels=base_channels,
        stem_channels=base_channels,
        style=style,
        norm_eval=False,
        norm_cfg={"type": "BN", "requires_grad": True},
        dcn=dcn if any(deformable) else None,
        stage_with_dcn=deformable,
    )
    return network


def build_mmdet_pyramid(inner: tuple[int, ...], outer: int, levels: int) -> nn.Module:
    """Build MMDetection's pyramid; see `Pyramid` for the arguments.

    Raises:
        UserError: if the extra is missing or mmcv has no compiled operators.
    """
    models, _ = _mmdet()
    extra = "on_output" if levels > len(inner) else False
    pyramid: nn.Module = models.FPN(list(inner), outer, levels, add_extra_convs=extra)
    return pyramid
