"""Further views of a batch of images, and segmentation, depth and normals of a view as canvases.

Letters: B images, N training images, C channels of a canvas, H × W pixels, F channels and
h × w cells of the bottleneck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nexusflow.core.views import CanvasSpec, ChannelGroup, DenseView, ViewPlan
from nexusflow.data.nyuv2.augment import random_scale_crop
from nexusflow.data.nyuv2.batch import DenseBatch
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.photometric import random_colours
from nexusflow.data.nyuv2.vocabulary import TASKS
from nexusflow.dense.config import DenseModelConfig
from nexusflow.dense.model import DenseOutput
from nexusflow.suites.nyuv2.suite import ViewedBatch

__all__ = ["PUBLISHED_DEPTH", "ImageCanvases", "depth_statistics"]

# Mean and standard deviation of the depth of NYUv2 in metres, as JTR's code has them.
PUBLISHED_DEPTH = (2.3618, 1.5876)


def depth_statistics(cache: NYUv2Cache, shown_N: np.ndarray) -> tuple[float, float]:
    """Measure the depth of the training images whose depth may be used; no other label is read.

    Args:
        cache: the data set.
        shown_N: which training images show their depth, bool (N,).

    Returns:
        Mean and standard deviation over valid pixels, in metres; the published ones where there is nothing to
        measure.
    """
    count, total, squares = 0, 0.0, 0.0
    # Image by image, as the depth of all of them need not fit into memory.
    for row in np.flatnonzero(shown_N):
        depth = cache.depth_N1HW[row]
        valid = depth[depth != 0].astype(np.float64)
        count, total, squares = count + len(valid), total + valid.sum(), squares + (valid**2).sum()
    mean = total / max(1, count)
    variance = squares / max(1, count) - mean**2
    return (float(mean), float(np.sqrt(variance))) if variance > 0 else PUBLISHED_DEPTH


def _recoloured(batch: DenseBatch, generator: np.random.Generator) -> DenseBatch:
    images = [random_colours(image_3HW, generator) for image_3HW in batch.images_B3HW]
    return replace(batch, images_B3HW=torch.stack(images))


def _generator(seed: int, step: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, step, stream]))


class ImageCanvases:
    """Shows the tasks of NYUv2 at the size of the images.

    The typical depth, which methods use to scale depth, is measured on the visible training depth under the
    partition when both `cache` and `partition` are given; otherwise it is `PUBLISHED_DEPTH`.

    Args:
        model_config: the model section of a scale.
        cache: decoded images and labels.
        partition: task → which training images may show its labels, bool (N,).

    Attributes:
        spec: what the canvases look like.
    """

    def __init__(
        self,
        model_config: DenseModelConfig,
        cache: NYUv2Cache | None = None,
        partition: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        mean, std = PUBLISHED_DEPTH
        if cache is not None and partition is not None:
            mean, std = depth_statistics(cache, partition["depth"])
        self._classes = model_config.num_classes
        self.spec = CanvasSpec(
            groups={
                "segmentation": (ChannelGroup("classes", self._classes),),
                "depth": (ChannelGroup("positive", 1, mean=(mean,), std=(std,)),),
                "normal": (ChannelGroup("direction", 3),),
            },
            feature_channels=model_config.widths[-1],
        )

    def make_views(self, batch: DenseBatch, plan: ViewPlan, seed: int, step: int) -> ViewedBatch:
        """Crop and enlarge random parts of the images, once per further view; see `ImageViewMaker`.

        Every view is a crop of `batch`, which stays the first one. If the plan is photometric, the colours of
        every image of every view, the first one included, are changed afterwards, each on its own.

        Source: the loaders of MTPSL (one further view) and JTR (two, photometric).
        """
        # Odd streams crop and even ones colour; the suite's own augmentation, of view 0, is stream 1.
        numbers = range(1 + plan.extra)
        views = [batch]
        views += [random_scale_crop(batch, _generator(seed, step, 2 * view + 1)) for view in numbers[1:]]
        if plan.photometric:
            views = [_recoloured(views[view], _generator(seed, step, 2 * view + 2)) for view in numbers]
        return ViewedBatch(first=views[0], extra=tuple(views[1:]))

    def show(self, output: DenseOutput, batch: DenseBatch) -> DenseView:
        """Show a view, see `ImageViewMaker`; normals of crops are as long as their interpolation made them.

        A sample whose labels are hidden has zero labels and no valid pixel, whatever the batch holds.
        """
        device = output.bottleneck_BCHW.device
        visible = {task: batch.visible[task].to(device) for task in TASKS}
        classes_C11 = torch.arange(self._classes, device=device).view(-1, 1, 1)
        labels: dict[str, Tensor] = {
            # Void is no class, so its channels are all zero.
            "segmentation": (batch.labels_BHW.to(device)[:, None] == classes_C11).float(),
            "depth": batch.depth_B1HW.to(device),
            "normal": batch.normals_B3HW.to(device),
        }
        valid = {
            task: (labels[task] != 0).any(1, keepdim=True) & visible[task].view(-1, 1, 1, 1) for task in TASKS
        }
        return DenseView(
            predictions={task: output.outputs[task].float() for task in TASKS},
            labels={task: labels[task].masked_fill(~valid[task], 0.0) for task in TASKS},
            valid=valid,
            visible=visible,
            features_BFhw=output.bottleneck_BCHW,
        )
