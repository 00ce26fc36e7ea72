"""Box code: round trip, change of frame, motion, refinement."""

from __future__ import annotations

import math

import pytest
import torch

from nexusflow.bev.boxes import (
    advance_code,
    boxes_to_code,
    code_to_boxes,
    ego_motion,
    refine_code,
    transform_code,
)

BOXES = torch.tensor(
    [
        [[3.0, -4.0, 0.5, 4.5, 1.9, 1.6, 0.3, 2.0, 1.0]],
        [[-9.0, 2.0, 1.0, 0.7, 0.6, 1.8, -3.0, 0.0, -1.0]],
    ]
)


def _pose(x: float, y: float, yaw: float) -> torch.Tensor:
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, 0] = pose[1, 1] = math.cos(yaw)
    pose[1, 0], pose[0, 1] = math.sin(yaw), -math.sin(yaw)
    pose[0, 3], pose[1, 3] = x, y
    return pose


def test_round_trip() -> None:
    torch.testing.assert_close(code_to_boxes(boxes_to_code(BOXES)), BOXES)


def test_padding_encodes_to_finite_values() -> None:
    assert boxes_to_code(torch.zeros(1, 9)).isfinite().all()


def test_transform_turns_place_heading_and_velocity() -> None:
    # The ego vehicle moved to (1, 0) and turned left by 90°: what was ahead is now to the right.
    motion = ego_motion(_pose(0, 0, 0)[None], _pose(1, 0, math.pi / 2)[None])
    box = torch.tensor([[[5.0, 0.0, 0.5, 4.0, 2.0, 1.5, 0.0, 3.0, 0.0]]])
    moved = code_to_boxes(transform_code(boxes_to_code(box), motion))
    wanted = torch.tensor([[[0.0, -4.0, 0.5, 4.0, 2.0, 1.5, -math.pi / 2, 0.0, -3.0]]])
    torch.testing.assert_close(moved, wanted, atol=1e-5, rtol=1e-5)


def test_transform_there_and_back() -> None:
    first = torch.stack([_pose(3, 1, 0.4), _pose(1e5, -2e5, 2.0)])
    second = torch.stack([_pose(4, 1, 0.5), _pose(1e5 + 2, -2e5, 2.2)])
    code = boxes_to_code(BOXES)
    there = transform_code(code, ego_motion(first, second))
    torch.testing.assert_close(transform_code(there, ego_motion(second, first)), code, atol=1e-4, rtol=1e-4)


def test_advance_moves_by_velocity_and_time() -> None:
    moved = advance_code(boxes_to_code(BOXES), torch.tensor([0.5, 2.0], dtype=torch.float64))
    torch.testing.assert_close(moved[:, 0, :2], torch.tensor([[4.0, -3.5], [-9.0, 0.0]]))
    torch.testing.assert_close(moved[..., 2:], boxes_to_code(BOXES)[..., 2:])


@pytest.mark.parametrize("sigmoid", [True, False])
def test_refinement_without_a_step_keeps_the_centre(sigmoid: bool) -> None:
    low, high = torch.tensor([-25.0, -25.0, -3.0]), torch.tensor([25.0, 25.0, 5.0])
    code = boxes_to_code(BOXES)
    refined = refine_code(code, torch.zeros_like(code), low, high, sigmoid)
    torch.testing.assert_close(refined[..., [0, 1, 4]], code[..., [0, 1, 4]], atol=1e-4, rtol=1e-4)
    assert not refined[..., [2, 3, 5, 6, 7, 8, 9]].any()
