"""Configuration of several methods in one run."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from nexusflow.methods.matching_config import MatchingConfig
from nexusflow.methods.nexusflow_config import NexusFlowConfig
from nexusflow.methods.section import MethodSection

__all__ = ["CombinedConfig"]

# Methods that can share a batch: none of them asks for further views of it.
Part = Annotated[NexusFlowConfig | MatchingConfig, Field(discriminator="name")]


class CombinedConfig(MethodSection):
    """Several methods, whose losses are added up."""

    module: ClassVar[str] = "nexusflow.methods.combined"

    name: Literal["combined"] = Field(default="combined", description="Method.")
    parts: tuple[Part, ...] = Field(
        min_length=2, description="Sections of the methods, each with its `name` and weights, each once."
    )

    @property
    def needs_canvases(self) -> bool:  # type: ignore[override]
        """Whether a part wants the suite's views, see `nexusflow.core.views`."""
        return any(part.needs_canvases for part in self.parts)

    @model_validator(mode="after")
    def _each_once(self) -> "CombinedConfig":
        names = [part.name for part in self.parts]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"combined names the method {repeated[0]} twice")
        return self
