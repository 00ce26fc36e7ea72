"""BatchNorm whose statistics are those of the whole batch, though every rank sees a part of it.

Letters: B samples of this rank, C channels, H × W cells.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nexusflow.core.errors import UserError
from nexusflow.training.ranks import Ranks, sum_over_ranks

__all__ = ["SharedBatchNorm2d", "refuse_batch_norm", "share_batch_norm"]


class _SumOverRanks(torch.autograd.Function):
    """Sum over ranks; every rank's loss depends on the sum, so its gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return sum_over_ranks(x.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return sum_over_ranks(gradients[0].clone())


class SharedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm over the samples of all ranks, which hold equally many.

    Source: the synchronised BatchNorm of PyTorch, which refuses tensors on a CPU.
    """

    ranks: int

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Normalises by the statistics of all ranks in training, and by the running ones else."""
        if not self.training:
            return super().forward(x_BCHW)
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        with torch.autocast(x_BCHW.device.type, enabled=False):
            y_BCHW = x_BCHW.float()
            count = self.ranks * y_BCHW.numel() // y_BCHW.shape[1]
            mean_C11: Tensor = _SumOverRanks.apply(y_BCHW.sum((0, 2, 3)))[:, None, None] / count  # type: ignore[index]
            centred_BCHW = y_BCHW - mean_C11
            squares_C: Tensor = _SumOverRanks.apply(centred_BCHW.square().sum((0, 2, 3)))  # type: ignore[assignment]
            variance_C11 = squares_C[:, None, None] / count
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean.lerp_(mean_C11.flatten(), self.momentum)
                self.running_var.lerp_(squares_C / max(1, count - 1), self.momentum)
            scale_C11 = self.weight[:, None, None] * (variance_C11 + self.eps).rsqrt()
            return (centred_BCHW * scale_C11 + self.bias[:, None, None]).to(x_BCHW.dtype)


def share_batch_norm(model: nn.Module, ranks: Ranks) -> None:
    """Let every BatchNorm of a model see the samples of all ranks.

    Args:
        model: changed in place; names of weights stay.
        ranks: the ranks, which must run the model's layers in the same order.
    """
    if not ranks.together:
        return
    for module in model.modules():
        if type(module) is nn.BatchNorm2d and module.affine and module.track_running_stats:
            # Weights, hooks and references to the module stay as they are.
            module.__class__ = SharedBatchNorm2d
            module.ranks = ranks.size  # type: ignore[assignment]


def refuse_batch_norm(model: nn.Module) -> None:
    """Refuse a model whose statistics of a batch would be those of a part of it.

    Args:
        model: in training mode.

    Raises:
        UserError: if it normalises by batch statistics.
    """
    if any(isinstance(module, _BatchNorm) and module.training for module in model.modules()):
        raise UserError(
            "training.accumulate: the model's BatchNorm needs the statistics of the whole batch in one pass; "
            "set it to 1 and use more devices, or set model.norm to `group`."
        )
