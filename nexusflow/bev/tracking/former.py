"""Tracking former: one frame of queries in, predictions and matched targets out.

Letters: B batch, C BEV channels, H/W grid, Q queries, S slots, D query channels.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.noise import BatchNoise
from nexusflow.bev.tracking.decoder import TrackDecoder
from nexusflow.bev.tracking.denoising import PseudoTracks, make_pseudo_tracks
from nexusflow.bev.tracking.interaction import QueryInteraction
from nexusflow.bev.tracking.lifecycle import empty_slots
from nexusflow.bev.tracking.matching import match_detections, match_tracks
from nexusflow.bev.tracking.memory import MemoryBank
from nexusflow.bev.tracking.queries import HeatMapQueries, LearnedQueries, StateEmbedding, attention_mask
from nexusflow.bev.types import FrameTruth, TrackFrameOutput, TrackSlots

__all__ = ["TrackFormer"]

DENOISING_GROUPS = 2


class TrackFormer(nn.Module):
    """Detection, track and denoising queries through one decoder.

    Args:
        config: the whole model's sizes.

    Source: UniAD's TrackFormer; the config names the small size's variants.
    """

    def __init__(self, config: BEVModelConfig) -> None:
        super().__init__()
        self.config = config
        section = config.track
        initial = {"heatmap": HeatMapQueries, "learned": LearnedQueries}
        self.detect = initial[section.query_init](config)
        self.state = StateEmbedding(config.num_classes, section.dim)
        self.kind = nn.Parameter(torch.randn(3, section.dim) * 0.02)  # detection, track, denoising
        self.interaction = QueryInteraction(section)
        self.decoder = TrackDecoder(config)
        self.memory = MemoryBank(section) if section.memory else None

    def empty(self, batch: int, slots: int, device: torch.device) -> TrackSlots:
        """Return slots without tracks."""
        empty = empty_slots(batch, slots, self.config.track.dim, self.config.num_classes, device)
        return empty if self.memory is None else replace(empty, memory=self.memory.empty(empty.content_BSD))

    def remember(self, slots: TrackSlots) -> TrackSlots:
        """Let the tracks that leave a frame use and fill their memory, where the model has a memory bank."""
        return slots if self.memory is None else self.memory(slots)

    def _jitter(self, code_BS10: Tensor, rng: BatchNoise) -> Tensor:
        """Move propagated references a little, as noisy velocities will at test time."""
        noise = rng.randn(*code_BS10.shape[:2], 2).to(code_BS10.device)
        return torch.cat(
            [code_BS10[..., :2] + noise * self.config.track.propagation_noise_m, code_BS10[..., 2:]], -1
        )

    def forward(
        self,
        bev_BCHW: Tensor,
        slots: TrackSlots | None,
        truth: FrameTruth | None,
        rng: BatchNoise | None,
    ) -> TrackFrameOutput:
        """Decode one frame.

        Args:
            bev_BCHW: BEV grid.
            slots: tracks carried into this frame, codes already in its ego frame; None for no track queries.
            truth: truth of the frame, for matching (and denoising while training); None to predict only.
            rng: the training-time noise; None for no noise.

        Returns:
            Predictions of all queries, with targets if there is a truth.
        """
        section = self.config.track
        fresh, heat = self.detect(bev_BCHW)
        contents, codes, valids = [fresh.content_BQD + self.kind[0]], [fresh.code_BQ10], [fresh.valid_BQ]
        detections, carried = fresh.valid_BQ.shape[1], 0
        if slots is not None:
            carried = slots.valid_BS.shape[1]
            state = self.state(slots.code_BS10, slots.probs_BSK)
            contents.append(self.interaction(slots.content_BSD, state, slots.valid_BS) + state + self.kind[1])
            codes.append(slots.code_BS10 if rng is None else self._jitter(slots.code_BS10, rng))
            valids.append(slots.valid_BS)
        pseudo: PseudoTracks | None = None
        if truth is not None and rng is not None and section.denoising_queries:
            pseudo = make_pseudo_tracks(truth, section, self.config.num_classes, DENOISING_GROUPS, rng)
            contents.append(self.state(pseudo.code_BQ10, pseudo.probs_BQK) + self.kind[2])
            codes.append(pseudo.code_BQ10)
            valids.append(pseudo.valid_BQ)
        valid = torch.cat(valids, 1)
        isolate = section.detection_targets == "all"
        mask = attention_mask(valid, detections, carried, DENOISING_GROUPS, isolate)
        content = torch.cat([part.float() for part in contents], 1)
        logits, refined, final = self.decoder(content, torch.cat(codes, 1), mask, bev_BCHW)
        frame = TrackFrameOutput(heat, logits, refined, final, valid, detections, carried)
        if self.memory is not None:
            frame.memory = self.memory.empty(fresh.content_BQD)
            if slots is not None and slots.memory is not None:
                frame.memory = frame.memory.joined(slots.memory)
        if truth is not None:
            frame.targets_LBQ = self._targets(frame, slots, truth, pseudo)
        return frame

    def _targets(
        self,
        frame: TrackFrameOutput,
        slots: TrackSlots | None,
        truth: FrameTruth,
        pseudo: PseudoTracks | None,
    ) -> Tensor:
        """Collect the targets of all groups of queries, layer by layer."""
        layers = len(frame.logits_LBQK)
        free_BG = truth.valid_BG
        groups = []
        if slots is not None:
            tracked_BS = match_tracks(slots.ids_BS, slots.valid_BS, truth)
            groups.append(tracked_BS[None].expand(layers, -1, -1))
            if self.config.track.detection_targets == "newborn":
                boxes = torch.arange(free_BG.shape[1], device=free_BG.device)
                free_BG = free_BG & ~(tracked_BS[:, :, None] == boxes).any(1)
        part = slice(0, frame.detections)
        logits, codes = frame.logits_LBQK[:, :, part], frame.codes_LBQ10[:, :, part]
        groups.insert(0, match_detections(logits, codes, truth, free_BG, self.config.track.loss))
        if pseudo is not None:
            groups.append(pseudo.targets_BQ[None].expand(layers, -1, -1))
        return torch.cat(groups, 2)
