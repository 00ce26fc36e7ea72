"""How far the clusters of a partition lie apart, against a random split of the same sizes.

Letters: N images, D dimensions.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nexusflow.analysis.mmd import median_bandwidth, squared_mmd
from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.descriptors import image_descriptors
from nexusflow.data.nyuv2.partition import read_image_partition

__all__ = ["cluster_gap_report", "group_gap"]

_FOLDS = 5


def group_gap(points_ND: np.ndarray, groups_N: np.ndarray, seed: int) -> dict[str, Any]:
    """Measure how well groups of points can be told apart.

    Args:
        points_ND: descriptors.
        groups_N: group of each point.
        seed: of the folds.

    Returns:
        "probe_accuracy": cross-validated accuracy of a linear classifier, in [0, 1]; "chance": share of the
        largest group; "squared_mmd": unbiased estimate of every pair of groups, one bandwidth for all.
    """
    _, counts = np.unique(groups_N, return_counts=True)
    folds = StratifiedKFold(min(_FOLDS, int(counts.min())), shuffle=True, random_state=seed)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    accuracy = cross_val_score(probe, points_ND, groups_N, cv=folds).mean()
    width = median_bandwidth(points_ND)
    pairs = {
        f"{a}-{b}": squared_mmd(points_ND[groups_N == a], points_ND[groups_N == b], width)
        for a, b in combinations(np.unique(groups_N).tolist(), 2)
    }
    return {
        "probe_accuracy": float(accuracy),
        "chance": float(counts.max() / counts.sum()),
        "squared_mmd": pairs,
    }


def cluster_gap_report(cache: NYUv2Cache, partition: Path, seed: int = 0) -> dict[str, Any]:
    """Compare the clusters of a partition with a random split.

    Args:
        cache: the data set.
        partition: table of a cluster partition.
        seed: of the random split and of the folds.

    Returns:
        Sizes of the clusters, and `group_gap` of "clusters" and of "random".

    Raises:
        UserError: if the partition has no clusters.
    """
    groups_N = read_image_partition(partition)["cluster"]
    if (groups_N < 0).any():
        raise UserError(f"{partition} has no clusters; ask for the report of a `clusters_…` partition.")
    points_ND = image_descriptors(cache.images_N3HW[: cache.num_train])
    random_N = np.random.Generator(np.random.PCG64(seed)).permutation(groups_N)
    return {
        "sizes": np.bincount(groups_N).tolist(),
        "descriptor_dimensions": int(points_ND.shape[1]),
        "clusters": group_gap(points_ND, groups_N, seed),
        "random": group_gap(points_ND, random_N, seed),
    }
