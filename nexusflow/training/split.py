"""A step whose batch is split over passes of one process, over ranks, or over both; it equals the whole step.

Task losses are sums over samples, divided by counts of the whole batch, so those of the parts add up. A
method compares samples in ways of its own (batch statistics, noise, kernels), so it is not split: on every
rank it sees the features of the whole batch, cut off from the model, and the gradients it sends back go to
the passes that the features came from. With several passes per step, a first round without gradients finds
counts and features, and a second one trains.

Letters: B samples of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nexusflow.core.parts import BatchPart
from nexusflow.core.views import DenseView
from nexusflow.methods.base import Method
from nexusflow.suites.base import StepResult, Suite
from nexusflow.training.batch_norm import refuse_batch_norm
from nexusflow.training.ranks import Ranks

__all__ = ["SplitStep", "parts_of"]

_LEARNING = ("features", "weights", "positions", "predictions")


def parts_of(batch_size: int, rank: int, ranks: int, accumulate: int) -> list[BatchPart]:
    """List what one rank sees of a batch, pass by pass.

    Args:
        batch_size: samples of the batch, a multiple of `ranks` times `accumulate`.
        rank: number of the rank.
        ranks: number of ranks.
        accumulate: passes of every rank.

    Returns:
        Equal parts; in the order of the ranks they make up the batch.
    """
    size = batch_size // (ranks * accumulate)
    first = rank * accumulate * size
    return [BatchPart(first + n * size, first + (n + 1) * size, batch_size) for n in range(accumulate)]


def _tensors_of(result: StepResult) -> dict[str, Tensor]:
    """What a method reads, by names that end in what it is."""
    found = {f"tap/{task}/{key}": x for task, tap in result.taps.items() for key, x in tap.items()}
    found |= {f"shown/{task}/visible": x for task, x in result.visible.items()}
    for number, view in enumerate(result.views):
        for kind in ("predictions", "labels", "valid", "visible"):
            found |= {f"view{number}/{task}/{kind}": x for task, x in getattr(view, kind).items()}
        found[f"view{number}//features"] = view.features_BFhw
    return found


def _learns(name: str, x: Tensor) -> bool:
    return name.endswith(_LEARNING) and x.is_floating_point()


def _by_task(tensors: Mapping[str, Tensor], place: str, kind: str) -> dict[str, Tensor]:
    parts = {name: name.split("/") for name in tensors}
    return {part[1]: tensors[name] for name, part in parts.items() if part[0] == place and part[2] == kind}


def _taps(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    taps: dict[str, dict[str, Tensor]] = {}
    for name, x in tensors.items():
        place, task, key = name.split("/")
        if place == "tap":
            taps.setdefault(task, {})[key] = x
    return taps


def _views(tensors: Mapping[str, Tensor], count: int) -> list[DenseView]:
    kinds = ("predictions", "labels", "valid", "visible")
    return [
        DenseView(
            **{kind: _by_task(tensors, f"view{number}", kind) for kind in kinds},
            features_BFhw=tensors[f"view{number}//features"],
        )
        for number in range(count)
    ]


class _Counts:
    """Adds up the counts of a rank's passes, then of all ranks."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._sums: dict[str, Tensor] = {}

    def collect(self, counts: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Note what one of several passes counts."""
        for name, count in counts.items():
            self._sums[name] = self._sums[name] + count if name in self._sums else count
        return counts

    def finish(self) -> None:
        """Add the other ranks' counts, when all passes are noted."""
        if self._sums:
            self._sums = self._ranks.sum(self._sums)

    def of_all(self, counts: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The whole batch's counts, for a second round."""
        return {name: self._sums[name] for name in counts}


@dataclass
class SplitStep:
    """Forward and backward passes of the steps of one rank.

    Attributes:
        suite: data, model and task losses.
        method: adds its own losses.
        ranks: the ranks.
        parts: what this rank sees of every batch.
        model_parameters: gradients of which the ranks hold parts.
        method_parameters: gradients of which every rank holds the whole.
        weight: factor of a loss by its name.
    """

    suite: Suite
    method: Method
    ranks: Ranks
    parts: list[BatchPart]
    model_parameters: list[torch.nn.Parameter]
    method_parameters: list[torch.nn.Parameter]
    weight: Callable[[str], float]

    def load(self, step: int) -> list[Any]:
        """Load this rank's parts of a step's batch."""
        if len(self.parts) > 1:
            refuse_batch_norm(self.suite.model)
        return [self.suite.batch(step, part) for part in self.parts]

    def backward(self, batches: list[Any], step: int, single_frame: bool) -> dict[str, Tensor]:
        """Leave the gradients of the whole batch's losses in the parameters of every rank.

        Args:
            batches: from `load`; gradients are cleared already.
            step: step number from 0.
            single_frame: leave history out.

        Returns:
            Losses of the whole batch by name, without gradient; the same on every rank.
        """
        if len(batches) == 1:
            result = self._forward(batches[0], step, single_frame, self.ranks.sum)
            extra, gradients = self._method_losses([result], step)
            losses = self._model_backward(result, gradients, self.parts[0])
        else:
            extra, losses = self._two_rounds(batches, step, single_frame)
        self.ranks.sum_gradients(self.model_parameters)
        # Alike on every rank but for operations that are not deterministic on a GPU.
        self.ranks.sum_gradients(self.method_parameters, divisor=self.ranks.size)
        return {**self.ranks.sum(losses), **extra}

    def _forward(self, batch: Any, step: int, single_frame: bool, pool: Any) -> StepResult:
        with self.ranks.fabric.autocast():
            return self.suite.forward(batch, step, single_frame, pool_counts=pool)

    def _two_rounds(
        self, batches: list[Any], step: int, single_frame: bool
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        counts = _Counts(self.ranks)
        with torch.no_grad():
            seen = [self._forward(batch, step, single_frame, counts.collect) for batch in batches]
        counts.finish()
        extra, gradients = self._method_losses(seen, step)
        del seen
        losses: dict[str, Tensor] = {}
        for batch, part in zip(batches, self.parts, strict=True):
            result = self._forward(batch, step, single_frame, counts.of_all)
            for name, value in self._model_backward(result, gradients, part).items():
                losses[name] = losses[name] + value if name in losses else value
        return extra, losses

    def _method_losses(
        self, results: list[StepResult], step: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Run the method on the whole batch; returns its losses and what it tells the features it saw."""
        if not self.method.reads_batches:
            return {}, {}
        own = [_tensors_of(result) for result in results]
        joined = {name: torch.cat([tensors[name].detach() for tensors in own]) for name in own[0]}
        whole = self.ranks.gather(joined)
        leaves = {name: x.requires_grad_() for name, x in whole.items() if _learns(name, x)}
        with self.ranks.fabric.autocast():
            visible = _by_task(whole, "shown", "visible")
            views = _views(whole, len(results[0].views))
            losses = self.method.extra_losses(_taps(whole), {}, visible, step, views)
        weighted = [self.weight(name) * value.float() for name, value in losses.items()]
        if weighted and (total := torch.stack(weighted).sum()).requires_grad:
            total.backward()
        gradients = {name: x.grad for name, x in leaves.items() if x.grad is not None}
        return {name: value.detach() for name, value in losses.items()}, gradients

    def _model_backward(
        self, result: StepResult, gradients: Mapping[str, Tensor], part: BatchPart
    ) -> dict[str, Tensor]:
        """Send a pass's own losses and the method's messages back through the model."""
        losses = [self.weight(name) * value.float() for name, value in result.losses.items()]
        tensors = _tensors_of(result) if gradients else {}
        told = {name: x for name, x in tensors.items() if name in gradients and x.requires_grad}
        roots = [torch.stack(losses).sum(), *told.values()]
        torch.autograd.backward(roots, [None, *(part.cut(gradients[name]) for name in told)])
        return {name: value.detach() for name, value in result.losses.items()}
