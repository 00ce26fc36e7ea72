"""Clips are a pure function of seed and step, never cross scenes, and are blind to labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.cache import NuScenesCache, SceneEntry
from nexusflow.data.nuscenes.sampler import ClipSampler


@pytest.fixture
def many_scenes(tiny_cache: NuScenesCache) -> NuScenesCache:
    """Five training scenes of 1, 4, 5, 6 and 7 frames and one of validation."""
    scenes, first = [], 0
    for index, length in enumerate([1, 4, 5, 6, 7, 9]):
        split = "val" if index == 5 else "train"
        scenes.append(SceneEntry(f"s{index}", f"t{index}", "boston", "boston-seaport", split, first, length))
        first += length
    return replace(tiny_cache, scenes=scenes)


def test_pure_function_of_seed_and_step(many_scenes: NuScenesCache) -> None:
    one = ClipSampler(many_scenes, "train", 3, 4, seed=1)
    forward = [one.clips_at(step) for step in range(20)]
    other = ClipSampler(many_scenes, "train", 3, 4, seed=1)
    assert [other.clips_at(step) for step in reversed(range(20))][::-1] == forward
    assert [ClipSampler(many_scenes, "train", 3, 4, seed=2).clips_at(step) for step in range(20)] != forward


def test_epochs_hold_every_clip_once_and_differ(many_scenes: NuScenesCache) -> None:
    sampler = ClipSampler(many_scenes, "train", 3, 4, seed=0)
    assert sampler.num_clips == 2 + 3 + 4 + 5
    stream = [tuple(clip) for step in range(7) for clip in sampler.clips_at(step)]  # 28 clips = two epochs
    assert set(Counter(stream[:14]).values()) == {1}
    assert sorted(stream[:14]) == sorted(stream[14:])
    assert stream[:14] != stream[14:]
    assert stream[:14] != sorted(stream[:14])


def test_clips_never_cross_scenes_or_splits(many_scenes: NuScenesCache) -> None:
    sampler = ClipSampler(many_scenes, "train", 3, 5, seed=0)
    owner = {frame: scene.name for scene in many_scenes.scenes for frame in scene.frames}
    for step in range(6):
        for clip in sampler.clips_at(step):
            assert clip == list(range(clip[0], clip[0] + 3))
            assert len({owner[frame] for frame in clip}) == 1
            assert owner[clip[0]] != "s5"


def test_labels_never_influence_the_clips(many_scenes: NuScenesCache) -> None:
    bare = replace(
        many_scenes,
        boxes_M9=np.empty((0, 9), np.float32),
        labels_M=np.empty(0, np.int64),
        instances_M=np.empty(0, np.int64),
        offsets_F1=np.zeros(40, np.int64),
        map_FKHW=np.zeros_like(many_scenes.map_FKHW),
    )
    full, empty = (ClipSampler(cache, "train", 2, 3, seed=5) for cache in (many_scenes, bare))
    assert [full.clips_at(step) for step in range(10)] == [empty.clips_at(step) for step in range(10)]


def test_chosen_scenes(many_scenes: NuScenesCache) -> None:
    sampler = ClipSampler(many_scenes, "train", 4, 2, seed=0, scenes=["s1"])
    assert sampler.clips_at(3) == [[1, 2, 3, 4]] * 2
    with pytest.raises(UserError, match="no scene s5 in split 'train'"):
        ClipSampler(many_scenes, "train", 4, 2, seed=0, scenes=["s1", "s5"])


def test_too_long_clips(many_scenes: NuScenesCache) -> None:
    with pytest.raises(UserError, match="no scene of 8 key frames"):
        ClipSampler(many_scenes, "train", 8, 2, seed=0)
