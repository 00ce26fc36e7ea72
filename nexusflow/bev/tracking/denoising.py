"""Denoising queries: pseudo-tracks made from jittered truth, some of them placed where nothing is.

They teach the decoder what a track query must do (find its object again, or say that it has gone) from the
first step on, long before real tracks are worth carrying.
Letters: B batch, G truth boxes, N queries per group, Q = groups · N, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nexusflow.bev.boxes import boxes_to_code
from nexusflow.bev.config import TrackConfig
from nexusflow.bev.noise import BatchNoise
from nexusflow.bev.tracking.matching import BACKGROUND, IGNORED
from nexusflow.bev.types import FrameTruth

__all__ = ["PseudoTracks", "make_pseudo_tracks"]

# Standard deviations of a carried track's state besides its centre: log l, log w, z, log h, sin, cos, vx, vy.
STATE_NOISE = (0.1, 0.1, 0.2, 0.1, 0.15, 0.15, 0.8, 0.8)
MOTION_NOISE_S = 0.25  # seconds of travel by which a wrong velocity displaces a carried centre
NEGATIVE_DISTANCE_M = (2.5, 6.0)
CLEARANCE_M = 2.0  # a negative nearer than this to any object is dropped
STILL_SHARE = 0.3  # tracks born in a first frame do not know their velocity yet
WRONG_CLASS_SHARE = 0.1


@dataclass
class PseudoTracks:
    """Jittered codes, class probabilities, targets and existence of the denoising queries."""

    code_BQ10: Tensor
    probs_BQK: Tensor
    targets_BQ: Tensor
    valid_BQ: Tensor


def _probabilities(labels_BQ: Tensor, classes: int, rng: BatchNoise) -> Tensor:
    """Return plausible class probabilities of a carried track, sometimes of the wrong class."""
    shape, device = labels_BQ.shape, labels_BQ.device
    random = rng.randint(classes, *shape).to(device)
    wrong = (rng.rand(*shape) < WRONG_CLASS_SHARE).to(device)
    top = (0.25 + 0.7 * rng.rand(*shape)).to(device)
    probs = torch.full((*shape, classes), 0.03, device=device)
    return probs.scatter(-1, torch.where(wrong, random, labels_BQ)[..., None], top[..., None])


def make_pseudo_tracks(
    truth: FrameTruth, config: TrackConfig, classes: int, groups: int, rng: BatchNoise
) -> PseudoTracks:
    """Draw the denoising queries of one frame.

    Args:
        truth: truth of the frame; hidden samples hold no boxes and so get no queries.
        config: tracking section.
        classes: number of classes.
        groups: groups that do not see each other; each holds every truth box at most once.
        rng: noise of the step.

    Returns:
        groups · `config.denoising_queries` pseudo-tracks per sample.
    """
    batch, boxes = truth.labels_BG.shape
    count, device = config.denoising_queries, truth.labels_BG.device
    key = rng.rand(batch, groups, boxes).to(device) + (~truth.valid_BG[:, None]) * 2.0
    order = key.argsort(-1)[..., :count]
    if boxes < count:  # repeat the last index; the copies are invalid
        order = torch.cat([order, order[..., -1:].expand(-1, -1, count - boxes)], -1)
    index_BQ = order.flatten(1)
    rank = torch.arange(count, device=device).repeat(groups)
    valid_BQ = rank < truth.valid_BG.sum(-1, keepdim=True)
    code = boxes_to_code(truth.boxes_BG9).gather(1, index_BQ[..., None].expand(-1, -1, 10))
    shape = index_BQ.shape

    def normal(*extra: int) -> Tensor:
        return rng.randn(*shape, *extra).to(device)

    def uniform() -> Tensor:
        return rng.rand(*shape).to(device)

    travel = code[..., 8:10] * ((2.0 * uniform() - 1.0) * MOTION_NOISE_S)[..., None]
    centre = code[..., :2] + travel + normal(2) * config.denoising_noise_m
    angle, radius = uniform() * 6.2831853, uniform()
    radius = NEGATIVE_DISTANCE_M[0] + radius * (NEGATIVE_DISTANCE_M[1] - NEGATIVE_DISTANCE_M[0])
    away = code[..., :2] + torch.stack([angle.cos(), angle.sin()], -1) * radius[..., None]
    negative = uniform() < config.denoising_negatives
    centre = torch.where(negative[..., None], away, centre)
    rest = code[..., 2:] + normal(8) * torch.tensor(STATE_NOISE, device=device)
    still = uniform() < STILL_SHARE
    rest = torch.cat([rest[..., :6], rest[..., 6:].masked_fill(still[..., None], 0.0)], -1)
    near = torch.cdist(centre, truth.boxes_BG9[..., :2]).masked_fill(~truth.valid_BG[:, None], 1e6).amin(-1)
    valid_BQ = valid_BQ & ~(negative & (near < CLEARANCE_M))
    labels_BQ = truth.labels_BG.clamp(min=0).gather(1, index_BQ)
    targets = torch.where(negative, BACKGROUND, index_BQ).masked_fill(~valid_BQ, IGNORED)
    return PseudoTracks(
        torch.cat([centre, rest], -1), _probabilities(labels_BQ, classes, rng), targets, valid_BQ
    )
