"""Settings of one training budget."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["TrainingConfig"]


class TrainingConfig(BaseModel):
    """One budget of training: how long, how fast, on how many threads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(gt=0, description="optimiser steps")
    batch_size: int = Field(
        gt=0, description="clips (nuScenes) or images (NYUv2) per step, over all devices and passes"
    )
    devices: int = Field(
        default=1,
        gt=0,
        description="GPUs, or processes on a CPU, of one machine; each takes its share of a batch",
    )
    nodes: int = Field(
        default=1,
        gt=0,
        description="machines with that many devices each; more than one: start by srun or torchrun",
    )
    accumulate: int = Field(
        default=1,
        gt=0,
        description="passes per step, each over an equal part of the device's share of the batch",
    )
    clip_length: int = Field(default=2, gt=0, description="key frames per clip")
    single_frame_fraction: float = Field(
        default=0.0, ge=0, le=1, description="share of the steps, from the start, trained without history"
    )
    learning_rate: float = Field(gt=0, description="peak learning rate of AdamW")
    warmup_steps: int = Field(default=50, ge=0, description="steps of linear warm-up before the schedule")
    schedule: Literal["cosine", "halving"] = Field(
        default="cosine", description="cosine to the end; halving: times one half every `halve_every` steps"
    )
    halve_every: int = Field(
        default=40_000, gt=0, description="steps between halvings of the learning rate, after the warm-up"
    )
    final_lr_fraction: float = Field(
        default=0.001, ge=0, le=1, description="last learning rate over the peak (cosine)"
    )
    weight_decay: float = Field(default=0.01, ge=0, description="decoupled weight decay of AdamW")
    clip_norm: float | None = Field(
        default=5.0, gt=0, description="largest global gradient norm; null: not clipped"
    )
    ema_decay: float = Field(
        default=0.99, ge=0, lt=1, description="decay per step of the averaged weights; 0: the last weights"
    )
    augmentation: Literal["none", "scale_crop"] = Field(
        default="none", description="augmentation of images (NYUv2): none, or random scale and crop"
    )
    loss_weights: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="task → factor of its losses; 1 where absent, as in the paper"
    )
    freeze_encoder: bool = Field(
        default=False, description="train the task-formers and surrogates only (phase 2)"
    )
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(
        default="auto",
        description="auto = bf16-mixed where the processor has bf16 instructions, else 32-true",
    )
    threads: int = Field(
        default=1, gt=0, description="OpenMP threads; more than the job's cores is far slower"
    )
    log_every: int = Field(default=20, gt=0, description="steps between rows of log.csv")
    checkpoint_every: int = Field(default=200, gt=0, description="steps between resume checkpoints")
    validate_every: int = Field(
        default=0, ge=0, description="steps between scores on the validation split in log.csv; 0: none"
    )

    @model_validator(mode="after")
    def _equal_parts(self) -> TrainingConfig:
        if self.batch_size % (self.devices * self.nodes * self.accumulate):
            raise ValueError(
                "batch_size must be a multiple of devices × nodes × accumulate, so that all parts are equal"
            )
        return self

    @model_validator(mode="after")
    def _whole_rows_in_checkpoints(self) -> TrainingConfig:
        if self.checkpoint_every % self.log_every:
            raise ValueError(
                "checkpoint_every must be a multiple of log_every, so that no half-filled row is lost"
            )
        if self.validate_every % self.log_every:
            raise ValueError("validate_every must be a multiple of log_every, so that scores have a row")
        return self
