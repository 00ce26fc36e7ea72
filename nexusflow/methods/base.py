"""What every method offers to the training loop."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from nexusflow.alignment import Tap

__all__ = ["Method"]


class Method(nn.Module):
    """A way of training with missing labels; this base adds nothing to the task losses.

    Attributes:
        name: name of the method in the configuration, and prefix of its losses and monitors.
        unweighted: the losses of the last call of `extra_losses` under the same names, detached and before
            weighting, for logs.
    """

    name: str = "method"

    def __init__(self) -> None:
        super().__init__()
        self.unweighted: dict[str, Tensor] = {}

    def extra_losses(
        self,
        taps: Mapping[str, Tap],
        outputs: Mapping[str, Any],
        visible: Mapping[str, Tensor],
        step: int,
    ) -> dict[str, Tensor]:
        """Computes what the method adds to the task losses of one batch.

        Args:
            taps: intermediate features of each task branch, by task (see `nexusflow.alignment.tokens_of`).
            outputs: what each branch predicts, by task.
            visible: for each task, which samples have labels, bool (B,).
            step: number of the training step, from 0.

        Returns:
            Scalars ``{name}/…``, already weighted: the training loss is their sum and the task losses'.
        """
        return {}

    def monitors(self) -> dict[str, float]:
        """Returns measurements ``{name}/…`` for the log; slower than a step, so call it per log line."""
        return {}

    def extra_parameters(self) -> list[nn.Parameter]:
        """Returns the method's own parameters, which the optimiser trains beside the model's."""
        return list(self.parameters())
