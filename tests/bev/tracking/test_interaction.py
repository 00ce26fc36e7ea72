"""Tracks move with their velocity and the ego motion; empty slots do not influence live ones."""

from __future__ import annotations

import torch

from nexusflow.bev.config import TrackConfig
from nexusflow.bev.tracking.interaction import QueryInteraction, propagate_slots
from nexusflow.bev.tracking.lifecycle import empty_slots


def test_propagation_uses_velocity_time_and_ego_motion() -> None:
    slots = empty_slots(1, 2, 4, 7, torch.device("cpu"))
    slots.code_BS10[0, 0] = torch.tensor([1.0, 2.0, 0, 0, 0, 0, 0, 1.0, 4.0, -2.0])
    motion = torch.eye(4)[None].clone()
    motion[0, 0, 3] = -1.0  # the vehicle drove one metre ahead
    moved = propagate_slots(slots, motion, torch.tensor([0.5], dtype=torch.float64))
    torch.testing.assert_close(moved.code_BS10[0, 0, :2], torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(moved.code_BS10[0, 0, 8:], torch.tensor([4.0, -2.0]))


def test_empty_slots_are_not_seen() -> None:
    module = QueryInteraction(TrackConfig(dim=16, heads=2, ffn_channels=16))
    content, state = torch.randn(1, 4, 16), torch.randn(1, 4, 16)
    valid = torch.tensor([[True, True, False, False]])
    changed = content.clone()
    changed[:, 2:] = 9.0
    torch.testing.assert_close(module(content, state, valid)[:, :2], module(changed, state, valid)[:, :2])
