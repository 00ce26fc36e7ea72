"""Geometry of boxes: corners, footprints, projection and its cut at the camera."""

import numpy as np
import pytest

from nexusflow.paper.boxes import box_corners, box_footprints, project_edges

CAMERA_44 = np.array([[0, -50.0, 0, 0], [0, 0, -50.0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], np.float32)
CAMERA_44[0, 0], CAMERA_44[1, 0] = 56, 32  # a camera at the origin that looks along +x, 112 × 64 pixels


def _box(x: float, y: float, length: float = 4, yaw: float = 0) -> np.ndarray:
    return np.array([x, y, 0, length, 2, 1.5, yaw, 0, 0], np.float32)


def test_corners_of_a_turned_box() -> None:
    corners_83 = box_corners(_box(10, 5, yaw=np.pi / 2)[None])[0]
    assert corners_83.mean(0) == pytest.approx([10, 5, 0], abs=1e-6)
    assert corners_83.max(0) - corners_83.min(0) == pytest.approx([2, 4, 1.5], abs=1e-6)
    front = corners_83[[c for c in range(8) if c & 1]]
    assert front[:, 1] == pytest.approx(np.full(4, 7.0), abs=1e-6)  # yaw 90°: the front looks to +y


def test_footprint_goes_around() -> None:
    quad_42 = box_footprints(_box(0, 0)[None])[0]
    assert quad_42.tolist() == [[2, 1], [2, -1], [-2, -1], [-2, 1]]


def test_box_ahead_projects_to_the_middle() -> None:
    lines_E22 = project_edges(_box(10, 0), CAMERA_44, 112, 64)
    assert lines_E22.shape == (12, 2, 2)
    assert lines_E22.mean((0, 1)) == pytest.approx([56, 32], abs=1e-4)
    width = lines_E22[..., 0].max() - lines_E22[..., 0].min()
    assert width == pytest.approx(50 * 2 / 8)  # focal length × width / distance of the near face


def test_box_on_the_left_is_left_in_the_image() -> None:
    assert project_edges(_box(10, 4), CAMERA_44, 112, 64)[..., 0].max() < 56


def test_box_behind_or_beside_is_not_drawn() -> None:
    assert len(project_edges(_box(-10, 0), CAMERA_44, 112, 64)) == 0
    assert len(project_edges(_box(5, 40), CAMERA_44, 112, 64)) == 0


def test_box_through_the_camera_plane_is_cut() -> None:
    lines_E22 = project_edges(_box(1, 1.5, length=8), CAMERA_44, 112, 64)
    assert 0 < len(lines_E22) < 12
    assert np.isfinite(lines_E22).all()
    assert lines_E22[..., 0].min() < 0  # it leaves the image on its own side
