"""Matrix products of all tasks at once, or of all but the last one and then of it, where that is faster.

Legend: N tasks, B batch, I inputs, O outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["LARGE", "add_products", "last_apart", "products"]

LARGE = 128**3
"""Multiplications of one task from which on the last of an odd number of tasks is multiplied apart."""


def products(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """Multiplies the matrices of every task.

    Args:
        left: shape (N, O, I).
        right: shape (N, I, B).
        out: takes the result, if given.

    Returns:
        left @ right, shape (N, O, B).
    """
    if not last_apart(left, right.shape[2]):
        return torch.bmm(left, right, out=out)
    if out is None:
        out = left.new_empty(len(left), left.shape[1], right.shape[2])
    last = len(left) - 1
    torch.bmm(left[:last], right[:last], out=out[:last])
    torch.mm(left[last], right[last], out=out[last])
    return out


def add_products(added: Tensor, left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """Multiplies the matrices of every task and adds something.

    Args:
        added: shape (N, O, B), or (N, 1, B).
        left: shape (N, O, I).
        right: shape (N, I, B).
        out: takes the result, if given; may be `added`.

    Returns:
        added + left @ right, shape (N, O, B).
    """
    if not last_apart(left, right.shape[2]):
        return torch.baddbmm(added, left, right, out=out)
    if out is None:
        out = left.new_empty(len(left), left.shape[1], right.shape[2])
    last = len(left) - 1
    torch.baddbmm(added[:last], left[:last], right[:last], out=out[:last])
    torch.addmm(added[last], left[last], right[last], out=out[last])
    return out


def last_apart(left: Tensor, columns: int) -> bool:
    """Tells whether the last task's product is computed apart from the others.

    A batch of products gives every thread whole products: of three, one thread of two computes two. A product
    by itself is shared by all threads. It goes by size alone, so that results do not depend on the number of
    threads.

    Args:
        left: shape (N, O, I).
        columns: B of what it is multiplied with, (N, I, B).
    """
    tasks, rows, inner = left.shape
    if tasks == 1 or tasks % 2 == 0 or left.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return rows * inner * columns >= LARGE
