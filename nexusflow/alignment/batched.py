"""Surrogates of all tasks at once: one batched product serves every task.

Small surrogates spend their time on starting operations, not in them, and those of the tasks are alike.

Legend: N tasks, B batch, D dimensions, F features of the branches, P all parameters one after the other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from nexusflow.alignment.aggregators import MLPAggregator
from nexusflow.alignment.batched_function import BatchedSurrogates, Layout
from nexusflow.alignment.batched_queries import are_alike
from nexusflow.alignment.batched_values import invert_flows, surrogate_values
from nexusflow.alignment.coupling import AffineCoupling, CouplingStack
from nexusflow.alignment.spare import SpareMemory

__all__ = ["BatchPlan"]

_PARTS = {
    CouplingStack,
    AffineCoupling,
    MLPAggregator,
    nn.ModuleList,
    nn.Sequential,
    nn.Linear,
    nn.ReLU,
    nn.LayerNorm,
    nn.Identity,
}


class BatchPlan:
    """Which layers of a set of surrogates are computed together.

    Going through modules takes longer than computing with them, so it is done once.

    Args:
        aggregators: an aggregator per task.
        flows: a flow per task.
    """

    def __init__(self, aggregators: Sequence[nn.Module], flows: Sequence[nn.Module]) -> None:
        self.modules = (tuple(aggregators), tuple(flows))
        self.mlps = _mlps(aggregators)
        self.couplings = _couplings(flows)
        self.queries = are_alike(aggregators)
        first = flows[0]
        pieces = list(_pieces(self.mlps + self.couplings))
        self.parameters = [parameter for piece in pieces for parameter in piece]
        self.packed: nn.Parameter | None = None
        self._parts: list[Tensor] = []  # of the packed parameters
        self._spare = SpareMemory(), SpareMemory()  # of what the layers compute, and of gradients
        self.layout = Layout(
            sizes=tuple(len(piece) * piece[0].numel() for piece in pieces),
            # Biases get a dimension for the batch.
            shapes=tuple(
                (len(piece), *([1] if piece[0].ndim == 1 else []), *piece[0].shape) for piece in pieces
            ),
            mlp=tuple(_kind(place[0]) for place in self.mlps),
            halves=first.halves if isinstance(first, CouplingStack) else (0, 0),
            depth=len(self.couplings) // 2,
            clamp=_clamp(first),
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> BatchPlan:
        """Copies the plan for the copied modules, whose parameters are no longer packed."""
        return BatchPlan(*copy.deepcopy(self.modules, memo))

    def fits(self, aggregators: Sequence[nn.Module], flows: Sequence[nn.Module]) -> bool:
        """Tells whether the plan is of these modules and none of their layers was altered since.

        Args:
            aggregators: the aggregators of now.
            flows: the flows of now.

        Returns:
            True if the plan can be used for them.
        """
        # Equal only if they are the same: modules compare by identity.
        same = (*aggregators,) == self.modules[0] and (*flows,) == self.modules[1]
        return same and all(type(layer) is nn.Linear for place in self.couplings for layer in place)

    def pack(self) -> nn.Parameter:
        """Moves the parameters into one tensor, of which they become views.

        Returns:
            The tensor (P,), which is to be trained in their place: they get no gradients of their own.
        """
        flat_P, start = self._joined(), 0
        self._parts = self.layout.split(flat_P)
        self.packed = nn.Parameter(flat_P)
        for parameter in self.parameters:
            parameter.data = flat_P[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()
        return self.packed

    def apply(self, x_NBF: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Applies what is alike of every task's MLP and flow, as their modules do, to rounding.

        Its gradient cannot be differentiated again.

        Args:
            x_NBF: weighted means of all tasks' tokens if there are `mlps`, else their h'; in full precision.

        Returns:
            h' (N, B, D), z (N, B, D) and log-determinants (N, B); without `couplings` z is h'.
        """
        parts = self._side_by_side()
        if torch.is_grad_enabled():
            trained = self.parameters if self.packed is None else [self.packed]
            h_NBD, z_NBD, log_det_NB = BatchedSurrogates.apply(
                x_NBF, parts, self.layout, self._spare, *trained
            )
        else:
            h_NBD, z_NBD, log_det_NB = surrogate_values(x_NBF, parts, self.layout)
        h_NBD = h_NBD if self.mlps else x_NBF
        if self.couplings:
            return h_NBD, z_NBD, log_det_NB
        return h_NBD, h_NBD, h_NBD.new_zeros(h_NBD.shape[:-1])

    def invert(self, z_NBD: Tensor) -> Tensor:
        """Inverts the flows of all tasks, without gradient; there must be `couplings`.

        Args:
            z_NBD: outputs of the flows, in full precision.

        Returns:
            h' (N, B, D).
        """
        return invert_flows(z_NBD, self._side_by_side()[-4 * self.layout.depth :], self.layout)

    def _side_by_side(self) -> list[Tensor]:
        """The parameters of all tasks together, layer by layer, without gradient."""
        # Not kept, unless they are packed: whoever trains the parameters may put them anywhere meanwhile.
        return self.layout.split(self._joined()) if self.packed is None else self._parts

    @torch.no_grad()
    def _joined(self) -> Tensor:
        return torch.cat([parameter.reshape(-1) for parameter in self.parameters])


def _kind(module: nn.Module) -> str | float:
    if isinstance(module, nn.LayerNorm):
        return module.eps
    return "relu" if isinstance(module, nn.ReLU) else "linear"


def _clamp(flow: nn.Module) -> float:
    if isinstance(flow, CouplingStack) and flow.depth > 0:
        return cast("AffineCoupling", flow.layers[0]).clamp
    return 1.0


def _pieces(places: Sequence[tuple[nn.Module, ...]]) -> Iterator[tuple[nn.Parameter, ...]]:
    """Alike parameters of all tasks, layer by layer, weight before bias."""
    for modules in places:
        if not isinstance(modules[0], nn.ReLU):
            yield tuple(cast("nn.Parameter", module.weight) for module in modules)
            yield tuple(cast("nn.Parameter", module.bias) for module in modules)


def _mlps(aggregators: Sequence[nn.Module]) -> list[tuple[nn.Module, ...]]:
    """The layers of alike MLPs, by place; empty if the aggregators are others."""
    if not _alike(aggregators) or not all(isinstance(g, MLPAggregator) for g in aggregators):
        return []
    places = zip(*(cast("MLPAggregator", g).network for g in aggregators), strict=True)
    return [place for place in places if not isinstance(place[0], nn.Identity)]


def _couplings(flows: Sequence[nn.Module]) -> list[tuple[nn.Module, ...]]:
    """Both linear layers of every coupling of alike flows; empty unless all are `is_plain`."""
    if not _alike(flows) or not all(isinstance(flow, CouplingStack) and flow.is_plain for flow in flows):
        return []
    clamps = {cast("AffineCoupling", layer).clamp for flow in flows for layer in cast("Any", flow).layers}
    if len(clamps) > 1:
        return []
    found = []
    for layers in zip(*(cast("CouplingStack", flow).layers for flow in flows), strict=True):
        networks = [cast("nn.Sequential", cast("AffineCoupling", layer).networks[0]) for layer in layers]
        found += [tuple(network[index] for network in networks) for index in (0, 2)]
    return found


def _alike(modules: Sequence[nn.Module]) -> bool:
    """Whether all consist of the parts known here, none of them altered from outside, with equal sizes."""
    if any(type(part) not in _PARTS for module in modules for part in module.modules()):
        return False
    shapes = [[parameter.shape for parameter in module.parameters()] for module in modules]
    return all(sizes == shapes[0] for sizes in shapes)
