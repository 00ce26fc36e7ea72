"""Memory for the gradients of a step, taken again by the next step once nobody looks at it.

Legend: P all parameters one after the other.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["SpareMemory"]

# Counts the tensors that look at a piece of memory; where torch has no such function nothing is reused.
_count_users = getattr(torch._C, "_storage_Use_Count", None)


class SpareMemory:
    """Gives memory for gradients on a CPU, where fresh memory of megabytes costs as much as small products.

    Memory is given again only if no tensor, view or array that was made of it is left: gradients that are
    kept, accumulated or asked for twice are never written over.
    """

    def __init__(self) -> None:
        self._kept: list[Tensor] = []

    def take(self, like: Tensor, size: int) -> Tensor:
        """Returns memory that nobody uses.

        Args:
            like: has the type and device that are wanted.
            size: how many numbers.

        Returns:
            A tensor (P,) with arbitrary values.
        """
        if _count_users is None or like.device.type != "cpu" or torch.compiler.is_compiling():
            return like.new_empty(size)
        try:
            flat_P = self._kept.pop()  # at once, so that no second thread gets it
        except IndexError:
            flat_P = like.new_empty(0)
        fits = flat_P.numel() == size and flat_P.dtype == like.dtype
        if not fits or _count_users(flat_P.untyped_storage()._cdata) > _UNUSED:
            flat_P = like.new_empty(size)
        self._kept.append(flat_P)
        given_P = flat_P.detach()
        self._kept[:] = self._kept[-1:]
        return given_P


def _users_of_unused() -> int:
    """What is counted for memory that only one tensor looks at, while it is counted."""
    flat_P = torch.empty(1)
    return _count_users(flat_P.untyped_storage()._cdata) if _count_users is not None else 0


_UNUSED = _users_of_unused()
