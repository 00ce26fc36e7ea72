"""Building the cache: tables are read once, images and map targets in parallel, straight into mapped files.

Shape letters: F frames, N cameras, C colours, H and W rows and columns, K map classes, M boxes, 44 a matrix.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nexusflow.core.errors import UserError
from nexusflow.core.files import atomic_path, read_json, sha256_file, write_json
from nexusflow.core.progress import track
from nexusflow.data.nuscenes.boxes import read_boxes, tracking_labels
from nexusflow.data.nuscenes.cameras import ImageFile, read_cameras, read_ego_pose, read_images
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.raster import MapRasteriser
from nexusflow.data.nuscenes.scenes import SceneEntry, list_scenes
from nexusflow.data.nuscenes.tables import open_tables
from nexusflow.data.nuscenes.vector_map import LocationMap, load_location_map
from nexusflow.data.nuscenes.vocabulary import CAMERAS, MAP_CLASSES, TRACKING_CLASSES

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

__all__ = ["CACHE_FORMAT", "FRAMES_FILE", "IMAGES_FILE", "INDEX_FILE", "MAP_FILE", "build_cache"]

CACHE_FORMAT = 1
# Starting worker processes takes longer than decoding this many source pixels in one process.
FEW_PIXELS = 200_000_000
IMAGES_FILE, MAP_FILE, FRAMES_FILE, INDEX_FILE = "images.npy", "map.npy", "frames.npz", "index.json"


@dataclass(frozen=True)
class _Job:
    """Pixels of one scene: where they go and what they are made of."""

    first_frame: int
    location: str
    poses_F44: np.ndarray
    images: list[list[ImageFile]]


class _Painter:
    """Writes the images and map targets of scenes into the two mapped files."""

    def __init__(
        self, config: NuScenesReaderConfig, images: Path, maps: Path, layers: dict[str, LocationMap]
    ) -> None:
        self.config = config
        self.images_FNCHW = np.load(images, mmap_mode="r+")
        self.map_FKHW = np.load(maps, mmap_mode="r+")
        self.layers = layers
        self.rasterisers: dict[str, MapRasteriser] = {}

    def paint(self, job: _Job) -> None:
        """Fill in the frames of a scene."""
        if job.location not in self.rasterisers:
            self.rasterisers[job.location] = MapRasteriser(self.layers[job.location], self.config)
        rasteriser = self.rasterisers[job.location]
        for step, (pose_44, files) in enumerate(zip(job.poses_F44, job.images, strict=True)):
            self.images_FNCHW[job.first_frame + step] = read_images(files, self.config)
            self.map_FKHW[job.first_frame + step] = rasteriser.draw(pose_44)


_painter: _Painter | None = None  # of a worker process


def _start_worker(
    config: NuScenesReaderConfig, images: Path, maps: Path, layers: dict[str, LocationMap]
) -> None:
    """Prepare a worker process; it must not start threads of its own."""
    import cv2

    global _painter
    cv2.setNumThreads(1)
    _painter = _Painter(config, images, maps, layers)


def _work(job: _Job) -> None:
    """Paint one scene in a worker process."""
    assert _painter is not None
    _painter.paint(job)


def build_cache(
    config: NuScenesReaderConfig,
    data_root: Path,
    cache_dir: Path,
    version: str = "v1.0-trainval",
    splits: Sequence[str] = ("train", "val"),
    workers: int = 1,
) -> None:
    """Read a nuScenes-format root into four files: images.npy, map.npy, frames.npz and index.json.

    The bytes depend on the data and the configuration only, not on the number of workers. Files appear under
    their names when all of them are complete, the index last.

    Args:
        config: what to read and how to draw.
        data_root: folder in the nuScenes format.
        cache_dir: where the files go.
        version: name of the folder of tables.
        splits: splits to read, in this order.
        workers: most processes for images and map targets; small data sets are painted in this one.

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
    jobs = [
        _Job(
            scene.first_frame,
            scene.location,
            arrays["ego2global_F44"][scene.frames.start : scene.frames.stop],
            files[scene.frames.start : scene.frames.stop],
        )
        for scene in scenes
    ]
    tokens = [sample["token"] for sample in samples]
    index = _index(config, data_root, version, splits, scenes, tokens, arrays)
    del nusc
    with ExitStack() as stack:
        images, maps, frames = (
            stack.enter_context(atomic_path(cache_dir / name))
            for name in (IMAGES_FILE, MAP_FILE, FRAMES_FILE)
        )
        count, cells = len(samples), config.map_cells
        _allocate(images, (count, len(CAMERAS), 3, config.image_height, config.image_width))
        _allocate(maps, (count, len(MAP_CLASSES), cells, cells))
        np.savez(frames, **arrays)
        _paint_all(jobs, config, images, maps, layers, workers)
        (cache_dir / INDEX_FILE).unlink(missing_ok=True)  # no old index beside new arrays
    write_json(cache_dir / INDEX_FILE, index)


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


def _allocate(path: Path, shape: tuple[int, ...]) -> None:
    """Create a mapped file and reserve its space: a full disk shows now, not while pixels are written."""
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)


def _paint_all(
    jobs: list[_Job],
    config: NuScenesReaderConfig,
    images: Path,
    maps: Path,
    layers: dict[str, LocationMap],
    workers: int,
) -> None:
    """Paint all scenes, in this process or in several."""
    for _ in track(_painted(jobs, config, images, maps, layers, workers), "images and maps", total=len(jobs)):
        pass


def _painted(
    jobs: list[_Job],
    config: NuScenesReaderConfig,
    images: Path,
    maps: Path,
    layers: dict[str, LocationMap],
    workers: int,
) -> Iterator[None]:
    """Yield once for every painted scene."""
    pixels = sum(file.width * file.height for job in jobs for files in job.images for file in files)
    if min(workers, len(jobs)) <= 1 or pixels < FEW_PIXELS:
        painter = _Painter(config, images, maps, layers)
        for job in jobs:
            painter.paint(job)
            yield
        return
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(config, images, maps, layers),
    )
    try:
        yield from pool.map(_work, jobs)
    except BrokenProcessPool as error:
        raise UserError(
            "A worker process of the nuScenes reader was killed, probably for lack of memory; "
            "use fewer workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
