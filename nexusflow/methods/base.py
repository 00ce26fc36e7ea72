"""What every method offers to the training loop, and what it is built from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from nexusflow.alignment.taps import Tap
from nexusflow.core.views import CanvasSpec, DenseView, ViewPlan

__all__ = ["BuildContext", "Method", "ParameterGroup"]


@dataclass(frozen=True)
class BuildContext:
    """What a method is built from, beside its section.

    Attributes:
        tap_channels: features of each task's tap, by task.
        seed: seed of the initial weights of the method's networks and of its noise.
        canvases: the tasks as images; None where the suite has no such adapter.
        suite: the suite's name, for messages only.
    """

    tap_channels: Mapping[str, int]
    seed: int = 0
    canvases: CanvasSpec | None = None
    suite: str = "this suite"


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters of a method's own networks that share a learning rate.

    Attributes:
        parameters: the parameters.
        rate_factor: their learning rate over the model's.
        halving_factor: their interval between halvings over the model's (schedule `halving` only).
    """

    parameters: list[nn.Parameter]
    rate_factor: float = 1.0
    halving_factor: float = 1.0


class Method(nn.Module):
    """A way of training with missing labels; this base adds nothing to the task losses.

    Attributes:
        name: name of the method in the configuration, and prefix of its losses and monitors.
        view_plan: the views it wants of every batch; None if it does not look at canvases.
        reads_batches: whether it looks at batches at all.
        unweighted: the losses of the last call of `extra_losses` under the same names, detached and before
            weighting, for logs.
    """

    name: str = "method"
    view_plan: ClassVar[ViewPlan | None] = None
    reads_batches: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.unweighted: dict[str, Tensor] = {}

    def extra_losses(
        self,
        taps: Mapping[str, Tap],
        outputs: Mapping[str, Any],
        visible: Mapping[str, Tensor],
        step: int,
        views: Sequence[DenseView] = (),
    ) -> dict[str, Tensor]:
        """Computes what the method adds to the task losses of one batch, always a whole one.

        Args:
            taps: intermediate features of each task branch, by task (see `nexusflow.alignment.tokens_of`).
            outputs: what each branch predicts, by task; nothing where passes or processes share the batch.
            visible: for each task, which samples have labels, bool (B,).
            step: number of the training step, from 0; noise is a function of the seed and it.
            views: the extra views of `view_plan`, as many as it names.

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

    def parameter_groups(self) -> list[ParameterGroup]:
        """Returns the method's own parameters in groups of one learning rate; none for a method without."""
        parameters = self.extra_parameters()
        return [ParameterGroup(parameters)] if parameters else []
