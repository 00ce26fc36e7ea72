"""Overlap of predicted and true maps, counted over the whole split.

Shape letters: F frames, K classes, H and W map rows and columns, R the five reported regions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexusflow.core.errors import UserError
from nexusflow.evaluation.constants import MAP_CLASSES

__all__ = ["MAP_METRICS", "MapCounts", "count_overlap", "evaluate_map"]

MAP_METRICS = ("Lanes", "Drivable", "Divider", "Crossing", "Contour")
_LINES = [MAP_CLASSES.index(name) for name in ("divider", "crossing", "contour")]
_SINGLE = [MAP_CLASSES.index(name) for name in ("drivable", "divider", "crossing", "contour")]
_FRAMES_AT_ONCE = 256


class MapCounts:
    """Cells in the intersection and in the union per frame and reported region, int64 (F, R)."""

    def __init__(self, intersection_FR: NDArray[np.int64], union_FR: NDArray[np.int64]) -> None:
        self.intersection_FR, self.union_FR = intersection_FR, union_FR

    def percent(self, frames: NDArray[Any] | None = None) -> dict[str, float | None]:
        """Give the intersection over union of the summed counts.

        Args:
            frames: indices or boolean mask of the frames to count; default: all.

        Returns:
            Metric name → per cent, or None where neither truth nor prediction has a single cell.
        """
        chosen = slice(None) if frames is None else frames
        intersection_R = self.intersection_FR[chosen].sum(axis=0)
        union_R = self.union_FR[chosen].sum(axis=0)
        return {
            name: 100.0 * float(inter) / float(union) if union else None
            for name, inter, union in zip(MAP_METRICS, intersection_R, union_R, strict=True)
        }


def _regions(masks_FKHW: NDArray[Any]) -> NDArray[np.bool_]:
    """Lanes, the union of all line classes, before the single classes; (F, R, H·W)."""
    masks = np.asarray(masks_FKHW).astype(bool).reshape(*masks_FKHW.shape[:2], -1)
    return np.concatenate([masks[:, _LINES].any(axis=1, keepdims=True), masks[:, _SINGLE]], axis=1)


def count_overlap(predicted_FKHW: NDArray[Any], truth_FKHW: NDArray[Any]) -> MapCounts:
    """Count the cells of intersections and unions, frame by frame.

    Args:
        predicted_FKHW: binary masks of divider, crossing, contour and drivable area.
        truth_FKHW: the true ones.

    Returns:
        Counts per frame for Lanes (the union of the lines), Drivable, Divider, Crossing, Contour.

    Raises:
        UserError: if the shapes differ.

    Source: UniAD's evaluation; "Lanes" compares the union of predicted lines with that of the true ones.
    """
    if predicted_FKHW.shape != truth_FKHW.shape:
        raise UserError(
            f"Predicted maps have shape {tuple(predicted_FKHW.shape)}, true ones {tuple(truth_FKHW.shape)};"
            " predict again with the map_cells of this data set."
        )
    intersections, unions = [], []
    for start in range(0, len(truth_FKHW), _FRAMES_AT_ONCE):
        part = slice(start, start + _FRAMES_AT_ONCE)
        predicted, truth = _regions(predicted_FKHW[part]), _regions(truth_FKHW[part])
        intersections.append((predicted & truth).sum(axis=-1))
        unions.append((predicted | truth).sum(axis=-1))
    empty = np.zeros((0, len(MAP_METRICS)), dtype=np.int64)
    return MapCounts(np.concatenate([empty, *intersections]), np.concatenate([empty, *unions]))


def evaluate_map(
    predicted_FKHW: NDArray[Any],
    truth_FKHW: NDArray[Any],
    groups: Mapping[str, NDArray[Any]] | None = None,
) -> dict[str, dict[str, float | None]]:
    """Compute the map metrics over all frames and over groups of them.

    Args:
        predicted_FKHW: binary masks of divider, crossing, contour and drivable area.
        truth_FKHW: the true ones.
        groups: name → indices or boolean mask of frames, e.g. the frames of each city.

    Returns:
        "overall" and every group → metric → per cent, or None where there is nothing to compare.

    Raises:
        UserError: if the shapes differ.
    """
    counts = count_overlap(predicted_FKHW, truth_FKHW)
    return {"overall": counts.percent(), **{k: counts.percent(v) for k, v in (groups or {}).items()}}
