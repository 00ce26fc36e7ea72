"""Surrogates of all tasks at once: one batched product serves every task.

Small surrogates spend their time on starting operations, not in them, and those of the tasks are alike.

Legend: N tasks, B batch, D dimensions, K kept and C changed dimensions, F features of the branches.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nexusflow.alignment.aggregators import MLPAggregator
from nexusflow.alignment.coupling import AffineCoupling, CouplingStack

__all__ = ["BatchPlan"]

_KINDS = 4  # weight and bias of both linear layers of a coupling's network
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
        self.modules = (*aggregators, *flows)
        self.mlps = _mlps(aggregators)
        self.couplings = _couplings(flows)
        first = flows[0]
        self.halves = first.halves if isinstance(first, CouplingStack) else (0, 0)
        self.clamp = self.couplings[0].clamp if self.couplings else 1.0

    def fits(self, modules: Sequence[nn.Module]) -> bool:
        """Tells whether the plan is of these modules and none of their layers was altered since.

        Args:
            modules: aggregators, then flows.

        Returns:
            True if the plan can be used for them.
        """
        same = len(modules) == len(self.modules) and all(
            a is b for a, b in zip(modules, self.modules, strict=True)
        )
        linears = (layer for coupling in self.couplings for layer in (*coupling.first, *coupling.last))
        return same and all(type(layer) is nn.Linear for layer in linears)

    def embed(self, x_NBF: Tensor) -> Tensor:
        """Applies every task's network to its pooled features, as `MLPAggregator.forward` does, to rounding.

        Args:
            x_NBF: weighted means of all tasks' tokens, in full precision.

        Returns:
            Vectors (N, B, D).
        """
        for modules in self.mlps:
            if isinstance(modules[0], nn.ReLU):
                x_NBF = x_NBF.relu()
                continue
            weight, bias = (torch.stack([getattr(m, name) for m in modules]) for name in ("weight", "bias"))
            if isinstance(modules[0], nn.Linear):
                x_NBF = torch.baddbmm(bias[:, None], x_NBF, weight.mT)
            else:
                norm = modules[0]
                assert isinstance(norm, nn.LayerNorm)
                x_NBF = F.layer_norm(x_NBF, norm.normalized_shape, eps=norm.eps)
                x_NBF = torch.addcmul(bias[:, None], x_NBF, weight[:, None])
        return x_NBF

    def transform(self, x_NBD: Tensor) -> tuple[Tensor, Tensor]:
        """Transforms every task's vectors by its own flow, as `CouplingStack.forward` does, to rounding.

        Its gradient cannot be differentiated again.

        Args:
            x_NBD: vectors of all tasks, in full precision.

        Returns:
            Transformed vectors (N, B, D) and log-determinants (N, B).
        """
        # By layer, then by kind of parameter, then by task.
        parameters: list[Tensor] = []
        for coupling in self.couplings:
            for layers in (coupling.first, coupling.last):
                parameters += [layer.weight for layer in layers]
                parameters += [layer.bias for layer in layers]
        return _BatchedFlows.apply(x_NBD, self.halves, len(self.couplings), self.clamp, *parameters)


class _Coupling(NamedTuple):
    """One coupling layer of all tasks: both linear layers of its network."""

    first: tuple[nn.Linear, ...]
    last: tuple[nn.Linear, ...]
    clamp: float


def _mlps(aggregators: Sequence[nn.Module]) -> list[tuple[nn.Module, ...]]:
    """The layers of alike MLPs, by place; empty if the aggregators are others."""
    if not _alike(aggregators) or not all(isinstance(g, MLPAggregator) for g in aggregators):
        return []
    places = zip(*(cast("MLPAggregator", g).network for g in aggregators), strict=True)
    return [place for place in places if not isinstance(place[0], nn.Identity)]


def _couplings(flows: Sequence[nn.Module]) -> list[_Coupling]:
    """The layers of alike flows; empty without layers, with permutations, or with separate networks."""
    if not _alike(flows) or not all(isinstance(flow, CouplingStack) and flow.is_plain for flow in flows):
        return []
    found = []
    for layers in zip(*(cast("CouplingStack", flow).layers for flow in flows), strict=True):
        networks = [cast("nn.Sequential", cast("AffineCoupling", layer).networks[0]) for layer in layers]
        first, last = (tuple(cast("nn.Linear", network[i]) for network in networks) for i in (0, 2))
        found.append(_Coupling(first, last, cast("AffineCoupling", layers[0]).clamp))
    clamps = {cast("AffineCoupling", layer).clamp for flow in flows for layer in cast("Any", flow).layers}
    return found if len(clamps) == 1 else []


def _alike(modules: Sequence[nn.Module]) -> bool:
    """Whether all consist of the parts known here, none of them altered from outside, with equal sizes."""
    if any(type(part) not in _PARTS for module in modules for part in module.modules()):
        return False
    shapes = [[parameter.shape for parameter in module.parameters()] for module in modules]
    return all(sizes == shapes[0] for sizes in shapes)


class _BatchedFlows(torch.autograd.Function):
    """Coupling layers of all tasks, with the backward pass written out."""

    @staticmethod
    def forward(
        ctx: Any, x_NBD: Tensor, halves: tuple[int, int], depth: int, clamp: float, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        tasks = len(x_NBD)
        first, second = x_NBD.split(halves, dim=-1)
        kept, changed = (first, second) if depth % 2 else (second, first)
        log_det_NB = x_NBD.new_zeros(x_NBD.shape[:-1])
        saved: list[Tensor] = []
        for index in range(depth):
            start = _KINDS * tasks * index
            w1, b1, w2, b2 = (
                torch.stack(parameters[place : place + tasks])
                for place in range(start, start + _KINDS * tasks, tasks)
            )
            active = torch.baddbmm(b1[:, None], kept, w1.mT).relu_()
            u_NBC, t_NBC = torch.baddbmm(b2[:, None], active, w2.mT).chunk(2, dim=-1)
            slope_NBC = (u_NBC / clamp).tanh_()
            s_NBC = clamp * slope_NBC
            scale_NBC = s_NBC.exp()
            saved += [kept, changed, active, slope_NBC, scale_NBC, w1, w2]
            kept, changed = torch.addcmul(t_NBC, changed, scale_NBC), kept
            log_det_NB += s_NBC.sum(-1)
        ctx.save_for_backward(*saved)
        ctx.halves, ctx.depth = halves, depth
        ctx.set_materialize_grads(False)
        return torch.cat((changed, kept), dim=-1), log_det_NB

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, z_grad: Tensor | None, log_det_grad: Tensor | None) -> tuple[Any, ...]:
        saved, depth = ctx.saved_tensors, ctx.depth
        if z_grad is None:
            z_grad = torch.cat([torch.zeros_like(x) for x in _in_order(saved[0], saved[1], depth)], dim=-1)
        grads: list[Tensor] = []
        with torch.autocast(z_grad.device.type, enabled=False):
            changed_grad, kept_grad = z_grad.split(ctx.halves, dim=-1)
            for index in reversed(range(depth)):
                layer = saved[7 * index : 7 * index + 7]
                kept_grad, changed_grad, layer_grads = _through_layer(
                    layer, changed_grad, kept_grad, log_det_grad
                )
                grads = [*layer_grads, *grads]
        x_grad = torch.cat(_in_order(kept_grad, changed_grad, depth), dim=-1)
        return x_grad, None, None, None, *(part for grad in grads for part in grad.unbind())


def _in_order(kept: Tensor, changed: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """First and second half of what the first layer keeps and changes."""
    return (kept, changed) if depth % 2 else (changed, kept)


def _through_layer(
    layer: tuple[Tensor, ...], kept_grad: Tensor, changed_grad: Tensor, log_det_grad: Tensor | None
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Gradients of a layer's inputs, kept and changed, and of its parameters from those of its outputs."""
    kept, changed, active, slope_NBC, scale_NBC, w1, w2 = layer
    before_shift = changed_grad * scale_NBC
    s_grad = before_shift * changed
    if log_det_grad is not None:
        s_grad = s_grad + log_det_grad[..., None]
    # tanh'(u / clamp) = 1 - slope², and the clamp cancels.
    u_grad = torch.addcmul(s_grad, s_grad, slope_NBC * slope_NBC, value=-1)
    output_grad = torch.cat((u_grad, changed_grad), dim=-1)
    hidden_grad = torch.where(active > 0, output_grad @ w2, 0)
    parameter_grads = [
        hidden_grad.mT @ kept,
        hidden_grad.sum(1),
        output_grad.mT @ active,
        output_grad.sum(1),
    ]
    return torch.baddbmm(kept_grad, hidden_grad, w1), before_shift, parameter_grads
