"""The fast evaluator: cases counted by hand, and random ones against the devkit's TrackingEvaluation."""

import math
import warnings
from dataclasses import replace
from itertools import count, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.fast_tracking import evaluate_tracks, summarise_classes
from nexusflow.evaluation.tracks import Timeline, Tracks, average_scores, fill_gaps
from tests.evaluation.test_tracks import devkit_boxes, random_tracks, timeline_of

CAR = TRACKING_CLASSES.index("car")


def _tracks(ways: dict[int, dict[int, tuple[float, float]]], score: float = 0.9, label: int = CAR) -> Tracks:
    """Tracks from identity → frame → (x, y)."""
    rows = sorted((frame, identity, *xy) for identity, way in ways.items() for frame, xy in way.items())
    table = np.array(rows, dtype=float).reshape(-1, 4)
    count = len(table)
    whole = table[:, :2].astype(np.int64)
    return Tracks(whole[:, 0], np.full(count, label), whole[:, 1], table[:, 2:], np.full(count, score))


NONE = _tracks({})
TWO = {0: dict.fromkeys(range(4), (10.0, 0.0)), 1: dict.fromkeys(range(4), (0.0, 10.0))}


def test_perfect_tracks() -> None:
    scores = evaluate_tracks(_tracks(TWO), _tracks(TWO), timeline_of(4))
    car = scores.classes["car"]
    assert (car["amota"], car["recall"], car["mota"], car["ids"], car["fp"], car["fn"]) == (1, 1, 1, 0, 0, 0)
    assert (car["tp"], car["mt"], car["ml"], car["frag"]) == (8, 2, 0, 0)
    assert car["amotp"] == pytest.approx(0, abs=1e-6)
    assert scores.overall["amota"] == 1  # classes without truth do not count
    assert math.isnan(scores.classes["bus"]["amota"])


def test_one_swap_is_one_switch_per_object() -> None:
    """Identities are exchanged in the last two of four frames: each object changes its prediction once."""
    swapped = {0: {**TWO[0], 2: TWO[1][2], 3: TWO[1][3]}, 1: {**TWO[1], 2: TWO[0][2], 3: TWO[0][3]}}
    car = evaluate_tracks(_tracks(TWO), _tracks(swapped), timeline_of(4)).classes["car"]
    assert (car["ids"], car["tp"], car["fn"], car["fp"], car["recall"]) == (2, 6, 0, 0, 1)
    assert car["mota"] == pytest.approx(1 - 2 / 8)


def test_a_new_identity_is_one_switch() -> None:
    truth = {0: dict.fromkeys(range(4), (10.0, 0.0))}
    halves = {0: dict.fromkeys((0, 1), (10.0, 0.0)), 1: dict.fromkeys((2, 3), (10.0, 0.0))}
    car = evaluate_tracks(_tracks(truth), _tracks(halves), timeline_of(4)).classes["car"]
    assert (car["ids"], car["tp"], car["recall"]) == (1, 3, 1)
    # Recall counts switches as found, but the 3 matches alone decide which of the 40 recalls are achieved.
    achieved = np.linspace(0.1, 1, 40).round(12) <= 0.75
    assert car["amota"] == pytest.approx(achieved.mean() * (1 - (1 + 0 + 0 - 0.25 * 4) / 3))
    assert car["amotp"] == pytest.approx(2.0 * (1 - achieved.mean()), abs=1e-6)


def test_no_predictions() -> None:
    scores = evaluate_tracks(_tracks(TWO), NONE, timeline_of(4))
    assert (scores.overall["amota"], scores.overall["amotp"], scores.overall["recall"]) == (0, 2, 0)
    assert (
        scores.overall["ids"] == 0 and scores.classes["car"]["fn"] == 8 and scores.classes["car"]["ml"] == 2
    )


def test_no_truth() -> None:
    scores = evaluate_tracks(NONE, _tracks(TWO), timeline_of(4))
    assert math.isnan(scores.overall["amota"]) and scores.overall["ids"] == 0


def test_far_predictions_do_not_match() -> None:
    moved = {0: dict.fromkeys(range(4), (10.0, 2.01)), 1: dict.fromkeys(range(4), (0.0, 11.9))}
    car = evaluate_tracks(_tracks(TWO), _tracks(moved), timeline_of(4)).classes["car"]
    assert (car["tp"], car["fn"], car["fp"]) == (4, 4, 4)
    assert car["motp"] == pytest.approx(1.9)


def test_interruptions_are_counted() -> None:
    truth = {0: dict.fromkeys(range(6), (10.0, 0.0))}
    away = {0: {k: (10.0, 0.0 if k in (0, 2, 5) else 30.0) for k in range(6)}}
    car = evaluate_tracks(_tracks(truth), _tracks(away), timeline_of(6)).classes["car"]
    assert (car["tp"], car["frag"]) == (3, 2)


def test_scenes_can_be_chosen() -> None:
    timeline = timeline_of(4, scenes=2)
    truth = _tracks({0: TWO[0], 1: {k + 4: xy for k, xy in TWO[1].items()}})
    found = _tracks({0: TWO[0]})
    assert evaluate_tracks(truth, found, timeline, [0]).classes["car"]["amota"] == 1
    assert evaluate_tracks(truth, found, timeline, [1]).classes["car"]["amota"] == 0
    assert evaluate_tracks(truth, found, timeline).classes["car"]["recall"] == 0.5


def test_summary_of_classes() -> None:
    names = {"amota": 0.5, "amotp": 1.0, "recall": 0.5, "motar": 1, "mota": 1, "motp": 1, "gt": 4}
    counts = {"tp": 1, "fp": 2, "fn": 3, "ids": 4, "frag": 5, "mt": 6, "ml": 7}
    undefined = dict.fromkeys({**names, **counts}, math.nan)
    overall = summarise_classes(
        {"car": {**names, **counts}, "bus": {**names, **counts, "amota": 0.1}, "truck": undefined}
    )
    assert overall["amota"] == pytest.approx(0.3) and overall["ids"] == 8 and overall["gt"] == 4


def _devkit(truth: Tracks, predicted: Tracks, names: list[str], timeline: Timeline) -> dict[str, Any]:
    """Metrics by class, by the devkit's own classes, of filled tracks."""
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.tracking.evaluate import TrackingEval

    evaluation = TrackingEval.__new__(TrackingEval)
    evaluation.cfg = config_factory("tracking_nips_2019")
    evaluation.cfg.class_names = names
    evaluation.tracks_gt, evaluation.tracks_pred = (
        {scene: _of_scene(tracks, timeline, number) for number, scene in enumerate(timeline.scenes)}
        for tracks in (truth, predicted)
    )
    evaluation.verbose, evaluation.output_dir, evaluation.render_classes = False, None, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metrics, _ = evaluation.evaluate()
    return {name: {m: values[name] for m, values in metrics.label_metrics.items()} for name in names}


def _of_scene(tracks: Tracks, timeline: Timeline, scene: int) -> dict[int, list[Any]]:
    """The devkit's boxes of one scene, by time."""
    frames = np.flatnonzero(timeline.scene_F == scene)
    part = replace(timeline, time_F=timeline.time_F[frames])
    mine = tracks.take(timeline.scene_F[tracks.frame_N] == scene)
    return devkit_boxes(replace(mine, frame_N=mine.frame_N - frames[0]), part)


def _assert_equal_to_the_devkit(
    truth: Tracks, predicted: Tracks, timeline: Timeline, names: list[str]
) -> None:
    fast = evaluate_tracks(truth, predicted, timeline)
    filled = fill_gaps(truth, timeline), fill_gaps(average_scores(predicted), timeline)
    official = _devkit(*filled, names, timeline)
    for name in names:
        expected = {metric: official[name][metric] for metric in fast.classes[name]}
        assert fast.classes[name] == pytest.approx(expected, abs=1e-9, nan_ok=True)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0]))
def test_equals_the_devkit_on_random_tracks(seed: int, grid: float) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = random_tracks(rng, 5, 4, grid), random_tracks(rng, 5, 6, grid)
    _assert_equal_to_the_devkit(truth, predicted, timeline_of(5), list(TRACKING_CLASSES[:2]))


def _driven(rng: np.random.Generator, timeline: Timeline, lost: float, switched: float, ghosts: float) -> Any:
    """Truth that drives straight on, and what a tracker makes of it: late, shaky, torn, with ghosts."""
    true, found, names = [], [], count(1000)
    for scene, thing in product(range(len(timeline.scenes)), range(5)):
        frames = np.flatnonzero(timeline.scene_F == scene)
        first, last = np.sort(rng.choice(len(frames) + 1, 2, replace=False))
        place, speed = np.array([900.0, 1500.0]) + rng.uniform(-12, 12, 2), rng.normal(0, 2, 2)
        label, identity = int(rng.integers(0, 2)), 10 * scene + thing
        quality, name, shift = rng.uniform(0.2, 0.9), next(names), rng.normal(0, 0.4, 2)
        for frame in frames[first:last]:
            xy = place + speed * (timeline.time_F[frame] / 1e6)
            true.append((frame, label, identity, *xy, -1.0))
            name = next(names) if rng.random() < switched else name
            if rng.random() >= lost:
                noisy, score = xy + shift + rng.normal(0, 0.3, 2), quality + rng.normal(0, 0.05)
                found.append((frame, label, name, *noisy, score))
            if rng.random() < ghosts:
                found.append((frame, label, next(names), *(xy + rng.normal(0, 3, 2)), rng.uniform(0.1, 0.6)))
    return _table(true), _table(found)


def _table(rows: list[tuple[float, ...]]) -> Tracks:
    """Tracks from (frame, label, identity, x, y, score)."""
    table = np.array(sorted(rows, key=lambda row: row[0]), dtype=float).reshape(-1, 6)
    whole = table[:, :3].astype(np.int64)
    return Tracks(whole[:, 0], whole[:, 1], whole[:, 2], table[:, 3:5], table[:, 5])


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.floats(0, 0.4), st.floats(0, 0.2), st.floats(0, 0.3))
def test_equals_the_devkit_on_what_trackers_do(
    seed: int, lost: float, switched: float, ghosts: float
) -> None:
    timeline = timeline_of(8, scenes=2)
    truth, predicted = _driven(np.random.default_rng(seed), timeline, lost, switched, ghosts)
    _assert_equal_to_the_devkit(truth, predicted, timeline, list(TRACKING_CLASSES[:2]))
