"""Several methods in one run; their losses are added up."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from nexusflow.alignment.taps import Tap
from nexusflow.core.views import DenseView
from nexusflow.methods.base import BuildContext, Method, ParameterGroup
from nexusflow.methods.build import build_method
from nexusflow.methods.combined_config import CombinedConfig

__all__ = ["CombinedMethod", "build"]


class CombinedMethod(Method):
    """Passes every batch to all its parts, whose names keep their losses and monitors apart.

    Args:
        parts: the methods, at most one of them with a view plan.
    """

    name = "combined"

    def __init__(self, parts: Sequence[Method]) -> None:
        super().__init__()
        plans = [part.view_plan for part in parts if part.view_plan is not None]
        assert len(plans) < 2, "see CombinedConfig"
        self.view_plan = plans[0] if plans else None  # type: ignore[misc]
        self.parts = nn.ModuleDict({part.name: part for part in parts})

    def _methods(self) -> list[Method]:
        return list(self.parts.values())  # type: ignore[arg-type]

    def extra_losses(
        self,
        taps: Mapping[str, Tap],
        outputs: Mapping[str, Any],
        visible: Mapping[str, Tensor],
        step: int,
        views: Sequence[DenseView] = (),
    ) -> dict[str, Tensor]:
        """Returns the losses of all parts; see `Method`."""
        losses: dict[str, Tensor] = {}
        self.unweighted = {}
        for part in self._methods():
            own = views if part.view_plan is not None else ()
            losses |= part.extra_losses(taps, outputs, visible, step, own)
            self.unweighted |= part.unweighted
        return losses

    def monitors(self) -> dict[str, float]:
        """Returns the monitors of all parts."""
        return {name: value for part in self._methods() for name, value in part.monitors().items()}

    def parameter_groups(self) -> list[ParameterGroup]:
        """Returns the groups of all parts."""
        return [group for part in self._methods() for group in part.parameter_groups()]


def build(config: CombinedConfig, context: BuildContext) -> CombinedMethod:
    """Builds all parts, each with the initial weights that it would have alone.

    Args:
        config: the method's section.
        context: what the suite offers.

    Raises:
        UserError: if the suite does not offer what a part needs.
    """
    return CombinedMethod([build_method(part, context) for part in config.parts])
