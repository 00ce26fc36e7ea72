"""The trivial reference of the NYUv2 suite: what can be said of a room without looking.

Letters: H × W pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.vocabulary import NUM_CLASSES
from nexusflow.evaluation.dense_predictions import DensePredictionWriter

__all__ = ["write_dense_reference"]


def write_dense_reference(folder: Path, cache: NYUv2Cache) -> None:
    """Predict everywhere the most frequent class, the mean depth and the mean normal of the training split.

    Args:
        folder: the prediction folder.
        cache: the data set.
    """
    train = slice(0, cache.num_train)
    labels = np.asarray(cache.labels_NHW[train])
    common = int(np.bincount(labels[labels >= 0], minlength=NUM_CLASSES).argmax())
    depth = np.asarray(cache.depth_N1HW[train], np.float64)
    mean_depth = depth.sum() / max(1, int((depth != 0).sum()))
    normal_3 = np.asarray(cache.normals_N3HW[train], np.float64).sum((0, 2, 3))
    normal_3 = normal_3 / max(float(np.linalg.norm(normal_3)), 1e-12)
    height, width = cache.labels_NHW.shape[1:]
    with DensePredictionWriter(folder, cache.num_val, height, width) as writer:
        for _ in range(cache.num_val):
            writer.add(
                np.full((height, width), common, np.uint8),
                np.full((1, height, width), mean_depth, np.float32),
                np.broadcast_to(normal_3[:, None, None].astype(np.float32), (3, height, width)),
            )
