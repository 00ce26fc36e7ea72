"""Scores a prediction folder: tracking by the official devkit, by city by the fast evaluator; map overlap."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nexusflow.core.errors import UserError
from nexusflow.evaluation.constants import CITIES, TRACKING_CLASSES
from nexusflow.evaluation.fast_tracking import TrackingScores, evaluate_tracks
from nexusflow.evaluation.ground_truth import load_ground_truth
from nexusflow.evaluation.mapping import MapCounts, count_overlap
from nexusflow.evaluation.predictions import MAP_FILE, TRACKING_FILE, MapPrediction, read_map, read_tracking
from nexusflow.evaluation.reference import SceneCache, frames_of_split, scenes_of_split
from nexusflow.evaluation.resampling import resample_scenes
from nexusflow.evaluation.tracking import evaluate_tracking, resolve_class_range
from nexusflow.evaluation.tracking_resampling import count_by_scene

__all__ = ["TOLERANCE", "evaluate_predictions"]

# Largest difference between the devkit and the fast evaluator that rounding can explain.
TOLERANCE = 1e-9
_NAMES = {"AMOTA": "amota", "AMOTP": "amotp", "Recall": "recall", "MOTA": "mota"}
_CHECKED = ("amota", "amotp", "recall", "ids", "mota", "tp", "fp", "fn", "mt", "ml", "motp")


def _plain(value: float) -> float | None:
    """JSON has no nan: what is undefined becomes null."""
    return None if math.isnan(value) else float(value)


def _tracking_metrics(
    overall: Mapping[str, float], classes: Mapping[str, Mapping[str, float]]
) -> dict[str, float | int | None]:
    return {
        **{name: _plain(overall[key]) for name, key in _NAMES.items()},
        "IDS": int(overall["ids"]),
        **{f"AMOTA/{name}": _plain(classes[name]["amota"]) for name in TRACKING_CLASSES},
    }


def _difference(first: float, second: float) -> float:
    if math.isnan(first) and math.isnan(second):
        return 0.0
    return abs(first - second)


def _compare(official: Mapping[str, Any], fast: TrackingScores) -> dict[str, float]:
    """Largest difference per metric between devkit and fast evaluator, over all classes and overall."""
    rows = [(official["overall"], fast.overall)]
    rows += [(official["classes"][name], fast.classes[name]) for name in TRACKING_CLASSES]
    check = {key: max(_difference(a[key], b[key]) for a, b in rows) for key in _CHECKED}
    for key, value in check.items():
        assert value <= TOLERANCE, f"devkit and fast evaluator differ by {value} in {key}"
    return check


def _map_counts(
    path: Path, predicted: MapPrediction, cache: SceneCache, frames: np.ndarray[Any, np.dtype[np.int64]]
) -> MapCounts:
    """Compare the maps of some cached frames, a few hundred frames at a time."""
    place = {token: row for row, token in enumerate(predicted.sample_tokens)}
    tokens = [cache.sample_tokens[frame] for frame in frames.tolist()]
    missing = [token for token in tokens if token not in place]
    if missing:
        raise UserError(
            f"{path}: 'sample_tokens' lacks {len(missing)} samples, first {missing[0]}; predict again."
        )
    rows = np.array([place[token] for token in tokens], dtype=np.int64)
    parts = [
        count_overlap(predicted.masks(rows[a : a + 256]), np.asarray(cache.map_FKHW[frames[a : a + 256]]))
        for a in range(0, len(rows), 256)
    ]
    return MapCounts(
        np.concatenate([part.intersection_FR for part in parts]),
        np.concatenate([part.union_FR for part in parts]),
    )


def evaluate_predictions(
    prediction_dir: Path,
    cache: SceneCache,
    data_root: Path,
    version: str,
    split: str,
    class_range_m: Mapping[str, float] | float | None = None,
    workers: int = 1,
    official: bool = True,
) -> dict[str, Any]:
    """Score a prediction folder against all labels of a split.

    Args:
        prediction_dir: folder with `tracking.json` and `map.npz`.
        cache: the cached data set; gives true maps and cities.
        data_root: folder of the nuScenes-format data set; gives true tracks.
        version: name of its table folder.
        split: official split to score.
        class_range_m: range of the tracking metrics, metres; never beyond the official one.
        workers: processes for the devkit run.
        official: take the overall tracking metrics from the devkit and check the fast evaluator against them.

    Returns:
        "overall", "boston" and "singapore" → metric → value (IoU in per cent; None where undefined, such as
        the AMOTA of a class that does not occur); "check" → metric → largest difference between devkit and
        fast evaluator over all classes (empty without `official`); "resampled": see `resample_scenes`.

    Raises:
        UserError: if the predictions are malformed or do not cover the split.
    """
    tracking_path, map_path = Path(prediction_dir) / TRACKING_FILE, Path(prediction_dir) / MAP_FILE
    frames = frames_of_split(cache, split)
    scenes = scenes_of_split(cache, split)
    truth = load_ground_truth(data_root, version, split, [scene.name for scene in scenes])
    counts = _map_counts(map_path, read_map(map_path), cache, frames)
    city_F = np.concatenate([np.full(scene.num_frames, scene.city) for scene in scenes])

    ranges = resolve_class_range(class_range_m)
    results = read_tracking(tracking_path, truth.timeline.sample_tokens)
    true_tracks = truth.within_range(truth.tracks, ranges)
    found_tracks = truth.submission_tracks(results, ranges)

    def fast(cities: tuple[str, ...]) -> TrackingScores:
        chosen = [index for index, city in enumerate(truth.timeline.cities) if city in cities]
        return evaluate_tracks(true_tracks, found_tracks, truth.timeline, chosen)

    whole = evaluate_tracks(true_tracks, found_tracks, truth.timeline)
    overall: Mapping[str, Any] = {"overall": whole.overall, "classes": whole.classes}
    check: dict[str, float] = {}
    if official:
        overall = evaluate_tracking(
            tracking_path, data_root, version, split, class_range_m, workers, truth.timeline.scenes
        )
        check = _compare(overall, whole)
    metrics: dict[str, Any] = {
        "overall": {**_tracking_metrics(overall["overall"], overall["classes"]), **counts.percent()},
        "check": check,
    }
    scene_F = np.concatenate([np.full(scene.num_frames, scene.name) for scene in scenes])
    metrics["resampled"] = resample_scenes(
        counts, scene_F, count_by_scene(true_tracks, found_tracks, truth.timeline)
    )
    for city in CITIES:
        scores = fast((city,))
        metrics[city] = {
            **_tracking_metrics(scores.overall, scores.classes),
            **counts.percent(city_F == city),
        }
    return metrics
