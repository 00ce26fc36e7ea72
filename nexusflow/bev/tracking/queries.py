"""Fresh detection queries (heat-map peaks or learned), the state embedding, and the attention mask.

Letters: B batch, C BEV channels, H/W grid, K classes, Q queries, D query channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.layers import mlp

__all__ = ["HeatMapQueries", "LearnedQueries", "QuerySet", "StateEmbedding", "attention_mask", "find_peaks"]

PRIOR_LOGIT = -4.6  # sigmoid ≈ 0.01: nearly everything is background at the start


@dataclass
class QuerySet:
    """A group of queries before the decoder: embedding, box code with the reference centre, existence."""

    content_BQD: Tensor
    code_BQ10: Tensor
    valid_BQ: Tensor


class StateEmbedding(nn.Module):
    """Embed what is known of a tracked object besides its place: size, height, heading, velocity, class."""

    def __init__(self, classes: int, dim: int) -> None:
        super().__init__()
        self.net = mlp(8 + classes, dim, dim)

    def forward(self, code_BQ10: Tensor, probs_BQK: Tensor) -> Tensor:
        """Return (B, Q, D) from box codes (metres, m/s) and class probabilities."""
        shape, motion = code_BQ10[..., 2:8], code_BQ10[..., 8:10] * 0.2
        return self.net(torch.cat([shape, motion, probs_BQK], -1))


def find_peaks(heat_BKHW: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the strongest local maxima of a heat map.

    Args:
        heat_BKHW: logits.
        count: number of peaks Q; cells that are no peak fill up with score zero.

    Returns:
        scores (B, Q) in [0, 1], labels (B, Q), flat cell indices (B, Q).
    """
    heat = heat_BKHW.detach().float().sigmoid()
    peaks = heat * (heat == F.max_pool2d(heat, 3, stride=1, padding=1))
    cells = heat.shape[-1] * heat.shape[-2]
    scores_BQ, flat_BQ = peaks.contiguous().flatten(1).topk(count, dim=1)
    return scores_BQ, flat_BQ // cells, flat_BQ % cells


class HeatMapQueries(nn.Module):
    """Detection queries at the peaks of a per-class heat map, with the BEV feature found there as content."""

    def __init__(self, config: BEVModelConfig) -> None:
        super().__init__()
        self.count, self.half_m, self.cells = (
            config.track.detection_queries,
            config.bev_half_m,
            config.bev_cells,
        )
        channels, dim = config.encoder.channels, config.track.dim
        self.trunk = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.GroupNorm(config.norm_groups, channels),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Conv2d(channels, config.num_classes, 1)
        nn.init.constant_(self.head.bias, PRIOR_LOGIT)  # type: ignore[arg-type]
        self.feature = nn.Linear(channels, dim)
        self.label = nn.Embedding(config.num_classes, dim)

    def forward(self, bev_BCHW: Tensor) -> tuple[QuerySet, Tensor]:
        """Return the queries and the heat-map logits (B, K, H, W)."""
        trunk_BCHW = self.trunk(bev_BCHW)
        heat_BKHW = self.head(trunk_BCHW).float()
        _, labels_BQ, cells_BQ = find_peaks(heat_BKHW, self.count)
        flat_BPC = trunk_BCHW.permute(0, 2, 3, 1).flatten(1, 2)
        found_BQC = flat_BPC.gather(1, cells_BQ[..., None].expand(-1, -1, flat_BPC.shape[-1]))
        content = self.feature(found_BQC) + self.label(labels_BQ)
        size = 2.0 * self.half_m / self.cells
        code = torch.zeros(*cells_BQ.shape, 10, device=bev_BCHW.device)
        code[..., 0] = (cells_BQ % self.cells + 0.5) * size - self.half_m
        code[..., 1] = (cells_BQ // self.cells + 0.5) * size - self.half_m
        return QuerySet(content, code, torch.ones_like(cells_BQ, dtype=torch.bool)), heat_BKHW


class LearnedQueries(nn.Module):
    """Detection queries as embeddings with learned reference points.

    Source: query embedding and reference layer of UniAD's track head.
    """

    def __init__(self, config: BEVModelConfig) -> None:
        super().__init__()
        self.half_m, self.z_range = config.bev_half_m, config.track.z_range_m
        self.content = nn.Parameter(torch.randn(config.track.detection_queries, config.track.dim))
        self.position = nn.Parameter(torch.randn(config.track.detection_queries, config.track.dim))
        self.reference = nn.Linear(config.track.dim, 3)

    def forward(self, bev_BCHW: Tensor) -> tuple[QuerySet, None]:
        """Return the queries; there is no heat map."""
        batch = bev_BCHW.shape[0]
        where_Q3 = self.reference(self.position).float().sigmoid()
        x, y = ((2.0 * where_Q3[:, :2] - 1.0) * self.half_m).unbind(-1)
        z = self.z_range[0] + where_Q3[:, 2] * (self.z_range[1] - self.z_range[0])
        zero = torch.zeros_like(x)
        code_Q10 = torch.stack([x, y, zero, zero, z, *[zero] * 5], -1)
        valid = torch.ones(batch, len(self.content), dtype=torch.bool, device=bev_BCHW.device)
        content = self.content[None].expand(batch, -1, -1)
        return QuerySet(content, code_Q10[None].expand(batch, -1, -1), valid), None


def attention_mask(
    valid_BQ: Tensor, detections: int, slots: int, denoising_groups: int, isolate_detections: bool
) -> Tensor:
    """Say which query may look at which.

    Detection and track queries never see denoising queries, which hold truth; denoising queries see the
    detections and their own group, as a track query sees the detections and the other tracks.

    Args:
        valid_BQ: queries that exist; groups are ordered detection, track, denoising.
        detections: number of detection queries.
        slots: number of track queries.
        denoising_groups: equal groups that the remaining queries fall into.
        isolate_detections: hide track queries from detection queries.

    Returns:
        (B, Q, Q) Boolean mask, True = may look; every query sees itself.
    """
    total = valid_BQ.shape[1]
    allowed_QQ = torch.zeros(total, total, dtype=torch.bool, device=valid_BQ.device)
    allowed_QQ[:, :detections] = True
    live = detections + slots
    allowed_QQ[detections if isolate_detections else 0 : live, detections:live] = True
    if total > live:
        size = (total - live) // denoising_groups
        for group in range(denoising_groups):
            part = slice(live + group * size, live + (group + 1) * size)
            allowed_QQ[part, part] = True
    itself = torch.eye(total, dtype=torch.bool, device=valid_BQ.device)
    return (allowed_QQ & valid_BQ[:, None]) | itself
