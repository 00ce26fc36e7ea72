"""Sizes and switches of the image backbones: a small one of our own, and the paper's residual network."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

__all__ = ["AnyBackboneConfig", "BackboneConfig", "InitialWeightsConfig", "ResNetDCNConfig"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BackboneConfig(_Section):
    """Residual image backbone and the feature pyramid that brings all stages to one stride."""

    # Not part of what is hashed and recorded: the small backbone was there before it had a name.
    kind: Literal["plain"] = Field(default="plain", exclude=True, description="plain: this small backbone.")
    stem_channels: int = Field(default=32, gt=0, description="Channels of the stem (stride 2).")
    widths: tuple[int, ...] = Field(
        default=(48, 96, 128), description="Channels per stage; strides 4, 8, 16, …."
    )
    depths: tuple[int, ...] = Field(default=(2, 2, 1), description="Residual blocks per stage.")
    neck_channels: int = Field(default=48, gt=0, description="Channels of the pyramid's output.")
    output_stage: int = Field(
        default=0, ge=0, description="Stage whose stride the pyramid's output has (0 = stride 4)."
    )

    @model_validator(mode="after")
    def _same_length(self) -> BackboneConfig:
        if len(self.widths) != len(self.depths) or not self.widths:
            raise ValueError("backbone.widths and backbone.depths must be non-empty and equally long")
        if self.output_stage >= len(self.widths):
            raise ValueError("backbone.output_stage must name one of the stages in backbone.widths")
        return self

    @property
    def normed_channels(self) -> tuple[int, ...]:
        """Channel numbers that group normalisations divide."""
        return (self.stem_channels, *self.widths, self.neck_channels)

    @property
    def num_levels(self) -> int:
        """Maps that the encoder reads."""
        return 1

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the maps that the encoder reads."""
        return (4 * 2**self.output_stage,)

    @property
    def largest_stride(self) -> int:
        """Stride of the coarsest stage."""
        return int(4 * 2 ** (len(self.widths) - 1))


class InitialWeightsConfig(_Section):
    """Where the weights come from that training starts with; read once, when a run of phase 1 starts."""

    source: Literal["none", "imagenet", "bevformer", "uniad"] = Field(
        default="none",
        description="none: drawn from the seed; imagenet: a Caffe-style classifier; bevformer, uniad: such a "
        "checkpoint's image part, which has seen the boxes of both cities.",
    )
    file: str | None = Field(
        default=None,
        description="A safetensors file; docs/full_scale.md says how to make one from a .pth file.",
    )

    @model_validator(mode="after")
    def _file_if_needed(self) -> InitialWeightsConfig:
        if (self.source == "none") != (self.file is None):
            raise ValueError("weights.file must be given with every weights.source but none, and only then")
        return self


class ResNetDCNConfig(_Section):
    """The paper's image backbone: bottleneck blocks, deformable convolutions in late stages, a pyramid.

    Source: UniAD stage 1, Hu et al. 2023; `num_levels` 1 as in the smaller models of BEVFormer.
    """

    kind: Literal["resnet_dcn"] = Field(description="resnet_dcn: this backbone.")
    depth: Literal[50, 101] = Field(default=101, description="Layers.")
    base_channels: int = Field(default=64, gt=0, description="Channels of the stem; 64 fits trained weights.")
    deformable_stages: tuple[bool, bool, bool, bool] = Field(
        default=(False, False, True, True), description="Stages whose 3×3 convolutions are deformable."
    )
    neck_channels: int = Field(default=256, gt=0, description="Channels of the pyramid.")
    num_levels: Literal[1, 4] = Field(
        default=1, description="Maps that the encoder reads: one at stride 32, or four at 8, 16, 32 and 64."
    )
    frozen_stages: int = Field(
        default=4, ge=-1, le=4, description="Stages that are not trained; 0: the stem only, -1: none."
    )
    norm: Literal["frozen", "batch"] = Field(
        default="frozen",
        description="frozen: stored statistics, nothing of the normalisation is trained; batch: statistics "
        "of the batch, for training from scratch, which differ between cities.",
    )
    style: Literal["caffe", "pytorch"] = Field(
        default="caffe",
        description="Where a stage halves its map: caffe: in the first 1×1 convolution, as in UniAD; "
        "pytorch: in the 3×3 one, as in torchvision. Trained weights fit one of them.",
    )
    implementation: Literal["auto", "mmdet", "torch"] = Field(
        default="auto",
        description="mmdet: blocks of MMDetection, from the extra mmdet3d; torch: the same network with the "
        "same weights in plain PyTorch; auto: mmdet where it is installed with compiled operators,"
        " else torch.",
    )
    weights: InitialWeightsConfig = InitialWeightsConfig()

    @model_validator(mode="after")
    def _trainable_from_scratch(self) -> ResNetDCNConfig:
        if self.weights.source == "none" and (self.frozen_stages >= 0 or self.norm == "frozen"):
            raise ValueError(
                "backbone.frozen_stages must be -1 and backbone.norm must be batch where "
                "backbone.weights.source is none: random weights would stay as they are"
            )
        return self

    @property
    def normed_channels(self) -> tuple[int, ...]:
        """Channel numbers that group normalisations divide: there are none."""
        return ()

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the maps that the encoder reads."""
        return (32,) if self.num_levels == 1 else (8, 16, 32, 64)

    @property
    def largest_stride(self) -> int:
        """Stride of the coarsest map."""
        return self.strides[-1]


def _kind_of(value: Any) -> str:
    kind = value.get("kind", "plain") if isinstance(value, dict) else getattr(value, "kind", "plain")
    return str(kind)


AnyBackboneConfig = Annotated[
    Annotated[BackboneConfig, Tag("plain")] | Annotated[ResNetDCNConfig, Tag("resnet_dcn")],
    Discriminator(
        _kind_of,
        custom_error_type="backbone_kind",
        custom_error_message="backbone.kind must be plain or resnet_dcn",
    ),
]
