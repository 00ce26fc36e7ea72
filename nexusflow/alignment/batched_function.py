"""MLPs and coupling layers of all tasks in as few operations as possible, with the backward pass written out.

Legend: N tasks, B batch, D dimensions, F features of the branches, K kept and C changed dimensions, H hidden
units, P all parameters one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nexusflow.alignment.bounded import bounded, exponential
from nexusflow.alignment.products import add_products, products
from nexusflow.alignment.spare import SpareMemory

__all__ = ["BatchedSurrogates", "Layout", "apply_mlps"]

_threshold_backward = torch.ops.aten.threshold_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input
# From so many inputs on fresh memory costs more than operations; memory for more than so many is not kept.
_LARGE, _MOST = 2**15, 2**20
_layer_norm_backward = torch.ops.aten.native_layer_norm_backward


class Layout(NamedTuple):
    """Where the parameters of alike surrogates lie in one tensor, and what is done with them.

    Args:
        sizes: numbers of a parameter, of all tasks together.
        shapes: (tasks, output, input) of a weight, (tasks, 1, output) of a bias or of what a norm has.
        mlp: "linear", "relu", or the epsilon of a LayerNorm, for every layer of the MLPs.
        halves: sizes of the halves of the flows.
        depth: number of coupling layers, each with two linear layers.
        clamp: bound of the absolute log-scale.
    """

    sizes: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    mlp: tuple[str | float, ...]
    halves: tuple[int, int]
    depth: int
    clamp: float

    def split(self, flat_P: Tensor) -> list[Tensor]:
        """Returns the parameters as views of the tensor that holds them."""
        parts = flat_P.split(self.sizes)
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]


class BatchedSurrogates(torch.autograd.Function):
    """h', z and log-determinants of all tasks; the first is empty without MLPs, the others without flows.

    The parameters come twice: side by side, without gradient, and as tensors that get the gradients, either
    one tensor of them all or all parameters in their order.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x_NBF: Tensor,
        parameters: list[Tensor],
        layout: Layout,
        spare: tuple[SpareMemory, SpareMemory],
        *trained: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        flow_parameters = parameters[len(parameters) - 4 * layout.depth :]
        h_NBD, saved = apply_mlps(x_NBF, parameters, layout.mlp)
        ctx.mlp_saved = len(saved)
        z_NBD, log_det_NB = x_NBF.new_empty(0), x_NBF.new_empty(0)
        if layout.depth:
            z_NBD, log_det_NB, flow_saved = _flow(h_NBD, flow_parameters, layout, spare[0])
            saved += flow_saved
        # The trained ones are saved for autograd to notice an update between forward and backward.
        ctx.save_for_backward(*trained, *saved)
        ctx.parameters, ctx.layout, ctx.spare = parameters, layout, spare[1]
        ctx.set_materialize_grads(False)
        return h_NBD if layout.mlp else x_NBF.new_empty(0), z_NBD, log_det_NB

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(
        ctx: Any, h_grad: Tensor | None, z_grad: Tensor | None, log_det_grad: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        parameters, layout = ctx.parameters, ctx.layout
        count = len(ctx.needs_input_grad) - 4
        if h_grad is None and z_grad is None and log_det_grad is None:
            return (None,) * (4 + count)
        trained, saved = ctx.saved_tensors[:count], list(ctx.saved_tensors[count:])
        flat_grad_P = ctx.spare.take(parameters[0], sum(layout.sizes))
        grads = layout.split(flat_grad_P)
        flow = len(parameters) - 4 * layout.depth
        with torch.autocast(parameters[0].device.type, enabled=False):
            if layout.depth:
                flow_saved = saved[ctx.mlp_saved :]
                if z_grad is None and log_det_grad is None:
                    z_grad = _zero_grad(flow_saved, layout)
                flow_grad = _flow_backward(
                    z_grad, log_det_grad, parameters[flow:], flow_saved, layout, grads[flow:]
                )
                # Without MLPs h' is no output; a compiled graph then hands an empty gradient over, not None.
                h_grad = flow_grad if h_grad is None or not layout.mlp else h_grad + flow_grad
            assert h_grad is not None
            x_grad = _mlp_backward(h_grad, parameters, saved[: ctx.mlp_saved], layout.mlp, grads)
        if count == 1:
            return x_grad, None, None, None, flat_grad_P
        single = flat_grad_P.split([parameter.numel() for parameter in trained])
        return x_grad, None, None, None, *(g.view_as(p) for g, p in zip(single, trained, strict=True))


def apply_mlps(
    x_NBF: Tensor, parameters: list[Tensor], kinds: tuple[str | float, ...]
) -> tuple[Tensor, list[Tensor]]:
    """Applies the MLPs of all tasks.

    Args:
        x_NBF: their inputs.
        parameters: theirs come first, weight before bias.
        kinds: what their layers are, see `Layout`.

    Returns:
        Outputs (N, B, D), and what the backward pass needs: a linear layer's input, a ReLU's output, all of
        a norm.
    """
    saved: list[Tensor] = []
    place = 0
    for kind in kinds:
        if kind == "relu":
            x_NBF = x_NBF.relu_()
            saved.append(x_NBF)
            continue
        weight, bias = parameters[place : place + 2]
        place += 2
        if kind == "linear":
            saved.append(x_NBF)
            x_NBF = add_products(bias, x_NBF, weight.mT)
        else:
            normed, mean, rstd = torch.native_layer_norm(x_NBF, x_NBF.shape[-1:], None, None, float(kind))
            saved += [x_NBF, normed, mean, rstd]
            x_NBF = torch.addcmul(bias, normed, weight)
    return x_NBF, saved


def _mlp_backward(
    grad: Tensor,
    parameters: list[Tensor],
    saved: list[Tensor],
    kinds: tuple[str | float, ...],
    grads: list[Tensor],
) -> Tensor:
    """Gradient of the input; those of the parameters are written to `grads`."""
    place = 2 * sum(kind != "relu" for kind in kinds)
    for kind in reversed(kinds):
        if kind == "relu":
            # Only a linear layer comes before, whose output gradient is this very tensor.
            grad = _threshold_backward(grad, saved.pop(), 0, grad_input=torch.empty_like(grad))
            continue
        place -= 2
        weight = parameters[place]
        if kind == "linear":
            _linear_backward(grad, saved.pop(), grads[place : place + 2])
            grad = products(grad, weight)
        else:
            rstd, mean, normed, x = (saved.pop() for _ in range(4))
            torch.sum(grad * normed, 1, keepdim=True, out=grads[place])
            torch.sum(grad, 1, keepdim=True, out=grads[place + 1])
            grad = _layer_norm_backward(
                grad * weight, x, x.shape[-1:], mean, rstd, None, None, (True, False, False)
            )[0]
    return grad


def _linear_backward(grad: Tensor, inputs: Tensor, grads: list[Tensor]) -> None:
    """Writes the gradients of weight and bias."""
    if grad.shape[1] == 1:  # a product of single numbers, for which the matrix product is slow
        torch.mul(grad.mT, inputs, out=grads[0])
        grads[1].copy_(grad)
        return
    products(grad.mT, inputs, out=grads[0])
    torch.sum(grad, 1, keepdim=True, out=grads[1])


def _flow(
    x_NBD: Tensor, parameters: list[Tensor], layout: Layout, spare: SpareMemory
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """z, log-determinants, and five tensors per layer that the backward pass needs."""
    first, second = x_NBD.split(layout.halves, dim=-1)
    kept, changed = (first, second) if layout.depth % 2 else (second, first)
    saved: list[Tensor] = []
    outputs: dict[int, Tensor] = {}  # by width; used anew by every layer, as fresh memory is slow
    memory = _memory_of_layers(x_NBD, parameters, layout, spare)
    for index in range(layout.depth):
        w1, b1, w2, b2 = parameters[4 * index : 4 * index + 4]
        for_active, for_slope, for_scale, for_result = memory[index]
        active_NBH = add_products(b1, kept, w1.mT, out=for_active).relu_()
        outputs[len(b2[0, 0])] = output_NBO = add_products(
            b2, active_NBH, w2.mT, out=outputs.get(len(b2[0, 0]))
        )
        u_NBC, t_NBC = output_NBO.chunk(2, dim=-1)
        slope_NBC = bounded(u_NBC if layout.clamp == 1 else u_NBC / layout.clamp, out=for_slope)
        bounded_NBC = slope_NBC if layout.clamp == 1 else layout.clamp * slope_NBC
        scale_NBC = exponential(bounded_NBC, out=for_scale)
        saved += [kept, changed, active_NBH, slope_NBC, scale_NBC]
        kept, changed = torch.addcmul(t_NBC, changed, scale_NBC, out=for_result), kept
    return torch.cat((changed, kept), dim=-1), layout.clamp * _sum_of(saved[3::5]), saved


def _memory_of_layers(
    x_NBD: Tensor, parameters: list[Tensor], layout: Layout, spare: SpareMemory
) -> list[Sequence[Tensor | None]]:
    """Where a layer's hidden units, log-scales, scales and results go; None where fresh memory serves."""
    worth_keeping = _LARGE <= x_NBD.numel() <= _MOST and x_NBD.device.type == "cpu"
    if not worth_keeping or torch.compiler.is_compiling():
        return [(None,) * 4] * layout.depth
    tasks, batch = x_NBD.shape[:2]
    halves = [weight.shape[1] // 2 for weight in parameters[2::4]]
    sizes = [
        tasks * batch * width
        for weight, half in zip(parameters[::4], halves, strict=True)
        for width in (weight.shape[1], half, half, half)
    ]
    parts = [part.view(tasks, batch, -1) for part in spare.take(x_NBD, sum(sizes)).split(sizes)]
    return [parts[start : start + 4] for start in range(0, len(parts), 4)]


def _sum_of(slopes: list[Tensor]) -> Tensor:
    """Sums all dimensions of all layers; large ones without laying them side by side first."""
    if slopes[0].numel() < _LARGE:
        return torch.cat(slopes, dim=-1).sum(-1)
    total_NB = slopes[0].sum(-1)
    for slope in slopes[1:]:
        total_NB += slope.sum(-1)
    return total_NB


def _zero_grad(saved: list[Tensor], layout: Layout) -> Tensor:
    return torch.zeros_like(torch.cat(_in_order(saved[0], saved[1], layout.depth), dim=-1))


def _flow_backward(
    z_grad: Tensor | None,
    log_det_grad: Tensor | None,
    parameters: list[Tensor],
    saved: list[Tensor],
    layout: Layout,
    grads: list[Tensor],
) -> Tensor:
    """Gradient of the flows' input; those of their parameters are written to `grads`."""
    z_grad = _zero_grad(saved, layout) if z_grad is None else z_grad
    # After the last layer roles have changed: what it changed is the second half.
    kept_grad, changed_grad = z_grad.split(layout.halves, dim=-1)
    output_grads: dict[int, Tensor] = {}
    hidden_grad: Tensor | None = None
    for index in reversed(range(layout.depth)):
        kept, changed, active_NBH, slope_NBC, scale_NBC = saved[5 * index : 5 * index + 5]
        w1, _, w2, _ = parameters[4 * index : 4 * index + 4]
        last = index == layout.depth - 1  # its gradients are not ours to overwrite
        output_grad = output_grads.get(w2.shape[1])
        if output_grad is None:
            output_grad = output_grads[w2.shape[1]] = w2.new_empty(*kept.shape[:-1], w2.shape[1])
        u_grad, t_grad = output_grad.chunk(2, dim=-1)
        t_grad.copy_(changed_grad)
        before_shift = torch.mul(changed_grad, scale_NBC, out=None if last else changed_grad)
        # A compiler takes no output that lies between other memory.
        s_grad = torch.empty_like(before_shift) if torch.compiler.is_compiling() else u_grad
        if log_det_grad is None:
            torch.mul(before_shift, changed, out=s_grad)
        else:
            torch.addcmul(log_det_grad[..., None], before_shift, changed, out=s_grad)
        # The derivative of clamp * tanh(u / clamp) is 1 - slope²; the clamp cancels.
        _tanh_backward(s_grad, slope_NBC, grad_input=s_grad)
        if s_grad is not u_grad:
            u_grad.copy_(s_grad)
        _linear_backward(output_grad, active_NBH, grads[4 * index + 2 : 4 * index + 4])
        hidden_grad = products(output_grad, w2, out=hidden_grad)
        _threshold_backward(hidden_grad, active_NBH, 0, grad_input=hidden_grad)
        _linear_backward(hidden_grad, kept, grads[4 * index : 4 * index + 2])
        changed_grad = add_products(kept_grad, hidden_grad, w1, out=None if last else kept_grad)
        kept_grad = before_shift
    return torch.cat(_in_order(changed_grad, kept_grad, layout.depth), dim=-1)


def _in_order(kept: Tensor, changed: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """First and second half of what the first layer keeps and changes."""
    return (kept, changed) if depth % 2 else (changed, kept)
