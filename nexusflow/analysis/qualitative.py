"""Collects the key frame that Figure 6 draws, with the predictions of two runs and the truth.

The frame is chosen without looking at who does better: of the city whose tracks were never labelled, the
validation key frame with the most true boxes.

Letters: N cameras, K boxes, R map cells per side, P tail points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.predictions import MAP_FILE, TRACKING_FILE, read_map, read_tracking
from nexusflow.paper.config import Figure6Config
from nexusflow.paper.qualitative_data import QualitativeFrame, SceneLayer, save_qualitative

__all__ = ["choose_frame", "collect_figure6"]

_UNLABELLED_CITY = "boston"


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
        if scene.split != "val" or (figure.scene is None and scene.city != _UNLABELLED_CITY):
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


def _to_ego(xyz_K3: NDArray[np.float64], ego2global_44: NDArray[np.float64]) -> NDArray[np.float64]:
    return (xyz_K3 - ego2global_44[:3, 3]) @ ego2global_44[:3, :3]


def _boxes_in_ego(
    entries: Sequence[Mapping[str, Any]], ego2global_44: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], list[str]]:
    """Boxes, labels, scores and ids of one sample of a submission, in the ego frame."""
    from scipy.spatial.transform import Rotation

    boxes_K9 = np.zeros((len(entries), 9), np.float32)
    if entries:
        xyz_K3 = np.array([entry["translation"] for entry in entries])
        wlh_K3 = np.array([entry["size"] for entry in entries])
        wxyz_K4 = np.array([entry["rotation"] for entry in entries])
        local = Rotation.from_matrix(ego2global_44[:3, :3].T) * Rotation.from_quat(
            np.roll(wxyz_K4, -1, axis=1)
        )
        velocity_K2 = np.array([entry["velocity"] for entry in entries]) @ ego2global_44[:2, :2]
        boxes_K9[:, :3] = _to_ego(xyz_K3, ego2global_44)
        boxes_K9[:, 3:6] = wlh_K3[:, [1, 0, 2]]
        boxes_K9[:, 6] = local.as_euler("ZYX")[:, 0]
        boxes_K9[:, 7:9] = velocity_K2
    labels_K = np.array([TRACKING_CLASSES.index(entry["tracking_name"]) for entry in entries], np.int64)
    scores_K = np.array([entry["tracking_score"] for entry in entries], np.float32)
    return boxes_K9, labels_K, scores_K, [str(entry["tracking_id"]) for entry in entries]


def _tails(
    centres: Sequence[tuple[Sequence[str], NDArray[np.float64]]],
    number: Mapping[str, int],
    ego2global_44: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Earlier centres of the tracks alive now; `centres` holds (ids, global xyz) per frame, newest first."""
    xy, ids, ages = [np.zeros((0, 2))], [], []
    for age, (names, xyz_K3) in enumerate(centres, start=1):
        keep = [k for k, name in enumerate(names) if name in number]
        xy.append(_to_ego(xyz_K3[keep], ego2global_44)[:, :2])
        ids += [number[names[k]] for k in keep]
        ages += [age] * len(keep)
    return np.concatenate(xy).astype(np.float32), np.array(ids, np.int64), np.array(ages, np.int64)


def _predicted_layer(
    name: str, label: str, folder: Path, cache: NuScenesCache, frames: Sequence[int]
) -> SceneLayer:
    """What a run says about `frames[0]`, with tails over the earlier frames that follow."""
    results = read_tracking(folder / TRACKING_FILE)
    maps = read_map(folder / MAP_FILE)
    tokens = [cache.sample_tokens[frame] for frame in frames]
    if tokens[0] not in results or tokens[0] not in maps.sample_tokens:
        raise UserError(f"{folder} has no prediction of sample {tokens[0]}; predict the run again.")
    ego2global_44 = cache.ego2global_F44[frames[0]]
    boxes_K9, labels_K, scores_K, names = _boxes_in_ego(results[tokens[0]], ego2global_44)
    number = {name_: index for index, name_ in enumerate(sorted(set(names), key=lambda x: (len(x), x)))}
    earlier = []
    for token in tokens[1:]:
        entries = results.get(token, [])
        xyz_K3 = np.array([entry["translation"] for entry in entries], np.float64).reshape(-1, 3)
        earlier.append(([str(entry["tracking_id"]) for entry in entries], xyz_K3))
    tail_xy, tail_ids, tail_ages = _tails(earlier, number, ego2global_44)
    row = np.array([maps.sample_tokens.index(tokens[0])])
    ids_K = np.array([number[name_] for name_ in names], np.int64)
    map_CRR = maps.masks(row)[0]
    return SceneLayer(name, label, boxes_K9, labels_K, ids_K, scores_K, map_CRR, tail_xy, tail_ids, tail_ages)


def _true_layer(cache: NuScenesCache, frames: Sequence[int]) -> SceneLayer:
    rows = cache.boxes_of(frames[0])
    names = [str(instance) for instance in cache.instances_M[rows]]
    number = {name: index for index, name in enumerate(names)}
    earlier = []
    for frame in frames[1:]:
        past = cache.boxes_of(frame)
        rotation_33, shift_3 = cache.ego2global_F44[frame][:3, :3], cache.ego2global_F44[frame][:3, 3]
        xyz_K3 = cache.boxes_M9[past][:, :3].astype(np.float64) @ rotation_33.T + shift_3
        earlier.append(([str(instance) for instance in cache.instances_M[past]], xyz_K3))
    tails = _tails(earlier, number, cache.ego2global_F44[frames[0]])
    count = len(names)
    return SceneLayer(
        "truth",
        "Truth",
        np.asarray(cache.boxes_M9[rows], np.float32),
        np.asarray(cache.labels_M[rows], np.int64),
        np.arange(count, dtype=np.int64),
        np.ones(count, np.float32),
        np.asarray(cache.map_FKHW[frames[0]], np.uint8),
        *tails,
    )


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
            baseline=_predicted_layer(figure.baseline.run, figure.baseline.label, baseline, cache, frames),
            ours=_predicted_layer(figure.ours.run, figure.ours.label, ours, cache, frames),
            truth=_true_layer(cache, frames),
            info={**info, **chosen},
        ),
        npz_path,
    )
