"""What a run says about a key frame, or the truth, in the ego frame, with the tracks' tails.

Letters: K boxes, R map cells per side, P tail points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.predictions import (
    MAP_FILE,
    TRACKING_FILE,
    MapPrediction,
    read_map,
    read_tracking,
)
from nexusflow.paper.config_base import RunLabel
from nexusflow.paper.qualitative_data import SceneLayer

__all__ = ["RunPredictions", "boxes_in_ego", "predicted_layer", "true_layer"]


@dataclass(frozen=True)
class RunPredictions:
    """The prediction files of a run.

    Attributes:
        folder: where they lie.
        tracks: sample token → entries of the tracking submission.
        maps: map masks of all samples.
    """

    folder: Path
    tracks: Mapping[str, Sequence[Mapping[str, Any]]]
    maps: MapPrediction

    @classmethod
    def read(cls, folder: Path) -> RunPredictions:
        """Read a prediction folder.

        Args:
            folder: the folder.

        Returns:
            Its content.

        Raises:
            UserError: for a missing or malformed file.
        """
        return cls(folder, read_tracking(folder / TRACKING_FILE), read_map(folder / MAP_FILE))

    def names(self, token: str) -> list[str]:
        """List the track names of a sample, in the order of its boxes."""
        return [str(entry["tracking_id"]) for entry in self.tracks.get(token, [])]


def _to_ego(xyz_K3: NDArray[np.float64], ego2global_44: NDArray[np.float64]) -> NDArray[np.float64]:
    return (xyz_K3 - ego2global_44[:3, 3]) @ ego2global_44[:3, :3]


def boxes_in_ego(
    entries: Sequence[Mapping[str, Any]], ego2global_44: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Bring the boxes of a submission back into the ego frame.

    Args:
        entries: entries of one sample.
        ego2global_44: ego pose of the sample, metres.

    Returns:
        Boxes (K, 9): x, y, z, l, w, h (metres), yaw (radians), vx, vy (m/s); labels (K,); scores (K,).
    """
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
    return boxes_K9, labels_K, scores_K


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


def predicted_layer(
    run: RunPredictions,
    label: RunLabel,
    cache: NuScenesCache,
    frames: Sequence[int],
    number: Mapping[str, int] | None = None,
) -> SceneLayer:
    """Collect what a run says about a key frame.

    Args:
        run: the run's predictions.
        label: the run and its shown name.
        cache: the decoded data set.
        frames: the key frame, then the earlier ones over which the tails go, newest first.
        number: track name → shown number; None: numbers of this key frame alone.

    Returns:
        The layer.

    Raises:
        UserError: if the run has no prediction of the key frame.
    """
    tokens = [cache.sample_tokens[frame] for frame in frames]
    if tokens[0] not in run.tracks or tokens[0] not in run.maps.sample_tokens:
        raise UserError(f"{run.folder} has no prediction of sample {tokens[0]}; predict the run again.")
    ego2global_44 = cache.ego2global_F44[frames[0]]
    boxes_K9, labels_K, scores_K = boxes_in_ego(run.tracks[tokens[0]], ego2global_44)
    names = run.names(tokens[0])
    if number is None:
        number = {name: index for index, name in enumerate(sorted(set(names), key=lambda x: (len(x), x)))}
    here = {name: number[name] for name in names}
    earlier = []
    for token in tokens[1:]:
        xyz = [entry["translation"] for entry in run.tracks.get(token, [])]
        earlier.append((run.names(token), np.array(xyz, np.float64).reshape(-1, 3)))
    row = np.array([run.maps.sample_tokens.index(tokens[0])])
    ids_K = np.array([here[name] for name in names], np.int64)
    map_CRR = run.maps.masks(row)[0]
    tails = _tails(earlier, here, ego2global_44)
    return SceneLayer(label.run, label.label, boxes_K9, labels_K, ids_K, scores_K, map_CRR, *tails)


def true_layer(
    cache: NuScenesCache, frames: Sequence[int], number: Mapping[str, int] | None = None
) -> SceneLayer:
    """Collect the truth of a key frame.

    Args:
        cache: the decoded data set.
        frames: the key frame, then the earlier ones over which the tails go, newest first.
        number: instance → shown number; None: numbers of this key frame alone.

    Returns:
        The layer.
    """
    rows = cache.boxes_of(frames[0])
    names = [str(instance) for instance in cache.instances_M[rows]]
    here = {name: index if number is None else number[name] for index, name in enumerate(names)}
    earlier = []
    for frame in frames[1:]:
        past = cache.boxes_of(frame)
        rotation_33, shift_3 = cache.ego2global_F44[frame][:3, :3], cache.ego2global_F44[frame][:3, 3]
        xyz_K3 = cache.boxes_M9[past][:, :3].astype(np.float64) @ rotation_33.T + shift_3
        earlier.append(([str(instance) for instance in cache.instances_M[past]], xyz_K3))
    return SceneLayer(
        "truth",
        "Truth",
        np.asarray(cache.boxes_M9[rows], np.float32),
        np.asarray(cache.labels_M[rows], np.int64),
        np.array([here[name] for name in names], np.int64),
        np.ones(len(names), np.float32),
        np.asarray(cache.map_FKHW[frames[0]], np.uint8),
        *_tails(earlier, here, cache.ego2global_F44[frames[0]]),
    )
