"""Builds a method from its configuration."""

from collections.abc import Mapping
from functools import partial

import torch

from nexusflow.alignment import AttentionAggregator, DeformableAggregator, MLPAggregator, NexusFlow
from nexusflow.core.errors import UserError
from nexusflow.methods.base import Method
from nexusflow.methods.config import MethodConfig, NexusFlowConfig
from nexusflow.methods.nexusflow import NexusFlowMethod
from nexusflow.methods.supervised import Supervised

__all__ = ["build_method"]

AGGREGATORS = {"mlp": MLPAggregator, "attention": AttentionAggregator, "deformable": DeformableAggregator}


def build_method(config: MethodConfig, tap_channels: Mapping[str, int], seed: int = 0) -> Method:
    """Builds a method with networks of its own seed.

    The global random state is left as it was, so that a model has the same initial weights whichever method
    trains it.

    Args:
        config: the method's section.
        tap_channels: features of each task's tap, by task.
        seed: seed of the initial weights of the method's networks.

    Raises:
        UserError: if the tasks do not suit the method.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if isinstance(config, NexusFlowConfig):
            return _nexusflow(config, tap_channels)
        return Supervised()


def _nexusflow(config: NexusFlowConfig, tap_channels: Mapping[str, int]) -> NexusFlowMethod:
    if len(tap_channels) < 2:
        tasks = ", ".join(tap_channels) or "none"
        raise UserError(
            f"method.name: nexusflow aligns two or more tasks, but the suite has {tasks}; "
            "add a task to the suite or choose the method supervised"
        )
    own = {"name", "lambda_align", "monitor_window", "aggregator"}
    aggregator = partial(
        AGGREGATORS[config.aggregator.type], **config.aggregator.model_dump(exclude={"type"})
    )
    surrogates = NexusFlow(tap_channels, aggregator=aggregator, **config.model_dump(exclude=own))
    return NexusFlowMethod(surrogates, config.lambda_align, config.monitor_window)
