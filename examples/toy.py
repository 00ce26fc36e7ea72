"""A toy with three tasks, each labelled in one third of the samples only; needs torch alone.

Legend: B batch, C features, H and W rows and columns, K classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TASKS = ("segmentation", "depth", "edges")


class ToyModel(nn.Module):
    """A shared encoder and three branches, each a small decoder with a last layer."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1)
        )
        self.decoders = nn.ModuleDict(
            {task: nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1), nn.ReLU()) for task in TASKS}
        )
        self.heads = nn.ModuleDict(
            {task: nn.Conv2d(width, 3 if task == "segmentation" else 1, 1) for task in TASKS}
        )

    def forward(self, images_BCHW: Tensor) -> dict[str, Tensor]:
        """Predictions of all tasks, (B, K, H / 2, W / 2)."""
        shared_BCHW = self.encoder(images_BCHW)
        return {task: self.heads[task](self.decoders[task](shared_BCHW)) for task in TASKS}


def make_batch(
    step: int, samples: int = 12, side: int = 16
) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Discs on a slope: images, labels, and per task the samples (B,) whose labels may be seen."""
    generator = torch.Generator().manual_seed(step)
    y_HW, x_HW = torch.meshgrid(torch.arange(float(side)), torch.arange(float(side)), indexing="ij")
    centre_B2 = torch.randint(4, side - 4, (samples, 2, 1, 1), generator=generator)
    distance_BHW = torch.hypot(x_HW - centre_B2[:, 0], y_HW - centre_B2[:, 1])
    kind_B = torch.randint(0, 2, (samples, 1, 1), generator=generator)
    disc_BHW = distance_BHW < 4
    images_BCHW = torch.stack(
        (disc_BHW * (1 + kind_B), disc_BHW * (2 - kind_B), y_HW / side * disc_BHW), dim=1
    )
    images_BCHW = images_BCHW + 0.1 * torch.randn(images_BCHW.shape, generator=generator)
    full = {
        "segmentation": disc_BHW * (1 + kind_B),
        "depth": torch.where(disc_BHW, 0.2, y_HW / side),
        "edges": ((distance_BHW - 4).abs() < 1).float(),
    }
    labels = {task: label_BHW[:, ::2, ::2] for task, label_BHW in full.items()}
    visible = {task: torch.arange(samples) % len(TASKS) == index for index, task in enumerate(TASKS)}
    return images_BCHW, labels, visible


def task_losses(
    outputs: dict[str, Tensor], labels: dict[str, Tensor], visible: dict[str, Tensor]
) -> dict[str, Tensor]:
    """A loss per task, over the samples whose labels may be seen."""
    losses = {}
    for task in TASKS:
        predicted, label = outputs[task][visible[task]], labels[task][visible[task]]
        if task == "segmentation":
            losses[task] = F.cross_entropy(predicted, label.long())
        elif task == "depth":
            losses[task] = F.l1_loss(predicted[:, 0], label)
        else:
            losses[task] = F.binary_cross_entropy_with_logits(predicted[:, 0], label)
    return losses
