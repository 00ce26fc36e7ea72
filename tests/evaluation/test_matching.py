"""Matching against motmetrics' accumulator, the judge inside the official evaluation."""

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from nexusflow.evaluation.matching import find_pairs, match_tracks
from nexusflow.evaluation.tracks import Tracks, fill_gaps
from tests.evaluation.test_tracks import random_tracks, timeline_of

FRAMES = 6


def _judge(
    truth: Tracks, predicted: Tracks, label: int, threshold: float
) -> tuple[int, int, float, list[float]]:
    """Matches, switches, sum of distances and scores of matches, from motmetrics' events."""
    from nuscenes.eval.tracking.mot import MOTAccumulatorCustom

    accumulator = MOTAccumulatorCustom()
    for frame in range(FRAMES):
        mine = np.flatnonzero((truth.frame_N == frame) & (truth.label_N == label))
        theirs = np.flatnonzero(
            (predicted.frame_N == frame) & (predicted.label_N == label) & (predicted.score_N >= threshold)
        )
        distances = np.ones((0, 0))
        if len(mine) and len(theirs):
            distances = sklearn.metrics.pairwise.euclidean_distances(
                truth.xy_N2[mine], predicted.xy_N2[theirs]
            )
        distances[distances >= 2.0] = np.nan
        accumulator.update(
            truth.track_N[mine].astype(str), predicted.track_N[theirs].astype(str), distances, frameid=frame
        )
    kinds = np.array(accumulator._events["Type"])
    distance = np.array(accumulator._events["D"], dtype=float)
    counted = np.isin(kinds, ("MATCH", "SWITCH"))
    score_of = dict(zip(predicted.track_N.astype(str).tolist(), predicted.score_N.tolist(), strict=True))
    scores = [score_of[h] for h, k in zip(accumulator._events["HId"], kinds, strict=True) if k == "MATCH"]
    return (
        int((kinds == "MATCH").sum()),
        int((kinds == "SWITCH").sum()),
        float(distance[counted].sum()),
        scores,
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0]), st.sampled_from([1, 4, 9]))
def test_equals_motmetrics(seed: int, grid: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    timeline = timeline_of(FRAMES)
    truth = fill_gaps(random_tracks(rng, FRAMES, count, grid), timeline)
    predicted = random_tracks(rng, FRAMES, count + 2, grid)
    predicted.score_N[:] = (predicted.track_N * 7 % 5) / 5
    predicted = fill_gaps(predicted, timeline)
    thresholds = np.tile([0.0, 0.3, 0.5, 0.9, np.nan], (7, 1))
    pairs = find_pairs(truth, predicted, timeline, 2.0)
    found = match_tracks(truth, predicted, pairs, thresholds, 2.0, with_scores=True)
    for label in (0, 1):
        for lane in range(4):
            matches, switches, distance, scores = _judge(truth, predicted, label, float(thresholds[0, lane]))
            assert found.matches_CT[label, lane] == matches
            assert found.switches_CT[label, lane] == switches
            assert found.distance_CT[label, lane] == pytest.approx(distance, abs=1e-12)
            if lane == 0:
                assert sorted(found.scores[label].tolist()) == pytest.approx(sorted(scores), abs=1e-12)
    assert found.hit_GT.sum() == found.matches_CT.sum() + found.switches_CT.sum()
    assert not found.hit_GT[:, 4].any()


def test_distances_have_the_same_rounding_as_the_devkit() -> None:
    """Far from the origin, cancellation leaves errors of 1e-6 m near distance 0; they must be the same."""
    rng = np.random.default_rng(3)
    timeline = timeline_of(1)
    xy = np.array([1234.5, 2345.6]) + rng.normal(0, 1e-4, (5, 2))
    zeros, ones = np.zeros(5, int), np.ones(5)
    truth = Tracks(zeros, zeros, np.arange(5), xy, ones)
    predicted = Tracks(zeros, zeros, np.arange(5), xy + rng.normal(0, 1e-4, (5, 2)), ones)
    (pairs,) = find_pairs(truth, predicted, timeline, 2.0)
    expected = sklearn.metrics.pairwise.euclidean_distances(truth.xy_N2, predicted.xy_N2)
    np.testing.assert_array_equal(pairs.distance_E, expected[pairs.row_E, pairs.column_E])
    alone = np.hstack(
        [
            sklearn.metrics.pairwise.euclidean_distances(truth.xy_N2, predicted.xy_N2[k : k + 1])
            for k in range(5)
        ]
    )
    np.testing.assert_array_equal(pairs.alone_E, alone[pairs.row_E, pairs.column_E])
