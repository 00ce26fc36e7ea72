"""Key frames with their history, apart in time, and taps that see no label."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nexusflow.bev.model import BEVModel
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.scenes import SceneEntry
from nexusflow.suites.nuscenes.features import NuScenesTaps
from tests.bev.conftest import camera, tiny_config

LENGTH = 5


def scene(name: str, city: str, split: str, first: int) -> SceneEntry:
    return SceneEntry(name, name, city, city, split, first, LENGTH)


@pytest.fixture(scope="module")
def cache() -> NuScenesCache:
    """Two validation scenes and a training scene of five key frames each, half a second apart; no box."""
    scenes = [
        scene("a", "boston", "val", 0),
        scene("b", "singapore", "val", 5),
        scene("c", "boston", "train", 10),
    ]
    count, rng = 3 * LENGTH, np.random.default_rng(0)
    time_L = 0.5 * np.arange(LENGTH)
    eye_F44 = np.tile(np.eye(4), (count, 1, 1))
    rig_N44 = np.stack([camera(yaw, 16, 32).numpy() for yaw in (0.0, np.pi)])
    return NuScenesCache(
        config=NuScenesReaderConfig(),
        version="v1.0-trainval",
        manifest_sha256=None,
        scenes=scenes,
        sample_tokens=[f"token{row}" for row in range(count)],
        images_FNCHW=rng.integers(0, 256, (count, 2, 3, 16, 32)).astype(np.uint8),
        map_FKHW=np.zeros((count, 4, 32, 32), np.uint8),
        ego2img_FN44=np.tile(rig_N44, (count, 1, 1, 1)),
        ego2global_F44=eye_F44,
        timestamps_F=np.concatenate([100.0 * index + time_L for index in range(3)]),
        boxes_M9=np.zeros((0, 9), np.float32),
        labels_M=np.zeros(0, np.int64),
        instances_M=np.zeros(0, np.int64),
        offsets_F1=np.zeros(count + 1, np.int64),
    )


def reader(cache: NuScenesCache, history: int = 1, spacing_s: float = 1.0, **model: object) -> NuScenesTaps:
    torch.manual_seed(0)
    built = BEVModel(tiny_config(**model))
    with torch.no_grad():
        for weight in built.parameters():
            weight.add_(0.1 * torch.randn_like(weight))  # a fresh model ignores its images
    return NuScenesTaps(cache, built, history, spacing_s)


@pytest.mark.parametrize(
    ("history", "spacing_s", "rows"),
    [(1, 1.0, [1, 3, 6, 8]), (0, 1.0, [0, 2, 4, 5, 7, 9]), (2, 0.0, [2, 3, 4, 7, 8, 9]), (1, 99.0, [1, 6])],
)
def test_frames_have_their_history_and_lie_apart(
    cache: NuScenesCache, history: int, spacing_s: float, rows: list[int]
) -> None:
    frames = reader(cache, history, spacing_s).frames("val")
    assert frames.rows_N.tolist() == rows
    assert frames.names_N.tolist() == [f"token{row}" for row in rows]
    assert frames.domains_N.tolist() == ["boston" if row < 5 else "singapore" for row in rows]
    assert frames.groups_N.tolist() == ["a" if row < 5 else "b" for row in rows]


def test_training_frames_are_of_training_scenes(cache: NuScenesCache) -> None:
    assert set(reader(cache).frames("train").groups_N) == {"c"}


def test_taps_belong_to_the_frame_and_see_its_history(cache: NuScenesCache) -> None:
    found = reader(cache)
    both, alone = found.taps([1, 8]), found.taps([8])
    widths = {task: tap["features"].shape[-1] for task, tap in both.items()}
    assert widths == found.tap_channels == {"track": 16, "map": 16}
    for task, tap in both.items():
        assert not tap["features"].requires_grad and tap["features"].dtype == torch.float32
        torch.testing.assert_close(tap["features"][1:], alone[task]["features"], rtol=1e-4, atol=1e-5)
    other = found.taps([6])["track"]["features"]
    without = reader(cache, history=0).taps([8])["track"]["features"]
    for tap_BQF in (other, without):
        assert (tap_BQF - alone["track"]["features"]).abs().max() > 1e-5


def test_the_model_is_frozen(cache: NuScenesCache) -> None:
    model = BEVModel(tiny_config())
    NuScenesTaps(cache, model, 1, 1.0)
    assert not model.training and not any(weight.requires_grad for weight in model.parameters())


def test_widths_follow_the_level_of_the_tap(cache: NuScenesCache) -> None:
    shared = reader(cache, tap="bev", encoder={"channels": 24})
    assert shared.tap_channels == {"track": 24, "map": 24}
    assert {task: tap["features"].shape[-1] for task, tap in shared.taps([1]).items()} == shared.tap_channels
    assert reader(cache, map={"dim": 32}).tap_channels == {"track": 16, "map": 32}


def test_labels_are_where_the_papers_partition_shows_them(cache: NuScenesCache) -> None:
    assert reader(cache).labelled_in == {"track": "singapore", "map": "boston"}
