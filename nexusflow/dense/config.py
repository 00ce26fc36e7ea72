"""Sizes of the dense-prediction networks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["DenseModelConfig"]

Width = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


class DenseModelConfig(BaseModel):
    """Split SegNet or SegNet-MTAN; the defaults are the published sizes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: Literal["segnet", "mtan"] = Field(
        default="segnet",
        description="segnet: one SegNet, three heads (25 055 188 parameters at the default width); "
        "mtan: attention per task on every level (44 229 076)",
    )
    widths: tuple[Width, Width, Width, Width, Width] = Field(
        default=(64, 128, 256, 512, 512), description="channels of the five levels"
    )
    extra_blocks: tuple[Count, Count, Count, Count, Count] = Field(
        default=(1, 1, 2, 2, 2), description="convolution blocks per level after its first one"
    )
    norm: Literal["batch", "group"] = Field(
        default="batch",
        description="batch: BatchNorm, as published; group: GroupNorm, no batch statistics",
    )
    norm_groups: int = Field(default=1, gt=0, description="groups of GroupNorm; must divide every width")
    num_classes: int = Field(default=13, gt=1, description="semantic classes")
    tap: Literal["N1", "N2", "N3"] = Field(
        default="N1",
        description="tensors handed to methods: N1 first convolution of each head; N2 attended bottleneck, "
        "N3 attended decoder output of each task (both mtan only)",
    )
    tap_cells: int | None = Field(
        default=4, gt=0, description="cells per side to which a tap is averaged; null: not averaged"
    )

    @model_validator(mode="after")
    def _check(self) -> DenseModelConfig:
        if self.network == "segnet" and self.tap != "N1":
            raise ValueError(
                f"tap {self.tap} needs network mtan: a split SegNet has nothing of a task before its heads"
            )
        uneven = [width for width in self.widths if width % self.norm_groups]
        if self.norm == "group" and uneven:
            raise ValueError(f"norm_groups ({self.norm_groups}) must divide every width, not {uneven[0]}")
        return self
