"""Parameters that join an optimiser which exists already, with whatever schedules it."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

__all__ = ["join_optimizer"]


def join_optimizer(optimizer: Optimizer, parameters: Sequence[tuple[str, nn.Parameter]]) -> None:
    """Lets an optimiser train more parameters, with the settings that most of its own have.

    They enter a group that is there: a scheduler made before would not know a new one, and most then fail.

    Args:
        optimizer: gets the parameters, in the first group that has its default learning rate and weight
            decay, or else in its first.
        parameters: names and parameters.

    Raises:
        ValueError: if the optimiser has one of the parameters already.

    Examples:
        >>> import torch
        >>> optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
        >>> join_optimizer(optimizer, [("scale", nn.Parameter(torch.ones(1)))])
        >>> [len(group["params"]) for group in optimizer.param_groups]
        [3]
    """
    known = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if twice := [name for name, parameter in parameters if id(parameter) in known]:
        raise ValueError(f"the optimiser trains {twice[0]!r} already; it was joined or given it before")
    usual = (group for group in optimizer.param_groups if _has_defaults(group, optimizer.defaults))
    group = next(usual, optimizer.param_groups[0])
    group["params"].extend(parameter for _, parameter in parameters)
    if "param_names" in group:
        group["param_names"].extend(name for name, _ in parameters)


def _has_defaults(group: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    rate = group.get("initial_lr", group.get("lr"))  # a schedule may have begun
    return (rate, group.get("weight_decay")) == (defaults.get("lr"), defaults.get("weight_decay"))
