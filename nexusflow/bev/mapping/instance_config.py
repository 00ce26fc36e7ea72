"""Sizes, loss weights and painting rules of the mapping former with instance queries."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["InstanceLossConfig", "InstanceMapConfig", "PaintingConfig"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InstanceLossConfig(_Section):
    """Weights of the losses and of the matching costs."""

    classification: float = Field(default=2.0, ge=0, description="Sigmoid focal loss of the things' classes.")
    box: float = Field(default=5.0, ge=0, description="L1 loss of centre and size, in parts of the canvas.")
    giou: float = Field(default=2.0, ge=0, description="Generalised IoU loss of the boxes.")
    dice: float = Field(default=2.0, ge=0, description="Dice loss of every mask of every block.")
    stuff: float = Field(default=4.0, ge=0, description="Focal loss of the stuff query's presence.")
    focal_alpha: float = Field(default=0.25, gt=0, lt=1, description="Focal loss: weight of positives.")
    focal_gamma: float = Field(default=2.0, ge=0, description="Focal loss: exponent.")
    cost_classification: float = Field(
        default=2.0, ge=0, description="Matching cost of classification; doubled where masks are matched."
    )
    cost_box: float = Field(default=5.0, ge=0, description="Matching cost of the boxes' L1 distance.")
    cost_giou: float = Field(default=2.0, ge=0, description="Matching cost of the boxes' generalised IoU.")
    cost_dice: float = Field(default=2.0, ge=0, description="Matching cost of the masks' dice.")
    rounds: int = Field(
        default=3,
        gt=0,
        description="Queries per instance at most that the last layer hands to the mask decoder.",
    )


class PaintingConfig(_Section):
    """How masks of queries become one mask per class."""

    candidates: int = Field(default=100, gt=0, description="Pairs of query and class of largest score.")
    min_score: float = Field(default=0.1, ge=0, le=1, description="Least score, times the squared mask mean.")
    max_overlap: float = Field(
        default=0.4, ge=0, le=1, description="Share of a mask that may be painted already."
    )
    first_class_occupies: bool = Field(
        default=False,
        description="Whether cells of the first class count as painted; in the paper's model they do not.",
    )


class InstanceMapConfig(_Section):
    """Encoder, location decoder and mask decoders; read with `queries: instance` only."""

    queries: int = Field(default=300, gt=0, description="Thing queries.")
    encoder_layers: int = Field(
        default=6, ge=0, description="Layers of deformable self-attention of the memory."
    )
    points: int = Field(default=4, gt=0, description="Sampled points per head.")
    thing_blocks: int = Field(default=4, gt=0, description="Blocks of the things' mask decoder.")
    stuff_blocks: int = Field(default=6, gt=0, description="Blocks of the stuff's mask decoder.")
    loss: InstanceLossConfig = InstanceLossConfig()
    painting: PaintingConfig = PaintingConfig()
