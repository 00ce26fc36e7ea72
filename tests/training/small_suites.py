"""Both suites over random images and labels in memory; which clips or images a batch holds is given.

Scenes and images 0 to 3 show the labels of the first task, of the others, of all, and none.
"""

from __future__ import annotations

import numpy as np

from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.scenes import SceneEntry
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.dense.config import DenseModelConfig
from nexusflow.suites.nuscenes.canvases import BEVCanvases
from nexusflow.suites.nuscenes.suite import BatchPlan, NuScenesSuite
from nexusflow.suites.nyuv2.canvases import ImageCanvases
from nexusflow.suites.nyuv2.suite import ImagePlan, NYUv2Suite
from tests.bev.conftest import camera, tiny_config

__all__ = ["bev_suite", "dense_suite"]

FRAMES = 3
# One clip of each kind of scene, one after the other, and the same again from the next frame on.
SHOWN = {"track": (True, False, True, False), "map": (False, True, True, False)}


def _clips_cache() -> NuScenesCache:
    rng, config = np.random.default_rng(0), tiny_config()
    frames = 4 * FRAMES
    counts_F = rng.integers(1, 6, frames)
    boxes = int(counts_F.sum())
    boxes_M9 = rng.normal(size=(boxes, 9)).astype(np.float32)
    boxes_M9[:, :2] = rng.uniform(-7, 7, (boxes, 2))
    boxes_M9[:, 3:6] = rng.uniform(1, 4, (boxes, 3))
    size = (config.image_height, config.image_width)
    cameras = np.stack([camera(yaw, *size).numpy() for yaw in (0.0, 3.14)]).astype(np.float32)
    poses_F44 = np.tile(np.eye(4), (frames, 1, 1))
    poses_F44[:, 0, 3] = np.arange(frames)
    return NuScenesCache(
        config=NuScenesReaderConfig(),
        version="random",
        manifest_sha256=None,
        scenes=[SceneEntry(f"scene-{n}", "", "boston", "", "train", n * FRAMES, FRAMES) for n in range(4)],
        sample_tokens=[str(n) for n in range(frames)],
        images_FNCHW=rng.integers(0, 256, (frames, 2, 3, *size)).astype(np.uint8),
        map_FKHW=rng.integers(0, 2, (frames, config.map_classes, 32, 32)).astype(np.uint8),
        ego2img_FN44=np.tile(cameras, (frames, 1, 1, 1)),
        ego2global_F44=poses_F44,
        timestamps_F=0.5 * np.arange(frames, dtype=np.float64),
        boxes_M9=boxes_M9,
        labels_M=rng.integers(0, 7, boxes),
        instances_M=np.concatenate([np.arange(count) for count in counts_F]),
        offsets_F1=np.concatenate([[0], np.cumsum(counts_F)]),
    )


class _Given:
    """The same kinds of samples at every step."""

    def __init__(self, kinds: tuple[int, ...]) -> None:
        self.kinds = kinds

    def clips_at(self, step: int) -> list[list[int]]:
        firsts = [kind * FRAMES + (step + n) % (FRAMES - 1) for n, kind in enumerate(self.kinds)]
        return [[first, first + 1] for first in firsts]

    def indices_at(self, step: int) -> list[int]:
        return [kind + 4 * ((step + n) % 2) for n, kind in enumerate(self.kinds)]


def bev_suite(kinds: tuple[int, ...]) -> NuScenesSuite:
    """Tracking and mapping on clips of two frames, of scenes of the given kinds."""
    table = {f"scene-{n}": {task: shown[n] for task, shown in SHOWN.items()} for n in range(4)}
    config = tiny_config(track={"drop_probability": 0.1, "false_positive_probability": 0.3})
    suite = NuScenesSuite(_clips_cache(), table, config, BatchPlan(2, len(kinds), 0), BEVCanvases(config))
    suite.sampler = _Given(kinds)  # type: ignore[assignment]
    return suite


def dense_suite(kinds: tuple[int, ...], norm: str = "batch") -> NYUv2Suite:
    """Three dense tasks on images of the given kinds."""
    rng, count = np.random.default_rng(0), 8
    normals_N3HW = rng.normal(size=(count, 3, 32, 32)).astype(np.float32)
    cache = NYUv2Cache(
        images_N3HW=rng.uniform(size=(count, 3, 32, 32)).astype(np.float32),
        labels_NHW=rng.integers(-1, 13, (count, 32, 32)).astype(np.int8),
        depth_N1HW=rng.uniform(1, 5, (count, 1, 32, 32)).astype(np.float32),
        normals_N3HW=normals_N3HW / np.linalg.norm(normals_N3HW, axis=1, keepdims=True),
        num_train=count,
        num_val=0,
    )
    first, others = np.array(SHOWN["track"] * 2), np.array(SHOWN["map"] * 2)
    table = {"segmentation": first, "depth": others, "normal": others}
    model = DenseModelConfig(widths=(4, 4, 6, 6, 6), norm=norm)  # type: ignore[arg-type]
    plan = ImagePlan(batch_size=len(kinds), seed=0, augmentation="scale_crop")
    suite = NYUv2Suite(cache, table, model, plan, ImageCanvases(model))
    suite.sampler = _Given(kinds)  # type: ignore[assignment]
    return suite
