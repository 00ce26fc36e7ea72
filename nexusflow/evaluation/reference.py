"""The trivial reference: one constant map for every frame, and no tracks. Any model must beat it.

Shape letters: F frames, K classes, H and W map rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nexusflow.core.errors import UserError
from nexusflow.evaluation.predictions import MAP_FILE, TRACKING_FILE, TrackedFrame, write_map, write_tracking

__all__ = [
    "SceneCache",
    "SceneLike",
    "best_constant_masks",
    "frames_of_split",
    "scenes_of_split",
    "write_reference",
]

_FRAMES_AT_ONCE = 256


class SceneLike(Protocol):
    """A scene of a cache: where its frames lie and to which split and city it belongs."""

    @property
    def name(self) -> str: ...

    @property
    def city(self) -> str: ...

    @property
    def split(self) -> str: ...

    @property
    def first_frame(self) -> int: ...

    @property
    def num_frames(self) -> int: ...


class SceneCache(Protocol):
    """What evaluation needs of a cached data set."""

    @property
    def scenes(self) -> Sequence[SceneLike]: ...

    @property
    def sample_tokens(self) -> Sequence[str]: ...

    @property
    def map_FKHW(self) -> NDArray[np.uint8]: ...


def scenes_of_split(cache: SceneCache, split: str) -> list[SceneLike]:
    """Give the scenes of a split; "val" and "mini_val" are one, as a data set holds only one of them.

    Args:
        cache: the cached data set.
        split: split name, e.g. "val".

    Returns:
        The scenes, in the order of the cache.

    Raises:
        UserError: if the cache has no scene of the split.
    """
    wanted = split.removeprefix("mini_")
    scenes = [scene for scene in cache.scenes if scene.split.removeprefix("mini_") == wanted]
    if not scenes:
        raise UserError(f"The data cache has no scene of split '{split}'; build it with this split.")
    return scenes


def frames_of_split(cache: SceneCache, split: str) -> NDArray[np.int64]:
    """Give the frames of a split.

    Args:
        cache: the cached data set.
        split: split name as in the cache, e.g. "val".

    Returns:
        Frame indices, scene after scene.

    Raises:
        UserError: if the cache has no scene of the split.
    """
    scenes = scenes_of_split(cache, split)
    return np.concatenate(
        [np.arange(s.first_frame, s.first_frame + s.num_frames, dtype=np.int64) for s in scenes]
    )


def best_constant_masks(map_FKHW: NDArray[np.uint8], frames: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Find, per class, the constant mask with the largest overlap with the true masks of some frames.

    The best mask always consists of the cells that are set most often, so it is found by sorting: every
    threshold on the frequency is tried, and the one with the largest intersection over union is taken.

    Args:
        map_FKHW: true masks of 0 and 1.
        frames: the frames to fit to.

    Returns:
        Masks of 0 and 1, (K, H, W); empty for a class that never occurs.
    """
    count_KHW = np.zeros(map_FKHW.shape[1:], dtype=np.int64)
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        count_KHW += map_FKHW[frames[start : start + _FRAMES_AT_ONCE]].sum(axis=0, dtype=np.int64)
    masks_KHW = np.zeros(count_KHW.shape, dtype=np.uint8)
    for mask_HW, count_HW in zip(masks_KHW, count_KHW, strict=True):
        falling = np.sort(count_HW, axis=None)[::-1]
        intersection = np.cumsum(falling)
        union = falling.sum() + len(frames) * np.arange(1, len(falling) + 1) - intersection
        # Only whole levels of frequency: cells set equally often stay together.
        last_of_level = np.append(falling[1:] != falling[:-1], True) & (falling > 0)
        if last_of_level.any():
            overlap = np.where(last_of_level, intersection / np.maximum(union, 1), -1.0)
            mask_HW[:] = count_HW >= falling[int(np.argmax(overlap))]
    return masks_KHW


def write_reference(
    prediction_dir: Path, cache: SceneCache, map_half_m: float, fit_split: str = "train", split: str = "val"
) -> None:
    """Write the trivial reference as a prediction folder.

    Args:
        prediction_dir: folder for `tracking.json` and `map.npz`.
        cache: the cached data set.
        map_half_m: half the side of the map canvas, metres.
        fit_split: split whose true maps choose the constant map.
        split: split to predict.

    Raises:
        UserError: if the cache lacks one of the splits.
    """
    masks_KHW = best_constant_masks(cache.map_FKHW, frames_of_split(cache, fit_split))
    tokens = [cache.sample_tokens[frame] for frame in frames_of_split(cache, split).tolist()]
    none = np.empty(0)
    write_tracking(
        Path(prediction_dir) / TRACKING_FILE,
        (TrackedFrame(token, np.empty((0, 9)), none, none, none, np.eye(4)) for token in tokens),
    )
    masks_FKHW = np.broadcast_to(masks_KHW, (len(tokens), *masks_KHW.shape))
    write_map(Path(prediction_dir) / MAP_FILE, masks_FKHW, tokens, map_half_m)
