"""The suites, by name."""

from __future__ import annotations

from nexusflow.config.bindings.base import SuiteBinding
from nexusflow.config.bindings.nuscenes import NuScenesBinding
from nexusflow.config.bindings.nyuv2 import NYUv2Binding
from nexusflow.core.errors import UserError

__all__ = ["BINDINGS", "binding_of"]

BINDINGS: dict[str, SuiteBinding] = {binding.name: binding for binding in (NuScenesBinding(), NYUv2Binding())}


def binding_of(suite: str) -> SuiteBinding:
    """Look up a suite.

    Args:
        suite: suite name.

    Returns:
        Its binding.

    Raises:
        UserError: if there is no such suite.
    """
    if suite not in BINDINGS:
        raise UserError(f"There is no suite `{suite}`; the suites are {', '.join(BINDINGS)}.")
    return BINDINGS[suite]
