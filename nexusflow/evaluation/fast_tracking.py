"""Fast tracking metrics on arrays, equal to those of the official nuScenes devkit.

AMOTA and AMOTP are means over 40 score thresholds, chosen to reach recalls of 0.1 to 1; everything else is
read at the threshold with the highest MOTA. Values for which a class has no truth are nan.

Shape letters: G true boxes, C classes, T thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.matching import Matches, Pairs, find_pairs, match_tracks
from nexusflow.evaluation.tracks import Timeline, Tracks, average_scores, fill_gaps

__all__ = [
    "MEAN_METRICS",
    "SUM_METRICS",
    "PreparedTracks",
    "TrackingRules",
    "TrackingScores",
    "active_boxes",
    "class_values",
    "evaluate_tracks",
    "prepare_tracks",
    "summarise_classes",
    "unreached_values",
]

FloatArray = NDArray[np.float64]

MEAN_METRICS = ("amota", "amotp", "recall", "motar", "mota", "motp", "gt")
SUM_METRICS = ("tp", "fp", "fn", "ids", "frag", "mt", "ml")
_LONG, _SHORT = 0.8, 0.2  # share of its life from which an object is mostly tracked, below which mostly lost


@dataclass(frozen=True)
class TrackingRules:
    """The numbers of the official configuration `tracking_nips_2019`.

    Args:
        match_distance_m: pairs at this distance or farther never match.
        min_recall: smallest of the recalls.
        thresholds: number of recalls between `min_recall` and 1.
        worst_amotp: distance counted for a recall that is not achieved, metres.
    """

    match_distance_m: float = 2.0
    min_recall: float = 0.1
    thresholds: int = 40
    worst_amotp: float = 2.0


@dataclass(frozen=True)
class PreparedTracks:
    """Tracks without gaps, what could match, and where the recalls lie.

    Args:
        truth: true boxes.
        predicted: predicted boxes with the scores of their tracks.
        pairs: pairs of both within reach, step by step.
        threshold_CT: score that reaches each recall, highest recall first; nan where it is not achieved.
    """

    truth: Tracks
    predicted: Tracks
    pairs: list[Pairs]
    threshold_CT: FloatArray


@dataclass(frozen=True)
class TrackingScores:
    """Tracking metrics under the devkit's names.

    Args:
        overall: metric → value over all classes; means or sums as in the devkit.
        classes: class → metric → value; nan where undefined.
    """

    overall: dict[str, float]
    classes: dict[str, dict[str, float]]


def summarise_classes(classes: dict[str, dict[str, float]]) -> dict[str, float]:
    """Combine the classes: means of rates, sums of counts, leaving out nan.

    Args:
        classes: class → metric → value.

    Returns:
        Metric → value; nan for a rate that no class has.

    Source: nuScenes devkit, `TrackingMetrics.compute_metric`.
    """
    overall = {}
    for metric in (*MEAN_METRICS, *SUM_METRICS):
        values = np.array([values[metric] for values in classes.values()], dtype=np.float64)
        known = values[~np.isnan(values)]
        if metric in SUM_METRICS:
            overall[metric] = float(known.sum())
        else:
            overall[metric] = float(known.mean()) if len(known) else float("nan")
    return overall


def _score_thresholds(scores: FloatArray, boxes: int, rules: TrackingRules) -> FloatArray:
    """Score that reaches each recall, highest recall first; nan where a recall is not achieved, (T,)."""
    if not len(scores):
        return np.full(rules.thresholds, np.nan)
    falling = np.sort(scores)[::-1]
    achieved = np.arange(1, len(falling) + 1) / boxes
    wanted = np.linspace(rules.min_recall, 1, rules.thresholds).round(12)
    thresholds = np.interp(wanted, achieved, falling, right=0)
    thresholds[wanted > achieved.max()] = np.nan
    return thresholds[::-1]


@dataclass(frozen=True)
class _Lives:
    """Per class and threshold: objects mostly tracked, mostly lost, and interruptions, each (C, T)."""

    tracked_CT: NDArray[np.int64]
    lost_CT: NDArray[np.int64]
    breaks_CT: NDArray[np.int64]


def _lives(truth: Tracks, hit_GT: NDArray[np.bool_], classes: int) -> _Lives:
    """Follow every object through its frames."""
    shape = (classes, hit_GT.shape[1])
    counts = _Lives(*(np.zeros(shape, dtype=np.int64) for _ in range(3)))
    if not len(truth):
        return counts
    key_G = truth.track_N * classes + truth.label_N
    order = np.argsort(key_G, kind="stable")
    key_G, hit_GT = key_G[order], hit_GT[order]
    starts = np.flatnonzero(np.diff(key_G, prepend=key_G[0] - 1))
    lengths = np.diff(starts, append=len(key_G))
    hits_OT = np.add.reduceat(hit_GT, starts, axis=0, dtype=np.int64)
    share_OT = hits_OT / lengths[:, None]
    # A loss is a hit followed by a miss of the same object; one without a return is no interruption.
    loss_GT = hit_GT.copy()
    loss_GT[:-1] &= ~hit_GT[1:]
    loss_GT[starts + lengths - 1] = False
    losses_OT = np.add.reduceat(loss_GT, starts, axis=0, dtype=np.int64)
    final_OT = (hits_OT > 0) & ~hit_GT[starts + lengths - 1]
    label_O = truth.label_N[order][starts]
    np.add.at(counts.tracked_CT, label_O, share_OT >= _LONG)
    np.add.at(counts.lost_CT, label_O, share_OT < _SHORT)
    np.add.at(counts.breaks_CT, label_O, losses_OT - final_OT)
    return counts


def unreached_values(boxes: int, objects: int, rules: TrackingRules) -> dict[str, float]:
    """Give the values of a class in which not even the smallest recall is achieved.

    Args:
        boxes: number of true boxes.
        objects: number of true objects.
        rules: thresholds and distances.

    Returns:
        Metric → value.

    Source: nuScenes devkit, `TrackingMetrics`.
    """
    zeros = dict.fromkeys(("amota", "recall", "motar", "mota", "tp", "mt"), 0.0)
    unknown = dict.fromkeys(("fp", "ids", "frag"), float("nan"))
    distances = {"amotp": rules.worst_amotp, "motp": rules.worst_amotp}
    return {**zeros, **unknown, **distances, "gt": float(boxes), "fn": float(boxes), "ml": float(objects)}


def class_values(
    matches: FloatArray,
    switches: FloatArray,
    distance: FloatArray,
    active: FloatArray,
    lives: tuple[FloatArray, FloatArray, FloatArray],
    reached: NDArray[np.bool_],
    boxes: int,
    rules: TrackingRules,
) -> dict[str, float]:
    """Compute the metrics of one class from its counts at each threshold.

    Args:
        matches: matches without a change of identity, (T,).
        switches: matches with one, (T,).
        distance: sum of the distances of both, metres, (T,).
        active: predictions at or above the threshold, (T,).
        lives: objects mostly tracked, mostly lost, and interruptions, each (T,).
        reached: whether the recall of the threshold is achieved, bool (T,); at least one.
        boxes: number of true boxes, above 0.
        rules: thresholds and distances.

    Returns:
        Metric → value.

    Source: nuScenes devkit, `TrackingEvaluation`; Weng and Kitani 2019 (AMOTA, AMOTP, MOTAR).
    """
    found = matches + switches
    misses, false = boxes - found, active - found
    with np.errstate(divide="ignore", invalid="ignore"):
        share = matches / boxes
        # Written as in the devkit, so that rounding agrees.
        motar = np.maximum(0, 1 - ((misses + switches + false) - (1 - share) * boxes) / (share * boxes))
        motar[share * boxes == 0] = np.nan
        motp = np.where(found > 0, distance / found, np.nan)
    mota = np.maximum(0, 1.0 - (misses + switches + false) / boxes)
    motar[~reached], motp[~reached] = np.nan, np.nan
    best = int(np.nanargmax(np.where(reached, mota, np.nan)))
    at_best = {
        "recall": found / boxes,
        "motar": motar,
        "mota": mota,
        "motp": motp,
        "tp": matches,
        "fp": false,
        "fn": misses,
        "ids": switches,
        "mt": lives[0],
        "ml": lives[1],
        "frag": lives[2],
    }
    return {
        "amota": float(np.where(np.isnan(motar), 0.0, motar).mean()),
        "amotp": float(np.where(np.isnan(motp), rules.worst_amotp, motp).mean()),
        "gt": float(boxes),
        **{name: float(values[best]) for name, values in at_best.items()},
    }


def active_boxes(predicted: Tracks, label: int, thresholds: FloatArray) -> FloatArray:
    """Count the predictions of a class at or above each threshold.

    Args:
        predicted: boxes with the scores of their tracks.
        label: index of the class.
        thresholds: scores, (T,).

    Returns:
        Counts, (T,).
    """
    scores = np.sort(predicted.score_N[predicted.label_N == label])
    return (len(scores) - np.searchsorted(scores, thresholds, side="left")).astype(np.float64)


def _all_classes(
    truth: Tracks, predicted: Tracks, walked: Matches, threshold_CT: FloatArray, rules: TrackingRules
) -> dict[str, dict[str, float]]:
    lives = _lives(truth, walked.hit_GT, len(threshold_CT))
    classes = {}
    for label, name in enumerate(TRACKING_CLASSES):
        mine = truth.label_N == label
        boxes, reached = int(mine.sum()), ~np.isnan(threshold_CT[label])
        if boxes == 0:
            classes[name] = dict.fromkeys((*MEAN_METRICS, *SUM_METRICS), float("nan"))
        elif not reached.any():
            classes[name] = unreached_values(boxes, len(np.unique(truth.track_N[mine])), rules)
        else:
            classes[name] = class_values(
                walked.matches_CT[label].astype(np.float64),
                walked.switches_CT[label].astype(np.float64),
                walked.distance_CT[label],
                active_boxes(predicted, label, threshold_CT[label]),
                (
                    lives.tracked_CT[label].astype(np.float64),
                    lives.lost_CT[label].astype(np.float64),
                    lives.breaks_CT[label].astype(np.float64),
                ),
                reached,
                boxes,
                rules,
            )
    return classes


def prepare_tracks(
    truth: Tracks, predicted: Tracks, timeline: Timeline, rules: TrackingRules
) -> PreparedTracks:
    """Fill the gaps of all tracks, average their scores and find the thresholds of the recalls.

    Args:
        truth: true boxes within range, before gap filling.
        predicted: predicted boxes within range, with the scores of single boxes, before gap filling.
        timeline: the frames.
        rules: thresholds and distances.

    Returns:
        What the metrics are computed from.

    Source: nuScenes devkit, `create_tracks`, `TrackingEvaluation.compute_thresholds`.
    """
    truth = fill_gaps(truth, timeline)
    predicted = fill_gaps(average_scores(predicted), timeline)
    pairs = find_pairs(truth, predicted, timeline, rules.match_distance_m)
    classes = len(TRACKING_CLASSES)
    everything = np.full((classes, 1), -np.inf)
    first = match_tracks(truth, predicted, pairs, everything, rules.match_distance_m, with_scores=True)
    boxes_C = np.bincount(truth.label_N, minlength=classes)
    threshold_CT = np.stack(
        [_score_thresholds(first.scores[label], int(boxes_C[label]), rules) for label in range(classes)]
    )
    return PreparedTracks(truth, predicted, pairs, threshold_CT)


def evaluate_tracks(
    truth: Tracks,
    predicted: Tracks,
    timeline: Timeline,
    scenes: Sequence[int] | None = None,
    rules: TrackingRules | None = None,
) -> TrackingScores:
    """Compute the tracking metrics of all classes.

    Args:
        truth: true boxes within range, before gap filling.
        predicted: predicted boxes within range, with the scores of single boxes, before gap filling.
        timeline: the frames.
        scenes: indices of the scenes to evaluate; default: all.
        rules: thresholds and distances; default: official.

    Returns:
        Overall and per-class metrics; those of a class without truth are nan.

    Source: nuScenes devkit 1.2, `TrackingEvaluation`, `TrackingEval.evaluate`; Weng and Kitani 2019 (AMOTA).
    """
    rules = rules or TrackingRules()
    if scenes is not None:
        chosen = np.isin(timeline.scene_F, np.asarray(scenes, dtype=np.int64))
        truth, predicted = truth.take(chosen[truth.frame_N]), predicted.take(chosen[predicted.frame_N])
    ready = prepare_tracks(truth, predicted, timeline, rules)
    walked = match_tracks(
        ready.truth, ready.predicted, ready.pairs, ready.threshold_CT, rules.match_distance_m
    )
    per_class = _all_classes(ready.truth, ready.predicted, walked, ready.threshold_CT, rules)
    return TrackingScores(summarise_classes(per_class), per_class)
