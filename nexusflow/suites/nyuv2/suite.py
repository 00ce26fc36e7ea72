"""Segmentation, depth and surface normals on NYUv2-format images, under one partition.

Letters: B images of a batch, N training images, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_json
from nexusflow.data.nyuv2.augment import random_scale_crop
from nexusflow.data.nyuv2.batch import DenseBatch, collate_images
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.sampler import ImageSampler
from nexusflow.dense.config import DenseModelConfig
from nexusflow.dense.losses import dense_losses
from nexusflow.dense.model import DenseModel, build_dense_model
from nexusflow.suites.base import StepResult, Suite
from nexusflow.suites.nyuv2.predict import score_model

__all__ = ["TASKS", "ImagePlan", "NYUv2Suite", "architecture_of", "build_model"]

TASKS = ("segmentation", "depth", "normal")


@dataclass(frozen=True)
class ImagePlan:
    """How images are drawn.

    Attributes:
        batch_size: images per step.
        seed: seed of the order of images, of the augmentation and of the model's initial weights.
        augmentation: "none", or "scale_crop" for random scale and crop.
    """

    batch_size: int
    seed: int
    augmentation: Literal["none", "scale_crop"] = "none"


def build_model(config: DenseModelConfig, seed: int) -> DenseModel:
    """Build the model with initial weights that depend on the seed alone.

    Args:
        config: the model section of a scale.
        seed: the run's seed.

    Returns:
        The model in training mode.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # Channels last: 1.4 times as fast on a CPU.
        return build_dense_model(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def architecture_of(config: DenseModelConfig) -> str:
    """Hash what decides the shape and meaning of the weights.

    Args:
        config: the model section of a scale.

    Returns:
        Hexadecimal SHA-256 of the section.
    """
    return sha256_json(config.model_dump(mode="json"))


class NYUv2Suite(Suite):
    """The NYUv2 suite under one partition.

    Args:
        cache: decoded images and labels.
        partition: task → which training images may show its labels, bool (N,).
        model_config: the model section of a scale.
        plan: how images are drawn.

    Raises:
        UserError: if the partition table has another number of images than the data.
    """

    score_directions = {"Seg IoU": 1, "Depth aErr": -1, "Norm mErr": -1}  # noqa: RUF012

    def __init__(
        self,
        cache: NYUv2Cache,
        partition: Mapping[str, np.ndarray],
        model_config: DenseModelConfig,
        plan: ImagePlan,
    ) -> None:
        for task in TASKS:
            if len(partition[task]) != cache.num_train:
                raise UserError(
                    f"The partition table has {len(partition[task])} images, the data have "
                    f"{cache.num_train} training images; make the partition again."
                )
        self.cache = cache
        self.plan = plan
        self.network = build_model(model_config, plan.seed)
        self.model = self.network
        self.architecture = architecture_of(model_config)
        self.tap_channels = dict(self.network.tap_channels)
        self.sampler = ImageSampler(cache.num_train, plan.batch_size, plan.seed)
        self._partition = partition

    def batch(self, step: int) -> DenseBatch:
        """Load the images of a step, with hidden labels removed; see `Suite.batch`."""
        indices = self.sampler.indices_at(step)
        visible = {task: [bool(self._partition[task][index]) for index in indices] for task in TASKS}
        batch = collate_images(self.cache, indices, visible).hide_labels()
        if self.plan.augmentation == "scale_crop":
            generator = np.random.Generator(np.random.PCG64([self.plan.seed, step, 1]))
            batch = random_scale_crop(batch, generator)
        return batch

    def forward(self, batch: DenseBatch, step: int, single_frame: bool) -> StepResult:
        """Run the model and its losses on a batch of images; see `Suite.forward`."""
        device = next(self.model.parameters()).device
        images_B3HW = batch.images_B3HW.to(device, memory_format=torch.channels_last)
        output = self.network(images_B3HW)
        visible = {task: batch.visible[task].to(device) for task in TASKS}
        with torch.autocast(device.type, enabled=False):
            losses = dense_losses(
                {task: value.float() for task, value in output.outputs.items()},
                batch.labels_BHW.to(device),
                batch.depth_B1HW.to(device),
                batch.normals_B3HW.to(device),
                visible,
            )
        taps = {task: {"features": tap_BCHW} for task, tap_BCHW in output.taps.items()}
        return StepResult(losses=losses, outputs=output.outputs, taps=taps, visible=visible)

    def freeze_encoder(self) -> None:
        """Freeze the shared encoder (phase 2); see `Suite.freeze_encoder`."""
        self.network.freeze_encoder()

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Score segmentation, depth and normals on the validation split; see `Suite.validate`."""
        scores = score_model(model, self.cache)
        return {name: scores[name] for name in self.score_directions}
