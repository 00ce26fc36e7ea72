"""Pictures of features by t-SNE, with two numbers that say how far the tasks are mixed.

Distances and sizes of clusters in a t-SNE picture mean nothing; the numbers are computed in the space of the
features. None of them changes with a common scale of the features. Single dimensions are not rescaled for
picture and neighbours: that would hide tasks that lie apart in one dimension only.
Letters: N points of all tasks together, D dimensions, P <= 50 principal components, T points of one task,
K neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from nexusflow.core.errors import UserError

__all__ = ["TaskEmbedding", "embed_tasks", "knn_mixing", "probe_accuracy", "tsne"]

_COMPONENTS = 50
# A variance below this share of the mean square is rounding of single precision.
_NOISE = 1e-12


@dataclass(frozen=True)
class TaskEmbedding:
    """One panel: the picture of all tasks' features and the numbers below it.

    Args:
        points: coordinates in the picture by task, shape (T, 2), without unit.
        mixing: `knn_mixing`; 0 apart, 1 perfectly mixed.
        accuracy: `probe_accuracy`; `chance` if the tasks cannot be told apart, 1 if they are separable.
        chance: share of the largest task.
    """

    points: dict[str, NDArray[np.float32]]
    mixing: float
    accuracy: float
    chance: float


def embed_tasks(
    features: Mapping[str, np.ndarray],
    frames: Mapping[str, np.ndarray],
    *,
    perplexity: float = 30.0,
    neighbours: int = 30,
    folds: int = 5,
    seed: int = 0,
) -> TaskEmbedding:
    """Embed the features of all tasks in one picture and measure how far they are mixed.

    Args:
        features: features by task, shape (T, D), best of the same frames and as many for every task.
        frames: number or token of the frame of each point, by task, shape (T,).
        perplexity: of t-SNE, see `tsne`.
        neighbours: see `knn_mixing`.
        folds: see `probe_accuracy`.
        seed: of the picture and of ties between neighbours.

    Returns:
        The panel.

    Raises:
        UserError: if tasks, shapes and frames do not fit together, values are not finite or points too few.

    Source: Figures 3 and 4 of the paper, which states none of the settings; the numbers are an addition.
    """
    tables = {task: np.asarray(table, np.float64) for task, table in features.items()}
    for task, table_TD in tables.items():
        if task not in frames or table_TD.ndim != 2 or np.shape(frames[task]) != (len(table_TD),):
            raise UserError(
                f"Task {task} needs features of shape (points, dimensions) and a frame per point."
            )
    if len({table_TD.shape[1] for table_TD in tables.values()}) != 1:
        raise UserError(
            "One picture needs features of one width, not "
            f"{ {task: table_TD.shape[1] for task, table_TD in tables.items()} }."
        )
    sizes = [len(table_TD) for table_TD in tables.values()]
    points_ND = np.concatenate(list(tables.values()))
    tasks_N = np.repeat(np.arange(len(sizes)), sizes)
    frames_N = np.concatenate([np.asarray(frames[task]) for task in tables])
    picture_N2 = tsne(points_ND, perplexity, seed)
    return TaskEmbedding(
        points=dict(zip(tables, np.split(picture_N2, np.cumsum(sizes)[:-1]), strict=True)),
        mixing=knn_mixing(points_ND, tasks_N, neighbours, seed),
        accuracy=probe_accuracy(points_ND, tasks_N, frames_N, folds),
        chance=max(sizes) / sum(sizes),
    )


def tsne(points_ND: np.ndarray, perplexity: float = 30.0, seed: int = 0) -> NDArray[np.float32]:
    """Embed points in the plane: reduced to at most 50 principal components, then t-SNE.

    Args:
        points_ND: points of all tasks together, at least 4.
        perplexity: effective number of neighbours, lowered to (N - 1) / 3 for few points.
        seed: of t-SNE; equal seeds give equal pictures.

    Returns:
        Coordinates (N, 2); zeros if all points coincide.

    Raises:
        UserError: if there are fewer than 4 points or values are not finite.
    """
    if len(points_ND) < 4:
        raise UserError(f"t-SNE needs at least 4 points, not {len(points_ND)}; collect more frames.")
    points_ND = _centred(points_ND)
    if not points_ND.any():
        return np.zeros((len(points_ND), 2), np.float32)
    # The order of parallel sums changes roundings, and t-SNE blows them up.
    with threadpool_limits(limits=1):
        reduced_NP = PCA(min(_COMPONENTS, *points_ND.shape), svd_solver="full").fit_transform(points_ND)
        model = TSNE(
            init="pca" if reduced_NP.shape[1] > 1 else "random",
            perplexity=min(perplexity, (len(points_ND) - 1) / 3),
            random_state=seed,
        )
        return model.fit_transform(reduced_NP).astype(np.float32)


def knn_mixing(points_ND: np.ndarray, tasks_N: np.ndarray, neighbours: int = 30, seed: int = 0) -> float:
    """Measure how many of a point's nearest neighbours belong to another task.

    Args:
        points_ND: points of all tasks together.
        tasks_N: task of each point.
        neighbours: number K of neighbours, lowered to the size of the smallest task less one.
        seed: of the order in which equally far neighbours are taken.

    Returns:
        Mean share of foreign neighbours divided by what it is if tasks are dealt at random: 0 for tasks
        apart, 1 for tasks perfectly mixed; above 1 if points attract their partners of other tasks.

    Raises:
        UserError: if there are not two tasks of two points each, or values are not finite.
    """
    tasks_N = np.asarray(tasks_N)
    sizes = _task_sizes(points_ND, tasks_N)
    points_ND = _centred(points_ND)
    # In the given order, coinciding points would prefer neighbours of the first task.
    order_N = np.random.Generator(np.random.PCG64(seed)).permutation(len(points_ND))
    points_ND, tasks_N = points_ND[order_N], tasks_N[order_N]
    count = max(1, min(neighbours, int(sizes.min()) - 1))
    index_NK = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(points_ND).kneighbors()[1]
    share = float((tasks_N[index_NK] != tasks_N[:, None]).mean())
    total = len(points_ND)
    expected = float((sizes * (total - sizes)).sum() / (total * (total - 1)))
    return share / expected


def probe_accuracy(points_ND: np.ndarray, tasks_N: np.ndarray, frames_N: np.ndarray, folds: int = 5) -> float:
    """Measure how well a linear classifier tells the tasks apart on frames which it has not seen.

    Args:
        points_ND: points of all tasks together.
        tasks_N: task of each point.
        frames_N: frame of each point; all points of a frame are in the same fold.
        folds: of the cross-validation, lowered to the number of frames.

    Returns:
        Share of held-out points whose task was recognised, between 0 and 1.

    Raises:
        UserError: if there are not two tasks of two points each, too few frames, or values are not finite.
    """
    tasks_N = np.asarray(tasks_N)
    _task_sizes(points_ND, tasks_N)
    points_ND = _finite(points_ND)
    count = min(folds, len(np.unique(frames_N)))
    if count < 2:
        raise UserError("A classifier of tasks needs two folds and two frames; collect more frames.")
    right = 0
    for train, test in GroupKFold(count).split(points_ND, tasks_N, frames_N):
        if len(np.unique(tasks_N[train])) < len(np.unique(tasks_N)):
            raise UserError("A task has too few frames to stand in every training fold; collect more frames.")
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        probe.fit(points_ND[train], tasks_N[train])
        right += int((probe.predict(points_ND[test]) == tasks_N[test]).sum())
    return right / len(points_ND)


def _finite(points_ND: np.ndarray) -> NDArray[np.float64]:
    points_ND = np.asarray(points_ND, np.float64)
    if broken := int((~np.isfinite(points_ND)).any(-1).sum()):
        raise UserError(
            f"{broken} of {len(points_ND)} points hold NaN or infinity; look whether training diverged."
        )
    return points_ND


def _centred(points_ND: np.ndarray) -> NDArray[np.float64]:
    """Points with mean 0 and mean variance 1, or zeros if they differ by rounding only."""
    points_ND = _finite(points_ND)
    centred_ND = points_ND - points_ND.mean(0)
    variance = np.square(centred_ND).mean()
    if variance <= _NOISE * np.square(points_ND).mean():
        return np.zeros_like(centred_ND)
    return centred_ND / np.sqrt(variance)


def _task_sizes(points_ND: np.ndarray, tasks_N: np.ndarray) -> NDArray[np.int64]:
    sizes = np.unique(tasks_N, return_counts=True)[1]
    if len(sizes) < 2 or sizes.min() < 2 or len(tasks_N) != len(points_ND):
        raise UserError(
            f"Mixing needs at least two tasks of two points each, not {sizes.tolist()} labels for "
            f"{len(points_ND)} points."
        )
    return sizes
