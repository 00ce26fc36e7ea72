"""Pseudo-tracks: near their object or where nothing is, each object once per group, reproducible."""

from __future__ import annotations

import torch

from nexusflow.bev.config import TrackConfig
from nexusflow.bev.noise import BatchNoise
from nexusflow.bev.tracking.denoising import CLEARANCE_M, make_pseudo_tracks
from nexusflow.bev.types import FrameTruth


def _truth(boxes: int = 6, padding: int = 2) -> FrameTruth:
    rng = torch.Generator().manual_seed(1)
    values = torch.zeros(2, boxes + padding, 9)
    values[:, :boxes, :2] = torch.rand(2, boxes, 2, generator=rng) * 40 - 20
    values[:, :boxes, 3:6] = 1.0
    labels = torch.randint(0, 7, (2, boxes + padding), generator=rng)
    labels[:, boxes:] = -1
    labels[1] = -1
    return FrameTruth(values, labels, labels, torch.tensor([True, False]))


def test_targets_and_places() -> None:
    truth = _truth()
    config = TrackConfig(denoising_queries=10, denoising_negatives=0.5, denoising_noise_m=0.1)
    pseudo = make_pseudo_tracks(truth, config, 7, 2, BatchNoise(0))
    assert pseudo.code_BQ10.shape == (2, 20, 10) and pseudo.probs_BQK.shape == (2, 20, 7)
    assert not pseudo.valid_BQ[1].any(), "a sample without visible boxes gets no queries"
    targets = pseudo.targets_BQ[0]
    for group in (targets[:10], targets[10:]):
        positives = group[group >= 0].tolist()
        assert len(set(positives)) == len(positives)
    near = torch.cdist(pseudo.code_BQ10[0, :, :2], truth.boxes_BG9[0, :6, :2]).amin(-1)
    assert (near[targets == -1] >= CLEARANCE_M).all() and (targets == -1).any()
    assert (near[targets >= 0] < 1.0).all() and (targets >= 0).any()
    assert (targets[~pseudo.valid_BQ[0]] == -2).all()


def test_more_boxes_than_queries() -> None:
    pseudo = make_pseudo_tracks(_truth(6), TrackConfig(denoising_queries=3), 7, 2, BatchNoise(0))
    assert pseudo.targets_BQ.shape == (2, 6)


def test_same_seed_same_queries() -> None:
    draws = [
        make_pseudo_tracks(_truth(), TrackConfig(), 7, 2, BatchNoise(seed)).code_BQ10 for seed in (3, 3, 4)
    ]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
