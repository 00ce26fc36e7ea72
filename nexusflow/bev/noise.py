"""Random numbers of a training step: a sample gets the same ones in a part of its batch as in the whole."""

from __future__ import annotations

import torch
from torch import Tensor

from nexusflow.core.parts import BatchPart

__all__ = ["BatchNoise"]


class BatchNoise:
    """A stream of random numbers on the CPU; a part of a batch draws for all of it and takes its own rows.

    Args:
        seed: seed of the stream.
        part: which samples of the batch are seen; None for all.

    Examples:
        >>> whole = BatchNoise(0).rand(4, 2)
        >>> torch.equal(BatchNoise(0, BatchPart(2, 4, 4)).rand(2, 2), whole[2:])
        True
    """

    def __init__(self, seed: int, part: BatchPart | None = None) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._part = part

    def _whole(self, shape: tuple[int, ...], batch_dim: int) -> tuple[int, ...]:
        if self._part is None:
            return shape
        return (
            *shape[:batch_dim],
            self._part.whole_size(shape[batch_dim]),
            *shape[batch_dim + 1 :],
        )

    def _own(self, drawn: Tensor, batch_dim: int) -> Tensor:
        return drawn if self._part is None else self._part.cut(drawn, batch_dim)

    def rand(self, *shape: int, batch_dim: int = 0) -> Tensor:
        """Draw uniform numbers from [0, 1); `batch_dim` is the dimension of samples or of rows of them."""
        return self._own(torch.rand(self._whole(shape, batch_dim), generator=self._generator), batch_dim)

    def randn(self, *shape: int, batch_dim: int = 0) -> Tensor:
        """Draw standard normal numbers; see `rand`."""
        return self._own(torch.randn(self._whole(shape, batch_dim), generator=self._generator), batch_dim)

    def randint(self, high: int, *shape: int, batch_dim: int = 0) -> Tensor:
        """Draw whole numbers from 0 to `high` - 1; see `rand`."""
        whole = self._whole(shape, batch_dim)
        return self._own(torch.randint(high, whole, generator=self._generator), batch_dim)
