"""Segmentation, depth and normals from one image: trunk, optional attention, three heads.

Letters: B images, K classes, C channels of a tap, H × W pixels, h × w cells of a tap.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.dense.blocks import initialise
from nexusflow.dense.config import DenseModelConfig
from nexusflow.dense.mtan import TaskAttention
from nexusflow.dense.readout import read_out
from nexusflow.dense.segnet import SegNetTrunk

__all__ = ["TASKS", "DenseModel", "DenseOutput", "build_dense_model"]

TASKS = ("segmentation", "depth", "normal")
_EPSILON = 1e-12


@dataclass
class DenseOutput:
    """One forward pass.

    Attributes:
        outputs: "segmentation" log-probabilities (B, K, H, W), "depth" metres (B, 1, H, W), "normal" unit
            vectors (B, 3, H, W).
        taps: task → features (B, C, h, w) for methods.
        bottleneck_BCHW: shared features at 1/32 of the size.
        last_BCHW: shared features at full size.
    """

    outputs: dict[str, Tensor]
    taps: dict[str, Tensor]
    bottleneck_BCHW: Tensor
    last_BCHW: Tensor


class DenseModel(nn.Module):
    """Split SegNet or SegNet-MTAN.

    Args:
        config: sizes.

    Source: the networks of MTAN and MTPSL. Unlike theirs, normals are divided by their norm plus a tiny
        number, so that a zero vector gives no NaN.
    """

    def __init__(self, config: DenseModelConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = SegNetTrunk(config)
        self.attention = TaskAttention(TASKS, config) if config.network == "mtan" else None
        width = config.widths[0]
        channels = {"segmentation": config.num_classes, "depth": 1, "normal": 3}
        self.head_first = nn.ModuleDict({task: nn.Conv2d(width, width, 3, padding=1) for task in TASKS})
        self.head_last = nn.ModuleDict({task: nn.Conv2d(width, channels[task], 1) for task in TASKS})
        # Weights by uncertainty, part of the published parameter count; uniform weights leave it alone.
        self.logsigma = nn.Parameter(torch.full((len(TASKS),), -0.5))
        initialise(self)
        self._encoder_frozen = False

    @property
    def tap_channels(self) -> dict[str, int]:
        """Channels of the tap of every task."""
        width = self.config.widths[-1] if self.config.tap == "N2" else self.config.widths[0]
        return dict.fromkeys(TASKS, width)

    def encoder_modules(self) -> list[nn.Module]:
        """Returns the parts before the bottleneck."""
        attention = [] if self.attention is None else self.attention.encoder_modules()
        return [*self.trunk.encoder_modules(), *attention]

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Returns the parameters before the bottleneck."""
        return [parameter for module in self.encoder_modules() for parameter in module.parameters()]

    def freeze_encoder(self) -> None:
        """Excludes the parts before the bottleneck from training, their batch statistics included."""
        for parameter in self.encoder_parameters():
            parameter.requires_grad_(False)
        self._encoder_frozen = True
        self.train(self.training)

    def train(self, mode: bool = True) -> DenseModel:
        """Sets the training mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self._encoder_frozen:
            for module in self.encoder_modules():
                module.eval()
        return self

    def _averaged(self, taps: dict[str, Tensor]) -> dict[str, Tensor]:
        cells = self.config.tap_cells
        return taps if cells is None else {task: F.adaptive_avg_pool2d(x, cells) for task, x in taps.items()}

    def forward(self, images_B3HW: Tensor) -> DenseOutput:
        """Predicts all tasks for a batch of images.

        Args:
            images_B3HW: RGB in [0, 1]; height and width are multiples of 32 pixels.

        Returns:
            Predictions and taps.

        Raises:
            ValueError: if height or width is no multiple of 32.
        """
        height, width = images_B3HW.shape[2:]
        if height % 32 or width % 32:
            raise ValueError(f"height and width must be multiples of 32 pixels, got {height} and {width}")
        trunk = self.trunk(images_B3HW)
        shared = trunk.decoder_last[0]
        bottlenecks: dict[str, Tensor] = {}
        decoded = dict.fromkeys(TASKS, shared)
        if self.attention is not None:
            bottlenecks, decoded = self.attention(trunk)
        read = {}
        for task in TASKS:
            cells = self.config.tap_cells if self.config.tap == "N1" else None
            read[task] = read_out(self.head_first[task](decoded[task]), cells)
        # Half precision would round metres to centimetres in the last layer.
        with torch.autocast(images_B3HW.device.type, enabled=False):
            raw = {task: self.head_last[task](full_BCHW) for task, (full_BCHW, _) in read.items()}
        outputs = {
            "segmentation": F.log_softmax(raw["segmentation"], 1),
            "depth": raw["depth"],
            "normal": F.normalize(raw["normal"], dim=1, eps=_EPSILON),
        }
        if self.config.tap == "N1":
            taps = {task: tap for task, (_, tap) in read.items()}
        else:
            taps = self._averaged({"N2": bottlenecks, "N3": decoded}[self.config.tap])
        return DenseOutput(
            outputs=outputs,
            taps=taps,
            bottleneck_BCHW=trunk.bottleneck_BCHW,
            last_BCHW=shared,
        )


def build_dense_model(config: DenseModelConfig) -> DenseModel:
    """Build a model; its initial weights depend on the global random state alone.

    Args:
        config: sizes.

    Returns:
        The model in training mode.
    """
    return DenseModel(config)
