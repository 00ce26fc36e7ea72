"""Rigid motions, projection, boxes."""

from __future__ import annotations

import numpy as np
import pytest

from nexusflow.data.nuscenes.geometry import (
    box_corners,
    boxes_to_frame,
    camera_motion,
    invert_rigid,
    project,
    projection_matrix,
    rigid,
    rotation_matrices,
    scale_intrinsics,
    yaw_of,
)

HALF = np.sqrt(0.5)
TURN_LEFT = np.array([HALF, 0.0, 0.0, HALF])  # 90° about z
# Camera looking along ego x: its x axis is -y, its y axis -z.
FORWARD = np.array([0.5, -0.5, 0.5, -0.5])


def test_quaternions_are_scalar_first_and_normalised() -> None:
    matrices = rotation_matrices(np.stack([TURN_LEFT, 2 * TURN_LEFT]))
    np.testing.assert_allclose(matrices[0] @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(matrices[1], matrices[0], atol=1e-12)


def test_inverse_undoes_a_motion() -> None:
    motion = rigid(np.array([0.9, 0.1, -0.2, 0.3]), np.array([3.0, -2.0, 1.0]))
    np.testing.assert_allclose(invert_rigid(motion) @ motion, np.eye(4), atol=1e-12)
    assert yaw_of(rigid(TURN_LEFT, np.zeros(3))) == pytest.approx(np.pi / 2)


def test_projection_of_a_known_point_with_ego_motion() -> None:
    intrinsics = np.array([[50.0, 0, 56], [0, 40.0, 32], [0, 0, 1]])
    mount = rigid(FORWARD, np.array([1.5, 0.0, 1.5]))
    pose = rigid(TURN_LEFT, np.array([100.0, 200.0, 0.0]))
    later = rigid(TURN_LEFT, np.array([100.0, 200.2, 0.0]))  # 0.2 m further along its heading
    matrix = projection_matrix(intrinsics, camera_motion(mount, later, pose))
    pixels, depth = project(np.array([[11.7, 2.0, 0.5], [-5.0, 0.0, 1.0]]), matrix)
    assert depth[0] == pytest.approx(10.0)
    np.testing.assert_allclose(pixels[0], [56 - 50 * 2 / 10, 32 + 40 * 1 / 10], atol=1e-9)
    assert depth[1] == pytest.approx(-6.7)
    assert np.isnan(pixels[1]).all()


def test_scaled_intrinsics_scale_pixels() -> None:
    intrinsics = np.array([[50.0, 0, 56], [0, 40.0, 32], [0, 0, 1]])
    point = np.array([1.0, 2.0, 8.0])
    small = scale_intrinsics(intrinsics, 0.5, 0.25) @ point
    np.testing.assert_allclose(small[:2], (intrinsics @ point)[:2] * [0.5, 0.25])
    assert small[2] == 8.0


def test_boxes_move_to_a_turned_frame() -> None:
    pose = rigid(TURN_LEFT, np.array([10.0, 20.0, 1.0]))
    boxes = boxes_to_frame(
        np.array([[10.0, 25.0, 2.0]]),
        np.array([[2.0, 4.0, 1.5]]),
        np.array([[np.cos(0.3), 0, 0, np.sin(0.3)]]),  # yaw 0.6
        np.array([[0.0, 3.0, 0.0]]),
        pose,
    )
    np.testing.assert_allclose(boxes, [[5, 0, 1, 4, 2, 1.5, 0.6 - np.pi / 2, 3, 0]], atol=1e-12)
    empty = np.empty((0, 3))
    assert boxes_to_frame(empty, empty, np.empty((0, 4)), empty, pose).shape == (0, 9)


def test_corners_of_a_turned_box() -> None:
    corners = box_corners(np.array([[1.0, 2.0, 3.0, 4.0, 2.0, 1.0, np.pi / 2, 0, 0]]))[0]
    np.testing.assert_allclose(corners[0], [0, 4, 2.5], atol=1e-12)  # front left of a box facing +y
    np.testing.assert_allclose(corners[1], [2, 4, 2.5], atol=1e-12)  # front right
    np.testing.assert_allclose(corners[4:] - corners[:4], np.tile([0, 0, 1.0], (4, 1)), atol=1e-12)
