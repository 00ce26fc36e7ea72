"""What the BEV model takes and gives.

Letters: B clips or scenes, T frames, G truth boxes (padded), C channels, H/W grid rows/columns, Q queries,
S track slots, M remembered embeddings, D query channels, K classes, L decoder layers, P predicted boxes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "FramePrediction",
    "FrameTruth",
    "InstanceMapOutput",
    "MapOutput",
    "ModelOutput",
    "TrackFrameOutput",
    "TrackMemory",
    "TrackOutput",
    "TrackSlots",
    "TrackTruth",
    "TrackerState",
]


@dataclass(frozen=True)
class FrameTruth:
    """Truth of one frame; hidden samples hold padding only."""

    boxes_BG9: Tensor
    labels_BG: Tensor
    instances_BG: Tensor
    visible_B: Tensor

    @property
    def valid_BG(self) -> Tensor:
        """Which entries are boxes rather than padding."""
        return self.labels_BG >= 0


@dataclass(frozen=True)
class TrackTruth:
    """Tracking labels of a batch of clips.

    Args:
        boxes_BTG9: x, y, z, l, w, h (metres), yaw (rad), vx, vy (m/s) in each frame's ego frame; zero padded.
        labels_BTG: class index, -1 for padding.
        instances_BTG: identity, -1 for padding.
        visible_B: whether the tracking labels of a clip may be used at all.
        least_boxes: size to which boxes stay padded; of a part of a batch, what `masked` leaves of the whole.
    """

    boxes_BTG9: Tensor
    labels_BTG: Tensor
    instances_BTG: Tensor
    visible_B: Tensor
    least_boxes: int = 1

    def masked(self, half_m: float) -> TrackTruth:
        """Remove hidden samples' labels and boxes outside the grid, and trim the padding that remains.

        Args:
            half_m: half-width of the grid (metres); boxes with a centre outside it are dropped.

        Returns:
            A truth in which nothing, the padded size included, depends on hidden labels.
        """
        inside = self.boxes_BTG9[..., :2].abs().amax(-1) <= half_m
        keep_BTG = inside & (self.labels_BTG >= 0) & self.visible_B[:, None, None]
        width = max(int(keep_BTG.sum(-1).max()) if keep_BTG.numel() else 0, self.least_boxes)
        order_BTG = torch.sort((~keep_BTG).to(torch.uint8), dim=-1, stable=True).indices[..., :width]
        keep = keep_BTG.gather(-1, order_BTG)
        boxes = self.boxes_BTG9.gather(2, order_BTG[..., None].expand(*order_BTG.shape, 9)).float()
        return TrackTruth(
            boxes.masked_fill(~keep[..., None], 0.0),
            self.labels_BTG.gather(-1, order_BTG).masked_fill(~keep, -1),
            self.instances_BTG.gather(-1, order_BTG).masked_fill(~keep, -1),
            self.visible_B,
            self.least_boxes,
        )

    def as_single_frames(self) -> TrackTruth:
        """Turn every frame of every clip into a clip of its own (B·T clips of one frame)."""
        return TrackTruth(
            self.boxes_BTG9.flatten(0, 1)[:, None],
            self.labels_BTG.flatten(0, 1)[:, None],
            self.instances_BTG.flatten(0, 1)[:, None],
            self.visible_B.repeat_interleave(self.labels_BTG.shape[1]),
            self.least_boxes,
        )

    def frame(self, t: int) -> FrameTruth:
        """Return the truth of frame `t` of every clip."""
        return FrameTruth(
            self.boxes_BTG9[:, t], self.labels_BTG[:, t], self.instances_BTG[:, t], self.visible_B
        )


@dataclass
class TrackMemory:
    """Past embeddings of S tracks or queries, the newest last.

    Args:
        embeddings_BSMD: what was saved.
        saved_BSM: which places hold something.
        wait_BS: frames until the next one is saved (test time).
    """

    embeddings_BSMD: Tensor
    saved_BSM: Tensor
    wait_BS: Tensor

    def select(self, rows: Tensor) -> TrackMemory:
        """Return the memory of some samples of the batch."""
        return TrackMemory(self.embeddings_BSMD[rows], self.saved_BSM[rows], self.wait_BS[rows])

    def joined(self, other: TrackMemory) -> TrackMemory:
        """Return both, one behind the other."""
        mine, theirs = vars(self).values(), vars(other).values()
        return TrackMemory(*(torch.cat([a, b], 1) for a, b in zip(mine, theirs, strict=True)))

    def taken(self, order_BS: Tensor) -> TrackMemory:
        """Return what the chosen tracks or queries remember, in that order."""
        rows_B1 = torch.arange(len(order_BS), device=order_BS.device)[:, None]
        return TrackMemory(*(part[rows_B1, order_BS] for part in vars(self).values()))


@dataclass
class TrackSlots:
    """Track queries carried between frames, padded to S slots per sample.

    Args:
        content_BSD: query embeddings.
        code_BS10: last predicted box codes, in the ego frame of the frame they were predicted in.
        probs_BSK: last class probabilities.
        ids_BS: identity (truth instance in training, track id at test time), -1 for none.
        valid_BS: which slots hold a query.
        misses_BS: consecutive frames below the keep threshold (test time).
        memory: past embeddings, where the model has a memory bank.
    """

    content_BSD: Tensor
    code_BS10: Tensor
    probs_BSK: Tensor
    ids_BS: Tensor
    valid_BS: Tensor
    misses_BS: Tensor
    memory: TrackMemory | None = None

    def select(self, rows: Tensor) -> TrackSlots:
        """Return the slots of some samples of the batch."""
        tensors = {field.name: getattr(self, field.name)[rows] for field in fields(self)[:-1]}
        return TrackSlots(**tensors, memory=None if self.memory is None else self.memory.select(rows))


@dataclass
class TrackFrameOutput:
    """One frame of the tracking former; queries are ordered detection, track, denoising.

    Args:
        heat_BKHW: heat-map logits, or None with learned queries.
        logits_LBQK, codes_LBQ10: predictions after each decoder layer.
        content_BQD: final query embeddings.
        valid_BQ: queries that exist (padding is False).
        detections, slots: sizes of the first two groups of queries.
        targets_LBQ: index of the matched truth box, -1 background, -2 no loss; None without truth.
        memory: what detection and track queries remember, where the model has a memory bank.
    """

    heat_BKHW: Tensor | None
    logits_LBQK: Tensor
    codes_LBQ10: Tensor
    content_BQD: Tensor
    valid_BQ: Tensor
    detections: int
    slots: int
    targets_LBQ: Tensor | None = None
    memory: TrackMemory | None = None


@dataclass
class TrackOutput:
    """Tracking outputs of all frames of a clip, and the truth they were matched with."""

    frames: list[TrackFrameOutput]
    truth: TrackTruth | None
    single_frame: bool


@dataclass
class MapOutput:
    """Mapping outputs.

    Args:
        logits_FKHW: mask logits on the map canvas, one row per predicted frame.
        queries_FQD: final query embeddings.
        memory_FCHW: map memory.
        frames_per_clip: predicted frames per clip; rows are ordered clip by clip.
    """

    logits_FKHW: Tensor
    queries_FQD: Tensor
    memory_FCHW: Tensor
    frames_per_clip: int


@dataclass
class InstanceMapOutput:
    """Mapping outputs of instance queries; masks are decoded when they are asked for.

    Args:
        queries_FQD: final queries of the location decoder.
        memory_FCHW: map memory.
        frames_per_clip: predicted frames per clip; rows are ordered clip by clip.
        states_LFQD: queries after each layer of the location decoder.
        classes_LFQK: logits of the thing classes after each layer.
        boxes_LFQ4: centre and size in [0, 1] of the canvas after each layer, x before y.
        render: draws the mask logits of the classes.
    """

    queries_FQD: Tensor
    memory_FCHW: Tensor
    frames_per_clip: int
    states_LFQD: Tensor
    classes_LFQK: Tensor
    boxes_LFQ4: Tensor
    render: Callable[[InstanceMapOutput], Tensor]

    @cached_property
    def logits_FKHW(self) -> Tensor:
        """Mask logits of all classes on the map canvas, with gradient."""
        return self.render(self)


@dataclass
class ModelOutput:
    """What a forward pass returns: task outputs, and taps and BEV grid of the last frame."""

    outputs: dict[str, Any]
    taps: dict[str, dict[str, Tensor]]
    bev_BCHW: Tensor


@dataclass
class TrackerState:
    """Everything that a stream of frames carries from one frame to the next, for B scenes in lock step."""

    bev_BCHW: Tensor
    ego2global_B44: Tensor
    timestamps_B: Tensor
    slots: TrackSlots
    next_id_B: Tensor

    def select(self, rows: Tensor) -> TrackerState:
        """Keep only some scenes of the batch, e.g. those that have frames left.

        Args:
            rows: indices or Boolean mask over B.

        Returns:
            The state of these scenes, in the given order.
        """
        return TrackerState(
            self.bev_BCHW[rows],
            self.ego2global_B44[rows],
            self.timestamps_B[rows],
            self.slots.select(rows),
            self.next_id_B[rows],
        )


@dataclass
class FramePrediction:
    """What the model says about one frame of one scene.

    Args:
        boxes_P9: x, y, z, l, w, h (metres), yaw (rad), vx, vy (m/s) in the ego frame.
        labels_P: class index.
        scores_P: track score in [0, 1].
        track_ids_P: identity, unique within the stream.
        map_KHW: map probabilities; empty where none were asked for.
    """

    boxes_P9: Tensor
    labels_P: Tensor
    scores_P: Tensor
    track_ids_P: Tensor
    map_KHW: Tensor
