"""Configuration of MTPSL: its mapping network, the weights of its losses, the rates of its parameters."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from nexusflow.methods.section import MethodSection

__all__ = ["MTPSLConfig"]

Width = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]


class MTPSLConfig(MethodSection):
    """Agreement of predictions and labels of different tasks in joint spaces; defaults as published.

    Source: Li, Liu, Bilen: Learning Multiple Dense Prediction Tasks from Partially Annotated Data, CVPR 2022.
    """

    module: ClassVar[str] = "nexusflow.methods.mtpsl"
    needs_canvases: ClassVar[bool] = True

    name: Literal["mtpsl"] = Field(default="mtpsl", description="Method.")
    consistency_weight: float = Field(
        default=2.0, ge=0, description="Weight mu of an image's sum over its pairs; images are averaged."
    )
    regularisation: float = Field(
        default=0.5,
        ge=0,
        description="Weight rho, within a pair, of the distances to the image's features; keeps the mapping "
        "from becoming constant.",
    )
    ramp_steps: int = Field(
        default=0, ge=0, description="Steps over which mu grows linearly from 0; 0: constant from the start."
    )
    widths: tuple[Width, ...] = Field(
        default=(64, 128, 256, 512),
        description="Channels of the mapping network's levels before the last, whose channels are those of "
        "the suite's features; every level ends by halving height and width.",
    )
    extra_blocks: tuple[Count, ...] = Field(
        default=(1, 1, 2, 2, 2), description="Convolutions per level after its first one, for all levels."
    )
    norm: Literal["batch", "group", "image"] = Field(
        default="image",
        description="image: over each image alone, which is what BatchNorm does in the original, where one "
        "image passes at a time; batch: BatchNorm over all images of a step; group: GroupNorm.",
    )
    film_rate_factor: float = Field(
        default=10.0, gt=0, description="Learning rate of the pairs' scales and shifts over the model's."
    )
    film_halving_factor: float = Field(
        default=0.3,
        gt=0,
        description="Steps between halvings of that rate over the model's (schedule halving only).",
    )

    @model_validator(mode="after")
    def _one_count_per_level(self) -> "MTPSLConfig":
        levels = len(self.widths) + 1
        if len(self.extra_blocks) != levels:
            raise ValueError(
                f"extra_blocks must name {levels} numbers, one more than widths, not {len(self.extra_blocks)}"
            )
        return self
