"""Sections of config/paper.yaml for the drawing of the pipeline and for the video."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from nexusflow.paper.config_base import RunLabel, Section, refuse_repeats

__all__ = ["Figure2Config", "PipelinePanelConfig", "VideoConfig"]


class PipelinePanelConfig(Section):
    """One suite's strip in the drawing of the pipeline."""

    suite: Literal["nuscenes", "nyuv2"] = Field(description="Suite; left out at scales that lack it.")
    run: str = Field(description="Run of the method `nexusflow` whose model is drawn.")
    label: str = Field(description="Name of the suite above the strip.")


class Figure2Config(Section):
    """The drawing of the pipeline."""

    panels: tuple[PipelinePanelConfig, ...] = Field(
        min_length=1, description="Strips from top to bottom, one per suite."
    )

    @model_validator(mode="after")
    def _check_panels(self) -> Self:
        refuse_repeats([panel.suite for panel in self.panels], "suite")
        return self


class VideoConfig(Section):
    """The video of one validation scene."""

    baseline: RunLabel = Field(description="Run in the upper strip.")
    ours: RunLabel = Field(description="Run in the lower strip.")
    seed: int = Field(0, ge=0, description="Training seed of both runs.")
    scene: str | None = Field(
        None, description="Validation scene; null = chosen without looking at predictions."
    )
    score_threshold: float = Field(0.3, ge=0, le=1, description="Boxes below this score are not drawn.")
    tail_frames: int = Field(6, ge=0, description="Length of the track tails, in key frames.")
    frames_per_second: float = Field(
        2.0, gt=0, le=50, description="Key frames shown per second; nuScenes has two per second."
    )
    width_px: int = Field(800, ge=400, le=2000, description="Width of the video, pixels.")
    colours: int = Field(128, ge=32, le=256, description="Colours of the GIF's palette.")
