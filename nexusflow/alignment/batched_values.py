"""What MLPs and coupling layers of all tasks compute when no gradient is asked for: nothing is kept.

Legend: N tasks, B batch, D dimensions, F features of the branches, H hidden units, O outputs of a network,
C changed dimensions, S log-scales of all layers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nexusflow.alignment.batched_function import Layout, apply_mlps
from nexusflow.alignment.bounded import bounded

__all__ = ["invert_flows", "surrogate_values"]


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
    first, second = h_NBD.split(layout.halves, dim=-1)
    kept, changed = (first, second) if layout.depth % 2 else (second, first)
    networks = _Networks(parameters[-4 * layout.depth :], layout)
    slopes: list[Tensor] = []
    for index in range(layout.depth):
        slope_NBC, t_NBC = networks.slope_and_shift(index, kept)
        scale_NBC = slope_NBC.exp() if layout.clamp == 1 else (layout.clamp * slope_NBC).exp_()
        slopes.append(slope_NBC)
        # The scale is read no more: its memory takes the result.
        kept, changed = torch.addcmul(t_NBC, changed, scale_NBC, out=scale_NBC), kept
    log_det_NB = layout.clamp * torch.cat(slopes, dim=-1).sum(-1)
    return found, torch.cat((changed, kept), dim=-1), log_det_NB


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
    changed, kept = z_NBD.split(layout.halves, dim=-1)
    networks = _Networks(parameters, layout)
    for index in reversed(range(layout.depth)):
        kept, changed = changed, kept
        slope_NBC, t_NBC = networks.slope_and_shift(index, kept)
        changed = slope_NBC.mul_(-layout.clamp).exp_().mul_(torch.sub(changed, t_NBC, out=t_NBC))
    return torch.cat((kept, changed) if layout.depth % 2 else (changed, kept), dim=-1)


class _Networks:
    """The networks of all layers, which write to the same memory: a result holds until the next call."""

    def __init__(self, parameters: list[Tensor], layout: Layout) -> None:
        self.parameters, self.layout = parameters, layout
        self.hidden_NBH: Tensor | None = None
        self.outputs: dict[int, Tensor] = {}  # by width

    def slope_and_shift(self, index: int, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the log-scale before it is multiplied by the clamp, in memory of its own, and the shift."""
        w1, b1, w2, b2 = self.parameters[4 * index : 4 * index + 4]
        self.hidden_NBH = torch.baddbmm(b1, kept, w1.mT, out=self.hidden_NBH).relu_()
        width = b2.shape[-1]
        self.outputs[width] = output_NBO = torch.baddbmm(
            b2, self.hidden_NBH, w2.mT, out=self.outputs.get(width)
        )
        u_NBC, t_NBC = output_NBO.chunk(2, dim=-1)
        return bounded(u_NBC if self.layout.clamp == 1 else u_NBC / self.layout.clamp), t_NBC
