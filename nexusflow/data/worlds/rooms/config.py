"""Sizes and seed of the rooms."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["RoomsWorldConfig"]


class RoomsWorldConfig(BaseModel):
    """What decides every byte of a rooms world; equal configs give equal worlds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0, description="Seed of the world.")
    train_images: int = Field(default=240, ge=6, description="Images of the training split.")
    val_images: int = Field(default=120, ge=3, description="Images of the validation split.")
    image_height: int = Field(default=96, ge=32, le=480, multiple_of=32, description="Height, pixels.")
    image_width: int = Field(default=128, ge=32, le=640, multiple_of=32, description="Width, pixels.")
    images_per_room: int = Field(default=4, ge=1, le=16, description="Camera poses in one room.")
    style_gap: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="How far the three styles of room are apart: 0 = one style, 1 = largest.",
    )
    supersample: int = Field(default=2, ge=1, le=4, description="Rays per pixel and axis for the colours.")
