"""The cache of decoded key frames: four or five files that open in milliseconds.

Shape letters: F frames, N cameras, C colours (RGB), H and W rows and columns, K map classes, M boxes of all
frames, 44 a homogeneous matrix, 9 the box vector (x, y, z, l, w, h, yaw, vx, vy).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json
from nexusflow.data.nuscenes.build import (
    CACHE_FORMAT,
    FRAMES_FILE,
    IMAGES_FILE,
    INDEX_FILE,
    INSTANCES_FILE,
    MAP_FILE,
    build_cache,
)
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.scenes import SceneEntry
from nexusflow.data.nuscenes.vocabulary import CAMERAS, MAP_CLASSES

__all__ = ["NuScenesCache", "SceneEntry", "build_cache"]

_ARRAYS = (
    *("ego2img_FN44", "ego2global_F44", "timestamps_F"),
    *("boxes_M9", "labels_M", "instances_M", "offsets_F1"),
)


@dataclass(frozen=True)
class NuScenesCache:
    """Decoded key frames of some splits; frames of a scene are consecutive and ordered by time.

    Args:
        config: the reader's settings.
        version: name of the folder of tables.
        manifest_sha256: fingerprint of the source, if it has one.
        scenes: the scenes.
        sample_tokens: token of each frame (F).
        images_FNCHW: mapped uint8, RGB.
        map_FKHW: mapped uint8, 0 or 1.
        ego2img_FN44: float32 projections of ego points to the cached images.
        ego2global_F44: float64 ego poses.
        timestamps_F: float64 seconds.
        boxes_M9: float32, ego frame of their key frame.
        labels_M: int64, 0..6.
        instances_M: int64, index into the instance table.
        offsets_F1: int64; frame f owns rows offsets[f]:offsets[f + 1] of the boxes.
        map_instances_FKHW: mapped int16, number of the instance of a map class in a cell, 0 = none; None if
            the cache was built without.
    """

    config: NuScenesReaderConfig
    version: str
    manifest_sha256: str | None
    scenes: list[SceneEntry]
    sample_tokens: list[str]
    images_FNCHW: np.ndarray
    map_FKHW: np.ndarray
    ego2img_FN44: np.ndarray
    ego2global_F44: np.ndarray
    timestamps_F: np.ndarray
    boxes_M9: np.ndarray
    labels_M: np.ndarray
    instances_M: np.ndarray
    offsets_F1: np.ndarray
    map_instances_FKHW: np.ndarray | None = None

    @classmethod
    def open(cls, cache_dir: Path) -> NuScenesCache:
        """Open a cache; images and maps stay on disk until they are indexed.

        Args:
            cache_dir: folder written by `build_cache`.

        Returns:
            The cache.

        Raises:
            UserError: if a file is missing, broken, or does not fit the index.
        """
        cache_dir = Path(cache_dir)
        index = read_json(cache_dir / INDEX_FILE)
        try:
            if index["format"] != CACHE_FORMAT:
                raise ValueError(f"format {index['format']}")
            config = NuScenesReaderConfig(**index["config"])
            scenes = [SceneEntry(**scene) for scene in index["scenes"]]
            tokens = list(index["sample_tokens"])
            header = {"version": index["version"], "manifest_sha256": index["manifest_sha256"]}
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise UserError(
                f"{cache_dir / INDEX_FILE} is no index of this cache format ({error}); build the cache again."
            ) from error
        arrays = _load_arrays(cache_dir / FRAMES_FILE)
        count = len(tokens)
        images_FNCHW = _load_mapped(
            cache_dir / IMAGES_FILE, (count, len(CAMERAS), 3, config.image_height, config.image_width)
        )
        canvas = (count, len(MAP_CLASSES), config.map_cells, config.map_cells)
        map_FKHW = _load_mapped(cache_dir / MAP_FILE, canvas)
        pieces = None
        if index.get("instances", False):
            pieces = _load_mapped(cache_dir / INSTANCES_FILE, canvas, np.int16)
        if any(len(arrays[name]) != count for name in _ARRAYS[:3]) or len(arrays["offsets_F1"]) != count + 1:
            raise UserError(f"{cache_dir / FRAMES_FILE} does not fit {INDEX_FILE}; build the cache again.")
        return cls(
            config=config,
            scenes=scenes,
            sample_tokens=tokens,
            images_FNCHW=images_FNCHW,
            map_FKHW=map_FKHW,
            map_instances_FKHW=pieces,
            **header,
            **arrays,
        )

    def scenes_of(self, split: str) -> list[SceneEntry]:
        """List the scenes of a split.

        Args:
            split: e.g. "train".

        Returns:
            Its scenes in cache order.
        """
        return [scene for scene in self.scenes if scene.split == split]

    def boxes_of(self, frame: int) -> slice:
        """Locate the boxes of a frame.

        Args:
            frame: index of the frame.

        Returns:
            Slice into `boxes_M9`, `labels_M` and `instances_M`.
        """
        return slice(int(self.offsets_F1[frame]), int(self.offsets_F1[frame + 1]))


def _load_arrays(path: Path) -> dict[str, Any]:
    """Load the small arrays."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in _ARRAYS}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is missing or broken ({error}); build the cache again.") from error


def _load_mapped(path: Path, shape: tuple[int, ...], kind: type = np.uint8) -> np.ndarray:
    """Map a file of pixels and check its shape."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is missing or broken ({error}); build the cache again.") from error
    if array.shape != shape or array.dtype != kind:
        raise UserError(
            f"{path} has shape {array.shape}, but {INDEX_FILE} says {shape}; build the cache again."
        )
    return array
