"""Random scale and crop of images together with their labels.

Letters: B images, H × W pixels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nexusflow.data.nyuv2.batch import DenseBatch

__all__ = ["SCALES", "random_scale_crop"]

SCALES = (1.0, 1.2, 1.5)


def _bilinear(x_1CHW: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x_1CHW, size=size, mode="bilinear", align_corners=True)


def _nearest(x_1CHW: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x_1CHW, size=size, mode="nearest")


def random_scale_crop(batch: DenseBatch, generator: np.random.Generator, flip: bool = False) -> DenseBatch:
    """Enlarge a random part of every image to the full size.

    A part enlarged by s looks s times nearer, so its depth is divided by s. Normals are interpolated, not
    normalised again; a pixel that mixes valid and invalid normals counts as invalid.

    Args:
        batch: images and labels.
        generator: source of randomness.
        flip: also mirror half of the images, which negates the x of normals.

    Returns:
        A batch of the same shapes.

    Source: `RandomScaleCrop` of MTAN and MTPSL: s from {1, 1.2, 1.5}, labels and depth by nearest neighbour.
    """
    images, labels, depth, normals = [], [], [], []
    height, width = batch.images_B3HW.shape[2:]
    for index in range(len(batch.images_B3HW)):
        scale = SCALES[int(generator.integers(len(SCALES)))]
        h, w = int(height / scale), int(width / scale)
        top, left = int(generator.integers(height - h + 1)), int(generator.integers(width - w + 1))
        part = (slice(index, index + 1), slice(None), slice(top, top + h), slice(left, left + w))
        image = _bilinear(batch.images_B3HW[part], (height, width))
        normal = _bilinear(batch.normals_B3HW[part], (height, width))
        valid = (batch.normals_B3HW[part] != 0).any(1, keepdim=True).float()
        normal = torch.where(_bilinear(valid, (height, width)) > 0.999, normal, 0.0)
        label = _nearest(batch.labels_BHW[:, None][part].float(), (height, width)).long()
        near = _nearest(batch.depth_B1HW[part], (height, width)) / scale
        if flip and generator.random() < 0.5:
            image, label, near, normal = (x.flip(-1) for x in (image, label, near, normal))
            normal = normal * normal.new_tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1)
        images.append(image)
        labels.append(label[:, 0])
        depth.append(near)
        normals.append(normal)
    return replace(
        batch,
        images_B3HW=torch.cat(images),
        labels_BHW=torch.cat(labels),
        depth_B1HW=torch.cat(depth),
        normals_B3HW=torch.cat(normals),
    )
