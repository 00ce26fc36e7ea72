"""Collects the key frame that Figure 6 draws, with the predictions of two runs and the truth.

The frame is chosen without looking at who does better: of the city whose tracks were never labelled, the
validation key frame with the most true boxes.

Letters: N cameras.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nexusflow.analysis.scene_layers import RunPredictions, predicted_layer, true_layer
from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.paper.config import Figure6Config
from nexusflow.paper.qualitative_data import QualitativeFrame, save_qualitative

__all__ = ["UNLABELLED_CITY", "choose_frame", "collect_figure6"]

UNLABELLED_CITY = "boston"


def choose_frame(cache: NuScenesCache, figure: Figure6Config) -> tuple[int, int]:
    """Choose the key frame to show.

    Args:
        cache: the decoded data set.
        figure: may fix the scene and the key frame.

    Returns:
        Index of the scene in `cache.scenes`, and index of the frame.

    Raises:
        UserError: if the configured scene or key frame does not exist.
    """
    candidates: list[tuple[int, int]] = []
    for index, scene in enumerate(cache.scenes):
        if scene.split != "val" or (figure.scene is None and scene.city != UNLABELLED_CITY):
            continue
        if figure.scene is not None and scene.name != figure.scene:
            continue
        numbers = range(scene.num_frames) if figure.key_frame is None else [figure.key_frame]
        candidates += [(index, scene.first_frame + number) for number in numbers if number < scene.num_frames]
    if not candidates:
        raise UserError(
            "config/paper.yaml: key `figure6.scene` or `figure6.key_frame` names no validation key frame."
        )
    sizes = [int(cache.offsets_F1[frame + 1] - cache.offsets_F1[frame]) for _, frame in candidates]
    return candidates[int(np.argmax(sizes))]


def collect_figure6(
    figure: Figure6Config,
    cache: NuScenesCache,
    baseline: Path,
    ours: Path,
    bev_half_m: float,
    info: Mapping[str, Any],
    npz_path: Path,
) -> None:
    """Write the frame that Figure 6 draws.

    Args:
        figure: the two runs, and what fixes the frame.
        cache: the decoded data set.
        baseline: prediction folder of the run in the upper strip.
        ours: prediction folder of the run in the middle strip.
        bev_half_m: half side of the map canvas, metres.
        info: scale, data and seed for the caption.
        npz_path: destination; a .json of the same name goes beside it.

    Raises:
        UserError: if a prediction is missing or the configured frame does not exist.
    """
    index, frame = choose_frame(cache, figure)
    scene = cache.scenes[index]
    first = max(scene.first_frame, frame - figure.tail_frames)
    frames = list(range(frame, first - 1, -1))
    chosen = {"scene": scene.name, "key_frame": frame - scene.first_frame, "city": scene.city}
    save_qualitative(
        QualitativeFrame(
            images_NHW3=np.ascontiguousarray(np.asarray(cache.images_FNCHW[frame]).transpose(0, 2, 3, 1)),
            ego2img_N44=np.asarray(cache.ego2img_FN44[frame], np.float32),
            bev_half_m=bev_half_m,
            baseline=predicted_layer(RunPredictions.read(baseline), figure.baseline, cache, frames),
            ours=predicted_layer(RunPredictions.read(ours), figure.ours, cache, frames),
            truth=true_layer(cache, frames),
            info={**info, **chosen},
        ),
        npz_path,
    )
