"""Sizes and seed of the street world."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["StreetWorldConfig"]


class StreetWorldConfig(BaseModel):
    """What decides every byte of a street world; equal configs give equal worlds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, description="Seed of the world.")
    domain_gap: float = Field(
        0.25,
        ge=0.0,
        le=1.0,
        description="How far Singapore is from Boston: 0 = same distributions, 1 = full.",
    )
    train_scenes: int = Field(
        72, ge=2, description="Scenes of the training split; half of them (rounded up) in Boston."
    )
    val_scenes: int = Field(
        48, ge=2, description="Scenes of the validation split; half of them (rounded up) in Boston."
    )
    key_frames: int = Field(20, ge=2, le=80, description="Key frames per scene, half a second apart.")
    image_height: int = Field(64, ge=32, le=900, description="Height of every camera image, pixels.")
    image_width: int = Field(112, ge=56, le=1600, description="Width of every camera image, pixels.")
    scenes_per_street: int = Field(2, ge=1, le=8, description="Scenes that share one street (of one split).")
    traffic_density: float = Field(
        1.0, ge=0.2, le=2.0, description="Multiplies the expected number of vehicles and pedestrians."
    )
    annotation_range_m: float = Field(
        50.0, ge=25.0, le=60.0, description="Objects up to this distance from the ego are annotated, metres."
    )
    supersample: int = Field(
        2, ge=1, le=3, description="Rays per pixel and axis before averaging; 1 suffices for large images."
    )
    ground_cell_m: float = Field(
        0.2, ge=0.05, le=0.4, description="Resolution of the painted ground, metres; finer for large images."
    )
    jpeg_quality: int = Field(95, ge=50, le=100, description="Quality of the camera JPEGs.")
