"""What the Snakefile asks about the drawing of the pipeline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from nexusflow.config.bindings.registry import BINDINGS
from nexusflow.config.fingerprint import code_fingerprint
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.config.outline import outline_settings

__all__ = ["PictureInputs"]


class PictureInputs(ABC):
    """The part of `Pipeline` that knows the models' outlines."""

    @abstractmethod
    def of(self, scale: str) -> Configuration:
        """Configuration of a scale."""

    def outline_settings(self, wildcards: Any) -> str:
        """Everything in the configuration that a model's outline reads, as canonical text."""
        return outline_settings(self.of(wildcards.scale), wildcards.suite)

    @staticmethod
    def outline_code(suite: str) -> str:
        """Fingerprint of the code of the model and of what describes it."""
        return code_fingerprint(BINDINGS[suite].modules["outline"])

    def outline_files(self, scale: str) -> list[str]:
        """Outlines of the suites that Figure 2 draws and the scale has."""
        configuration = self.of(scale)
        return [
            str(Layout(scale).outline(panel.suite))
            for panel in configuration.paper.figure2.panels
            if getattr(configuration.scale, panel.suite) is not None
        ]
