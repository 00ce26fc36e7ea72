"""Settings of the extraction of features from trained runs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["FeaturesConfig", "NuScenesFeaturesConfig"]


class FeaturesConfig(BaseModel):
    """Which frames are looked at, and how surrogates of runs without any are trained afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int = Field(
        default=500, gt=0, description="validation frames of each domain; fewer where a domain has fewer"
    )
    batch_size: int = Field(default=8, gt=0, description="frames per forward pass")
    surrogate_steps: int = Field(
        default=400, gt=0, description="steps of the post hoc training of surrogates on training frames"
    )
    surrogate_batch_size: int = Field(
        default=4, gt=1, description="training frames per step of that training"
    )
    surrogate_frames: int | None = Field(
        default=None,
        gt=0,
        description="training frames of that training, evenly spread; the model looks at each once and its "
        "taps are kept in memory; null: all frames, looked at whenever their step comes",
    )
    surrogate_learning_rate: float = Field(
        default=3.0e-4, gt=0, description="constant learning rate of Adam in that training"
    )


class NuScenesFeaturesConfig(FeaturesConfig):
    """The same for key frames of scenes."""

    history: int = Field(default=1, ge=0, description="key frames before a frame that the model sees")
    spacing_s: float = Field(
        default=2.0, ge=0, description="least time between two used key frames of a scene, in seconds"
    )
