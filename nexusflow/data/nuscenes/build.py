"""Building the cache: tables are read once, images and map targets in parallel, straight into mapped files.

Shape letters: F frames, N cameras, M boxes, 44 a matrix.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nexusflow.core.files import atomic_path, read_json, sha256_file, sha256_json, write_json
from nexusflow.core.progress import track
from nexusflow.data.nuscenes.boxes import read_boxes, tracking_labels
from nexusflow.data.nuscenes.cameras import ImageFile, read_cameras, read_ego_pose
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.paint import PaintJob, PaintPlan, paint
from nexusflow.data.nuscenes.scenes import SceneEntry, list_scenes
from nexusflow.data.nuscenes.tables import open_tables
from nexusflow.data.nuscenes.vector_map import load_location_map
from nexusflow.data.nuscenes.vocabulary import CAMERAS, MAP_CLASSES, TRACKING_CLASSES

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

__all__ = [
    "CACHE_FORMAT",
    "FRAMES_FILE",
    "IMAGES_FILE",
    "INDEX_FILE",
    "INSTANCES_FILE",
    "MAP_FILE",
    "WORK_FOLDER",
    "build_cache",
]

CACHE_FORMAT = 1
IMAGES_FILE, MAP_FILE, FRAMES_FILE, INDEX_FILE = "images.npy", "map.npy", "frames.npz", "index.json"
INSTANCES_FILE = "instances.npy"  # only where it is asked for
# What a build that was killed leaves for the next attempt.
WORK_FOLDER = ".work"


def build_cache(
    config: NuScenesReaderConfig,
    data_root: Path,
    cache_dir: Path,
    version: str = "v1.0-trainval",
    splits: Sequence[str] = ("train", "val"),
    workers: int = 1,
    instances: bool = False,
) -> None:
    """Read a nuScenes-format root into four files: images.npy, map.npy, frames.npz and index.json.

    With `instances` a fifth one, instances.npy, numbers the pieces of every map class.

    The bytes depend on the data and the configuration only, not on the number of workers. Files appear under
    their names when all of them are complete, the index last. A build that was killed goes on with the scenes
    that are missing; pixels are trusted only where their check sum says that all of them arrived.

    Args:
        config: what to read and how to draw.
        data_root: folder in the nuScenes format.
        cache_dir: where the files go.
        version: name of the folder of tables.
        splits: splits to read, in this order.
        workers: most processes for images and map targets; small data sets are painted in this one.
        instances: whether the model learns instances of map classes.

    Raises:
        UserError: if anything in the data set is missing or broken; no file of an older cache is harmed then.
    """
    data_root, cache_dir = Path(data_root), Path(cache_dir)
    nusc = open_tables(data_root, version)
    scenes, samples = list_scenes(nusc, splits)
    arrays, files = _read_tables(nusc, samples, config)
    layers = {
        location: load_location_map(data_root, location) for location in sorted({s.location for s in scenes})
    }
    jobs = [_job(scene, arrays["ego2global_F44"], files) for scene in scenes]
    tokens = [sample["token"] for sample in samples]
    index = _index(config, data_root, version, splits, scenes, tokens, arrays)
    if instances:
        index["instances"] = True
    del nusc
    work = cache_dir / WORK_FOLDER
    pieces = work / INSTANCES_FILE if instances else None
    plan = PaintPlan(config, work / IMAGES_FILE, work / MAP_FILE, layers, pieces)
    paint(plan, jobs, work, sha256_json(index), workers)
    with atomic_path(cache_dir / FRAMES_FILE) as frames:
        np.savez(frames, **arrays)
        (cache_dir / INDEX_FILE).unlink(missing_ok=True)  # no old index beside new arrays
        (cache_dir / INSTANCES_FILE).unlink(missing_ok=True)
        for path in plan.files:
            path.replace(cache_dir / path.name)
    write_json(cache_dir / INDEX_FILE, index)
    shutil.rmtree(work, ignore_errors=True)


def _job(scene: SceneEntry, poses_F44: np.ndarray, files: list[list[ImageFile]]) -> PaintJob:
    """What is painted of a scene."""
    own = slice(scene.frames.start, scene.frames.stop)
    return PaintJob(scene.first_frame, scene.location, poses_F44[own], files[own])


def _manifest_hash(path: Path) -> str:
    """Hash of the source's manifest, as a fingerprint of the data set."""
    read_json(path)  # refuses a half-written manifest
    return sha256_file(path)


def _read_tables(
    nusc: NuScenes, samples: list[dict[str, Any]], config: NuScenesReaderConfig
) -> tuple[dict[str, np.ndarray], list[list[ImageFile]]]:
    """Read everything but pixels: the arrays of frames.npz and the image files of each frame."""
    labels = tracking_labels(nusc)
    files: list[list[ImageFile]] = []
    projections, poses, boxes = [], [], []
    for sample in track(samples, "reading key frames"):
        pose_44 = read_ego_pose(nusc, sample)
        ego2img_N44, images = read_cameras(nusc, sample, pose_44, config)
        projections.append(ego2img_N44)
        poses.append(pose_44)
        files.append(images)
        boxes.append(read_boxes(nusc, sample, pose_44, labels, config))
    arrays = {
        "ego2img_FN44": np.stack(projections).astype(np.float32),
        "ego2global_F44": np.stack(poses),
        "timestamps_F": np.array([sample["timestamp"] for sample in samples]) * 1e-6,
        "boxes_M9": np.concatenate([frame[0] for frame in boxes]),
        "labels_M": np.concatenate([frame[1] for frame in boxes]),
        "instances_M": np.concatenate([frame[2] for frame in boxes]),
        "offsets_F1": np.concatenate([[0], np.cumsum([len(frame[1]) for frame in boxes])]).astype(np.int64),
    }
    return arrays, files


def _index(
    config: NuScenesReaderConfig,
    data_root: Path,
    version: str,
    splits: Sequence[str],
    scenes: list[SceneEntry],
    tokens: list[str],
    arrays: dict[str, np.ndarray],
) -> dict[str, Any]:
    """Content of index.json; it names no place, so equal data give equal bytes anywhere."""
    manifest = data_root / "manifest.json"
    return {
        "format": CACHE_FORMAT,
        "config": config.model_dump(mode="json"),
        "version": version,
        "splits": list(splits),
        "manifest_sha256": _manifest_hash(manifest) if manifest.is_file() else None,
        "cameras": list(CAMERAS),
        "tracking_classes": list(TRACKING_CLASSES),
        "map_classes": list(MAP_CLASSES),
        "counts": _counts(scenes, arrays),
        "scenes": [asdict(scene) for scene in scenes],
        "sample_tokens": tokens,
    }


def _counts(scenes: list[SceneEntry], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What the cache holds, for people and for checks."""
    per_label = np.bincount(arrays["labels_M"], minlength=len(TRACKING_CLASSES))
    cities = [f"{scene.split}/{scene.city}" for scene in scenes]
    return {
        "scenes": len(scenes),
        "frames": len(arrays["timestamps_F"]),
        "boxes": len(arrays["labels_M"]),
        "boxes_per_class": {name: int(n) for name, n in zip(TRACKING_CLASSES, per_label, strict=True)},
        "scenes_per_split_and_city": {key: cities.count(key) for key in sorted(set(cities))},
    }
