"""A batch of images with labels, some of them hidden.

Letters: B images, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nexusflow.core.parts import BatchPart
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.vocabulary import TASKS, VOID

__all__ = ["DenseBatch", "collate_images"]


@dataclass(frozen=True)
class DenseBatch:
    """Images and labels.

    Attributes:
        images_B3HW: RGB in [0, 1].
        labels_BHW: class, int64, -1 = void.
        depth_B1HW: metres, 0 = invalid.
        normals_B3HW: unit vectors, zero = invalid.
        visible: task → which images show its labels, bool (B,).
        indices_B: rows of the cache, int64.
    """

    images_B3HW: Tensor
    labels_BHW: Tensor
    depth_B1HW: Tensor
    normals_B3HW: Tensor
    visible: dict[str, Tensor]
    indices_B: Tensor

    def hide_labels(self) -> DenseBatch:
        """Remove the labels that may not be used.

        Returns:
            A batch with void or invalid pixels in place of hidden labels.
        """
        shown = {task: self.visible[task].view(-1, 1, 1) for task in TASKS}
        return replace(
            self,
            labels_BHW=torch.where(shown["segmentation"], self.labels_BHW, VOID),
            depth_B1HW=torch.where(shown["depth"][:, None], self.depth_B1HW, 0.0),
            normals_B3HW=torch.where(shown["normal"][:, None], self.normals_B3HW, 0.0),
        )

    def cut(self, part: BatchPart) -> DenseBatch:
        """Keep the images of a part of the batch."""
        return DenseBatch(
            images_B3HW=part.cut(self.images_B3HW),
            labels_BHW=part.cut(self.labels_BHW),
            depth_B1HW=part.cut(self.depth_B1HW),
            normals_B3HW=part.cut(self.normals_B3HW),
            visible={task: part.cut(shown_B) for task, shown_B in self.visible.items()},
            indices_B=part.cut(self.indices_B),
        )


def collate_images(
    cache: NYUv2Cache, indices: Sequence[int], visible: Mapping[str, Sequence[bool]]
) -> DenseBatch:
    """Load images with all their labels.

    Args:
        cache: the data set.
        indices: rows of the cache.
        visible: task → whether each image shows its labels.

    Returns:
        The batch; hidden labels are still in it, see `DenseBatch.hide_labels`.
    """
    rows = list(indices)
    return DenseBatch(
        images_B3HW=torch.from_numpy(np.ascontiguousarray(cache.images_N3HW[rows])),
        labels_BHW=torch.from_numpy(np.ascontiguousarray(cache.labels_NHW[rows])).long(),
        depth_B1HW=torch.from_numpy(np.ascontiguousarray(cache.depth_N1HW[rows])),
        normals_B3HW=torch.from_numpy(np.ascontiguousarray(cache.normals_N3HW[rows])),
        visible={task: torch.tensor(list(visible[task]), dtype=torch.bool) for task in TASKS},
        indices_B=torch.tensor(rows),
    )
