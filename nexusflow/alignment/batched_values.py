"""What MLPs and coupling layers of all tasks compute when no gradient is asked for: nothing is kept.

Legend: N tasks, B batch, D dimensions, F features of the branches, H hidden units, O outputs of a network,
C changed dimensions, S log-scales of all layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from nexusflow.alignment.batched_function import Layout, apply_mlps
from nexusflow.alignment.bounded import bounded, exponential
from nexusflow.alignment.products import add_products, last_apart

__all__ = ["ROWS", "invert_flows", "surrogate_values"]

ROWS = 2048
"""Rows of all tasks together that a block has."""
Memory = dict[tuple[int, ...], Tensor]  # by what it is for, width and rows


@torch.no_grad()
def surrogate_values(
    x_NBF: Tensor, parameters: list[Tensor], layout: Layout
) -> tuple[Tensor, Tensor, Tensor]:
    """Computes what `BatchedSurrogates` does, with the same results, in memory that all layers share.

    Args:
        x_NBF: inputs of the MLPs, or of the flows where there are none.
        parameters: of all tasks side by side, in the order of the layout.
        layout: what is done with them.

    Returns:
        h' (N, B, D), z (N, B, D) and log-determinants (N, B); the first is empty without MLPs, the others
        without flows.
    """
    h_NBD, _ = apply_mlps(x_NBF, parameters, layout.mlp)
    found = h_NBD if layout.mlp else x_NBF.new_empty(0)
    if not layout.depth:
        return found, x_NBF.new_empty(0), x_NBF.new_empty(0)
    z_NBD, log_det_NB = torch.empty_like(h_NBD), h_NBD.new_empty(h_NBD.shape[:-1])
    for tasks, rows, networks in _blocks(h_NBD, parameters[-4 * layout.depth :], layout):
        _flow(h_NBD[tasks, rows], networks, z_NBD[tasks, rows], log_det_NB[tasks, rows])
    return found, z_NBD, log_det_NB


@torch.no_grad()
def invert_flows(z_NBD: Tensor, parameters: list[Tensor], layout: Layout) -> Tensor:
    """Inverts the flows of all tasks.

    Args:
        z_NBD: their outputs.
        parameters: of the flows of all tasks side by side, four per layer.
        layout: of these flows.

    Returns:
        h' (N, B, D).

    Source: the inverse of Eq. 1 of the paper, (b - t(a)) * exp(-s(a)).
    """
    h_NBD = torch.empty_like(z_NBD)
    for tasks, rows, networks in _blocks(z_NBD, parameters, layout):
        _inverse(z_NBD[tasks, rows], networks, h_NBD[tasks, rows])
    return h_NBD


def _blocks(
    x_NBD: Tensor, parameters: list[Tensor], layout: Layout
) -> Iterator[tuple[slice, slice, _Networks]]:
    """Tasks and rows that go through all layers together: what a layer leaves is then still in the cache."""
    count, batch, _ = x_NBD.shape
    if x_NBD.device.type != "cpu" or torch.compiler.is_compiling():
        yield slice(count), slice(batch), _Networks(parameters, layout)
        return
    # Where the last task would be multiplied apart, whole flows go task by task, in blocks of more rows.
    step = 1 if layout.depth and last_apart(parameters[2], min(batch, ROWS // count)) else count
    # Nearly equal blocks: a short last one would cost more than its share.
    parts = max(1, round(batch * step / ROWS))
    edges = [batch * index // parts for index in range(parts + 1)]
    memory: Memory = {}
    for first in range(0, count, step):
        tasks = slice(first, first + step)
        networks = _Networks([parameter[tasks] for parameter in parameters], layout, memory)
        for begin, end in pairwise(edges):
            yield tasks, slice(begin, end), networks


def _flow(x_NBD: Tensor, networks: _Networks, z_NBD: Tensor, log_det_NB: Tensor) -> None:
    """Writes outputs and log-determinants of a block."""
    layout = networks.layout
    first, second = x_NBD.split(layout.halves, dim=-1)
    kept, changed = (first, second) if layout.depth % 2 else (second, first)
    slopes: list[Tensor] = []
    for index in range(layout.depth):
        slope_NBC, t_NBC = networks.slope_and_shift(index, kept)
        scale_NBC = exponential(slope_NBC if layout.clamp == 1 else layout.clamp * slope_NBC)
        slopes.append(slope_NBC)
        # The scale is read no more: its memory takes the result.
        kept, changed = torch.addcmul(t_NBC, changed, scale_NBC, out=scale_NBC), kept
    torch.cat((changed, kept), dim=-1, out=z_NBD)
    torch.sum(torch.cat(slopes, dim=-1), -1, out=log_det_NB).mul_(layout.clamp)


def _inverse(z_NBD: Tensor, networks: _Networks, h_NBD: Tensor) -> None:
    """Writes the inverses of a block."""
    layout = networks.layout
    changed, kept = z_NBD.split(layout.halves, dim=-1)
    for index in reversed(range(layout.depth)):
        kept, changed = changed, kept
        slope_NBC, t_NBC = networks.slope_and_shift(index, kept)
        s_NBC = slope_NBC if layout.clamp == 1 else slope_NBC.mul_(layout.clamp)
        factor_NBC = exponential(s_NBC, out=s_NBC, sign=-1)
        changed = factor_NBC.mul_(torch.sub(changed, t_NBC, out=t_NBC))
    torch.cat((kept, changed) if layout.depth % 2 else (changed, kept), dim=-1, out=h_NBD)


class _Networks:
    """The networks of all layers, which write to the same memory: a result holds until the next call."""

    def __init__(self, parameters: list[Tensor], layout: Layout, memory: Memory | None = None) -> None:
        self.parameters, self.layout = parameters, layout
        self.memory: Memory = {} if memory is None else memory

    def slope_and_shift(self, index: int, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the log-scale before it is multiplied by the clamp, in memory of its own, and the shift."""
        w1, b1, w2, b2 = self.parameters[4 * index : 4 * index + 4]
        hidden_NBH = self._multiply(0, b1, kept, w1).relu_()
        u_NBC, t_NBC = self._multiply(1, b2, hidden_NBH, w2).chunk(2, dim=-1)
        return bounded(u_NBC if self.layout.clamp == 1 else u_NBC / self.layout.clamp), t_NBC

    def _multiply(self, purpose: int, bias: Tensor, inputs: Tensor, weight: Tensor) -> Tensor:
        key = (purpose, bias.shape[-1], inputs.shape[1])
        self.memory[key] = add_products(bias, inputs, weight.mT, out=self.memory.get(key))
        return self.memory[key]
