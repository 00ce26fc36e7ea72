"""MTAN's attention: per task and level a mask on the trunk's features.

Letters: B images, C channels of a level, H × W pixels of a level.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.dense.blocks import attention_block, conv_block
from nexusflow.dense.config import DenseModelConfig
from nexusflow.dense.segnet import LEVELS, TrunkFeatures

__all__ = ["TaskAttention"]


class TaskAttention(nn.Module):
    """Attended features of every task, beside one trunk.

    Args:
        tasks: names of the tasks.
        config: sizes.

    Source: MTAN (Liu et al., CVPR 2019), whose blocks between levels are shared by the tasks.
    """

    def __init__(self, tasks: Sequence[str], config: DenseModelConfig) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        widths = config.widths
        coarser = (*widths[1:], widths[-1])
        finer = (widths[0], *widths[:-1])
        reads = [widths[0], *(2 * width for width in widths[1:])]
        self.encoder_masks = nn.ModuleDict(
            {
                task: nn.ModuleList(
                    attention_block(reads[level], widths[level], config) for level in range(LEVELS)
                )
                for task in tasks
            }
        )
        self.decoder_masks = nn.ModuleDict(
            {
                task: nn.ModuleList(
                    attention_block(widths[level] + finer[level], finer[level], config)
                    for level in range(LEVELS)
                )
                for task in tasks
            }
        )
        self.down = nn.ModuleList(conv_block(widths[i], coarser[i], config) for i in range(LEVELS))
        self.up = nn.ModuleList(conv_block(widths[i], finer[i], config) for i in range(LEVELS))

    def encoder_modules(self) -> list[nn.Module]:
        """Returns the parts before the bottleneck."""
        return [self.encoder_masks, self.down]

    def _encode(self, trunk: TrunkFeatures, task: str) -> Tensor:
        masks: nn.ModuleList = self.encoder_masks[task]  # type: ignore[assignment]
        x: Tensor | None = None
        for level in range(LEVELS):
            shared = trunk.encoder_first[level]
            mask = masks[level](shared if x is None else torch.cat([shared, x], 1))
            x = F.max_pool2d(self.down[level](mask * trunk.encoder_last[level]), 2)
        assert x is not None
        return x

    def _decode(self, trunk: TrunkFeatures, task: str, x_BCHW: Tensor) -> Tensor:
        masks: nn.ModuleList = self.decoder_masks[task]  # type: ignore[assignment]
        for level in reversed(range(LEVELS)):
            size = trunk.unpooled[level].shape[2:]
            raised = F.interpolate(x_BCHW, size=size, mode="bilinear", align_corners=True)
            raised = self.up[level](raised)
            mask = masks[level](torch.cat([trunk.unpooled[level], raised], 1))
            x_BCHW = mask * trunk.decoder_last[level]
        return x_BCHW

    def forward(self, trunk: TrunkFeatures) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Attends to the trunk's features for every task.

        Args:
            trunk: features of all levels.

        Returns:
            Attended bottleneck (B, C, H / 32, W / 32) and attended decoder output (B, C, H, W) by task.
        """
        bottlenecks = {task: self._encode(trunk, task) for task in self.tasks}
        decoded = {task: self._decode(trunk, task, bottlenecks[task]) for task in self.tasks}
        return bottlenecks, decoded
