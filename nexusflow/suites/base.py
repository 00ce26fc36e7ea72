"""What the training loop asks of a suite."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from nexusflow.core.errors import UserError
from nexusflow.core.parts import BatchPart, PoolCounts
from nexusflow.core.views import CanvasSpec, DenseView, ViewPlan

__all__ = ["CanvasAdapter", "StepResult", "Suite"]


class CanvasAdapter(Protocol):
    """Shows the tasks of one suite as images; the rest of its methods is between it and its suite."""

    spec: CanvasSpec


@dataclass
class StepResult:
    """One forward pass over one batch.

    Attributes:
        losses: scalar task losses by name, over visible labels only.
        outputs: predictions by task, as the model returns them.
        taps: intermediate features by task, each {"features", "weights", "positions"}.
        visible: per task a (B,) bool tensor, true where the sample's label may be used.
        views: the extra views that the method asked for.
    """

    losses: dict[str, Tensor]
    outputs: dict[str, Any]
    taps: dict[str, dict[str, Tensor]]
    visible: dict[str, Tensor]
    views: list[DenseView] = field(default_factory=list)


class Suite(ABC):
    """Binds a data set under one partition to its model and task losses.

    Attributes:
        model: the network that is trained and published.
        tap_channels: feature width of the tap of every task.
        architecture: hash of the model's configuration, written into checkpoints.
        name: name of the suite.
        canvases: shows the tasks as images, for methods that want that; None without such an adapter.
        view_plan: the views that `batch` and `forward` make beside the one that the task losses see.
        initialisation: where weights that were not drawn came from, for the provenance; None where all were.
        score_directions: scores of `validate`, +1 where larger is better, -1 where smaller is better.
    """

    name: ClassVar[str] = "this suite"
    canvases: CanvasAdapter | None = None
    view_plan: ViewPlan | None = None
    initialisation: dict[str, Any] | None = None

    model: nn.Module
    tap_channels: dict[str, int]
    architecture: str
    # Name of a validation score → +1 where larger is better, -1 where smaller is better.
    score_directions: ClassVar[dict[str, int]] = {}

    @abstractmethod
    def batch(self, step: int, part: BatchPart | None = None) -> Any:
        """Load the batch of a step, hidden labels already removed.

        Args:
            step: step number from 0; the batch is a pure function of it and the seed.
            part: the samples wanted, where passes or processes share the batch; None for all.

        Returns:
            The suite's own batch type.
        """

    @abstractmethod
    def forward(
        self, batch: Any, step: int, single_frame: bool, pool_counts: PoolCounts | None = None
    ) -> StepResult:
        """Run the model and its task losses on a batch.

        Args:
            batch: from `batch`.
            step: step number from 0, which seeds the step's noise.
            single_frame: leave history out (start of training).
            pool_counts: where `batch` is a part of the step's, gives what losses of the whole are divided by;
                the losses of all parts then add up to those of the whole.

        Returns:
            Losses, outputs, taps and visibility of the batch.
        """

    @abstractmethod
    def freeze_encoder(self) -> None:
        """Exclude the shared encoder from training (phase 2)."""

    @property
    def canvas_spec(self) -> CanvasSpec | None:
        """The tasks as images, for methods that compare predictions with labels; None without an adapter."""
        return None if self.canvases is None else self.canvases.spec

    def provide_views(self, plan: ViewPlan | None) -> None:
        """Let `batch` and `forward` make the extra views of a method from now on.

        Args:
            plan: the views wanted; None for none.

        Raises:
            UserError: if views are wanted and the suite was built without an adapter for them.
        """
        if plan is not None and self.canvases is None:
            raise UserError(f"The suite {self.name} cannot show its tasks as images to a method.")
        self.view_plan = plan

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Score a model on the validation split while training goes on; for curves, never for decisions.

        Args:
            model: the averaged weights, in evaluation mode.

        Returns:
            Scores by name; none where a suite offers none.
        """
        return {}
