"""Taps: the features of each former that a method may align, at one of three levels.

Letters: B clips, Q tokens, D channels, K classes, H/W grid.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nexusflow.bev.types import InstanceMapOutput, MapOutput, TrackFrameOutput

__all__ = ["collect_taps"]


def _grid_tokens(grid_BCHW: Tensor) -> dict[str, Tensor]:
    """Return every cell of a grid as a token of weight one."""
    batch, _, height, width = grid_BCHW.shape
    device = grid_BCHW.device
    y, x = torch.meshgrid(
        (torch.arange(height, device=device) + 0.5) / height,
        (torch.arange(width, device=device) + 0.5) / width,
        indexing="ij",
    )
    positions = torch.stack([x, y], -1).reshape(1, -1, 2).expand(batch, -1, -1)
    features = grid_BCHW.flatten(2).transpose(1, 2).float()
    return {
        "features": features,
        "weights": torch.ones(batch, height * width, device=device),
        "positions": positions,
    }


def _track_queries(frame: TrackFrameOutput, half_m: float) -> dict[str, Tensor]:
    """Return the live queries, weighted by their largest class probability; denoising queries stay out."""
    live = frame.detections + frame.slots
    scores = frame.logits_LBQK[-1, :, :live].detach().sigmoid().amax(-1)
    centres = frame.codes_LBQ10[-1, :, :live, :2].detach()
    return {
        "features": frame.content_BQD[:, :live].float(),
        "weights": scores * frame.valid_BQ[:, :live],
        "positions": (centres / (2.0 * half_m) + 0.5).clamp(0.0, 1.0),
    }


def _map_queries(output: MapOutput, clips: int) -> dict[str, Tensor]:
    """Return the last frame's queries, each placed at the centroid of its class's mask."""
    queries = output.queries_FQD.unflatten(0, (clips, -1))[:, -1]
    masks = output.logits_FKHW.detach().unflatten(0, (clips, -1))[:, -1].sigmoid()
    height, width = masks.shape[-2:]
    x = (torch.arange(width, device=masks.device) + 0.5) / width
    y = (torch.arange(height, device=masks.device) + 0.5) / height
    mass = masks.sum((-2, -1)).clamp(min=1e-6)
    centre = torch.stack([(masks.sum(-2) * x).sum(-1) / mass, (masks.sum(-1) * y).sum(-1) / mass], -1)
    per_class = queries.shape[1] // masks.shape[1]
    return {
        "features": queries.float(),
        "weights": torch.ones(queries.shape[:2], device=queries.device),
        "positions": centre.repeat_interleave(per_class, 1).clamp(0.0, 1.0),
    }


def _instance_queries(output: InstanceMapOutput, clips: int) -> dict[str, Tensor]:
    """Return the last frame's queries at their boxes' centres, weighted by their largest probability."""

    def last(x_FQn: Tensor) -> Tensor:
        return x_FQn.unflatten(0, (clips, -1))[:, -1]

    return {
        "features": last(output.queries_FQD).float(),
        "weights": last(output.classes_LFQK[-1].detach().sigmoid().amax(-1)),
        "positions": last(output.boxes_LFQ4[-1, ..., :2].detach()),
    }


def collect_taps(
    level: Literal["queries", "memory", "bev"],
    frame: TrackFrameOutput,
    mapping: MapOutput | InstanceMapOutput,
    bev_BCHW: Tensor,
    half_m: float,
) -> dict[str, dict[str, Tensor]]:
    """Gather the taps of the last frame of every clip.

    Args:
        level: queries: final queries of both formers (T1); memory: track queries and map memory (T2);
            bev: the BEV grid for both (T4).
        frame: tracking output of the last frame.
        mapping: mapping output.
        bev_BCHW: BEV grid of the last frame.
        half_m: half-width of the grid (metres).

    Returns:
        For "track" and "map": features (B, Q, D), weights (B, Q) ≥ 0, positions (B, Q, 2) in [0, 1]² (x, y).

    Source: NexusFlow reads intermediate features of each task-former; the level is not given by the paper.
    """
    clips = len(bev_BCHW)
    if level == "bev":
        return {"track": _grid_tokens(bev_BCHW), "map": _grid_tokens(bev_BCHW)}
    track = _track_queries(frame, half_m)
    if level == "memory":
        memory = mapping.memory_FCHW.unflatten(0, (clips, -1))[:, -1]
        return {"track": track, "map": _grid_tokens(memory)}
    if isinstance(mapping, InstanceMapOutput):
        return {"track": track, "map": _instance_queries(mapping, clips)}
    return {"track": track, "map": _map_queries(mapping, clips)}
