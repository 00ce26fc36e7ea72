"""Which training images show the labels of which task.

A partition is a table with one row for each training image: image, cluster, segmentation, depth, normal; 1
means that the labels of the task may be used. Validation images always show everything.
Letters: N training images.
"""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.balanced_kmeans import balanced_kmeans
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.descriptors import brightness, image_descriptors
from nexusflow.data.nyuv2.vocabulary import TASKS
from nexusflow.data.tables_io import read_hashed_table, write_hashed_table

__all__ = ["PARTITION_KINDS", "build_image_partition", "read_image_partition", "write_image_partition"]

_COLUMNS = ("image", "cluster", *TASKS)
_LETTERS = {task[0]: number for number, task in enumerate(TASKS)}
PARTITION_KINDS = (
    "full",
    *(f"clusters_{''.join(letters)}" for letters in permutations(_LETTERS)),
    "onelabel",
    "randomlabels",
)
# One or two of the three tasks, never none and never all.
_LABEL_SETS = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)]


def image_clusters(cache: NYUv2Cache, seed: int) -> np.ndarray:
    """Cluster the training images by their looks, darkest cluster first.

    Args:
        cache: the data set.
        seed: of k-means++.

    Returns:
        Cluster 0, 1 or 2 of each training image, int64 (N,).
    """
    images_N3HW = cache.images_N3HW[: cache.num_train]
    clusters_N = balanced_kmeans(image_descriptors(images_N3HW), len(TASKS), seed)
    light_N = np.array([brightness(image) for image in images_N3HW])
    order = np.argsort([light_N[clusters_N == k].mean() for k in range(len(TASKS))], kind="stable")
    return np.argsort(order)[clusters_N]


def build_image_partition(cache: NYUv2Cache, kind: str, seed: int) -> pd.DataFrame:
    """Decide which training images show which labels.

    Args:
        cache: the data set.
        kind: "full"; "clusters_" and three letters, the tasks (s, d, n) of the darkest, middle and brightest
            cluster of images; "onelabel": one task per image at random, in equal parts; "randomlabels": one
            or two tasks per image at random.
        seed: of the clusters and of the random kinds.

    Returns:
        Table with columns image, cluster (-1 where there is none), segmentation, depth, normal (0 or 1).

    Raises:
        UserError: if the kind is unknown.

    Source: three clusters with one task each, Section 4 of the paper; the random kinds are MTPSL's.
    """
    if kind not in PARTITION_KINDS:
        raise UserError(f"Partition {kind!r} is unknown; use one of {', '.join(PARTITION_KINDS)}.")
    count = cache.num_train
    cluster_N = np.full(count, -1)
    generator = np.random.Generator(np.random.PCG64(seed))
    if kind == "full":
        show_NT = np.ones((count, len(TASKS)), np.int64)
    elif kind == "onelabel":
        show_NT = np.eye(len(TASKS), dtype=np.int64)[generator.permutation(count) % len(TASKS)]
    elif kind == "randomlabels":
        show_NT = np.array(_LABEL_SETS)[generator.permutation(count) % len(_LABEL_SETS)]
    else:
        cluster_N = image_clusters(cache, seed)
        task_K = np.array([_LETTERS[letter] for letter in kind.removeprefix("clusters_")])
        show_NT = np.eye(len(TASKS), dtype=np.int64)[task_K[cluster_N]]
    columns = {"image": np.arange(count), "cluster": cluster_N}
    return pd.DataFrame(columns | {task: show_NT[:, number] for number, task in enumerate(TASKS)})


def write_image_partition(df: pd.DataFrame, csv_path: Path) -> None:
    """Write a partition and its hash.

    Args:
        df: table of `build_image_partition`.
        csv_path: destination.
    """
    assert tuple(df.columns) == _COLUMNS
    write_hashed_table(df, csv_path)


def read_image_partition(csv_path: Path) -> dict[str, np.ndarray]:
    """Read a partition and verify its hash.

    Args:
        csv_path: file of `write_image_partition`.

    Returns:
        Task → which training images show its labels, bool (N,); under "cluster" the clusters, int64 (N,).

    Raises:
        UserError: if the file or its hash is missing, the two disagree, or the table is malformed.
    """
    table = read_hashed_table(csv_path)
    numbers = list(range(len(table)))
    good = tuple(table.columns) == _COLUMNS and table["image"].tolist() == numbers
    if not good or not table[list(TASKS)].isin([0, 1]).all(axis=None):
        raise UserError(f"{csv_path} must have columns {', '.join(_COLUMNS)}, 0 or 1, and images in order.")
    shown = {task: table[task].to_numpy() == 1 for task in TASKS}
    return shown | {"cluster": table["cluster"].to_numpy(np.int64)}
