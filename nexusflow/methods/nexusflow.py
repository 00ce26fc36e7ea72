"""Training by the labels that are there and by aligning the tasks' branches on all samples."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from nexusflow.alignment import (
    AttentionAggregator,
    CollapseMonitor,
    DeformableAggregator,
    MLPAggregator,
    NexusFlow,
    Tap,
)
from nexusflow.core.errors import UserError
from nexusflow.core.views import DenseView
from nexusflow.methods.base import BuildContext, Method, ParameterGroup
from nexusflow.methods.nexusflow_config import NexusFlowConfig

__all__ = ["NexusFlowMethod", "build"]

_AGGREGATORS = {"mlp": MLPAggregator, "attention": AttentionAggregator, "deformable": DeformableAggregator}


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
        views: Sequence[DenseView] = (),
    ) -> dict[str, Tensor]:
        """Returns ``nexusflow/align`` and, if switched on, the terms of the extensions; see `Method`."""
        aligned = self.surrogates(taps)
        self.monitor.update(aligned)
        self.unweighted = {f"{self.name}/{term}": loss.detach() for term, loss in aligned.terms.items()}
        weights = self.surrogates.weights | {"align": self.lambda_align}
        return {f"{self.name}/{term}": weights[term] * loss for term, loss in aligned.terms.items()}

    def parameter_groups(self) -> list[ParameterGroup]:
        """Returns the surrogates' parameters, those of all tasks together; see `NexusFlow.pack`."""
        return [ParameterGroup(self.surrogates.pack())]

    def monitors(self) -> dict[str, float]:
        """Returns `collapse_report` of the last samples, its names prefixed by ``nexusflow/``."""
        return {f"{self.name}/{key}": value for key, value in self.monitor.report().items()}


def build(config: NexusFlowConfig, context: BuildContext) -> NexusFlowMethod:
    """Builds surrogates for every task; see `nexusflow.methods.build.build_method`.

    Args:
        config: the method's section.
        context: what the suite offers.

    Raises:
        UserError: if there are fewer than two tasks.
    """
    channels = context.tap_channels
    if len(channels) < 2:
        tasks = ", ".join(channels) or "none"
        raise UserError(
            f"method.name: nexusflow aligns two or more tasks, but the suite has {tasks}; "
            "add a task to the suite or choose the method supervised"
        )
    own = {"name", "lambda_align", "monitor_window", "aggregator"}
    aggregator = partial(
        _AGGREGATORS[config.aggregator.type], **config.aggregator.model_dump(exclude={"type"})
    )
    surrogates = NexusFlow(channels, aggregator=aggregator, **config.model_dump(exclude=own))
    return NexusFlowMethod(surrogates, config.lambda_align, config.monitor_window)
