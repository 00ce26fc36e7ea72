"""Training by the labels that are there and by equal distributions of features in all domains.

A domain is what the samples with the same visible labels have in common: a city under the geographic
partitions of nuScenes, a cluster of images on NYUv2.

Letters: B samples, R rows of a tap (B, or B times the frames of a clip), Q tokens, F features, H × W cells.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from nexusflow.alignment.taps import Tap, tokens_of
from nexusflow.core.errors import UserError
from nexusflow.core.views import DenseView, ViewPlan
from nexusflow.methods.base import BuildContext, Method
from nexusflow.methods.matching_config import MatchingConfig
from nexusflow.methods.matching_losses import moment_distance, multi_kernel_mmd

__all__ = ["MatchingMethod", "build", "domains_of", "pooled_features"]


def domains_of(visible: Mapping[str, Tensor]) -> Tensor:
    """Number the domain of every sample of a batch by the labels that it shows.

    Args:
        visible: for each task, which samples have labels, bool (B,).

    Returns:
        Numbers, int64 (B,), equal where all tasks show and hide the same.
    """
    return torch.stack([shown_B.long() << place for place, shown_B in enumerate(visible.values())]).sum(0)


def pooled_features(tap: Tap) -> Tensor:
    """Pool a tap to the weighted mean of the tokens that no sample of the batch lacks.

    Tracks are carried by their labels, so only samples that show them have such tokens: with them in the
    mean, the domains would differ by construction.

    Args:
        tap: what a branch holds, see `nexusflow.alignment.tokens_of`.

    Returns:
        Features (R, F), float32; zero where no token is left.
    """
    x_RQF, weights_RQ, _ = tokens_of(tap)
    weights_RQ = weights_RQ * (weights_RQ > 0).all(0)
    total_R1 = weights_RQ.sum(-1, keepdim=True)
    shares_RQ = weights_RQ / torch.where(total_R1 > 0, total_R1, 1)
    return (shares_RQ[..., None] * x_RQF).sum(1)


class MatchingMethod(Method):
    """Adds distances between the domains of a batch: of pooled features, of shared features, or of both.

    A batch of one domain adds zero, without gradient; `monitors` says how often that was.

    Args:
        tasks: names of the tasks.
        mmd_weight: weight of the MMD between the domains on each task's pooled features; 0: off.
        moments_weight: weight of the distance of means and covariances of the shared features; 0: off.

    Source: not in the paper; MMD between domains is that of DAN (Long et al., 2015), covariances of CORAL.
    """

    name = "matching"
    steps: Tensor
    missing: Tensor

    def __init__(self, tasks: Sequence[str], mmd_weight: float, moments_weight: float) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.mmd_weight, self.moments_weight = mmd_weight, moments_weight
        # Of the instance: pooled features alone need no views.
        self.view_plan = ViewPlan(extra=1) if moments_weight else None  # type: ignore[misc]
        # Part of the state dict, so that a resumed run reports what an uninterrupted one does.
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("missing", torch.zeros((), dtype=torch.long))

    def extra_losses(
        self,
        taps: Mapping[str, Tap],
        outputs: Mapping[str, Any],
        visible: Mapping[str, Tensor],
        step: int,
        views: Sequence[DenseView] = (),
    ) -> dict[str, Tensor]:
        """Returns ``matching/mmd_{task}`` and ``matching/moments``, as far as they are on; see `Method`."""
        domain_B = domains_of(visible)
        self.steps += 1
        self.missing += len(domain_B.unique()) < 2
        terms, weights = {}, {}
        # Small differences of large sums: half precision would lose them.
        with torch.autocast(domain_B.device.type, enabled=False):
            if self.mmd_weight:
                for task in self.tasks:
                    features_RF = pooled_features(taps[task])
                    domain_R = domain_B.repeat_interleave(len(features_RF) // len(domain_B))
                    terms[f"mmd_{task}"] = _between(features_RF[:, None], domain_R, multi_kernel_mmd)
                    weights[f"mmd_{task}"] = self.mmd_weight
            if self.moments_weight:
                cells_BPF = views[0].features_BFhw.float().flatten(2).mT
                terms["moments"] = _between(cells_BPF, domains_of(views[0].visible), moment_distance)
                weights["moments"] = self.moments_weight
        self.unweighted = {f"{self.name}/{term}": loss.detach() for term, loss in terms.items()}
        return {f"{self.name}/{term}": weights[term] * loss for term, loss in terms.items()}

    def monitors(self) -> dict[str, float]:
        """Returns ``matching/one_domain``, the share of the steps so far whose batch had one domain only."""
        return {f"{self.name}/one_domain": int(self.missing) / int(self.steps)} if int(self.steps) else {}


def _between(x_RQF: Tensor, domain_R: Tensor, distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Mean distance of all pairs of domains; every token is a sample of its row's domain."""
    parts = [x_RQF[domain_R == domain].flatten(0, 1) for domain in domain_R.unique()]
    pairs = [distance(x_NF, y_MF) for x_NF, y_MF in combinations(parts, 2)]
    return torch.stack(pairs).mean() if pairs else x_RQF.new_zeros(())


def build(config: MatchingConfig, context: BuildContext) -> MatchingMethod:
    """Builds the method; see `nexusflow.methods.build.build_method`.

    Args:
        config: the method's section.
        context: what the suite offers.

    Raises:
        UserError: if shared features are to be matched and the suite shows none.
    """
    if config.moments_weight and context.canvases is None:
        raise UserError(
            "method.moments_weight: matching reads shared features, which the suite "
            f"{context.suite} does not show; set it to 0"
        )
    return MatchingMethod(tuple(context.tap_channels), config.mmd_weight, config.moments_weight)
