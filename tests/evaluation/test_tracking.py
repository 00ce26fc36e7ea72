"""The devkit's evaluation, split by class: the same numbers as the unmodified devkit's."""

import math
import warnings
from pathlib import Path
from typing import Any

import pytest

from nexusflow.core.errors import UserError
from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.fast_tracking import evaluate_tracks
from nexusflow.evaluation.ground_truth import load_ground_truth
from nexusflow.evaluation.predictions import read_tracking
from nexusflow.evaluation.tracking import evaluate_tracking, official_class_range, resolve_class_range
from tests.evaluation.world import (
    TRAIN_SCENES,
    VAL_SCENES,
    VERSION,
    Thing,
    noisy_results,
    prediction,
    random_world,
    split_of,
    write_submission,
    write_world,
)

DURATIONS = ("frag", "tid", "lgd")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    random_world(root, 5, VAL_SCENES[:2] + TRAIN_SCENES[:1], frames=5, per_class=2)
    results = noisy_results(root, 5, false=1.0)
    write_submission(root / "tracking.json", split_of(results, VAL_SCENES))
    write_submission(root / "train.json", split_of(results, TRAIN_SCENES))
    return root


def _unmodified(root: Path, output: Path) -> dict[str, Any]:
    """The devkit as its command line runs it."""
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.tracking.evaluate import TrackingEval

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluation = TrackingEval(
            config_factory("tracking_nips_2019"),
            str(root / "tracking.json"),
            "val",
            str(output),
            VERSION,
            str(root),
            verbose=False,
        )
        metrics, _ = evaluation.evaluate()
        return dict(metrics.serialize())


def _same(first: dict[str, float], second: dict[str, float], without: tuple[str, ...] = ()) -> bool:
    """Equal up to the order of summation, which the devkit leaves to a set of strings."""
    assert set(first) - set(without) == set(second) - set(without)
    return all(
        (math.isnan(first[k]) and math.isnan(second[k])) or math.isclose(first[k], second[k], rel_tol=1e-14)
        for k in set(first) - set(without)
    )


def test_equals_the_unmodified_devkit(world: Path, tmp_path: Path) -> None:
    expected = _unmodified(world, tmp_path)
    whole = evaluate_tracking(world / "tracking.json", world, VERSION, "val", durations=True)
    for name in TRACKING_CLASSES:
        official = {metric: values[name] for metric, values in expected["label_metrics"].items()}
        assert _same(whole["classes"][name], official)
    assert _same(whole["overall"], {metric: expected[metric] for metric in expected["label_metrics"]})
    # Fewer metrics and several processes change nothing.
    shared = evaluate_tracking(world / "tracking.json", world, VERSION, "val", workers=2)
    assert _same(shared["overall"], whole["overall"], DURATIONS)
    for name in TRACKING_CLASSES:
        assert _same(shared["classes"][name], whole["classes"][name], DURATIONS)
    assert not set(DURATIONS) & set(shared["overall"])


@pytest.mark.parametrize("class_range", [None, 15.0])
@pytest.mark.parametrize(("split", "name"), [("val", "tracking.json"), ("train", "train.json")])
def test_equals_the_fast_evaluator(world: Path, split: str, name: str, class_range: float | None) -> None:
    official = evaluate_tracking(world / name, world, VERSION, split, class_range, durations=True)
    truth, ranges = load_ground_truth(world, VERSION, split), resolve_class_range(class_range)
    found = truth.submission_tracks(read_tracking(world / name), ranges)
    fast = evaluate_tracks(truth.within_range(truth.tracks, ranges), found, truth.timeline)
    for values, expected in [(fast.overall, official["overall"])] + [
        (fast.classes[name], official["classes"][name]) for name in TRACKING_CLASSES
    ]:
        assert values == pytest.approx({k: expected[k] for k in values}, abs=1e-9, nan_ok=True)


def test_scenes_can_be_chosen(world: Path) -> None:
    chosen = evaluate_tracking(world / "tracking.json", world, VERSION, "val", scenes=[VAL_SCENES[1]])
    truth = load_ground_truth(world, VERSION, "val", [VAL_SCENES[1]])
    found = truth.submission_tracks(read_tracking(world / "tracking.json"), official_class_range())
    near = truth.within_range(truth.tracks, official_class_range())
    fast = evaluate_tracks(near, found, truth.timeline)
    assert chosen["overall"]["amota"] == pytest.approx(fast.overall["amota"], abs=1e-9)
    assert chosen["overall"]["tp"] == fast.overall["tp"] > 0


def _small(root: Path) -> None:
    ways = [[(510.0 + k, 900.0) for k in range(4)], [(490.0, 900.0 + k) for k in range(4)]]
    write_world(root, {"scene-0003": [Thing("car", way) for way in ways]}, frames=4)


def _car(frame: int, place: tuple[float, float], identity: str) -> dict[str, Any]:
    return prediction(f"scene-0003-{frame}", [*place, 1.0], identity, "car", 0.9)


def test_perfect_tracks_and_one_swap(tmp_path: Path) -> None:
    _small(tmp_path)
    places = {k: ((510.0 + k, 900.0), (490.0, 900.0 + k)) for k in range(4)}
    perfect = {f"scene-0003-{k}": [_car(k, a, "a"), _car(k, b, "b")] for k, (a, b) in places.items()}
    path = write_submission(tmp_path / "tracking.json", perfect)
    car = evaluate_tracking(path, tmp_path, VERSION, "val")
    assert (car["overall"]["amota"], car["overall"]["ids"], car["classes"]["car"]["tp"]) == (1, 0, 8)
    swapped = {
        f"scene-0003-{k}": [_car(k, a, "a" if k < 2 else "c"), _car(k, b, "b")]
        for k, (a, b) in places.items()
    }
    write_submission(path, swapped)
    assert evaluate_tracking(path, tmp_path, VERSION, "val")["overall"]["ids"] == 1


def test_no_predictions(tmp_path: Path) -> None:
    _small(tmp_path)
    path = write_submission(tmp_path / "tracking.json", {f"scene-0003-{k}": [] for k in range(4)})
    scores = evaluate_tracking(path, tmp_path, VERSION, "val")
    assert (scores["overall"]["amota"], scores["overall"]["amotp"], scores["overall"]["recall"]) == (0, 2, 0)
    assert math.isnan(scores["classes"]["bus"]["amota"])


def test_no_truth(tmp_path: Path) -> None:
    write_world(tmp_path, {"scene-0003": [Thing("animal", [(510.0, 900.0)] * 2)]}, frames=2)
    path = write_submission(
        tmp_path / "tracking.json", {f"scene-0003-{k}": [_car(k, (510, 900), "a")] for k in (0, 1)}
    )
    scores = evaluate_tracking(path, tmp_path, VERSION, "val")
    assert math.isnan(scores["overall"]["amota"]) and scores["overall"]["ids"] == 0


def test_unusable_input_is_named(world: Path) -> None:
    with pytest.raises(UserError, match="lacks"):
        evaluate_tracking(world / "train.json", world, VERSION, "val")
    with pytest.raises(UserError, match="no tables"):
        evaluate_tracking(world / "train.json", world, "v1.0-mini", "mini_val")
    with pytest.raises(UserError, match="no split"):
        evaluate_tracking(world / "train.json", world, VERSION, "everything")


def test_ranges_never_exceed_the_official_ones() -> None:
    assert resolve_class_range(None) == official_class_range()
    assert resolve_class_range(45.0)["car"] == 45 and resolve_class_range(45.0)["pedestrian"] == 40
    assert resolve_class_range({"bus": 10.0}) == {**official_class_range(), "bus": 10.0}
    with pytest.raises(UserError, match="tram"):
        resolve_class_range({"tram": 10.0})
    with pytest.raises(UserError, match="positive"):
        resolve_class_range(-1.0)
