"""What MLPs and coupling layers of all tasks compute when no gradient is asked for: nothing is kept.

Legend: N tasks, B batch, D dimensions, F features of the branches, H hidden units, O outputs of a network,
C changed dimensions, S log-scales of all layers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nexusflow.alignment.batched_function import Layout, apply_mlps
from nexusflow.alignment.bounded import bounded
from nexusflow.alignment.products import add_products

__all__ = ["ROWS", "invert_flows", "surrogate_values"]

ROWS = 2048
"""Rows of all tasks together that a block has."""


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
    networks = _Networks(parameters[-4 * layout.depth :], layout)
    z_NBD, log_det_NB = torch.empty_like(h_NBD), h_NBD.new_empty(h_NBD.shape[:-1])
    for rows in _blocks(h_NBD):
        _flow(h_NBD[:, rows], networks, z_NBD[:, rows], log_det_NB[:, rows])
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
    networks = _Networks(parameters, layout)
    h_NBD = torch.empty_like(z_NBD)
    for rows in _blocks(z_NBD):
        _inverse(z_NBD[:, rows], networks, h_NBD[:, rows])
    return h_NBD


def _blocks(x_NBD: Tensor) -> list[slice]:
    """Rows that go through all layers together: what a layer leaves is then still in the cache."""
    batch = x_NBD.shape[1]
    if x_NBD.device.type != "cpu" or torch.compiler.is_compiling():
        return [slice(batch)]
    # Nearly equal blocks: a short last one would cost more than its share.
    count = max(1, round(batch * len(x_NBD) / ROWS))
    return [slice(batch * index // count, batch * (index + 1) // count) for index in range(count)]


def _flow(x_NBD: Tensor, networks: _Networks, z_NBD: Tensor, log_det_NB: Tensor) -> None:
    """Writes outputs and log-determinants of a block."""
    layout = networks.layout
    first, second = x_NBD.split(layout.halves, dim=-1)
    kept, changed = (first, second) if layout.depth % 2 else (second, first)
    slopes: list[Tensor] = []
    for index in range(layout.depth):
        slope_NBC, t_NBC = networks.slope_and_shift(index, kept)
        scale_NBC = slope_NBC.exp() if layout.clamp == 1 else (layout.clamp * slope_NBC).exp_()
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
        changed = slope_NBC.mul_(-layout.clamp).exp_().mul_(torch.sub(changed, t_NBC, out=t_NBC))
    torch.cat((kept, changed) if layout.depth % 2 else (changed, kept), dim=-1, out=h_NBD)


class _Networks:
    """The networks of all layers, which write to the same memory: a result holds until the next call."""

    def __init__(self, parameters: list[Tensor], layout: Layout) -> None:
        self.parameters, self.layout = parameters, layout
        self.memory: dict[tuple[int, ...], Tensor] = {}  # by what it is for, width and rows

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
