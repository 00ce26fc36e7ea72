"""A tiny model and batches that cost milliseconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.model import BEVModel
from nexusflow.bev.types import ModelOutput, TrackTruth

torch.set_num_threads(1)  # tiny operators only lose time to waiting threads

TINY = {
    "image_height": 16,
    "image_width": 32,
    "cameras": 2,
    "bev_half_m": 8.0,
    "bev_cells": 16,
    "map_cells": 32,
    "backbone": {"stem_channels": 8, "widths": (8, 16), "depths": (1, 1), "neck_channels": 8},
    "encoder": {
        "channels": 16,
        "unet_widths": (16, 16),
        "unet_depths": (1, 1),
        "layers": 1,
        "ffn_channels": 16,
    },
    "track": {
        "dim": 16,
        "heads": 2,
        "ffn_channels": 16,
        "detection_queries": 8,
        "train_slots": 6,
        "denoising_queries": 5,
        "carry_distance_m": 50.0,
        "drop_probability": 0.0,
    },
    "map": {"dim": 16, "heads": 2, "ffn_channels": 16, "mask_channels": 8},
    "thresholds": {"slots": 12},
}


def tiny_config(**changes: object) -> BEVModelConfig:
    """Return the tiny config with some keys replaced; a dict replaces keys of a section."""
    merged = {**TINY}
    for key, value in changes.items():
        merged[key] = {**TINY[key], **value} if isinstance(value, dict) and key in TINY else value
    return BEVModelConfig.model_validate(merged)


@dataclass(frozen=True)
class Batch:
    """Inputs and labels of a few clips."""

    images: Tensor
    ego2img: Tensor
    ego2global: Tensor
    timestamps: Tensor
    truth: TrackTruth
    maps: Tensor
    map_visible: Tensor

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.images, self.ego2img, self.ego2global, self.timestamps

    def hide(self, track: list[bool], mapping: list[bool]) -> Batch:
        truth = replace(self.truth, visible_B=torch.tensor(track))
        return replace(self, truth=truth, map_visible=torch.tensor(mapping))


def camera(yaw: float, height: int, width: int) -> Tensor:
    """Return ego2img of a camera 1.5 m above the origin that looks along `yaw` (radians)."""
    c, s = math.cos(yaw), math.sin(yaw)
    # Rows: right, down, forward in ego coordinates.
    axes = torch.tensor([[s, -c, 0.0], [0.0, 0.0, -1.0], [c, s, 0.0]])
    outer = torch.eye(4)
    outer[:3, :3] = axes
    outer[:3, 3] = -axes @ torch.tensor([0.0, 0.0, 1.5])
    inner = torch.eye(4)
    inner[0, 0] = inner[1, 1] = 0.5 * width
    inner[0, 2], inner[1, 2] = width / 2, height / 2
    return inner @ outer


def make_batch(
    config: BEVModelConfig, clips: int = 2, frames: int = 2, boxes: int = 4, seed: int = 0
) -> Batch:
    """Draw random images and a few slowly moving boxes per clip; the last box slot is padding."""
    rng = torch.Generator().manual_seed(seed)
    size = (clips, frames, config.cameras, 3, config.image_height, config.image_width)
    images = torch.randint(0, 256, size, generator=rng, dtype=torch.uint8)
    rig = torch.stack(
        [camera(k * math.pi, config.image_height, config.image_width) for k in range(config.cameras)]
    )
    pose = torch.eye(4, dtype=torch.float64).repeat(clips, frames, 1, 1)
    pose[:, :, 0, 3] = torch.arange(frames) * 0.5
    times = (torch.arange(frames) * 0.5).double().expand(clips, frames).clone()
    truth = torch.zeros(clips, frames, boxes + 1, 9)
    truth[:, :, :boxes, :2] = (
        (torch.rand(clips, 1, boxes, 2, generator=rng) * 2 - 1) * 0.8 * config.bev_half_m
    )
    truth[:, :, :boxes, 3:6] = torch.tensor([2.0, 1.0, 1.5])
    truth[:, :, :boxes, 6] = torch.rand(clips, 1, boxes, generator=rng) * 6 - 3
    labels = torch.randint(0, config.num_classes, (clips, 1, boxes + 1), generator=rng).repeat(1, frames, 1)
    identities = torch.arange(boxes + 1).repeat(clips, frames, 1) + 100
    labels[..., boxes], identities[..., boxes] = -1, -1
    everything = torch.ones(clips, dtype=torch.bool)
    masks = (
        torch.rand(clips, frames, config.map_classes, config.map_cells, config.map_cells, generator=rng) < 0.2
    )
    return Batch(
        images,
        rig.repeat(clips, frames, 1, 1, 1),
        pose,
        times,
        TrackTruth(truth, labels, identities, everything),
        masks.to(torch.uint8),
        everything,
    )


def run(
    model: BEVModel, batch: Batch, step: int = 0, single: bool = False
) -> tuple[ModelOutput, dict[str, Tensor]]:
    """Run forward and losses of one training step."""
    model.set_step(step)
    output = model(*batch.inputs, batch.truth, single_frame=single)
    return output, model.losses(output, batch.truth, batch.maps[:, -1], batch.map_visible)


@pytest.fixture
def config() -> BEVModelConfig:
    """The tiny config."""
    return tiny_config()


@pytest.fixture
def model(config: BEVModelConfig) -> BEVModel:
    """A tiny model in training mode with fixed initial weights."""
    torch.manual_seed(0)
    return BEVModel(config)


@pytest.fixture
def batch(config: BEVModelConfig) -> Batch:
    """Two clips of two frames."""
    return make_batch(config)
