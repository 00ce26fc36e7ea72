"""Counting what a model is made of."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from nexusflow.core.outline import PartOutline

__all__ = ["part_of", "shape_of"]


def shape_of(x_B: Tensor) -> tuple[int, ...]:
    """Give the shape of one sample.

    Args:
        x_B: a batch; its first dimension is the batch.

    Returns:
        The other dimensions.
    """
    return tuple(x_B.shape[1:])


def part_of(name: str, parameters: Iterable[nn.Parameter], output: str, x_B: Tensor) -> PartOutline:
    """Describe a part of a model.

    Args:
        name: its name.
        parameters: its parameters.
        output: name of what it hands on.
        x_B: what it hands on, for a batch.

    Returns:
        Name, numbers of all and of frozen parameters, and the shape of its output.
    """
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in parameters]
    return PartOutline(
        name=name,
        parameters=sum(size for size, _ in sizes),
        frozen=sum(size for size, trained in sizes if not trained),
        output=output,
        shape=shape_of(x_B),
    )
