"""The fast evaluator: cases counted by hand, and random ones against the devkit's TrackingEvaluation."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.fast_tracking import evaluate_tracks, summarise_classes
from nexusflow.evaluation.tracks import Tracks, average_scores, fill_gaps
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


def _devkit(truth: Tracks, predicted: Tracks, name: str) -> dict[str, float]:
    """Metrics of one class by the devkit's own classes, for one scene of filled tracks."""
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.tracking.evaluate import TrackingEval

    timeline = timeline_of(5)
    evaluation = TrackingEval.__new__(TrackingEval)
    evaluation.cfg = config_factory("tracking_nips_2019")
    evaluation.cfg.class_names = [name]
    evaluation.tracks_gt = {"scene": devkit_boxes(truth, timeline)}
    evaluation.tracks_pred = {"scene": devkit_boxes(predicted, timeline)}
    evaluation.verbose, evaluation.output_dir, evaluation.render_classes = False, None, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metrics, _ = evaluation.evaluate()
    return {metric: values[name] for metric, values in metrics.label_metrics.items()}


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0]))
def test_equals_the_devkit_on_random_tracks(seed: int, grid: float) -> None:
    rng = np.random.default_rng(seed)
    timeline = timeline_of(5)
    truth, predicted = random_tracks(rng, 5, 4, grid), random_tracks(rng, 5, 6, grid)
    fast = evaluate_tracks(truth, predicted, timeline)
    truth, predicted = fill_gaps(truth, timeline), fill_gaps(average_scores(predicted), timeline)
    for label in (0, 1):
        name = TRACKING_CLASSES[label]
        official = _devkit(truth, predicted, name)
        assert fast.classes[name] == pytest.approx(
            {k: official[k] for k in fast.classes[name]}, abs=1e-9, nan_ok=True
        )
