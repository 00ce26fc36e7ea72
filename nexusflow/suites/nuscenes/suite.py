"""Tracking and map segmentation on any nuScenes-format data set, under one partition.

Letters: B samples, T key frames, G boxes, K map classes, H × W canvas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.model import BEVModel
from nexusflow.bev.types import ModelOutput, TrackTruth
from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_json
from nexusflow.core.parts import BatchPart, PoolCounts
from nexusflow.core.views import CanvasSpec, DenseView, ViewPlan
from nexusflow.data.nuscenes.batch import ClipBatch, collate_clips
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.data.nuscenes.sampler import ClipSampler
from nexusflow.suites.base import StepResult, Suite

__all__ = ["TASKS", "BEVViewMaker", "BatchPlan", "NuScenesSuite", "architecture_of", "build_model"]

TASKS = ("track", "map")


@dataclass(frozen=True)
class BatchPlan:
    """How clips are drawn.

    Attributes:
        clip_length: key frames per clip.
        batch_size: clips per step.
        seed: seed of the order of clips and of the model's initial weights.
    """

    clip_length: int
    batch_size: int
    seed: int


class BEVViewMaker(Protocol):
    """Shows a batch of clips to a method, as `nexusflow.suites.nuscenes.canvases` does.

    A protocol, so that a run of a method without canvases does not depend on that code.

    Attributes:
        spec: what the canvases look like.
    """

    spec: CanvasSpec

    def make_views(
        self,
        output: ModelOutput,
        truth: TrackTruth,
        map_BKHW: Tensor,
        visible: Mapping[str, Tensor],
        plan: ViewPlan,
        seed: int,
        step: int,
    ) -> list[DenseView]:
        """Show what the model says about the last frame of every clip beside its labels.

        Args:
            output: the model's output, for clips or for single frames.
            truth: tracking labels of the clips, all frames.
            map_BKHW: 0/1 masks of the last frame.
            visible: task → which clips show its labels, bool (B,).
            plan: the views wanted.
            seed: the run's seed.
            step: step number from 0.

        Returns:
            As many views as the plan names; a function of the arguments.
        """
        ...


def build_model(config: BEVModelConfig, seed: int) -> BEVModel:
    """Build the model with initial weights that depend on the seed alone.

    Args:
        config: the model section of a scale.
        seed: the run's seed.

    Returns:
        The model in training mode.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BEVModel(config)


def _tap_channels(config: BEVModelConfig) -> dict[str, int]:
    if config.tap == "bev":
        return dict.fromkeys(TASKS, config.encoder.channels)
    return {"track": config.track.dim, "map": config.map.dim}


def architecture_of(config: BEVModelConfig) -> str:
    """Hash what decides the shape and meaning of the weights.

    Args:
        config: the model section of a scale.

    Returns:
        Hexadecimal SHA-256 of the section without the life-cycle thresholds, which act at test time only,
        without the weights that training starts with, without what changes memory and time alone, without how
        a clip's history is learned from, and without what the chosen map queries and a track that remembers
        nothing do not read.
    """
    unread = {"instance"} if config.map.queries == "class" else {"instance": {"painting"}}
    exclude: Any = {
        "thresholds": True,
        "recompute": True,
        "backbone": {"weights", "implementation"},
        "encoder": {"history"},
        "track": {"memory_every"} if config.track.memory else {"memory", "memory_every"},
        "map": unread,
    }
    return sha256_json(config.model_dump(mode="json", exclude=exclude))


class NuScenesSuite(Suite):
    """The nuScenes suite under one partition.

    Args:
        cache: decoded images, boxes and map targets.
        partition: scene name → task → whether the scene's labels of the task may be used.
        model_config: the model section of a scale.
        plan: how clips are drawn.
        canvases: shows the tasks as images, for methods that compare predictions with labels.

    Raises:
        UserError: if a training scene is missing in the partition table, or if the model learns instances of
            map classes and the cache holds none.
    """

    name = "nuscenes"
    canvases: BEVViewMaker | None

    def __init__(
        self,
        cache: NuScenesCache,
        partition: Mapping[str, Mapping[str, bool]],
        model_config: BEVModelConfig,
        plan: BatchPlan,
        canvases: BEVViewMaker | None = None,
    ) -> None:
        missing = [s.name for s in cache.scenes if s.split == "train" and s.name not in partition]
        if missing:
            raise UserError(f"The partition table lacks scene {missing[0]}; make the partition again.")
        if model_config.map.queries == "instance" and cache.map_instances_FKHW is None:
            raise UserError(
                "The model learns instances of map classes (map.queries: instance), but the cache has no "
                "instances.npy; set nuscenes.model.map.queries in the scale's file and build the cache again."
            )
        self.cache = cache
        self.plan = plan
        self.canvases = canvases
        self.network = build_model(model_config, plan.seed)
        self.model = self.network
        self.architecture = architecture_of(model_config)
        self.tap_channels = _tap_channels(model_config)
        self.sampler = ClipSampler(cache, "train", plan.clip_length, plan.batch_size, plan.seed)
        self._visible_by_frame: dict[int, dict[str, bool]] = {}
        for scene in cache.scenes:
            if scene.split == "train":
                row = {task: bool(partition[scene.name][task]) for task in TASKS}
                for frame in range(scene.first_frame, scene.first_frame + scene.num_frames):
                    self._visible_by_frame[frame] = row

    def _fullest_frame(self, clips: Sequence[Sequence[int]]) -> int:
        """Count the visible boxes on the grid in the frame that has most of them."""
        half_m, most = self.network.config.bev_half_m, 1
        for frame in (frame for clip in clips if self._visible_by_frame[clip[-1]]["track"] for frame in clip):
            boxes_K9 = np.asarray(self.cache.boxes_M9[self.cache.boxes_of(frame)])
            most = max(most, int((np.abs(boxes_K9[:, :2]).max(1, initial=0.0) <= half_m).sum()))
        return most

    def batch(self, step: int, part: BatchPart | None = None) -> ClipBatch:
        """Load the clips of a step, with hidden labels removed; see `Suite.batch`."""
        clips = self.sampler.clips_at(step)
        least = 1
        if part is not None:
            # The fullest frame of the whole batch decides how many random numbers are drawn.
            least = self._fullest_frame(clips)
            clips = clips[part.start : part.stop]
        visible = {task: [self._visible_by_frame[clip[-1]][task] for clip in clips] for task in TASKS}
        return collate_clips(self.cache, clips, visible, part, least).hide_labels()

    def forward(
        self, batch: ClipBatch, step: int, single_frame: bool, pool_counts: PoolCounts | None = None
    ) -> StepResult:
        """Run the model and its losses on a batch of clips; see `Suite.forward`."""
        device = next(self.model.parameters()).device
        truth = TrackTruth(
            boxes_BTG9=batch.boxes_BTG9.to(device),
            labels_BTG=batch.labels_BTG.to(device),
            instances_BTG=batch.instances_BTG.to(device),
            visible_B=batch.visible["track"].to(device),
            least_boxes=batch.least_boxes,
        )
        # One stream of noise per seed; no run is longer than this factor.
        self.network.set_step(self.plan.seed * 10_000_000 + step, batch.part)
        output = self.network(
            batch.images_BTNCHW.to(device),
            batch.ego2img_BTN44.to(device),
            batch.ego2global_BT44.to(device),
            batch.timestamps_BT.to(device),
            truth,
            single_frame=single_frame,
        )
        # All frames; the model takes those that it predicts.
        map_BTKHW = batch.map_BTKHW.to(device)
        truth_BTKHW = map_BTKHW
        if self.network.config.map.queries == "instance":
            assert batch.map_instances_BTKHW is not None, "checked at the start"
            truth_BTKHW = batch.map_instances_BTKHW.to(device)
        with torch.autocast(device.type, enabled=False):
            map_visible_B = batch.visible["map"].to(device)
            losses = self.network.losses(output, truth, truth_BTKHW, map_visible_B, pool_counts)
        visible = {task: batch.visible[task].to(device) for task in TASKS}
        result = StepResult(losses=losses, outputs=output.outputs, taps=output.taps, visible=visible)
        if self.view_plan is not None:
            assert self.canvases is not None, "see provide_views"
            seed, last_BKHW = self.plan.seed, map_BTKHW[:, -1]
            result.views = self.canvases.make_views(
                output, truth, last_BKHW, visible, self.view_plan, seed, step
            )
        return result

    def freeze_encoder(self) -> None:
        """Freeze backbone, neck and BEV encoder (phase 2); see `Suite.freeze_encoder`."""
        self.network.freeze_encoder()
