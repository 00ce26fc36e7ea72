"""The hyperbolic tangent that bounds log-scales, by whichever formula is faster for the size at hand."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["LARGE", "bounded"]

LARGE = 65536
"""Numbers from which on the sigmoid serves."""

_MINUS_ONE = torch.tensor(-1.0)


def bounded(u: Tensor, out: Tensor | None = None) -> Tensor:
    """Computes tanh(u), without gradient.

    On a CPU, tanh of a large batch takes as long as a fifth of the matrix products. There
    tanh(u) = 2 sigmoid(2 u) - 1 is used, which is off by less than 2e-7. Small tensors, those of a training
    step, get the exact function: starting three operations takes longer than the function.

    Args:
        u: numbers of any shape.
        out: takes the result, if given.

    Returns:
        Numbers in (-1, 1), of that shape.
    """
    if u.numel() < LARGE or u.device.type != "cpu" or u.dtype != torch.float32:
        return torch.tanh(u, out=out)
    slope = torch.mul(u, 2, out=out).sigmoid_()
    # One pass over the memory instead of two.
    return torch.add(_MINUS_ONE, slope, alpha=2, out=slope)
