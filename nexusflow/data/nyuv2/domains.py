"""Which cluster of training images a validation image belongs to, by its looks.

Letters: N training images, M validation images, D dimensions, K clusters.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.descriptors import image_descriptors

__all__ = ["assign_equally", "validation_clusters"]


def assign_equally(points_MD: np.ndarray, centres_KD: np.ndarray) -> np.ndarray:
    """Give every centre as many points, at the least total squared distance.

    Args:
        points_MD: the points.
        centres_KD: the centres.

    Returns:
        Number of the centre of each point, int64 (M,); their counts differ by one at most.
    """
    seats_M = np.arange(len(points_MD)) % len(centres_KD)
    squared_MK = ((points_MD[:, None] - centres_KD[None]) ** 2).sum(-1)
    rows, columns = linear_sum_assignment(squared_MK[:, seats_M])
    centre_M = np.empty(len(points_MD), np.int64)
    centre_M[rows] = seats_M[columns]
    return centre_M


def validation_clusters(cache: NYUv2Cache, clusters_N: np.ndarray) -> np.ndarray:
    """Sort the validation images into the clusters of the training images, in equal parts.

    Args:
        cache: the data set.
        clusters_N: cluster of each training image.

    Returns:
        Cluster of each validation image, int64 (M,).

    Raises:
        UserError: if the training images have no clusters.

    Source: the paper's clusters have roughly equal sizes; it does not say what becomes of validation images.
    """
    if clusters_N.min(initial=0) < 0 or len(np.unique(clusters_N)) < 2:
        raise UserError("The partition has no clusters of images; make one of the kind clusters_sdn.")
    points_ND = image_descriptors(cache.images_N3HW)
    train_ND, val_MD = points_ND[: cache.num_train], points_ND[cache.num_train :]
    centres_KD = np.stack([train_ND[clusters_N == k].mean(0) for k in np.unique(clusters_N)])
    return assign_equally(val_MD, centres_KD)
