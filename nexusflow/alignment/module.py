"""NexusFlow: a surrogate per task, and a loss that draws the surrogates' outputs together.

Legend: N tasks, B batch, D dimensions of the flow, L dimensions that are aligned.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from nexusflow.alignment.aggregators import AttentionAggregator, DeformableAggregator, MLPAggregator
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
        embeddings: h' per task, shape (B, D).
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
    r"""Aligns task branches in a common latent space, :math:`z_i = c_i(g_i(h_i))`.

    Every task has its own aggregator g and flow c, of equal architecture. The loss takes all samples of a
    batch, whichever labels they have. The surrogates leave the branches as they are and are dropped at
    inference. All is computed in full precision also under autocast.

    Args:
        tasks: features of each task's branch, by task; at least two tasks.
        dim: size D of h' and z.
        depth: couplings per flow; 0 aligns h' itself ("w/o inv").
        hidden, clamp, additive, fused, permutation_seed: see `CouplingStack`.
        aggregator: ``mlp``, ``attention`` or ``deformable``, or a function (features, D) that builds another.
        loss: ``center`` or ``pair``.
        reduction: ``sum`` or ``mean`` over D.
        output: aligns the ``full`` z or, Eq. 1 taken literally, its ``second_half`` only (not invertible).
        detach: hides the loss from the branches; a control that must train them like the baseline.
        normalize: extension, not in the paper: ``layer`` or ``unit`` normalises z before the align term.
        variance_floor: extension, not in the paper: penalises dimensions of z whose standard deviation over
            the batch is lower; 0 is off.
        variance_weight: weight of that penalty.
        covariance_weight: extension, not in the paper: penalises correlated dimensions; 0 is off.

    Source: Eqs. 1 to 5 of the paper; the weight lambda of Eq. 5 belongs to the training method.

    Example:
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
        aggregator: str | Callable[[int, int], nn.Module] = "mlp",
        loss: Literal["center", "pair"] = "center",
        reduction: Reduction = "sum",
        output: Literal["full", "second_half"] = "full",
        detach: bool = False,
        normalize: Normalization = "none",
        variance_floor: float = 0.0,
        variance_weight: float = 1.0,
        covariance_weight: float = 0.0,
    ) -> None:
        super().__init__()
        if len(tasks) < 2:
            raise ValueError(f"alignment needs at least two tasks, not {list(tasks)}")
        _check("loss", loss, LOSSES)
        _check("reduction", reduction, ("sum", "mean"))
        _check("output", output, ("full", "second_half"))
        _check("normalize", normalize, ("none", "layer", "unit"))
        if isinstance(aggregator, str):
            _check("aggregator", aggregator, AGGREGATORS)
            aggregator = AGGREGATORS[aggregator]
        self.tasks, self.dim = tuple(tasks), dim
        self.distance, self.reduction, self.normalize = LOSSES[loss], reduction, normalize
        self.first_aligned = dim // 2 if output == "second_half" else 0
        self.latent_dim = dim - self.first_aligned
        self.detach = detach
        self.variance_floor = variance_floor
        self.weights = {"align": 1.0, "variance": variance_weight, "covariance": covariance_weight}
        self.aggregators = nn.ModuleDict({task: aggregator(width, dim) for task, width in tasks.items()})
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

    def forward(self, taps: Mapping[str, Tap]) -> AlignmentOutput:
        """Embeds and compares the branches.

        Args:
            taps: what each branch holds, by task (see `tokens_of`); entries of other names are ignored.

        Raises:
            ValueError: if a task has no tap.
        """
        if missing := [task for task in self.tasks if task not in taps]:
            raise ValueError(f"no taps for the tasks {missing}, only for {list(taps)}")
        device = features_of(taps[self.tasks[0]]).device
        # Aligned embeddings differ by little: half precision would round the loss away.
        with torch.autocast(device.type, enabled=False):
            embeddings, latents, log_dets = {}, {}, {}
            for task in self.tasks:
                tap = detach_tap(taps[task]) if self.detach else taps[task]
                embeddings[task] = self.aggregators[task](tap)
                z_BD, log_dets[task] = self.flows[task](embeddings[task])
                latents[task] = z_BD[:, self.first_aligned :]
            terms = self._terms(torch.stack(list(latents.values())))
            loss = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return AlignmentOutput(embeddings, latents, log_dets, loss, terms)

    def _terms(self, z_NBL: Tensor) -> dict[str, Tensor]:
        terms = {"align": self.distance(normalize_embeddings(z_NBL, self.normalize), self.reduction)}
        if self.variance_floor > 0:
            terms["variance"] = variance_penalty(z_NBL, self.variance_floor)
        if self.weights["covariance"] > 0:
            terms["covariance"] = covariance_penalty(z_NBL)
        return terms


def _check(name: str, value: str, choices: Mapping[str, object] | tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
