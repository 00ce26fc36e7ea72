"""Warp of the previous grid is exact for whole cells and quarter turns; both encoders run."""

from __future__ import annotations

import math

import pytest
import torch

from nexusflow.bev.boxes import ego_motion
from nexusflow.bev.encoder import build_encoder, warp_grid
from nexusflow.bev.layers import sample_grid
from tests.bev.conftest import camera, tiny_config


def _pose(x: float, y: float, quarter_turns: int = 0) -> torch.Tensor:
    pose = torch.eye(4, dtype=torch.float64)
    yaw = quarter_turns * math.pi / 2
    pose[0, 0] = pose[1, 1] = math.cos(yaw)
    pose[1, 0], pose[0, 1] = math.sin(yaw), -math.sin(yaw)
    pose[0, 3], pose[1, 3] = x, y
    return pose[None]


def test_translation_by_whole_cells() -> None:
    grid = torch.randn(1, 3, 16, 16)
    # The vehicle drives 2 m (2 cells) ahead and 1 m to the left: things move back and to the right.
    motion = ego_motion(_pose(2.0, 1.0), _pose(0.0, 0.0))
    warped = warp_grid(grid, motion, 8.0)
    torch.testing.assert_close(warped[:, :, :15, :14], grid[:, :, 1:, 2:], atol=1e-5, rtol=1e-5)
    assert not warped[:, :, :, 14:].any() and not warped[:, :, 15:].any()


def test_quarter_turn() -> None:
    grid = torch.randn(1, 3, 16, 16)
    warped = warp_grid(grid, ego_motion(_pose(0, 0, 1), _pose(0, 0, 0)), 8.0)
    # A left turn by 90°: what was to the left (+y, last row) is now ahead (+x, last column).
    torch.testing.assert_close(warped[0, :, 8, 15], grid[0, :, 15, 7], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(warped, torch.rot90(grid, 1, (2, 3)), atol=1e-4, rtol=1e-4)


def test_samples_agree_with_grid_sample() -> None:
    grid = torch.randn(2, 3, 12, 16, requires_grad=True)
    where = (torch.rand(2, 40, 2) * 24.0 - 12.0).requires_grad_()
    mine = sample_grid(grid, where, 8.0)
    theirs = torch.nn.functional.grid_sample(grid, where[:, :, None] / 8.0, align_corners=False)[..., 0]
    torch.testing.assert_close(mine, theirs.transpose(1, 2), atol=1e-5, rtol=1e-5)
    weights = torch.randn_like(mine)
    ours = torch.autograd.grad((mine * weights).sum(), (grid, where), retain_graph=True)
    reference = torch.autograd.grad((theirs.transpose(1, 2) * weights).sum(), (grid, where))
    for a, b in zip(ours, reference, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["lift_unet", "bevformer"])
def test_encoders_give_a_grid_with_and_without_history(kind: str) -> None:
    config = tiny_config(encoder={"kind": kind, "heads": 2})
    encoder = build_encoder(config, 8, (4, 8))
    features = torch.randn(2, 2, 8, 4, 8)
    rigs = torch.stack([camera(0.0, 16, 32), camera(math.pi, 16, 32)]).repeat(2, 1, 1, 1)
    first = encoder(features, rigs, None)
    second = encoder(features, rigs, first)
    assert first.shape == second.shape == (2, 16, 16, 16)
    assert first.isfinite().all() and second.isfinite().all()


def test_history_starts_without_influence() -> None:
    encoder = build_encoder(tiny_config(), 8, (4, 8))
    features, rigs = torch.randn(1, 2, 8, 4, 8), camera(0.0, 16, 32).repeat(1, 2, 1, 1)
    torch.testing.assert_close(
        encoder(features, rigs, torch.randn(1, 16, 16, 16)), encoder(features, rigs, None)
    )
