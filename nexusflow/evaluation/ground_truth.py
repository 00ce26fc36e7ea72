"""True tracks of a nuScenes-format data set as arrays, filtered like the official tracking evaluation.

Shape letters: F frames, N boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json
from nexusflow.data.nuscenes.vocabulary import city_of_location
from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.tracks import Timeline, Tracks

__all__ = ["GroundTruth", "load_ground_truth", "official_split", "split_scenes"]

_RACK = "static_object.bicycle_rack"
_RACKED = tuple(TRACKING_CLASSES.index(name) for name in ("bicycle", "motorcycle"))


@dataclass(frozen=True)
class GroundTruth:
    """True boxes of the evaluated frames, before the range filter.

    Args:
        timeline: the frames.
        tracks: boxes of the seven classes with at least one point, outside bicycle racks.
        ego_F2: global position of the ego vehicle, metres.
        racks: frame → bicycle racks as (translation, size, rotation).
    """

    timeline: Timeline
    tracks: Tracks
    ego_F2: NDArray[np.float64]
    racks: Mapping[int, Sequence[tuple[Any, Any, Any]]]

    @cached_property
    def frames(self) -> dict[str, int]:
        """Sample token → frame index."""
        return {token: frame for frame, token in enumerate(self.timeline.sample_tokens)}

    def within_range(self, tracks: Tracks, class_range_m: Mapping[str, float]) -> Tracks:
        """Keep the boxes whose centre is near enough to the ego vehicle.

        Args:
            tracks: true or predicted boxes.
            class_range_m: class → range in metres.

        Returns:
            The boxes nearer than the range of their class.
        """
        offset_N2 = tracks.xy_N2 - self.ego_F2[tracks.frame_N]
        range_C = np.array([class_range_m[name] for name in TRACKING_CLASSES], dtype=np.float64)
        return tracks.take(np.sqrt((offset_N2**2).sum(axis=1)) < range_C[tracks.label_N])

    def submission_tracks(
        self, results: Mapping[str, Sequence[Mapping[str, Any]]], class_range_m: Mapping[str, float]
    ) -> Tracks:
        """Turn a submission into arrays, with the official filters for range and bicycle racks.

        Args:
            results: sample token → boxes, as `read_tracking` gives them; every frame must be there.
            class_range_m: class → range in metres.

        Returns:
            The remaining boxes with the scores of single boxes.
        """
        rows: list[tuple[int, int, int, float]] = []
        places: list[Sequence[float]] = []
        identities: dict[tuple[int, str], int] = {}
        for frame, token in enumerate(self.timeline.sample_tokens):
            scene = int(self.timeline.scene_F[frame])
            for box in results[token]:
                identity = identities.setdefault((scene, box["tracking_id"]), len(identities))
                label = TRACKING_CLASSES.index(box["tracking_name"])
                rows.append((frame, label, identity, float(box["tracking_score"])))
                places.append(box["translation"])
        tracks, xyz_N3 = _tracks_of(rows, places)
        inside = self._in_rack(tracks, xyz_N3)
        return self.within_range(tracks.take(~inside), class_range_m)

    def _in_rack(self, tracks: Tracks, xyz_N3: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which bicycles and motorcycles stand in a bicycle rack."""
        inside_N = np.zeros(len(tracks), dtype=bool)
        if not self.racks:
            return inside_N
        from nuscenes.utils.data_classes import Box
        from nuscenes.utils.geometry_utils import points_in_box
        from pyquaternion import Quaternion

        cyclable_N = np.isin(tracks.label_N, _RACKED)
        for frame, racks in self.racks.items():
            here = np.flatnonzero((tracks.frame_N == frame) & cyclable_N)
            for translation, size, rotation in racks if len(here) else ():
                rack = Box(translation, size, Quaternion(rotation))
                inside_N[here] |= points_in_box(rack, xyz_N3[here].T)
        return inside_N


def _tracks_of(
    rows: Sequence[tuple[int, int, int, float]], places: Sequence[Sequence[float]]
) -> tuple[Tracks, NDArray[np.float64]]:
    """Make arrays of (frame, label, track, score) rows and their global centres."""
    xyz_N3 = np.array(places, dtype=np.float64).reshape(-1, 3)
    whole_N3 = np.array([row[:3] for row in rows], dtype=np.int64).reshape(-1, 3)
    score_N = np.array([row[3] for row in rows], dtype=np.float64)
    return Tracks(whole_N3[:, 0], whole_N3[:, 1], whole_N3[:, 2], xyz_N3[:, :2], score_N), xyz_N3


def official_split(split: str, version: str) -> str:
    """Name the split for the devkit: in "v1.0-mini", "train" and "val" stand for "mini_train", "mini_val".

    Args:
        split: split name.
        version: name of the table folder.

    Returns:
        Official name.
    """
    return f"mini_{split}" if version.endswith("mini") and split in ("train", "val") else split


def split_scenes(split: str) -> list[str]:
    """Give the scene names of an official nuScenes split.

    Args:
        split: "train", "val", "mini_train", …

    Returns:
        Scene names.

    Raises:
        UserError: if there is no such split.
    """
    from nuscenes.utils.splits import create_splits_scenes

    splits = create_splits_scenes()
    if split not in splits:
        raise UserError(f"There is no split '{split}'; set evaluation.split to one of {', '.join(splits)}.")
    return list(splits[split])


def _table(root: Path, name: str) -> list[dict[str, Any]]:
    table = read_json(root / f"{name}.json")
    if not isinstance(table, list):
        raise UserError(f"{root / name}.json is no list of records; make the data set again.")
    return table


def _ego_positions(root: Path, samples: Mapping[str, int]) -> NDArray[np.float64]:
    """Ego position at the LIDAR_TOP key frame of every sample, (F, 2)."""
    lidar = {s["token"] for s in _table(root, "sensor") if s["channel"] == "LIDAR_TOP"}
    calibrated = {c["token"] for c in _table(root, "calibrated_sensor") if c["sensor_token"] in lidar}
    pose_of = {
        d["ego_pose_token"]: samples[d["sample_token"]]
        for d in _table(root, "sample_data")
        if d["is_key_frame"] and d["calibrated_sensor_token"] in calibrated and d["sample_token"] in samples
    }
    ego_F2 = np.full((len(samples), 2), np.nan)
    for pose in _table(root, "ego_pose"):
        if pose["token"] in pose_of:
            ego_F2[pose_of[pose["token"]]] = pose["translation"][:2]
    if np.isnan(ego_F2).any():
        raise UserError(f"{root} lacks the LIDAR_TOP ego pose of some key frames; make the data set again.")
    return ego_F2


def _timeline(root: Path, names: Sequence[str]) -> Timeline:
    """Frames of the named scenes, in the order of the scene table."""
    scenes = [scene for scene in _table(root, "scene") if scene["name"] in set(names)]
    if not scenes:
        raise UserError(f"{root}/scene.json has none of the wanted scenes; check the split and the version.")
    logs = str(root / "log.json")
    city = {
        log["token"]: city_of_location(log["location"], log["token"], logs) for log in _table(root, "log")
    }
    index = {scene["token"]: i for i, scene in enumerate(scenes)}
    samples = [s for s in _table(root, "sample") if s["scene_token"] in index]
    samples.sort(key=lambda s: (index[s["scene_token"]], s["timestamp"]))
    return Timeline(
        [s["token"] for s in samples],
        np.array([index[s["scene_token"]] for s in samples], dtype=np.int64),
        np.array([s["timestamp"] for s in samples], dtype=np.int64),
        [str(scene["name"]) for scene in scenes],
        [city[scene["log_token"]] for scene in scenes],
    )


def load_ground_truth(
    data_root: Path, version: str, split: str = "val", scenes: Sequence[str] | None = None
) -> GroundTruth:
    """Read true tracks straight from the tables.

    Args:
        data_root: folder of a nuScenes-format data set.
        version: name of its table folder, e.g. "v1.0-trainval".
        split: official split; its scenes that are not in the data set are left out.
        scenes: names of the scenes to keep; default: all of the split.

    Returns:
        The frames and boxes.

    Raises:
        UserError: if a table is missing or malformed, or no scene is left.
    """
    from nuscenes.eval.tracking.utils import category_to_tracking_name

    root = Path(data_root) / version
    names = split_scenes(official_split(split, version))
    timeline = _timeline(root, names if scenes is None else [name for name in names if name in set(scenes)])
    frames = {token: frame for frame, token in enumerate(timeline.sample_tokens)}
    category = {c["token"]: str(c["name"]) for c in _table(root, "category")}
    name_of = {i["token"]: category[i["category_token"]] for i in _table(root, "instance")}
    rows: list[tuple[int, int, int, float]] = []
    places: list[Sequence[float]] = []
    identities: dict[str, int] = {}
    racks: dict[int, list[tuple[Any, Any, Any]]] = {}
    for box in _table(root, "sample_annotation"):
        frame = frames.get(box["sample_token"])
        if frame is None:
            continue
        kind = name_of[box["instance_token"]]
        if kind == _RACK:
            racks.setdefault(frame, []).append((box["translation"], box["size"], box["rotation"]))
        name = category_to_tracking_name(kind)
        if name is not None and box["num_lidar_pts"] + box["num_radar_pts"] != 0:
            identity = identities.setdefault(box["instance_token"], len(identities))
            rows.append((frame, TRACKING_CLASSES.index(name), identity, -1.0))
            places.append(box["translation"])
    tracks, xyz_N3 = _tracks_of(rows, places)
    order = np.argsort(tracks.frame_N, kind="stable")
    ground_truth = GroundTruth(timeline, tracks.take(order), _ego_positions(root, frames), racks)
    outside = ~ground_truth._in_rack(ground_truth.tracks, xyz_N3[order])
    return GroundTruth(timeline, ground_truth.tracks.take(outside), ground_truth.ego_F2, racks)
