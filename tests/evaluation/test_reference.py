"""The trivial reference: the best constant map, found by trying."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.evaluation.predictions import read_map, read_tracking
from nexusflow.evaluation.reference import best_constant_masks, frames_of_split, write_reference


@dataclass
class Scene:
    """A scene of a cache."""

    name: str
    city: str
    split: str
    first_frame: int
    num_frames: int


@dataclass
class Cache:
    """The part of a cache that evaluation reads."""

    scenes: list[Scene]
    sample_tokens: list[str]
    map_FKHW: np.ndarray


def small_cache(cells: int = 2, seed: int = 0) -> Cache:
    """Two training scenes and two validation scenes of three frames."""
    scenes = [
        Scene("scene-0001", "boston", "train", 0, 3),
        Scene("scene-0003", "boston", "val", 3, 3),
        Scene("scene-0002", "singapore", "train", 6, 3),
        Scene("scene-0012", "singapore", "val", 9, 3),
    ]
    maps = np.random.default_rng(seed).random((12, 4, cells, cells)) < 0.5
    maps[:, 1] = False
    tokens = [f"{scene.name}-{k}" for scene in scenes for k in range(3)]
    return Cache(scenes, tokens, maps.astype(np.uint8))


def _overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    union = (mask | truth).sum()
    return float((mask & truth).sum() / union) if union else 0.0


@pytest.mark.parametrize("seed", range(8))
def test_no_constant_mask_is_better(seed: int) -> None:
    cache = small_cache(seed=seed)
    frames = frames_of_split(cache, "train")
    masks = best_constant_masks(cache.map_FKHW, frames)
    for k in (0, 2, 3):
        truth = cache.map_FKHW[frames, k].astype(bool)
        every = [np.array(bits).reshape(2, 2).astype(bool) for bits in itertools.product((0, 1), repeat=4)]
        assert _overlap(masks[k].astype(bool), truth) == pytest.approx(
            max(_overlap(mask, truth) for mask in every)
        )
    assert not masks[1].any()


def test_reference_is_a_prediction_folder(tmp_path: Path) -> None:
    cache = small_cache()
    write_reference(tmp_path, cache, 25.0)
    tokens = [cache.sample_tokens[k] for k in (3, 4, 5, 9, 10, 11)]
    assert read_tracking(tmp_path / "tracking.json", tokens) == {token: [] for token in tokens}
    maps = read_map(tmp_path / "map.npz")
    assert maps.sample_tokens == tokens and maps.map_half_m == 25.0
    expected = best_constant_masks(cache.map_FKHW, np.array([0, 1, 2, 6, 7, 8]))
    assert all((frame == expected).all() for frame in maps.masks_FKHW)


def test_missing_split_is_named() -> None:
    with pytest.raises(UserError, match="no scene of split 'test'"):
        frames_of_split(small_cache(), "test")


def test_mini_splits_are_found_under_either_name() -> None:
    assert frames_of_split(small_cache(), "mini_val").tolist() == [3, 4, 5, 9, 10, 11]
