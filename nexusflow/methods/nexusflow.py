"""Training by the labels that are there and by aligning the tasks' branches on all samples."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nexusflow.alignment import CollapseMonitor, NexusFlow, Tap
from nexusflow.methods.base import Method

__all__ = ["NexusFlowMethod"]


class NexusFlowMethod(Method):
    """Adds lambda times the alignment loss, for every sample whichever labels it has.

    Args:
        surrogates: aggregators and flows of all tasks.
        lambda_align: weight lambda of the align term; the extensions' terms carry their own weights.
        monitor_window: number of last samples from which `monitors` reports.

    Source: Eq. 5 of the paper; lambda = 1 in its first version.
    """

    name = "nexusflow"

    def __init__(self, surrogates: NexusFlow, lambda_align: float = 1.0, monitor_window: int = 256) -> None:
        super().__init__()
        self.surrogates = surrogates
        self.lambda_align = lambda_align
        self.monitor = CollapseMonitor(
            surrogates.tasks, surrogates.dim, surrogates.latent_dim, window=monitor_window
        )

    def extra_losses(
        self,
        taps: Mapping[str, Tap],
        outputs: Mapping[str, Any],
        visible: Mapping[str, Tensor],
        step: int,
    ) -> dict[str, Tensor]:
        """Returns ``nexusflow/align`` and, if switched on, the terms of the extensions; see `Method`."""
        aligned = self.surrogates(taps)
        self.monitor.update(aligned)
        self.unweighted = {f"{self.name}/{term}": loss.detach() for term, loss in aligned.terms.items()}
        weights = self.surrogates.weights | {"align": self.lambda_align}
        return {f"{self.name}/{term}": weights[term] * loss for term, loss in aligned.terms.items()}

    def monitors(self) -> dict[str, float]:
        """Returns `collapse_report` of the last samples, its names prefixed by ``nexusflow/``."""
        return {f"{self.name}/{key}": value for key, value in self.monitor.report().items()}
