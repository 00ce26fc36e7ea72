"""How far the clusters of a partition lie apart, against a random split of the same sizes.

Clusters are apart by construction in the descriptors that made them. Whether they are domains that matter to
the tasks shows in what was not used to make them: classes, depths and directions of surfaces.
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
from nexusflow.core.progress import track
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.descriptors import image_descriptors
from nexusflow.data.nyuv2.partition import read_image_partition
from nexusflow.data.nyuv2.vocabulary import NUM_CLASSES

__all__ = ["cluster_gap_report", "content_descriptors", "group_gap"]

_FOLDS = 5
_DEPTH_QUANTILES = (0.1, 0.5, 0.9)


def content_descriptors(cache: NYUv2Cache) -> np.ndarray:
    """Describe the training images by their labels: shares of classes, depths, mean direction of surfaces.

    Args:
        cache: the data set.

    Returns:
        Descriptors (N, 19), float64, each dimension with mean 0 and variance 1.
    """
    rows = []
    for row in track(cache.rows("train"), "describing labels", total=cache.num_train):
        label, depth, normal = cache.labels_NHW[row], cache.depth_N1HW[row], cache.normals_N3HW[row]
        shares = np.bincount(label[label >= 0], minlength=NUM_CLASSES) / max(1, int((label >= 0).sum()))
        valid = depth[depth > 0]
        depths = np.quantile(valid, _DEPTH_QUANTILES) if len(valid) else np.zeros(len(_DEPTH_QUANTILES))
        known = (normal != 0).any(0)
        direction = normal[:, known].mean(1, dtype=np.float64) if known.any() else np.zeros(3)
        rows.append(np.concatenate([shares, depths, direction]))
    return StandardScaler().fit_transform(np.stack(rows))


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
        "sizes" of the clusters; `group_gap` of "clusters" and of "random" in the descriptors that made the
        clusters; under "content" the same two in the images' labels, which did not.

    Raises:
        UserError: if the partition has no clusters, too small ones, or is of other data.
    """
    groups_N = read_image_partition(partition)["cluster"]
    if (groups_N < 0).any():
        raise UserError(f"{partition} has no clusters; ask for the report of a `clusters_…` partition.")
    sizes_K = np.bincount(groups_N)
    if len(groups_N) != cache.num_train or sizes_K.min() < 2:
        raise UserError(
            f"{partition} has {len(groups_N)} images in clusters of {sizes_K.tolist()}, the data have "
            f"{cache.num_train}; the report needs a partition of these data with two images in each cluster."
        )
    points_ND = image_descriptors(cache.images_N3HW[: cache.num_train])
    content_ND = content_descriptors(cache)
    random_N = np.random.Generator(np.random.PCG64(seed)).permutation(groups_N)
    return {
        "sizes": sizes_K.tolist(),
        "descriptor_dimensions": int(points_ND.shape[1]),
        "clusters": group_gap(points_ND, groups_N, seed),
        "random": group_gap(points_ND, random_N, seed),
        "content": {
            "clusters": group_gap(content_ND, groups_N, seed),
            "random": group_gap(content_ND, random_N, seed),
        },
    }
