"""k-means whose clusters have equal sizes.

Letters: N points, D dimensions, K clusters.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from nexusflow.core.errors import UserError

__all__ = ["balanced_kmeans"]

_RESTARTS = 10
_ROUNDS = 50


def _assign(points_ND: np.ndarray, centres_KD: np.ndarray, sizes_K: np.ndarray) -> np.ndarray:
    """Assignment of least total squared distance in which cluster k has sizes_K[k] points."""
    squared_NK = ((points_ND[:, None] - centres_KD[None]) ** 2).sum(-1)
    seats_N = np.repeat(np.arange(len(sizes_K)), sizes_K)
    rows, columns = linear_sum_assignment(squared_NK[:, seats_N])
    clusters_N = np.empty(len(points_ND), np.int64)
    clusters_N[rows] = seats_N[columns]
    return clusters_N


def balanced_kmeans(points_ND: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """Cluster points into equal parts: k-means++ first, then exact assignments under capacities.

    Args:
        points_ND: the points.
        clusters: number of clusters K.
        seed: of k-means++.

    Returns:
        Cluster of each point, int64 (N,); sizes differ by one at most.

    Raises:
        UserError: if there are fewer points than clusters.
    """
    if len(points_ND) < clusters:
        raise UserError(f"{len(points_ND)} images cannot form {clusters} clusters; use more images.")
    sizes_K = np.full(clusters, len(points_ND) // clusters)
    sizes_K[: len(points_ND) % clusters] += 1
    with warnings.catch_warnings():
        # Fewer distinct points than clusters, in tiny test data only.
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = KMeans(clusters, n_init=_RESTARTS, random_state=seed).fit(points_ND)
    centres_KD = start.cluster_centers_
    clusters_N = _assign(points_ND, centres_KD, sizes_K)
    for _ in range(_ROUNDS):
        centres_KD = np.stack([points_ND[clusters_N == k].mean(0) for k in range(clusters)])
        again_N = _assign(points_ND, centres_KD, sizes_K)
        if np.array_equal(again_N, clusters_N):
            break
        clusters_N = again_N
    return clusters_N
