"""A head's features for its last layer and, averaged over cells, for the alignment.

Legend: B images, C channels, H and W rows and columns of the map, K cells per side.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["full_precision", "read_out"]


def full_precision(x: Tensor) -> Tensor:
    """Returns a tensor in float32, or as it is if it is more precise."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def read_out(x_BCHW: Tensor, cells: int | None) -> tuple[Tensor, Tensor]:
    """Returns features in full precision and averaged over cells.

    The gradient of an average is the same all over a cell. Left to itself, autograd writes it out as a map of
    its own, in another layout than the features; here it is added while the features' gradient is read.

    Args:
        x_BCHW: features of a head.
        cells: cells K per side; None leaves the features as they are.

    Returns:
        Features in full precision, and averages (B, C, K, K) in the features' precision. Their gradient can
        be differentiated again only where K does not divide both sides.
    """
    if cells is None or x_BCHW.shape[2] % cells or x_BCHW.shape[3] % cells:
        pooled = x_BCHW if cells is None else F.adaptive_avg_pool2d(x_BCHW, cells)
        return full_precision(x_BCHW), pooled
    return _ReadOut.apply(x_BCHW, cells)


class _ReadOut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, cells: int) -> tuple[Tensor, Tensor]:
        ctx.dtype, ctx.sides = x_BCHW.dtype, (*x_BCHW.shape[2:], cells)
        ctx.set_materialize_grads(False)
        full = full_precision(x_BCHW)
        return full.view_as(x_BCHW), F.adaptive_avg_pool2d(x_BCHW, cells)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(
        ctx: Any, full_grad: Tensor | None, pooled_grad: Tensor | None
    ) -> tuple[Tensor | None, None]:
        height, width, cells = ctx.sides
        grad = None if full_grad is None else full_grad.to(ctx.dtype)
        if pooled_grad is not None:
            share_BCKK = pooled_grad.to(ctx.dtype) * (cells**2 / (height * width))
            if grad is None:
                grad = share_BCKK.new_zeros(*share_BCKK.shape[:2], height, width)
            elif grad is full_grad:
                grad = grad.clone()
            _add_to_cells(grad, share_BCKK)
        return grad, None


def _add_to_cells(x_BCHW: Tensor, share_BCKK: Tensor) -> None:
    """Adds a number per cell to all places of it, row by row as they lie in memory, the fastest way."""
    cells = share_BCKK.shape[-1]
    repeats = x_BCHW.shape[3] // cells
    if x_BCHW.is_contiguous():
        row_BCKW = share_BCKK.repeat_interleave(repeats, 3)
        x_BCHW.unflatten(2, (cells, -1)).add_(row_BCKW[:, :, :, None])
    else:
        row_BKWC = share_BCKK.permute(0, 2, 3, 1).repeat_interleave(repeats, 2)
        x_BCHW.permute(0, 2, 3, 1).unflatten(1, (cells, -1)).add_(row_BKWC[:, :, None])
