"""Rigid motions, camera projection and boxes of the nuScenes format.

Image coordinates are measured from the upper left corner of the image: pixel (0, 0) covers [0, 1)², so
resizing an image multiplies them by the plain size ratio.

Shape letters: N cameras or rotations, P points, M boxes, 44 a homogeneous matrix, 9 the box vector
(x, y, z, l, w, h, yaw, vx, vy).
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

__all__ = [
    "box_corners",
    "boxes_to_frame",
    "camera_motion",
    "invert_rigid",
    "project",
    "projection_matrix",
    "rigid",
    "rotation_matrices",
    "scale_intrinsics",
    "yaw_of",
]


def rotation_matrices(quaternions_N4: np.ndarray) -> np.ndarray:
    """Convert quaternions to rotation matrices.

    Args:
        quaternions_N4: (N, 4), scalar first, of any positive norm.

    Returns:
        (N, 3, 3) float64.
    """
    return Rotation.from_quat(quaternions_N4, scalar_first=True).as_matrix()


def rigid(rotation_4: np.ndarray, translation_3: np.ndarray) -> np.ndarray:
    """Build the 4×4 matrix of a rotation followed by a translation.

    Args:
        rotation_4: quaternion, scalar first.
        translation_3: metres.

    Returns:
        (4, 4) float64.
    """
    matrix_44 = np.eye(4)
    matrix_44[:3, :3] = rotation_matrices(rotation_4[None])[0]
    matrix_44[:3, 3] = translation_3
    return matrix_44


def invert_rigid(matrix_44: np.ndarray) -> np.ndarray:
    """Invert a rigid motion exactly, by transposing its rotation.

    Args:
        matrix_44: (4, 4) rigid motion.

    Returns:
        (4, 4), the inverse motion.
    """
    inverse_44 = np.eye(4)
    inverse_44[:3, :3] = matrix_44[:3, :3].T
    inverse_44[:3, 3] = -matrix_44[:3, :3].T @ matrix_44[:3, 3]
    return inverse_44


def yaw_of(matrix_44: np.ndarray) -> float:
    """Return the heading of a motion's x axis in the horizontal plane.

    Args:
        matrix_44: (4, 4) rigid motion.

    Returns:
        Angle about z, radians in [-π, π].
    """
    return float(np.arctan2(matrix_44[1, 0], matrix_44[0, 0]))


def scale_intrinsics(intrinsics_33: np.ndarray, scale_x: float, scale_y: float) -> np.ndarray:
    """Adapt camera intrinsics to a resized image.

    Args:
        intrinsics_33: (3, 3) of the source image, pixels.
        scale_x: new width over old width.
        scale_y: new height over old height.

    Returns:
        (3, 3) of the resized image.
    """
    return np.diag([scale_x, scale_y, 1.0]) @ intrinsics_33


def camera_motion(
    camera2ego_44: np.ndarray, camera_ego2global_44: np.ndarray, ego2global_44: np.ndarray
) -> np.ndarray:
    """Map the key frame's ego frame to a camera that was exposed at another moment.

    Args:
        camera2ego_44: mounting of the camera on the vehicle.
        camera_ego2global_44: ego pose when the camera was exposed.
        ego2global_44: ego pose of the key frame (lidar time).

    Returns:
        (4, 4) ego → camera, through the global frame.
    """
    return invert_rigid(camera2ego_44) @ invert_rigid(camera_ego2global_44) @ ego2global_44


def projection_matrix(intrinsics_33: np.ndarray, ego2camera_44: np.ndarray) -> np.ndarray:
    """Compose intrinsics and extrinsics.

    Args:
        intrinsics_33: (3, 3), pixels.
        ego2camera_44: ego → camera.

    Returns:
        (4, 4) that takes homogeneous ego points to (u·d, v·d, d, 1).
    """
    intrinsics_44 = np.eye(4)
    intrinsics_44[:3, :3] = intrinsics_33
    return intrinsics_44 @ ego2camera_44


def project(points_P3: np.ndarray, ego2img_44: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project ego points into an image.

    Args:
        points_P3: (..., 3) metres, ego frame.
        ego2img_44: (4, 4) projection.

    Returns:
        Image coordinates (..., 2) in pixels and depth (...) in metres; coordinates of points at or behind
        the camera (depth ≤ 0) are NaN.
    """
    image_P3 = points_P3 @ ego2img_44[:3, :3].T + ego2img_44[:3, 3]
    depth_P = image_P3[..., 2]
    safe_P = np.where(depth_P > 0, depth_P, np.nan)
    return image_P3[..., :2] / safe_P[..., None], depth_P


def boxes_to_frame(
    centres_M3: np.ndarray,
    sizes_M3: np.ndarray,
    rotations_M4: np.ndarray,
    velocities_M3: np.ndarray,
    frame2global_44: np.ndarray,
) -> np.ndarray:
    """Move annotated boxes from the global frame to another.

    Args:
        centres_M3: metres, global.
        sizes_M3: width, length, height (the order of the tables), metres.
        rotations_M4: quaternions, scalar first, global.
        velocities_M3: m/s, global.
        frame2global_44: pose of the wanted frame.

    Returns:
        (M, 9) float64: x, y, z, l, w, h, yaw, vx, vy in the wanted frame.
    """
    turn_33, origin_3 = frame2global_44[:3, :3], frame2global_44[:3, 3]
    boxes_M9 = np.empty((len(centres_M3), 9))
    if not len(boxes_M9):
        return boxes_M9
    boxes_M9[:, :3] = (centres_M3 - origin_3) @ turn_33
    boxes_M9[:, 3:6] = sizes_M3[:, [1, 0, 2]]
    headings_M3 = rotation_matrices(rotations_M4)[:, :, 0] @ turn_33
    boxes_M9[:, 6] = np.arctan2(headings_M3[:, 1], headings_M3[:, 0])
    boxes_M9[:, 7:] = (velocities_M3 @ turn_33)[:, :2]
    return boxes_M9


def box_corners(boxes_M9: np.ndarray) -> np.ndarray:
    """List the corners of boxes.

    Args:
        boxes_M9: (M, ≥7) box vectors.

    Returns:
        (M, 8, 3): bottom corners (front left, front right, rear right, rear left), then the top ones.
    """
    signs_83 = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]] * 2, dtype=float)
    signs_83 = np.column_stack([signs_83, np.repeat([-1.0, 1.0], 4)])
    local_M83 = signs_83 * boxes_M9[:, None, 3:6] / 2
    cosine_M1, sine_M1 = np.cos(boxes_M9[:, 6:7]), np.sin(boxes_M9[:, 6:7])
    corners_M83 = np.empty_like(local_M83)
    corners_M83[..., 0] = cosine_M1 * local_M83[..., 0] - sine_M1 * local_M83[..., 1]
    corners_M83[..., 1] = sine_M1 * local_M83[..., 0] + cosine_M1 * local_M83[..., 1]
    corners_M83[..., 2] = local_M83[..., 2]
    return corners_M83 + boxes_M9[:, None, :3]
