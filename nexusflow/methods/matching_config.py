"""Configuration of matching the distributions of features between domains."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from nexusflow.methods.section import MethodSection

__all__ = ["MatchingConfig"]


class MatchingConfig(MethodSection):
    """Equal distributions of features in all domains; not in the paper."""

    module: ClassVar[str] = "nexusflow.methods.matching"

    name: Literal["matching"] = Field(default="matching", description="Method.")
    mmd_weight: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the MMD between the domains on each task's pooled features; 0: off.",
    )
    moments_weight: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the distance between the domains' means and covariances of the shared "
        "features, which are the cells of the BEV grid on nuScenes; 0: off. Needs an encoder that learns.",
    )

    # Shared features come with the views of the suite.
    @property
    def needs_canvases(self) -> bool:  # type: ignore[override]
        """Whether the method wants the suite's views, see `nexusflow.core.views`."""
        return self.moments_weight > 0

    @model_validator(mode="after")
    def _matches_something(self) -> "MatchingConfig":
        if not self.mmd_weight and not self.moments_weight:
            raise ValueError("matching needs a mmd_weight or a moments_weight above 0")
        return self
