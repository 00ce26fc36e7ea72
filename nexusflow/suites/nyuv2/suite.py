"""Segmentation, depth and surface normals on NYUv2-format images, under one partition.

Letters: B images of a batch, N training images, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import nn

from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_json
from nexusflow.core.parts import BatchPart, PoolCounts
from nexusflow.core.views import CanvasSpec, DenseView, ViewPlan
from nexusflow.data.nyuv2.augment import random_scale_crop
from nexusflow.data.nyuv2.batch import DenseBatch, collate_images
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.sampler import ImageSampler
from nexusflow.dense.config import DenseModelConfig
from nexusflow.dense.losses import dense_losses
from nexusflow.dense.model import DenseModel, DenseOutput, build_dense_model
from nexusflow.suites.base import StepResult, Suite
from nexusflow.suites.nyuv2.predict import score_model

__all__ = [
    "TASKS",
    "ImagePlan",
    "ImageViewMaker",
    "NYUv2Suite",
    "ViewedBatch",
    "architecture_of",
    "build_model",
]

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


@dataclass(frozen=True)
class ViewedBatch:
    """A batch and further views of its images.

    Attributes:
        first: the view that the task losses see.
        extra: the others.
    """

    first: DenseBatch
    extra: tuple[DenseBatch, ...]

    def cut(self, part: BatchPart) -> ViewedBatch:
        """Keep the images of a part of the batch, in every view."""
        return ViewedBatch(self.first.cut(part), tuple(view.cut(part) for view in self.extra))


class ImageViewMaker(Protocol):
    """Makes further views of a batch and shows them to a method, as `nexusflow.suites.nyuv2.canvases` does.

    A protocol, so that a run of a method without canvases does not depend on that code.

    Attributes:
        spec: what the canvases look like.
    """

    spec: CanvasSpec

    def make_views(self, batch: DenseBatch, plan: ViewPlan, seed: int, step: int) -> ViewedBatch:
        """Make the views that a method wants of a step's batch.

        Args:
            batch: what the task losses would see without further views, hidden labels already removed.
            plan: the views wanted.
            seed: the run's seed.
            step: step number from 0.

        Returns:
            As many further views as the plan names; a function of the arguments.
        """
        ...

    def show(self, output: DenseOutput, batch: DenseBatch) -> DenseView:
        """Show what the model says about a view beside the view's labels.

        Args:
            output: the model's output for the view.
            batch: the view.

        Returns:
            Canvases of the size of the images, on the model's device.
        """
        ...


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


def _split_views(output: DenseOutput, count: int) -> list[DenseOutput]:
    """Outputs per view of a pass over several; a single view is left as it is, to the byte."""
    if count == 1:
        return [output]
    outputs = {task: x.chunk(count) for task, x in output.outputs.items()}
    taps = {task: x.chunk(count) for task, x in output.taps.items()}
    bottleneck, last = output.bottleneck_BCHW.chunk(count), output.last_BCHW.chunk(count)
    return [
        DenseOutput(
            outputs={task: parts[view] for task, parts in outputs.items()},
            taps={task: parts[view] for task, parts in taps.items()},
            bottleneck_BCHW=bottleneck[view],
            last_BCHW=last[view],
        )
        for view in range(count)
    ]


class NYUv2Suite(Suite):
    """The NYUv2 suite under one partition.

    Args:
        cache: decoded images and labels.
        partition: task → which training images may show its labels, bool (N,).
        model_config: the model section of a scale.
        plan: how images are drawn.
        canvases: makes further views for methods that compare predictions with labels.

    Raises:
        UserError: if the partition table has another number of images than the data.
    """

    name = "nyuv2"
    canvases: ImageViewMaker | None
    score_directions = {"Seg IoU": 1, "Depth aErr": -1, "Norm mErr": -1}  # noqa: RUF012

    def __init__(
        self,
        cache: NYUv2Cache,
        partition: Mapping[str, np.ndarray],
        model_config: DenseModelConfig,
        plan: ImagePlan,
        canvases: ImageViewMaker | None = None,
    ) -> None:
        for task in TASKS:
            if len(partition[task]) != cache.num_train:
                raise UserError(
                    f"The partition table has {len(partition[task])} images, the data have "
                    f"{cache.num_train} training images; make the partition again."
                )
        self.cache = cache
        self.plan = plan
        self.canvases = canvases
        self.network = build_model(model_config, plan.seed)
        self.model = self.network
        self.architecture = architecture_of(model_config)
        self.tap_channels = dict(self.network.tap_channels)
        self.sampler = ImageSampler(cache.num_train, plan.batch_size, plan.seed)
        self._partition = partition

    def batch(self, step: int, part: BatchPart | None = None) -> DenseBatch | ViewedBatch:
        """Load the images of a step, with hidden labels removed; see `Suite.batch`.

        A part is cut from the whole batch, whose images share one stream of random crops and colours.
        """
        batch = self._whole_batch(step)
        return batch if part is None else batch.cut(part)

    def _whole_batch(self, step: int) -> DenseBatch | ViewedBatch:
        indices = self.sampler.indices_at(step)
        visible = {task: [bool(self._partition[task][index]) for index in indices] for task in TASKS}
        batch = collate_images(self.cache, indices, visible).hide_labels()
        if self.plan.augmentation == "scale_crop":
            generator = np.random.Generator(np.random.PCG64([self.plan.seed, step, 1]))
            batch = random_scale_crop(batch, generator)
        if self.view_plan is None:
            return batch
        assert self.canvases is not None, "see provide_views"
        return self.canvases.make_views(batch, self.view_plan, self.plan.seed, step)

    def forward(
        self,
        batch: DenseBatch | ViewedBatch,
        step: int,
        single_frame: bool,
        pool_counts: PoolCounts | None = None,
    ) -> StepResult:
        """Run the model on all views of a batch, and its losses on the first; see `Suite.forward`."""
        if isinstance(batch, DenseBatch):
            batch = ViewedBatch(batch, ())
        device = next(self.model.parameters()).device
        # One pass, so that batch statistics are those of all views, as published.
        images_B3HW = torch.cat([view.images_B3HW for view in (batch.first, *batch.extra)])
        output = self.network(images_B3HW.to(device, memory_format=torch.channels_last))
        first, *extra = _split_views(output, 1 + len(batch.extra))
        visible = {task: batch.first.visible[task].to(device) for task in TASKS}
        with torch.autocast(device.type, enabled=False):
            losses = dense_losses(
                {task: value.float() for task, value in first.outputs.items()},
                batch.first.labels_BHW.to(device),
                batch.first.depth_B1HW.to(device),
                batch.first.normals_B3HW.to(device),
                visible,
                pool_counts,
            )
        taps = {task: {"features": tap_BCHW} for task, tap_BCHW in first.taps.items()}
        result = StepResult(losses=losses, outputs=first.outputs, taps=taps, visible=visible)
        if extra:
            assert self.canvases is not None, "see provide_views"
            result.views = [self.canvases.show(*pair) for pair in zip(extra, batch.extra, strict=True)]
        return result

    def freeze_encoder(self) -> None:
        """Freeze the shared encoder (phase 2); see `Suite.freeze_encoder`."""
        self.network.freeze_encoder()

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Score segmentation, depth and normals on the validation split; see `Suite.validate`."""
        scores = score_model(model, self.cache)
        return {name: scores[name] for name in self.score_directions}
