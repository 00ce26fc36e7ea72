"""Parameters that join an optimiser which exists already, and a warning where none trains them."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

__all__ = ["TrainingWatch", "join_optimizer"]

PATIENCE = 200  # losses; more than gradients are usually accumulated from


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


class TrainingWatch:
    """Warns once if a module stays as it is over many losses, as one that no optimiser trains.

    Examples:
        >>> module, watch = nn.Linear(2, 2), TrainingWatch()
        >>> watch.count(module)
    """

    def __init__(self) -> None:
        self._losses, self._before = 0, list[float]()

    def count(self, module: nn.Module) -> None:
        """Counts a loss; the parameters are looked at twice, at the first one and when patience ends.

        Args:
            module: what should be trained.

        Warns:
            UserWarning: when patience ends, if none of its parameters has changed.
        """
        if self._losses >= PATIENCE or not torch.is_grad_enabled():
            return
        self._losses += 1
        if self._losses not in (1, PATIENCE):
            return
        now = [p.detach().double().sum().item() for p in module.parameters() if p.requires_grad]
        if self._losses == 1:
            self._before = now
        elif now and now == self._before:
            warnings.warn(
                f"no optimiser has changed the surrogates over {PATIENCE} losses; give it "
                "handle.parameters(), or call handle.join(optimizer)",
                stacklevel=4,
            )


def _has_defaults(group: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    rate = group.get("initial_lr", group.get("lr"))  # a schedule may have begun
    return (rate, group.get("weight_decay")) == (defaults.get("lr"), defaults.get("weight_decay"))
