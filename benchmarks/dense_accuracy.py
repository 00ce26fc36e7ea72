"""How far a training step in float32, bfloat16 and of the plain design is from ours in double precision.

An untrained SegNet is chaotic: a rounding error decides which of two like values is a maximum, and the
decoder unpools it elsewhere. Equality of two designs therefore shows in double precision only, and the error
of bfloat16 must be seen beside that of float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from plain_dense import PlainStep
from torch import Tensor, nn

from nexusflow.data.nyuv2.batch import DenseBatch
from nexusflow.suites.nyuv2.suite import ViewedBatch
from nexusflow.training.loop import Trainer

__all__ = ["Step", "cropped", "difference", "in_double", "ours_once", "plain_once", "views_of"]

# Losses by name, the gradient of all parameters, and predictions by task.
Step = tuple[dict[str, float], Tensor, dict[str, Tensor]]


def views_of(batch: DenseBatch | ViewedBatch) -> list[DenseBatch]:
    """All views of a batch, that of the task losses first."""
    return [batch] if isinstance(batch, DenseBatch) else [batch.first, *batch.extra]


def cropped(batch: DenseBatch | ViewedBatch, height: int, width: int, dtype: torch.dtype) -> Any:
    """The upper left corner of every view, in another precision."""

    def crop(view: DenseBatch) -> DenseBatch:
        corner = (..., slice(height), slice(width))
        return replace(
            view,
            images_B3HW=view.images_B3HW[corner].to(dtype),
            labels_BHW=view.labels_BHW[corner],
            depth_B1HW=view.depth_B1HW[corner].to(dtype),
            normals_B3HW=view.normals_B3HW[corner].to(dtype),
        )

    if isinstance(batch, DenseBatch):
        return crop(batch)
    return replace(batch, first=crop(batch.first), extra=tuple(crop(view) for view in batch.extra))


@contextmanager
def in_double() -> Iterator[None]:
    """`Tensor.float` gives double precision, so that nothing on the way is rounded to float32."""
    kept = Tensor.float
    Tensor.float = Tensor.double  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        Tensor.float = kept  # type: ignore[method-assign]


def relative(value: Tensor, truth: Tensor) -> float:
    """Length of the difference over the length of the truth."""
    return float((value.double() - truth.double()).norm() / truth.double().norm())


def gradient(modules: list[nn.Module | None]) -> Tensor:
    """All gradients in one vector; zeros where there is none."""
    parameters = [p for module in modules if module is not None for p in module.parameters()]
    return torch.cat(
        [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters]
    )


def ours_once(trainer: Trainer, batch: Any) -> Step:
    """Losses, gradient and outputs of a batch; weights stay."""
    suite, method = trainer.suite, trainer.method
    with trainer.fabric.autocast():
        result = suite.forward(batch, 0, False)
        extra = method.extra_losses(result.taps, result.outputs, result.visible, 0, result.views)
    named = {**result.losses, **extra}
    torch.stack([value.float() for value in named.values()]).sum().backward()
    vector = gradient([suite.model, method])
    for module in (suite.model, method):
        module.zero_grad(set_to_none=True)
    outputs = {task: value.detach().float() for task, value in result.outputs.items()}
    return {name.split("/")[0]: float(value.detach()) for name, value in named.items()}, vector, outputs


def plain_once(step: PlainStep, views: list[DenseBatch], seed: int) -> Step:
    """The same of the plain design, its classes drawn with the noise that ours draws."""
    generator = torch.Generator().manual_seed(seed)
    step.noise = lambda log_1KHW: torch.rand(log_1KHW.shape, generator=generator)
    losses = step.losses(views)
    torch.stack(list(losses.values())).sum().backward()
    vector = gradient([step.network, step.mapping])
    with torch.no_grad():
        outputs, _ = step.network(torch.cat([view.images_B3HW for view in views]))
    first = {task: value[: len(views[0].images_B3HW)] for task, value in outputs.items()}
    return {name: float(value.detach()) for name, value in losses.items()}, vector, first


def difference(run: str, steps: int, contender: str, found: Step, truth: Step) -> dict[str, object]:
    """One row: how far losses, gradient and outputs are from ours in double precision."""
    names = {"mtpsl": "consistency"}
    losses = {names.get(name, name): value for name, value in found[0].items()}
    wanted = {names.get(name, name): value for name, value in truth[0].items()}
    assert losses.keys() == wanted.keys()
    classes, true_classes = (x[2]["segmentation"].argmax(1) for x in (found, truth))
    cosine = (found[2]["normal"] * truth[2]["normal"]).sum(1).clamp(-1, 1)
    return {
        "run": run,
        "after steps": steps,
        "contender": contender,
        "largest relative difference of a loss": max(
            abs(losses[name] - wanted[name]) / abs(wanted[name]) for name in losses if wanted[name]
        ),
        "relative difference of the total": abs(sum(losses.values()) / sum(wanted.values()) - 1),
        "relative difference of the gradient": relative(found[1], truth[1]),
        "pixels of another class": float((classes != true_classes).float().mean()),
        "mean difference of depth, m": float((found[2]["depth"] - truth[2]["depth"]).abs().mean()),
        "mean difference of normals, degrees": float(cosine.acos().rad2deg().mean()),
    }
