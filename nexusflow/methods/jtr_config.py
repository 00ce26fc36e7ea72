"""Configuration of JTR: the joint network and the weights of its losses."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from nexusflow.methods.section import MethodSection

__all__ = ["JTRConfig"]


class JTRConfig(MethodSection):
    """Regularisation by one latent of all tasks' images together (Nishi et al., CVPR 2024)."""

    module: ClassVar[str] = "nexusflow.methods.jtr"
    needs_canvases: ClassVar[bool] = True

    name: Literal["jtr"] = Field(default="jtr", description="Method.")
    distance_weight: float = Field(
        default=4.0, ge=0, description="Weight w_d of the distance between the latents of both stacks."
    )
    reconstruction_weight: float = Field(
        default=2.0,
        ge=0,
        description="Weight w_r of the reconstruction, and of the second view inside the distance.",
    )
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(64, 128, 256, 512, 512),
        min_length=1,
        description="Channels of the encoder's levels; each level ends with a 2x2 pooling.",
    )
    extra_blocks: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(1, 1, 2, 2, 2), description="Convolutions of each level after its first."
    )
    norm: Literal["batch", "group"] = Field(
        default="batch", description="BatchNorm, as published, or GroupNorm for small batches."
    )
    faithful_quirks: bool = Field(
        default=False,
        description="Keep the double Phi of the depth target and the raw/[0,1] mix of the original's "
        "reconstruction targets.",
    )
    ramp_steps: int = Field(
        default=0, ge=0, description="Steps over which both weights grow linearly; 0: full from the start."
    )

    @model_validator(mode="after")
    def _one_count_per_level(self) -> "JTRConfig":
        if len(self.extra_blocks) != len(self.widths):
            raise ValueError(
                f"extra_blocks ({len(self.extra_blocks)} levels) must be as long as widths "
                f"({len(self.widths)} levels)"
            )
        return self
