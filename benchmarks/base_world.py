"""A cache in memory for step times at the paper's size: noise as images, six cameras, boxes that move.

A step costs the same on any picture, so nothing is rendered; there are as many labels as in nuScenes.

Letters: F frames, N cameras, C colours, K map classes, H × W pixels or cells, M boxes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from nexusflow.data.nuscenes.cache import NuScenesCache, SceneEntry
from nexusflow.data.nuscenes.cameras import read_cameras, read_ego_pose, read_images
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.tables import open_tables
from nexusflow.data.nuscenes.vocabulary import MAP_CLASSES, TRACKING_CLASSES
from nexusflow.data.worlds.street.rig import build_rig

__all__ = ["noise_cache", "with_key_frame"]

INSTANCES = 12  # lines of each class on the map; a guess, recorded maps were not counted
BOXES = 34  # about as many as an annotated key frame of nuScenes holds
LOCATIONS = (("boston", "boston-seaport"), ("singapore", "singapore-onenorth"))


def _projections_N44(height: int, width: int) -> np.ndarray:
    matrices = []
    for camera in build_rig(height, width):
        matrix = np.eye(4)
        matrix[:3, :3] = camera.intrinsic_33 @ camera.rotation_33.T
        matrix[:3, 3] = -matrix[:3, :3] @ camera.position_3
        matrices.append(matrix)
    return np.stack(matrices).astype(np.float32)


def _boxes(frames: int, half_m: float, generator: np.random.Generator) -> np.ndarray:
    """Return (frames, BOXES, 9): boxes at constant velocity, half a second between frames."""
    place_M2 = generator.uniform(-0.8 * half_m, 0.8 * half_m, (BOXES, 2))
    velocity_M2 = generator.uniform(-5.0, 5.0, (BOXES, 2))
    rows = np.zeros((frames, BOXES, 9), np.float32)
    rows[..., :2] = place_M2 + 0.5 * np.arange(frames)[:, None, None] * velocity_M2
    rows[..., 2:6] = (0.8, 4.6, 2.0, 1.7)
    rows[..., 6] = np.arctan2(velocity_M2[:, 1], velocity_M2[:, 0])
    rows[..., 7:] = velocity_M2
    return rows


def _stripes(frames: int, cells: int) -> np.ndarray:
    """Return (frames, K, cells, cells): numbered lines of every thing class, and one drivable half."""
    numbers = np.zeros((frames, len(MAP_CLASSES), cells, cells), np.int16)
    for number in range(INSTANCES):
        row = number * cells // INSTANCES
        numbers[:, :-1, row : row + 3] = number + 1
    numbers[:, -1, cells // 2 :] = 1
    return numbers


def noise_cache(reader: NuScenesReaderConfig, frames: int, seed: int = 0) -> NuScenesCache:
    """Make one training scene per city.

    Args:
        reader: size of images and map.
        frames: key frames per scene.
        seed: of the noise.

    Returns:
        The cache; its arrays are in memory.
    """
    generator = np.random.default_rng(seed)
    height, width, cells = reader.image_height, reader.image_width, reader.map_cells
    scenes = [
        SceneEntry(f"scene-{index}", f"token-{index}", city, location, "train", index * frames, frames)
        for index, (city, location) in enumerate(LOCATIONS)
    ]
    count = frames * len(scenes)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = 4.0 * (np.arange(count) % frames)  # metres ahead, at 8 m/s
    boxes = np.concatenate([_boxes(frames, reader.bev_half_m, generator) for _ in scenes])
    names, pieces_FKHW = np.arange(BOXES), _stripes(count, cells)
    return NuScenesCache(
        config=reader,
        version="noise",
        manifest_sha256=None,
        scenes=scenes,
        sample_tokens=[f"sample-{index}" for index in range(count)],
        images_FNCHW=generator.integers(0, 256, (count, 6, 3, height, width), np.uint8),
        map_FKHW=(pieces_FKHW > 0).astype(np.uint8),
        ego2img_FN44=np.tile(_projections_N44(height, width), (count, 1, 1, 1)),
        ego2global_F44=poses,
        timestamps_F=0.5 * np.arange(count, dtype=np.float64),
        boxes_M9=boxes.reshape(-1, 9),
        labels_M=np.tile(names % len(TRACKING_CLASSES), count),
        instances_M=np.concatenate([np.tile(names + BOXES * index, frames) for index in range(len(scenes))]),
        offsets_F1=BOXES * np.arange(count + 1),
        map_instances_FKHW=pieces_FKHW,
    )


def with_key_frame(cache: NuScenesCache, root: Path, version: str) -> NuScenesCache:
    """Show the first key frame of a data set in every frame, through the reader and its calibration.

    Args:
        cache: what everything else is taken from; labels stay noise.
        root: folder of a data set in the format of nuScenes.
        version: name of its folder of tables.

    Returns:
        Another cache of as many frames.
    """
    nusc = open_tables(root, version)
    sample = nusc.sample[0]
    ego2img_N44, files = read_cameras(nusc, sample, read_ego_pose(nusc, sample), cache.config)
    images_NCHW = read_images(files, cache.config)
    frames = len(cache.images_FNCHW)
    return replace(
        cache,
        images_FNCHW=np.repeat(images_NCHW[None], frames, 0),
        ego2img_FN44=np.repeat(ego2img_N44[None].astype(np.float32), frames, 0),
    )
