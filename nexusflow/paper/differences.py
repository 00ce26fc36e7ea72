"""Where two methods disagree in a frame: boxes found by one only or placed better, and map regions.

Legend: K boxes, G true boxes, R map cells per side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from nexusflow.paper.boxes import box_footprints
from nexusflow.paper.qualitative_data import QualitativeFrame, SceneLayer

__all__ = ["Difference", "find_differences", "keep_confident", "match_boxes"]

_CLEARLY_CLOSER_M = 1.0
_MIN_REGION_M2 = 4.0


@dataclass(frozen=True)
class Difference:
    """One disagreement.

    Args:
        kind: "box" or "map".
        better: the method that agrees with the truth here.
        centre_2: x, y in the ego frame, metres.
        reach_2: half size of a ring around it along x and y, metres.
        box_9: the box to ring in the camera images, None for map regions.
        weight: importance; larger first.
    """

    kind: Literal["box", "map"]
    better: Literal["baseline", "ours"]
    centre_2: tuple[float, float]
    reach_2: tuple[float, float]
    box_9: NDArray[np.float32] | None
    weight: float


def keep_confident(layer: SceneLayer, threshold: float) -> SceneLayer:
    """Drop boxes below a score, and the tails that belonged to them.

    Args:
        layer: what a method says.
        threshold: smallest score that stays.

    Returns:
        The thinned layer.
    """
    keep_K = layer.scores_K >= threshold
    tails_P = np.isin(layer.tail_ids_P, layer.ids_K[keep_K])
    return SceneLayer(
        layer.name,
        layer.label,
        layer.boxes_K9[keep_K],
        layer.labels_K[keep_K],
        layer.ids_K[keep_K],
        layer.scores_K[keep_K],
        layer.map_CRR,
        layer.tail_xy_P2[tails_P],
        layer.tail_ids_P[tails_P],
        layer.tail_ages_P[tails_P],
    )


def match_boxes(layer: SceneLayer, truth: SceneLayer, match_m: float) -> NDArray[np.float64]:
    """Measure how far each true object is from the box that a method gives it.

    Args:
        layer: what a method says.
        truth: the truth.
        match_m: largest distance of centres in the ground plane, metres; classes must agree.

    Returns:
        (G,) distance of the matched box, infinity where there is none. Each box serves one object.
    """
    distances_G = np.full(len(truth.boxes_K9), np.inf)
    if not len(layer.boxes_K9) or not len(truth.boxes_K9):
        return distances_G
    offset_GK2 = truth.boxes_K9[:, None, :2].astype(float) - layer.boxes_K9[None, :, :2]
    cost_GK = np.hypot(offset_GK2[..., 0], offset_GK2[..., 1])
    allowed_GK = (cost_GK <= match_m) & (truth.labels_K[:, None] == layer.labels_K[None])
    rows, columns = linear_sum_assignment(np.where(allowed_GK, cost_GK, 1e3 * match_m))
    for row, column in zip(rows, columns, strict=True):
        if allowed_GK[row, column]:
            distances_G[row] = cost_GK[row, column]
    return distances_G


def _false_boxes(layer: SceneLayer, truth: SceneLayer, match_m: float) -> NDArray[np.bool_]:
    """Mark boxes with no true object of their class nearby."""
    if not len(truth.boxes_K9):
        return np.ones(len(layer.boxes_K9), bool)
    offset_KG2 = layer.boxes_K9[:, None, :2].astype(float) - truth.boxes_K9[None, :, :2]
    near_KG = np.hypot(offset_KG2[..., 0], offset_KG2[..., 1]) <= match_m
    return ~(near_KG & (layer.labels_K[:, None] == truth.labels_K[None])).any(1)


def _ring(box_9: NDArray[np.float32], better: Literal["baseline", "ours"], weight: float) -> Difference:
    half_2 = np.abs(box_footprints(box_9[None])[0] - box_9[:2]).max(0)
    reach = (1.25 * float(half_2[0]) + 0.75, 1.25 * float(half_2[1]) + 0.75)
    return Difference("box", better, (float(box_9[0]), float(box_9[1])), reach, box_9, weight)


def _box_differences(frame: QualitativeFrame, match_m: float) -> list[Difference]:
    """Compare the boxes: found by one only, clearly closer, or invented by one only."""
    truth, found = frame.truth, []
    distance_baseline_G = match_boxes(frame.baseline, truth, match_m)
    distance_ours_G = match_boxes(frame.ours, truth, match_m)
    for box_9, theirs, ours in zip(truth.boxes_K9, distance_baseline_G, distance_ours_G, strict=True):
        if np.isinf(theirs) and np.isinf(ours):
            continue
        gain = min(theirs, 2 * match_m) - min(ours, 2 * match_m)
        if abs(gain) >= _CLEARLY_CLOSER_M or np.isinf(theirs) != np.isinf(ours):
            found.append(_ring(box_9, "ours" if gain > 0 else "baseline", 1.0 + abs(gain) / match_m))
    false_baseline_K = _false_boxes(frame.baseline, truth, match_m)
    false_ours_K = _false_boxes(frame.ours, truth, match_m)
    for layer, false_K, other, other_false_K, better in (
        (frame.baseline, false_baseline_K, frame.ours, false_ours_K, "ours"),
        (frame.ours, false_ours_K, frame.baseline, false_baseline_K, "baseline"),
    ):
        others_xy = other.boxes_K9[other_false_K][:, :2].astype(float)
        for box_9, score in zip(layer.boxes_K9[false_K], layer.scores_K[false_K], strict=True):
            shared = len(others_xy) and float(np.hypot(*(others_xy - box_9[:2]).T).min()) <= match_m
            if not shared:
                found.append(_ring(box_9, better, float(score)))  # type: ignore[arg-type]
    return found


def _regions(
    mask_RR: NDArray[np.bool_], better: Literal["baseline", "ours"], half_m: float
) -> list[Difference]:
    """Find the connected regions of a mask that are worth a ring."""
    cell_m = 2 * half_m / len(mask_RR)
    # Opening removes the one-cell seams along every border, which are no difference worth a ring.
    square = np.ones((2, 2), np.uint8)
    eroded = cv2.erode(mask_RR.astype(np.uint8), square, anchor=(1, 1))
    opened = cv2.dilate(eroded, square, anchor=(0, 0))  # the other anchor: the region must not move
    count, _, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    found = []
    for region in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[region])
        area_m2 = area * cell_m**2
        if area_m2 >= _MIN_REGION_M2:
            x, y = ((start + size / 2) * cell_m - half_m for start, size in ((left, width), (top, height)))
            # An ellipse around a rectangle is wider than it by the square root of two at most.
            reach = (0.6 * width * cell_m + 0.5, 0.6 * height * cell_m + 0.5)
            found.append(Difference("map", better, (x, y), reach, None, area_m2))
    return found


def _map_differences(frame: QualitativeFrame) -> list[Difference]:
    """Find connected regions of a map class where exactly one of the maps is right."""
    wrong_baseline_CRR = frame.baseline.map_CRR != frame.truth.map_CRR
    wrong_ours_CRR = frame.ours.map_CRR != frame.truth.map_CRR
    found: list[Difference] = []
    for theirs_RR, ours_RR in zip(wrong_baseline_CRR, wrong_ours_CRR, strict=True):
        found += _regions(theirs_RR & ~ours_RR, "ours", frame.bev_half_m)
        found += _regions(ours_RR & ~theirs_RR, "baseline", frame.bev_half_m)
    return found


def _covers(ring: Difference, other: Difference) -> bool:
    """Tell whether the centre of a region already lies in another region's ring."""
    offset_2 = np.subtract(other.centre_2, ring.centre_2) / np.array(ring.reach_2)
    return float(offset_2 @ offset_2) < 1


def _without_overlap(regions: list[Difference], limit: int) -> list[Difference]:
    """Keep the heaviest regions; a hole in two map classes gets one ring."""
    kept: list[Difference] = []
    for region in sorted(regions, key=lambda item: (-item.weight, item.centre_2)):
        if len(kept) < limit and not any(_covers(other, region) for other in kept):
            kept.append(region)
    return kept


def find_differences(
    frame: QualitativeFrame, match_m: float = 2.0, max_boxes: int = 4, max_regions: int = 3
) -> list[Difference]:
    """List the most important disagreements, whichever method they speak for.

    Args:
        frame: the frame, boxes already thinned by score.
        match_m: two boxes nearer than this are the same object, metres.
        max_boxes: largest number of boxes.
        max_regions: largest number of map regions.

    Returns:
        Differences, boxes first, each kind by falling weight.
    """
    boxes = sorted(_box_differences(frame, match_m), key=lambda item: (-item.weight, item.centre_2))
    return boxes[:max_boxes] + _without_overlap(_map_differences(frame), max_regions)
