"""Which clips a training step sees: a pure function of seed and step, blind to labels."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

import numpy as np

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.cache import NuScenesCache

__all__ = ["ClipSampler"]


class ClipSampler:
    """Epochs of shuffled clips of consecutive key frames; a clip never crosses scenes.

    Every window of a scene is a clip, whether its frames have boxes or not: redrawing clips without boxes, as
    the reference implementation does, would let hidden labels decide what is seen. The stream of clips
    runs on from one epoch into the next, so a batch may hold the end of one and the start of another.

    Args:
        cache: gives the scenes.
        split: split to draw from.
        clip_length: key frames of a clip.
        batch_size: clips of a step.
        seed: of the order.
        scenes: names of the scenes to draw from; None = all of the split.

    Raises:
        UserError: if a named scene is not in the split, or no scene is long enough.

    Source: clips as in UniAD's training set, without its label-dependent redrawing.
    """

    def __init__(
        self,
        cache: NuScenesCache,
        split: str,
        clip_length: int,
        batch_size: int,
        seed: int,
        scenes: Collection[str] | None = None,
    ) -> None:
        assert clip_length > 0 and batch_size > 0 and seed >= 0
        available = cache.scenes_of(split)
        missing = sorted(set(scenes or ()) - {scene.name for scene in available})
        if missing:
            raise UserError(
                f"The cache has no scene {missing[0]} in split {split!r}; correct the list of scenes."
            )
        self.clip_length, self.batch_size, self.seed = clip_length, batch_size, seed
        starts = [
            frame
            for scene in available
            if scenes is None or scene.name in scenes
            for frame in scene.frames[: max(0, scene.num_frames - clip_length + 1)]
        ]
        if not starts:
            raise UserError(
                f"Split {split!r} of the cache has no scene of {clip_length} key frames; "
                "choose a shorter clip_length."
            )
        self._starts = np.array(starts)
        self._order = lru_cache(maxsize=2)(self._shuffled)

    @property
    def num_clips(self) -> int:
        """Number of different clips, which is the length of an epoch in clips."""
        return len(self._starts)

    def clips_at(self, step: int) -> list[list[int]]:
        """List the clips of a step.

        Args:
            step: number of the step, from 0.

        Returns:
            `batch_size` lists of `clip_length` frame indices, in order of time.
        """
        assert step >= 0
        clips = []
        for position in range(step * self.batch_size, (step + 1) * self.batch_size):
            epoch, place = divmod(position, self.num_clips)
            first = int(self._starts[self._order(epoch)[place]])
            clips.append(list(range(first, first + self.clip_length)))
        return clips

    def _shuffled(self, epoch: int) -> np.ndarray:
        """Order of the clips in an epoch."""
        return np.random.Generator(np.random.PCG64([self.seed, epoch])).permutation(self.num_clips)
