"""Which part of a step's batch one forward pass sees, and whose labels its losses are divided by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

__all__ = ["BatchPart", "PoolCounts"]

# Replaces the numbers that the losses of a pass are divided by, such as its visible frames, by those of the
# whole batch. All passes of a step ask in the same order, whatever labels they hold, so that no process waits
# in vain.
PoolCounts = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]


@dataclass(frozen=True)
class BatchPart:
    """Neighbouring samples of a batch.

    Attributes:
        start: number of the first sample.
        stop: number after the last one.
        total: samples of the whole batch.
    """

    start: int
    stop: int
    total: int

    def __post_init__(self) -> None:
        assert 0 <= self.start < self.stop <= self.total

    def __len__(self) -> int:
        return self.stop - self.start

    def cut(self, whole: Tensor, dim: int = 0) -> Tensor:
        """Take this part's rows of a tensor of the whole batch.

        Args:
            whole: any tensor.
            dim: its dimension of samples, or of equally many rows per sample, ordered sample by sample.

        Returns:
            A view of the rows.
        """
        rows, rest = divmod(whole.shape[dim], self.total)
        assert rest == 0, "every sample has equally many rows"
        return whole.narrow(dim, self.start * rows, len(self) * rows)

    def whole_size(self, size: int) -> int:
        """Tell how many rows the whole batch has where this part has `size`."""
        rows, rest = divmod(size, len(self))
        assert rest == 0, "every sample has equally many rows"
        return rows * self.total
