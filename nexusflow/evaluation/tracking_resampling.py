"""Tracking metrics of resampled sets of scenes.

Objects never leave their scene, so every count of the official evaluation is a sum over scenes. The score
thresholds stay those of the whole split; devkit-exact resamples would have to find them anew for each.

Letters: B resamples, S scenes, C classes, T thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.fast_tracking import (
    MEAN_METRICS,
    SUM_METRICS,
    TrackingRules,
    active_boxes,
    class_values,
    prepare_tracks,
    summarise_classes,
    unreached_values,
)
from nexusflow.evaluation.matching import match_tracks
from nexusflow.evaluation.tracks import Timeline, Tracks

__all__ = ["SceneCounts", "count_by_scene", "score_drawn"]

FloatArray = NDArray[np.float64]
_NAMES = {"AMOTA": "amota", "AMOTP": "amotp", "Recall": "recall", "MOTA": "mota", "IDS": "ids"}


@dataclass(frozen=True)
class SceneCounts:
    """What the tracking metrics add up, scene by scene.

    Args:
        scenes: names of the scenes.
        boxes_SC: true boxes.
        objects_SC: true objects.
        matches_SCT: matches without a change of identity.
        switches_SCT: matches with one.
        distance_SCT: sum of the distances of both, metres.
        active_SCT: predictions at or above the threshold.
        reached_CT: whether the recall of a threshold is achieved on the whole split.
        rules: thresholds and distances.
    """

    scenes: list[str]
    boxes_SC: FloatArray
    objects_SC: FloatArray
    matches_SCT: FloatArray
    switches_SCT: FloatArray
    distance_SCT: FloatArray
    active_SCT: FloatArray
    reached_CT: NDArray[np.bool_]
    rules: TrackingRules


def count_by_scene(
    truth: Tracks, predicted: Tracks, timeline: Timeline, rules: TrackingRules | None = None
) -> SceneCounts:
    """Count matches, switches, predictions and truth of every scene.

    Args:
        truth: true boxes within range, before gap filling.
        predicted: predicted boxes within range, with the scores of single boxes, before gap filling.
        timeline: the frames.
        rules: thresholds and distances; default: official.

    Returns:
        The counts.

    Source: nuScenes devkit 1.2, `TrackingEvaluation`.
    """
    rules = rules or TrackingRules()
    ready = prepare_tracks(truth, predicted, timeline, rules)
    scenes, classes = len(timeline.scenes), len(TRACKING_CLASSES)
    # A class in a scene counts as a class of its own; one walk then gives all scenes.
    own, found = (
        replace(tracks, label_N=timeline.scene_F[tracks.frame_N] * classes + tracks.label_N)
        for tracks in (ready.truth, ready.predicted)
    )
    threshold_PT = np.tile(ready.threshold_CT, (scenes, 1))
    walked = match_tracks(own, found, ready.pairs, threshold_PT, rules.match_distance_m)
    shape = (scenes, classes, rules.thresholds)
    active = [active_boxes(found, label, threshold_PT[label]) for label in range(scenes * classes)]
    _, first = np.unique(own.track_N * (scenes * classes) + own.label_N, return_index=True)
    boxes, objects = (np.bincount(x, minlength=scenes * classes) for x in (own.label_N, own.label_N[first]))
    return SceneCounts(
        scenes=list(timeline.scenes),
        boxes_SC=boxes.reshape(scenes, classes).astype(np.float64),
        objects_SC=objects.reshape(scenes, classes).astype(np.float64),
        matches_SCT=walked.matches_CT.reshape(shape).astype(np.float64),
        switches_SCT=walked.switches_CT.reshape(shape).astype(np.float64),
        distance_SCT=walked.distance_CT.reshape(shape),
        active_SCT=np.stack(active).reshape(shape),
        reached_CT=~np.isnan(ready.threshold_CT),
        rules=rules,
    )


def score_drawn(counts: SceneCounts, drawn_BS: NDArray[np.int64]) -> dict[str, list[float]]:
    """Score sets of scenes, in which a scene may occur several times.

    Args:
        counts: of `count_by_scene`.
        drawn_BS: how often each scene occurs in each set.

    Returns:
        "AMOTA", "AMOTP" (metres), "Recall", "MOTA", "IDS" → B values; metrics that some set lacks, because
        no class occurs in it, are left out.
    """
    columns: dict[str, list[float]] = {name: [] for name in _NAMES}
    for drawn_S in drawn_BS.astype(np.float64):
        overall = summarise_classes(_classes(counts, drawn_S))
        for name, key in _NAMES.items():
            columns[name].append(overall[key])
    occurs = (drawn_BS @ counts.boxes_SC).sum(1) > 0
    return columns if occurs.all() else {}


def _classes(counts: SceneCounts, drawn_S: FloatArray) -> dict[str, dict[str, float]]:
    """Metrics of every class for one set."""
    boxes_C, objects_C = drawn_S @ counts.boxes_SC, drawn_S @ counts.objects_SC
    tables = (counts.matches_SCT, counts.switches_SCT, counts.distance_SCT, counts.active_SCT)
    sums = [np.tensordot(drawn_S, table_SCT, 1) for table_SCT in tables]
    unknown_T = np.full(counts.rules.thresholds, np.nan)
    found = {}
    for label, name in enumerate(TRACKING_CLASSES):
        reached_T, boxes = counts.reached_CT[label], int(boxes_C[label])
        if boxes == 0:
            found[name] = dict.fromkeys((*MEAN_METRICS, *SUM_METRICS), float("nan"))
        elif not reached_T.any():
            found[name] = unreached_values(boxes, int(objects_C[label]), counts.rules)
        else:
            parts = [table_CT[label] for table_CT in sums]
            lives = (unknown_T, unknown_T, unknown_T)
            found[name] = class_values(
                parts[0], parts[1], parts[2], parts[3], lives, reached_T, boxes, counts.rules
            )
    return found
