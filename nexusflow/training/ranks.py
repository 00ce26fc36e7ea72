"""The processes that train one run together, and what they tell each other.

Every rank does the same collective operations in the same order at every step, whatever labels it holds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor, nn

from nexusflow.core.errors import UserError
from nexusflow.training.launch import LAUNCHER_VARIABLE

__all__ = ["Ranks", "sum_over_ranks"]

_BUCKET_BYTES = 64 * 2**20
# So long may the launcher take to see which rank has failed, before the others speak.
_PATIENCE_S = 30.0


@contextmanager
def _together() -> Iterator[None]:
    """Turn the failure of a collective operation into a sentence."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if LAUNCHER_VARIABLE in os.environ:
            # It knows the cause, says so, and ends this process.
            time.sleep(_PATIENCE_S)
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"Rank {dist.get_rank()} of {dist.get_world_size()} lost touch with another rank, which failed "
            f"or was killed; the same command goes on from the last checkpoint ({reason})."
        ) from error


def sum_over_ranks(x: Tensor) -> Tensor:
    """Add up a tensor over all ranks, in place.

    Args:
        x: a dense tensor of the same shape on every rank.

    Returns:
        The same tensor.

    Raises:
        UserError: if another rank has gone.
    """
    with _together():
        dist.all_reduce(x)
    return x


class Ranks:
    """The ranks of one run; every operation does nothing where a process stands alone.

    Args:
        fabric: launched.

    Attributes:
        fabric: gives device and precision.
        rank: number of this process.
        size: number of processes.
        together: whether there is a process group; also true of a group of one.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.together = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if self.together else 0
        self.size = dist.get_world_size() if self.together else 1

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files and shows progress."""
        return self.rank == 0

    def share(self, number: int) -> int:
        """Give the first rank's number to all."""
        if not self.together:
            return number
        x = torch.tensor(number, device=self.fabric.device)
        with _together():
            dist.broadcast(x, 0)
        return int(x)

    def leave(self) -> None:
        """Part from the others, when nothing more is to be told."""
        if self.together:
            dist.destroy_process_group()
            self.together = False

    def largest(self, number: float) -> float:
        """Find the largest of all ranks' numbers."""
        if not self.together:
            return number
        x = torch.tensor(number, dtype=torch.float64, device=self.fabric.device)
        with _together():
            dist.all_reduce(x, dist.ReduceOp.MAX)
        return float(x)

    def sum(self, numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add up scalars over all ranks.

        Args:
            numbers: scalars by name, the same names on every rank.

        Returns:
            The sums, float32, without gradient.
        """
        x_N = torch.stack([number.detach().float() for number in numbers.values()])
        if self.together:
            sum_over_ranks(x_N)
        return dict(zip(numbers, x_N.unbind(), strict=True))

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Join the rows of all ranks, in one operation.

        Args:
            tensors: by name, rows first; the same names, shapes and types on every rank.

        Returns:
            Rows of all ranks in their order, without gradient.
        """
        if not self.together:
            return {name: x.detach() for name, x in tensors.items()}
        flat = {name: x.detach().contiguous().view(-1).view(torch.uint8) for name, x in tensors.items()}
        ours = torch.cat(list(flat.values()))
        everyone = [torch.empty_like(ours) for _ in range(self.size)]
        with _together():
            dist.all_gather(everyone, ours)
        lengths = [len(bytes_) for bytes_ in flat.values()]
        pieces = zip(*(theirs.split(lengths) for theirs in everyone), strict=True)
        return {
            # A copy of each piece, as numbers may not start at every byte.
            name: torch.cat([piece.clone().view(x.dtype).view(x.shape) for piece in by_rank])
            for (name, x), by_rank in zip(tensors.items(), pieces, strict=True)
        }

    def sum_gradients(self, parameters: Iterable[nn.Parameter], divisor: int = 1) -> None:
        """Add up gradients over all ranks, in place; a parameter that no rank has used keeps none.

        All at once after the backward pass, and always in the same buckets: the order of summation, and so
        every byte, is the same before and after a resumption, as it is not where communication overlaps.

        Args:
            parameters: the same on every rank.
            divisor: what the sums are divided by.
        """
        if not self.together:
            return
        wanted = list(parameters)
        if not wanted:
            return
        used = torch.tensor([float(p.grad is not None) for p in wanted], device=self.fabric.device)
        shared = sum_over_ranks(used).tolist()
        for bucket in _buckets([p for p, count in zip(wanted, shared, strict=True) if count]):
            for parameter in bucket:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            gradients = [parameter.grad for parameter in bucket if parameter.grad is not None]
            flat = sum_over_ranks(torch.cat([gradient.reshape(-1) for gradient in gradients]))
            if divisor != 1:
                flat /= divisor
            for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(summed.view(gradient.shape))

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by the first rank's: processors of other kinds draw other initial weights."""
        if not self.together:
            return
        for tensor in tensors:
            flat = tensor.detach().reshape(-1).clone()
            with _together():
                dist.broadcast(flat, 0)
            tensor.detach().copy_(flat.view(tensor.shape))


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Neighbours of one type whose sizes add up to about `_BUCKET_BYTES`."""
    bucket: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        own = parameter.numel() * parameter.element_size()
        if bucket and (size + own > _BUCKET_BYTES or parameter.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += own
    if bucket:
        yield bucket
