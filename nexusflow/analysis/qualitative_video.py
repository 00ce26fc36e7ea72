"""Collects the key frames of the scene that the video shows, with the predictions of two runs and the truth.

The scene is chosen without looking at predictions: the one of Figure 6, which holds, of the city whose tracks
were never labelled, the validation key frame with the most true boxes.

Letters: N cameras.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nexusflow.analysis.qualitative import UNLABELLED_CITY
from nexusflow.analysis.scene_layers import RunPredictions, predicted_layer, true_layer
from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.cache import NuScenesCache, SceneEntry
from nexusflow.paper.pictures_config import VideoConfig
from nexusflow.paper.qualitative_data import CAMERAS
from nexusflow.paper.video_data import VIDEO_CAMERAS, SceneVideo, VideoFrame, save_video

__all__ = ["choose_scene", "collect_video"]

_VIEWS = [CAMERAS.index(name) for name in VIDEO_CAMERAS]


def choose_scene(cache: NuScenesCache, video: VideoConfig) -> SceneEntry:
    """Choose the scene to show.

    Args:
        cache: the decoded data set.
        video: may fix the scene.

    Returns:
        The scene.

    Raises:
        UserError: if the configured scene does not exist.
    """
    candidates = [
        scene
        for scene in cache.scenes_of("val")
        if scene.num_frames
        if (scene.city == UNLABELLED_CITY if video.scene is None else scene.name == video.scene)
    ]
    if not candidates:
        raise UserError("config/paper.yaml: key `video.scene` names no validation scene; choose another.")
    sizes_F = np.diff(cache.offsets_F1)
    # The first of equals, as in Figure 6.
    return max(candidates, key=lambda scene: int(sizes_F[scene.frames].max()))


def _numbers(names: Iterable[str]) -> dict[str, int]:
    """Number tracks from 1 in the order of their first appearance."""
    return {name: index for index, name in enumerate(dict.fromkeys(names), start=1)}


def _track_numbers(run: RunPredictions, tokens: Sequence[str], threshold: float) -> dict[str, int]:
    """Number the tracks of a run over a scene; those that are drawn at some time come first."""
    entries = [entry for token in tokens for entry in run.tracks.get(token, [])]
    drawn = [entry for entry in entries if entry["tracking_score"] >= threshold]
    return _numbers(str(entry["tracking_id"]) for entry in (*drawn, *entries))


def collect_video(
    video: VideoConfig,
    cache: NuScenesCache,
    baseline: Path,
    ours: Path,
    bev_half_m: float,
    info: Mapping[str, Any],
    npz_path: Path,
) -> None:
    """Write the key frames that the video draws; track numbers are stable over the scene.

    Args:
        video: the two runs, and what fixes the scene.
        cache: the decoded data set.
        baseline: prediction folder of the run in the upper strip.
        ours: prediction folder of the run in the lower strip.
        bev_half_m: half side of the map canvas, metres.
        info: scale, data and seed for the caption.
        npz_path: destination; a .json of the same name goes beside it.

    Raises:
        UserError: if a prediction is missing or the configured scene does not exist.
    """
    scene = choose_scene(cache, video)
    runs = {"baseline": RunPredictions.read(baseline), "ours": RunPredictions.read(ours)}
    tokens = [cache.sample_tokens[frame] for frame in scene.frames]
    numbers = {key: _track_numbers(run, tokens, video.score_threshold) for key, run in runs.items()}
    rows = [cache.boxes_of(frame) for frame in scene.frames]
    instances = _numbers(str(name) for row in rows for name in cache.instances_M[row])
    shown = []
    for frame in scene.frames:
        first = max(scene.first_frame, frame - video.tail_frames)
        frames = list(range(frame, first - 1, -1))
        layers = {
            key: predicted_layer(run, getattr(video, key), cache, frames, numbers[key])
            for key, run in runs.items()
        }
        images_NCHW = np.asarray(cache.images_FNCHW[frame])[_VIEWS]
        shown.append(
            VideoFrame(
                images_NHW3=np.ascontiguousarray(images_NCHW.transpose(0, 2, 3, 1)),
                ego2img_N44=np.asarray(cache.ego2img_FN44[frame], np.float32)[_VIEWS],
                time_s=float(cache.timestamps_F[frame] - cache.timestamps_F[scene.first_frame]),
                truth=true_layer(cache, frames, instances),
                **layers,
            )
        )
    caption = {**info, "scene": scene.name, "city": scene.city}
    save_video(SceneVideo(tuple(shown), bev_half_m, caption), npz_path)
