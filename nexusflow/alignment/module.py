"""NexusFlow: a surrogate per task, and a loss that draws the surrogates' outputs together.

Legend: N tasks, B batch, D dimensions of the flow, L dimensions that are aligned.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor, nn

from nexusflow.alignment.aggregators import (
    AttentionAggregator,
    DeformableAggregator,
    MLPAggregator,
    weighted_mean,
)
from nexusflow.alignment.batched import BatchPlan
from nexusflow.alignment.batched_queries import aggregate_together
from nexusflow.alignment.coupling import CouplingStack
from nexusflow.alignment.losses import (
    Normalization,
    Reduction,
    center_loss,
    covariance_penalty,
    normalize_embeddings,
    pair_loss,
    variance_penalty,
)
from nexusflow.alignment.taps import Tap, detach_tap, features_of

__all__ = ["AlignmentOutput", "NexusFlow"]

Aggregator = str | Callable[[int, int], nn.Module]

AGGREGATORS: dict[str, Callable[[int, int], nn.Module]] = {
    "mlp": MLPAggregator,
    "attention": AttentionAggregator,
    "deformable": DeformableAggregator,
}
LOSSES = {"center": center_loss, "pair": pair_loss}


@dataclass(frozen=True)
class AlignmentOutput:
    """What `NexusFlow` computes for one batch.

    Args:
        embeddings: h' per aligned task, shape (B, D).
        latents: what is aligned of z per task, shape (B, L): L = D, or D - D // 2 for the second half.
        log_dets: log-determinant of the flow per task, shape (B,).
        loss: the weighted sum of the terms, a scalar.
        terms: the summands without weights: ``align`` and, if switched on, ``variance`` and ``covariance``.
    """

    embeddings: dict[str, Tensor]
    latents: dict[str, Tensor]
    log_dets: dict[str, Tensor]
    loss: Tensor
    terms: dict[str, Tensor]


class NexusFlow(nn.Module):
    """Aligns task branches in a common latent space, zᵢ = cᵢ(gᵢ(hᵢ)).

    Every task has its own aggregator g and flow c, of equal architecture. The loss takes all samples of a
    batch, whichever labels they have. The surrogates leave the branches as they are and are dropped at
    inference. All is computed in full precision also under autocast.

    Args:
        tasks: features of each task's branch, by task; at least two tasks.
        dim: size D of h' and z.
        depth: couplings per flow; 0 aligns h' itself ("w/o inv").
        hidden: see `CouplingStack`.
        clamp: see `CouplingStack`.
        additive: see `CouplingStack`.
        fused: see `CouplingStack`.
        permutation_seed: see `CouplingStack`.
        aggregator: ``mlp``, ``attention`` or ``deformable``, or a function (features, D) that builds another;
            or one of these per task.
        loss: ``center`` or ``pair``.
        reduction: ``sum`` or ``mean`` over D.
        output: aligns the ``full`` z or, Eq. 1 taken literally, its ``second_half`` only (not invertible).
        detach: hides the loss from the branches; a control that must train them like the baseline.
        normalize: extension, not in the paper: ``layer`` or ``unit`` normalises z before the align term.
        variance_floor: extension, not in the paper: penalises dimensions of z whose standard deviation over
            the batch is lower; 0 is off.
        variance_weight: weight of that penalty.
        covariance_weight: extension, not in the paper: penalises correlated dimensions; 0 is off.
        batched: computes alike surrogates of all tasks at once, with equal results to rounding; False
            for hooks on single surrogates, or where the gradient is to be differentiated again.

    Source: Eqs. 1 to 5 of the paper; the weight lambda of Eq. 5 belongs to the training method.

    Examples:
        >>> surrogates = NexusFlow({"track": 8, "map": 4}, dim=16)
        >>> output = surrogates({"track": torch.randn(2, 30, 8), "map": torch.randn(2, 4, 50, 50)})
        >>> output.loss.backward()
        >>> output.latents["track"].shape, output.log_dets["map"].tolist()
        (torch.Size([2, 16]), [0.0, 0.0])
    """

    def __init__(
        self,
        tasks: Mapping[str, int],
        dim: int = 256,
        depth: int = 6,
        *,
        hidden: int = 256,
        clamp: float = 1.0,
        additive: bool = False,
        fused: bool = True,
        permutation_seed: int | None = None,
        aggregator: Aggregator | Mapping[str, Aggregator] = "mlp",
        loss: Literal["center", "pair"] = "center",
        reduction: Reduction = "sum",
        output: Literal["full", "second_half"] = "full",
        detach: bool = False,
        normalize: Normalization = "none",
        variance_floor: float = 0.0,
        variance_weight: float = 1.0,
        covariance_weight: float = 0.0,
        batched: bool = True,
    ) -> None:
        super().__init__()
        if len(tasks) < 2:
            raise ValueError(f"alignment needs at least two tasks, not {list(tasks)}")
        _check("loss", loss, LOSSES)
        _check("reduction", reduction, ("sum", "mean"))
        _check("output", output, ("full", "second_half"))
        _check("normalize", normalize, ("none", "layer", "unit"))
        make = _aggregator_makers(aggregator, tuple(tasks))
        self.tasks, self.dim = tuple(tasks), dim
        self.distance, self.reduction, self.normalize = LOSSES[loss], reduction, normalize
        self.first_aligned = dim // 2 if output == "second_half" else 0
        self.latent_dim = dim - self.first_aligned
        self.detach, self.batched = detach, batched
        self._batch_plan: BatchPlan | None = None
        self.variance_floor = variance_floor
        self.weights = {"align": 1.0, "variance": variance_weight, "covariance": covariance_weight}
        self.aggregators = nn.ModuleDict({task: make[task](width, dim) for task, width in tasks.items()})
        self.flows = nn.ModuleDict(
            {
                task: CouplingStack(
                    dim,
                    depth,
                    hidden,
                    clamp=clamp,
                    additive=additive,
                    fused=fused,
                    permutation_seed=permutation_seed,
                )
                for task in tasks
            }
        )

    def forward(
        self, taps: Mapping[str, Tap], *, missing: Literal["raise", "skip"] = "raise"
    ) -> AlignmentOutput:
        """Embeds and compares the branches.

        Args:
            taps: what each branch holds, by task (see `tokens_of`); entries of other names are ignored.
            missing: ``skip`` aligns the tasks that have a tap, or none and returns a loss of zero if these
                are fewer than two; parameters that were not needed get gradients of zero, as distributed
                training demands.

        Raises:
            ValueError: if a task has no tap, unless it may be skipped.
        """
        _check("missing", missing, ("raise", "skip"))
        absent = [task for task in self.tasks if task not in taps]
        if not absent:
            return self._align(taps, self.tasks)
        if missing == "raise":
            raise ValueError(f"no taps for the tasks {absent}, only for {list(taps)}")
        if self._batch_plan is not None and self._batch_plan.packed is not None:
            raise RuntimeError(
                f"surrogates packed for an optimiser need the taps of all tasks; none for {absent}"
            )
        present = [task for task in self.tasks if task in taps]
        idle = absent if len(present) > 1 else self.tasks
        zero = self._zero(idle)
        if len(present) < 2:
            return AlignmentOutput({}, {}, {}, zero, {})
        output = self._align(taps, present)
        return replace(output, loss=output.loss + zero)

    @torch.no_grad()
    def invert(self, latents: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Inverts the flows, without gradient.

        Args:
            latents: z of every task, shape (B, D); the ``full`` output.

        Returns:
            h' of every task, shape (B, D), in full precision.
        """
        given = [latents[task] for task in self.tasks]
        plan = self._plan() if self.batched else None
        if plan is None or not plan.couplings or len({z_BD.shape for z_BD in given}) > 1:
            return {task: self.flows[task].inverse(z) for task, z in zip(self.tasks, given, strict=True)}  # type: ignore[operator]
        z_NBD = torch.stack(given)
        precise = z_NBD.to(torch.promote_types(z_NBD.dtype, torch.float32))
        with torch.autocast(z_NBD.device.type, enabled=False):
            return dict(zip(self.tasks, plan.invert(precise).unbind(), strict=True))

    def _align(self, taps: Mapping[str, Tap], tasks: Sequence[str]) -> AlignmentOutput:
        device = features_of(taps[tasks[0]]).device
        # Aligned embeddings differ by little: half precision would round the loss away.
        with torch.autocast(device.type, enabled=False):
            parts = self._apply_surrogates(
                [detach_tap(taps[task]) if self.detach else taps[task] for task in tasks], tasks
            )
            x_NBD, z_NBD, log_det_NB = parts
            z_NBL = z_NBD[..., self.first_aligned :]
            terms = self._terms(z_NBL)
            loss = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        x, z, log_det = (
            dict(zip(tasks, of_all.unbind(), strict=True)) for of_all in (x_NBD, z_NBL, log_det_NB)
        )
        return AlignmentOutput(x, z, log_det, loss, terms)

    def _zero(self, tasks: Sequence[str]) -> Tensor:
        """A zero whose gradient, zero as well, reaches every parameter of these tasks' surrogates."""
        modules = [module[task] for task in tasks for module in (self.aggregators, self.flows)]
        empty = [p.flatten()[:0].sum().float() for module in modules for p in module.parameters()]
        return torch.stack(empty).sum()

    def pack(self) -> list[nn.Parameter]:
        """Joins alike parameters of all tasks in one tensor, which an optimiser updates in one operation.

        Parameters of aggregators and flows stay where they are, as views, but get no gradients. To be called
        once, after the surrogates were moved to their device; a copy of them is not packed.

        Returns:
            What is to be trained in place of `parameters`: the same numbers in fewer tensors.
        """
        plan = self._plan() if self.batched else None
        if plan is None or not plan.parameters:
            return list(self.parameters())
        packed = {id(parameter) for parameter in plan.parameters}
        return [plan.pack(), *(p for p in self.parameters() if id(p) not in packed)]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        if self._batch_plan is not None and self._batch_plan.packed is not None:
            raise RuntimeError(
                "the surrogates were to be moved or converted after they were packed for an optimiser; "
                "move them first, then pack"
            )
        return super()._apply(fn, recurse)

    def _apply_surrogates(self, taps: Sequence[Tap], tasks: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """h', z and log-determinants, (N, B, D) and (N, B); one product for all tasks that are alike."""
        plan = self._plan() if self.batched and len(tasks) == len(self.tasks) else None
        if plan is not None and plan.mlps:
            x_NBD, z_NBD, log_det_NB = plan.apply(torch.stack([weighted_mean(tap) for tap in taps]))
        else:
            aggregators = [self.aggregators[task] for task in tasks]
            if plan is not None and plan.queries:
                x_NBD = aggregate_together(aggregators, taps)
            else:
                x_NBD = torch.stack([g(tap) for g, tap in zip(aggregators, taps, strict=True)])
            if plan is not None and plan.couplings:
                return plan.apply(x_NBD)
        if plan is not None and plan.couplings:
            return x_NBD, z_NBD, log_det_NB
        flows = [self.flows[task] for task in tasks]
        transformed = [flow(x_BD) for flow, x_BD in zip(flows, x_NBD.unbind(), strict=True)]
        z_NBD, log_det_NB = (torch.stack(parts) for parts in zip(*transformed, strict=True))
        return x_NBD, z_NBD, log_det_NB

    def _plan(self) -> BatchPlan:
        modules = [*self.aggregators.values()], [*self.flows.values()]
        if self._batch_plan is None or not self._batch_plan.fits(*modules):
            self._batch_plan = BatchPlan(*modules)
        return self._batch_plan

    def _terms(self, z_NBL: Tensor) -> dict[str, Tensor]:
        terms = {"align": self.distance(normalize_embeddings(z_NBL, self.normalize), self.reduction)}
        if self.variance_floor > 0:
            terms["variance"] = variance_penalty(z_NBL, self.variance_floor)
        if self.weights["covariance"] > 0:
            terms["covariance"] = covariance_penalty(z_NBL)
        return terms


def _aggregator_makers(
    aggregator: Aggregator | Mapping[str, Aggregator], tasks: tuple[str, ...]
) -> dict[str, Callable[[int, int], nn.Module]]:
    chosen = dict(aggregator) if isinstance(aggregator, Mapping) else dict.fromkeys(tasks, aggregator)
    if set(chosen) != set(tasks):
        raise ValueError(f"aggregator names {list(chosen)}, the tasks are {list(tasks)}")
    for kind in chosen.values():
        if isinstance(kind, str):
            _check("aggregator", kind, AGGREGATORS)
    return {task: AGGREGATORS[kind] if isinstance(kind, str) else kind for task, kind in chosen.items()}


def _check(name: str, value: str, choices: Mapping[str, object] | tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
