"""The tangent that bounds log-scales, and their exponential, by whichever formula is faster for a size."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["LARGE", "bounded", "exponential"]

LARGE = 65536
"""Numbers from which on the other formulas serve."""

_MINUS_ONE = torch.tensor(-1.0)
_LOG2_E = math.log2(math.e)


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
    if _is_exact(u):
        return torch.tanh(u, out=out)
    slope = torch.mul(u, 2, out=out).sigmoid_()
    # One pass over the memory instead of two.
    return torch.add(_MINUS_ONE, slope, alpha=2, out=slope)


def exponential(s: Tensor, out: Tensor | None = None, sign: int = 1) -> Tensor:
    """Computes exp(s) or exp(-s), without gradient.

    On a CPU, exp of a large batch takes three times as long as powers of two. There 2 ** (s log2 e) is used,
    whose relative error grows with s, by 6e-8 for every unit of it.

    Args:
        s: numbers of any shape.
        out: takes the result, if given; may be `s`.
        sign: 1, or -1 for exp(-s).

    Returns:
        Positive numbers of that shape.
    """
    if _is_exact(s):
        return torch.exp(s if sign == 1 else torch.neg(s, out=out), out=out)
    return torch.mul(s, sign * _LOG2_E, out=out).exp2_()


def _is_exact(x: Tensor) -> bool:
    """Whether the function itself is computed."""
    return x.numel() < LARGE or x.device.type != "cpu" or x.dtype != torch.float32
