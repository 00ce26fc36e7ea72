"""Which images a training step sees: a pure function of seed and step, blind to labels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nexusflow.core.errors import UserError

__all__ = ["ImageSampler"]


class ImageSampler:
    """Epochs of shuffled images, each without its last incomplete batch.

    Args:
        num_images: training images.
        batch_size: images of a step.
        seed: of the order.

    Raises:
        UserError: if there are fewer images than a batch needs.

    Source: the loaders of MTPSL, which drop the last batch.
    """

    def __init__(self, num_images: int, batch_size: int, seed: int) -> None:
        if num_images < batch_size:
            raise UserError(
                f"batch_size is {batch_size}, but there are {num_images} training images; lower it."
            )
        self.num_images, self.batch_size, self.seed = num_images, batch_size, seed
        self._order = lru_cache(maxsize=2)(self._shuffled)

    @property
    def steps_per_epoch(self) -> int:
        """Steps after which every image, but those of the dropped batch, was seen once."""
        return self.num_images // self.batch_size

    def indices_at(self, step: int) -> list[int]:
        """List the images of a step.

        Args:
            step: number of the step, from 0.

        Returns:
            Their rows among the training images.
        """
        assert step >= 0
        epoch, place = divmod(step, self.steps_per_epoch)
        return self._order(epoch)[place * self.batch_size : (place + 1) * self.batch_size].tolist()

    def _shuffled(self, epoch: int) -> np.ndarray:
        """Order of the images in an epoch."""
        return np.random.Generator(np.random.PCG64([self.seed, epoch])).permutation(self.num_images)
