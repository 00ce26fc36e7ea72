"""CLEAR-MOT matching of predicted to true tracks, for many score thresholds at once.

For every scene, class and score threshold the official evaluation walks through the frames with a memory of
which prediction each object was last matched to. Here all scenes, classes and thresholds walk together, frame
by frame: a *group* is one class in one frame, a *lane* is one threshold. Only groups in which the assignment
is not obvious go through the assignment solver, one by one, with exactly the matrix that motmetrics builds.

Shape letters: G true boxes, P predicted boxes, E candidate pairs, C classes, T lanes, S scenes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from nexusflow.evaluation.tracks import Timeline, Tracks

__all__ = ["Matches", "Pairs", "euclidean_distances", "find_pairs", "match_tracks"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Boxes of one step (frame within its scene) and the pairs that are close enough to match.

    Args:
        truth_G, predicted_P: indices of the boxes, sorted by group.
        group_G, group_P: number of the group within the step.
        row_E, column_E: positions in `truth_G` and `predicted_P`, sorted by group, then row, then column.
        distance_E: distance as computed among several predictions, metres.
        alone_E: distance as computed for a single prediction; it differs in the last bits.
    """

    truth_G: IntArray
    predicted_P: IntArray
    group_G: IntArray
    group_P: IntArray
    row_E: IntArray
    column_E: IntArray
    distance_E: NDArray[np.float64]
    alone_E: NDArray[np.float64]


@dataclass(frozen=True)
class Matches:
    """What the walk found.

    Args:
        matches_CT: matches without a change of identity.
        switches_CT: matches in which the object's prediction changed.
        distance_CT: sum of the distances of both, metres.
        hit_GT: whether the object of a true box is matched.
        scores: per class, scores of the predictions in matches (not switches); of lane 0 only.
    """

    matches_CT: IntArray
    switches_CT: IntArray
    distance_CT: NDArray[np.float64]
    hit_GT: NDArray[np.bool_]
    scores: list[NDArray[np.float64]]


def euclidean_distances(
    true_G2: NDArray[np.float64], predicted_P2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute distances by the expanded square, as scikit-learn does for the official evaluation.

    In global coordinates the cancellation leaves errors of up to 1e-5 m at distance 0, so equality with the
    official numbers needs the same expression, evaluated by the same matrix product.

    Args:
        true_G2: true positions, metres.
        predicted_P2: predicted positions, metres.

    Returns:
        Distances (G, P), metres.
    """
    squares_GP = -2 * (true_G2 @ predicted_P2.T)
    squares_GP += np.einsum("ij,ij->i", true_G2, true_G2)[:, None]
    squares_GP += np.einsum("ij,ij->i", predicted_P2, predicted_P2)[None, :]
    return np.sqrt(np.maximum(squares_GP, 0))


def _pairs_of_group(
    true_G2: NDArray[np.float64], predicted_P2: NDArray[np.float64], reach: float
) -> tuple[IntArray, IntArray, NDArray[np.float64], NDArray[np.float64]]:
    distance_GP = euclidean_distances(true_G2, predicted_P2)
    rows, columns = np.nonzero(distance_GP < reach + 1e-3)
    distances = distance_GP[rows, columns]
    alone = distances
    if len(rows) and len(predicted_P2) > 1:
        # A product with a single column takes another path in the linear algebra library.
        alone_GP = np.zeros_like(distance_GP)
        for column in set(columns.tolist()):
            alone_GP[:, column] = euclidean_distances(true_G2, predicted_P2[column : column + 1])[:, 0]
        alone = alone_GP[rows, columns]
    return rows, columns, distances, alone


def _runs(keys: IntArray) -> dict[int, tuple[int, int]]:
    """Start and end of every run of equal values in a sorted array."""
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    ends = np.append(starts, len(keys))[1:]
    return {int(keys[a]): (int(a), int(b)) for a, b in zip(starts, ends, strict=True)}


def find_pairs(truth: Tracks, predicted: Tracks, timeline: Timeline, reach: float) -> list[Pairs]:
    """Find the pairs of true and predicted boxes of one class and frame that are close enough.

    Args:
        truth: true boxes after gap filling.
        predicted: predicted boxes after gap filling.
        timeline: the frames.
        reach: distance from which on a pair cannot match, metres.

    Returns:
        One entry per step, from the first to the last frame of the longest scene.
    """
    step_F = timeline.step_F
    classes = 1 + max(truth.label_N.max(initial=0), predicted.label_N.max(initial=0))
    per_step: list[Pairs] = []
    keys = [t.frame_N * classes + t.label_N for t in (truth, predicted)]
    steps = [step_F[t.frame_N] for t in (truth, predicted)]
    orders = [np.lexsort((key, step)) for key, step in zip(keys, steps, strict=True)]
    bounds = [
        np.searchsorted(step[order], np.arange(step_F.max(initial=-1) + 2))
        for step, order in zip(steps, orders, strict=True)
    ]
    for step in range(int(step_F.max(initial=-1)) + 1):
        truth_G, predicted_P = (
            order[bound[step] : bound[step + 1]] for order, bound in zip(orders, bounds, strict=True)
        )
        key_G, key_P = keys[0][truth_G], keys[1][predicted_P]
        groups = np.unique(np.concatenate([key_G, key_P]), return_inverse=True)[1]
        group_G, group_P = groups[: len(key_G)], groups[len(key_G) :]
        runs_G, runs_P = _runs(group_G), _runs(group_P)
        empty_int, empty = np.empty(0, np.int64), np.empty(0)
        found = [(empty_int, empty_int, empty, empty)]
        for group, (a, b) in runs_G.items():
            if group in runs_P:
                c, d = runs_P[group]
                rows, columns, far, alone = _pairs_of_group(
                    truth.xy_N2[truth_G[a:b]], predicted.xy_N2[predicted_P[c:d]], reach
                )
                found.append((rows + a, columns + c, far, alone))
        per_step.append(
            Pairs(
                truth_G,
                predicted_P,
                group_G,
                group_P,
                *(np.concatenate(parts) for parts in zip(*found, strict=True)),
            )
        )
    return per_step


def _solve(
    pairs: Pairs, edges: IntArray, distance_E: NDArray[np.float64], rows: int, columns: IntArray
) -> IntArray:
    """Assign within one group and lane; returns the chosen ones of `edges`.

    The matrix has all true boxes as rows and all active predictions as columns, impossible pairs get one
    large cost, and the solver is SciPy's: even ties are then broken as in the official evaluation.
    """
    first_row = pairs.row_E[edges] - np.searchsorted(pairs.group_G, pairs.group_G[pairs.row_E[edges[0]]])
    column = np.searchsorted(columns, pairs.column_E[edges])
    costs = distance_E[edges]
    size = (rows, len(columns))
    cost_matrix = np.full(size, 2 * min(size) * (costs.max() + 1) + 1)
    edge_matrix = np.full(size, -1, dtype=np.int64)
    cost_matrix[first_row, column] = costs
    edge_matrix[first_row, column] = edges
    chosen = edge_matrix[linear_sum_assignment(cost_matrix)]
    return chosen[chosen >= 0]


class _Walk:
    """State of the walk: the last match of every object in every lane, and the counts so far."""

    def __init__(
        self,
        truth: Tracks,
        predicted: Tracks,
        threshold_CT: NDArray[np.float64],
        reach: float,
        with_scores: bool,
    ) -> None:
        self.truth, self.predicted, self.threshold_CT, self.reach = truth, predicted, threshold_CT, reach
        classes, lanes = threshold_CT.shape
        self.lanes = lanes
        _, object_G = np.unique(truth.track_N * classes + truth.label_N, return_inverse=True)
        _, identity_P = np.unique(predicted.track_N * classes + predicted.label_N, return_inverse=True)
        self.object_G, self.identity_P = object_G, identity_P
        self.memory_OT = np.full((int(object_G.max(initial=-1)) + 1, lanes), -1, dtype=np.int64)
        self.matches_CT = np.zeros((classes, lanes), dtype=np.int64)
        self.switches_CT = np.zeros((classes, lanes), dtype=np.int64)
        self.distance_CT = np.zeros((classes, lanes))
        self.hit_GT = np.zeros((len(truth), lanes), dtype=bool)
        self.scores: list[list[NDArray[np.float64]]] | None = (
            [[] for _ in range(classes)] if with_scores else None
        )

    def advance(self, pairs: Pairs) -> None:
        """Match one step of all scenes."""
        if not len(pairs.row_E):
            return
        label_P = self.predicted.label_N[pairs.predicted_P]
        active_PT = self.predicted.score_N[pairs.predicted_P][:, None] >= self.threshold_CT[label_P]
        groups = int(max(pairs.group_G.max(), pairs.group_P.max())) + 1
        active_before = np.zeros((len(active_PT) + 1, self.lanes), dtype=np.int64)
        np.cumsum(active_PT, axis=0, out=active_before[1:])
        first_P = np.searchsorted(pairs.group_P, np.arange(groups + 1))
        active_GroupT = np.diff(active_before[first_P], axis=0)
        lonely_ET = active_GroupT[pairs.group_G[pairs.row_E]] == 1
        distance_ET = np.where(lonely_ET, pairs.alone_E[:, None], pairs.distance_E[:, None])
        open_ET = active_PT[pairs.column_E] & (distance_ET < self.reach)
        edge, lane = self._continue_tracks(pairs, open_ET)
        self._record(pairs, edge, lane, distance_ET)
        used_G = np.zeros((len(pairs.truth_G), self.lanes), dtype=bool)
        used_P = np.zeros((len(pairs.predicted_P), self.lanes), dtype=bool)
        used_G[pairs.row_E[edge], lane] = True
        used_P[pairs.column_E[edge], lane] = True
        open_ET &= ~used_G[pairs.row_E] & ~used_P[pairs.column_E]
        edge, lane = self._assign(pairs, open_ET, active_PT, active_GroupT, distance_ET)
        self._record(pairs, edge, lane, distance_ET)

    def _continue_tracks(self, pairs: Pairs, open_ET: NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
        """Pairs whose object was last matched to this very prediction; the first object wins a shared one."""
        last_ET = self.memory_OT[self.object_G[pairs.truth_G[pairs.row_E]]]
        identity_E = self.identity_P[pairs.predicted_P[pairs.column_E]]
        edge, lane = np.nonzero(open_ET & (last_ET == identity_E[:, None]))
        _, first = np.unique(pairs.column_E[edge] * self.lanes + lane, return_index=True)
        return edge[first], lane[first]

    def _assign(
        self,
        pairs: Pairs,
        open_ET: NDArray[np.bool_],
        active_PT: NDArray[np.bool_],
        active_GroupT: IntArray,
        distance_ET: NDArray[np.float64],
    ) -> tuple[IntArray, IntArray]:
        """Best assignment of the open pairs in every group and lane."""
        edge, lane = np.nonzero(open_ET)
        if not len(edge):
            return edge, lane
        row, column = pairs.row_E[edge] * self.lanes + lane, pairs.column_E[edge] * self.lanes + lane
        rivals = (np.bincount(row)[row] > 1) | (np.bincount(column)[column] > 1)
        place = pairs.group_G[pairs.row_E[edge]] * self.lanes + lane
        contested = np.unique(place[rivals])
        easy = ~np.isin(place, contested)
        edges, lanes = [edge[easy]], [lane[easy]]
        group_E = pairs.group_G[pairs.row_E]
        # Lanes with the same active predictions and the same open pairs pose the same problem.
        solved: dict[tuple[int, int, bytes], IntArray] = {}
        for group, t in zip(*divmod(contested, self.lanes), strict=True):
            a, b = np.searchsorted(group_E, (group, group + 1))
            open_E = open_ET[a:b, t]
            key = (int(group), int(active_GroupT[group, t]), open_E.tobytes())
            if key not in solved:
                c, d = np.searchsorted(pairs.group_P, (group, group + 1))
                columns = c + np.flatnonzero(active_PT[c:d, t])
                rows = int(np.diff(np.searchsorted(pairs.group_G, (group, group + 1)))[0])
                solved[key] = _solve(pairs, a + np.flatnonzero(open_E), distance_ET[:, t], rows, columns)
            edges.append(solved[key])
            lanes.append(np.full(len(solved[key]), t))
        return np.concatenate(edges), np.concatenate(lanes)

    def _record(self, pairs: Pairs, edge: IntArray, lane: IntArray, distance_ET: NDArray[np.float64]) -> None:
        """Count matched pairs and remember them."""
        true, predicted = pairs.truth_G[pairs.row_E[edge]], pairs.predicted_P[pairs.column_E[edge]]
        label, thing, identity = self.truth.label_N[true], self.object_G[true], self.identity_P[predicted]
        before = self.memory_OT[thing, lane]
        switched = (before >= 0) & (before != identity)
        self.memory_OT[thing, lane] = identity
        self.hit_GT[true, lane] = True
        np.add.at(self.matches_CT, (label[~switched], lane[~switched]), 1)
        np.add.at(self.switches_CT, (label[switched], lane[switched]), 1)
        np.add.at(self.distance_CT, (label, lane), distance_ET[edge, lane])
        if self.scores is not None:
            kept = ~switched & (lane == 0)
            for index, scores in enumerate(self.scores):
                scores.append(self.predicted.score_N[predicted[kept & (label == index)]])


def match_tracks(
    truth: Tracks,
    predicted: Tracks,
    pairs: list[Pairs],
    threshold_CT: NDArray[np.float64],
    reach: float,
    with_scores: bool = False,
) -> Matches:
    """Walk through the frames, matching predictions of at least the threshold's score.

    Objects keep the prediction that they were last matched to while it stays in reach; the others are
    assigned with the largest number of pairs and, among these, the least sum of distances.

    Args:
        truth: true boxes after gap filling.
        predicted: predicted boxes after gap filling, with track scores.
        pairs: `find_pairs` of both.
        threshold_CT: least score per class and lane; nan: nothing is active.
        reach: distance from which on a pair cannot match, metres.
        with_scores: also collect the scores of the matches of lane 0.

    Returns:
        Counts, sums and hits.

    Source: Bernardin and Stiefelhagen 2008; motmetrics 1.4, `MOTAccumulator.update`.
    """
    walk = _Walk(truth, predicted, threshold_CT, reach, with_scores)
    for step in pairs:
        walk.advance(step)
    scores = [np.concatenate(parts or [np.empty(0)]) for parts in walk.scores or []]
    return Matches(walk.matches_CT, walk.switches_CT, walk.distance_CT, walk.hit_GT, scores)
