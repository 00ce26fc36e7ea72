"""Corners of boxes, their footprints, and their projection into a camera.

Legend: K boxes, E edges.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["box_corners", "box_footprints", "project_edges"]

_NEAR_M = 0.3
# Corner c: bit 0 = front, bit 1 = left, bit 2 = top.
_SIGNS_83 = np.array([[(c & 1) * 2 - 1, (c >> 1 & 1) * 2 - 1, (c >> 2 & 1) * 2 - 1] for c in range(8)])
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1]


def box_corners(boxes_K9: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give the eight corners of boxes.

    Args:
        boxes_K9: x, y, z (centre), l, w, h, yaw, vx, vy in metres and radians.

    Returns:
        (K, 8, 3) corners, metres; corner c is at the front if c & 1, on the left if c & 2, on top if c & 4.
    """
    boxes_K9 = np.asarray(boxes_K9, np.float64)
    local_K83 = _SIGNS_83[None] * boxes_K9[:, None, 3:6] / 2
    cos_K1, sin_K1 = np.cos(boxes_K9[:, 6:7]), np.sin(boxes_K9[:, 6:7])
    x_K8, y_K8, z_K8 = local_K83[..., 0], local_K83[..., 1], local_K83[..., 2]
    rotated_K83 = np.stack([cos_K1 * x_K8 - sin_K1 * y_K8, sin_K1 * x_K8 + cos_K1 * y_K8, z_K8], axis=-1)
    return rotated_K83 + boxes_K9[:, None, :3]


def box_footprints(boxes_K9: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give the four ground corners of boxes in drawing order.

    Args:
        boxes_K9: boxes as in `box_corners`.

    Returns:
        (K, 4, 2) x and y: front left, front right, back right, back left.
    """
    return box_corners(boxes_K9)[:, [3, 1, 0, 2], :2]


def project_edges(
    box_9: NDArray[np.float32], ego2img_44: NDArray[np.float32], width: int, height: int
) -> NDArray[np.float64]:
    """Project the twelve edges of a box, cut at the camera plane.

    Args:
        box_9: one box in the ego frame.
        ego2img_44: homogeneous ego points → (u·d, v·d, d, 1).
        width: image width, pixels.
        height: image height, pixels.

    Returns:
        (E, 2, 2) pixel coordinates of the visible edges' ends; none if the box lies outside the image.
    """
    corners_84 = np.concatenate([box_corners(box_9[None])[0], np.ones((8, 1))], axis=1)
    points_84 = corners_84 @ np.asarray(ego2img_44, np.float64).T
    segments = []
    for first, second in _EDGES:
        a, b = points_84[first, :3], points_84[second, :3]
        if max(a[2], b[2]) < _NEAR_M:
            continue
        # In homogeneous coordinates a cut is linear, so move the end behind the camera onto the near plane.
        if a[2] < _NEAR_M:
            a = a + (b - a) * (_NEAR_M - a[2]) / (b[2] - a[2])
        elif b[2] < _NEAR_M:
            b = b + (a - b) * (_NEAR_M - b[2]) / (a[2] - b[2])
        segments.append([a[:2] / a[2], b[:2] / b[2]])
    if not segments:
        return np.zeros((0, 2, 2))
    lines_E22 = np.array(segments)
    low_2, high_2 = lines_E22.min((0, 1)), lines_E22.max((0, 1))
    outside = bool((high_2 < 0).any()) or low_2[0] > width or low_2[1] > height
    return np.zeros((0, 2, 2)) if outside else lines_E22
