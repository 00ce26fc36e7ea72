"""Scores of resampled validation splits: what depends on which images or scenes happen to be in it.

The draws depend on the number of groups alone, so that resamples of two runs can be paired.

Letters: B resamples, G groups (images or scenes), F frames, K classes, R map regions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexusflow.evaluation.dense import DenseMetrics
from nexusflow.evaluation.mapping import MAP_METRICS, MapCounts
from nexusflow.evaluation.tracking_resampling import SceneCounts, score_drawn

__all__ = ["RESAMPLES", "draw_groups", "resample_dense", "resample_scenes"]

RESAMPLES = 200
_SEED = 0
_DIGITS = 6  # more would only make the file larger


def draw_groups(count: int) -> NDArray[np.int64]:
    """Draw as many groups as there are, with replacement.

    Args:
        count: number G of groups.

    Returns:
        How often each was drawn, (B, G).
    """
    generator = np.random.Generator(np.random.PCG64(_SEED))
    return generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)


def _content(unit: str, count: int, values: Mapping[str, Sequence[float] | NDArray[Any]]) -> dict[str, Any]:
    rounded = {name: [round(float(x), _DIGITS) for x in column] for name, column in values.items()}
    return {"unit": unit, "groups": count, "seed": _SEED, "values": rounded}


def resample_dense(images: Sequence[DenseMetrics]) -> dict[str, Any]:
    """Score resampled sets of images.

    Args:
        images: what each image adds up to, see `nexusflow.evaluation.dense.compare_images`.

    Returns:
        `unit`, `groups`, `seed`, and `values`: "Seg IoU" (%), "Depth aErr" (metres), "Norm mErr" (degrees) →
        B numbers.
    """
    scores = [DenseMetrics.joined(images, drawn_G).compute() for drawn_G in draw_groups(len(images))]
    names = ("Seg IoU", "Depth aErr", "Norm mErr")
    kept = [name for name in names if all(name in score for score in scores)]
    return _content("image", len(images), {name: [score[name] for score in scores] for name in kept})


def resample_scenes(
    counts: MapCounts, scene_F: NDArray[Any], tracking: SceneCounts | None = None
) -> dict[str, Any]:
    """Score the maps and tracks of resampled sets of scenes.

    Args:
        counts: cells in intersection and union of every frame.
        scene_F: name of the scene of every frame.
        tracking: counts of tracking, scene by scene.

    Returns:
        `unit`, `groups`, `seed`, and `values`: map metric → B numbers, %, if it has a cell; tracking metric →
        B numbers.

    Raises:
        ValueError: if map and tracks are of different scenes.
    """
    names, codes_F = np.unique(scene_F, return_inverse=True)
    sums = []
    for table_FR in (counts.intersection_FR, counts.union_FR):
        sum_GR = np.zeros((len(names), table_FR.shape[1]), np.int64)
        np.add.at(sum_GR, codes_F, table_FR)
        sums.append(draw_groups(len(names)) @ sum_GR)
    values: dict[str, Sequence[float] | NDArray[Any]] = {
        name: 100.0 * sums[0][:, region] / sums[1][:, region]
        for region, name in enumerate(MAP_METRICS)
        if (sums[1][:, region] > 0).all()
    }
    if tracking is not None:
        if sorted(tracking.scenes) != names.tolist():
            raise ValueError("map and tracks are of different scenes")
        order = np.argsort(np.argsort(tracking.scenes))
        values |= score_drawn(tracking, draw_groups(len(names))[:, order])
    return _content("scene", len(names), values)
