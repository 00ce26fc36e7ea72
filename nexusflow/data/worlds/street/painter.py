"""The order in which upright boxes must be painted so that nearer ones cover farther ones.

Letters: M boxes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nexusflow.data.worlds.street.curves import Array

__all__ = ["footprints", "paint_order"]

_SIGNS = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])


def footprints(poses_M3: Array, size_M2: Array) -> Array:
    """Corners (M, 4, 2) of boxes with poses (x, y, yaw) and (length, width)."""
    local = size_M2[:, None, :] / 2 * _SIGNS
    cos, sin = np.cos(poses_M3[:, 2])[:, None], np.sin(poses_M3[:, 2])[:, None]
    x = cos * local[..., 0] - sin * local[..., 1]
    y = sin * local[..., 0] + cos * local[..., 1]
    return np.stack([x, y], -1) + poses_M3[:, None, :2]


def _in_front(poses_M3: Array, size_M2: Array, eye_2: Array) -> NDArray[np.bool_]:
    """Matrix (M, M): does box i have a side plane with box j beyond it and the eye on i's own side?"""
    corners = footprints(poses_M3, size_M2)
    cos, sin = np.cos(poses_M3[:, 2]), np.sin(poses_M3[:, 2])
    axes = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], 1)  # (M, 2 axes, 2)
    base = np.einsum("mad,md->ma", axes, poses_M3[:, :2])
    along = np.einsum("mad,jcd->majc", axes, corners) - base[:, :, None, None]
    eye = np.einsum("mad,d->ma", axes, eye_2) - base
    half = size_M2 / 2
    slack = 0.02
    above = along.min(-1) >= half[:, :, None] - slack
    below = along.max(-1) <= -half[:, :, None] + slack
    near_above, near_below = eye <= half, eye >= -half
    front = (above & near_above[:, :, None]) | (below & near_below[:, :, None])
    behind = (above & ~near_above[:, :, None]) | (below & ~near_below[:, :, None])
    i_over_j = front.any(1) | behind.any(1).T
    np.fill_diagonal(i_over_j, False)
    return i_over_j & ~i_over_j.T


def paint_order(poses_M3: Array, size_M2: Array, eye_2: Array) -> list[int]:
    """Sort boxes from the back to the front.

    Args:
        poses_M3: x, y (m) and yaw (rad) of each box.
        size_M2: length and width, metres.
        eye_2: where the camera is.

    Returns:
        Indices in painting order: exact for boxes that a side plane of one of them separates and whose
        directions overlap, farthest first otherwise.
    """
    count = len(poses_M3)
    if count == 0:
        return []
    over = _in_front(poses_M3, size_M2, eye_2)
    ray = footprints(poses_M3, size_M2) - eye_2
    middle = poses_M3[:, :2] - eye_2
    bearing = np.arctan2(middle[:, 1], middle[:, 0])
    turn = np.arctan2(ray[..., 1], ray[..., 0]) - bearing[:, None]
    half = np.abs((turn + np.pi) % (2 * np.pi) - np.pi).max(1)
    apart = np.abs((bearing[:, None] - bearing[None] + np.pi) % (2 * np.pi) - np.pi)
    over &= apart <= half[:, None] + half[None] + 0.01
    distance = np.hypot(middle[:, 0], middle[:, 1])
    waiting = over.sum(1)  # boxes that must be painted before this one
    left = np.ones(count, bool)
    order = []
    for _ in range(count):
        ready = left & (waiting == 0)
        pool = ready if ready.any() else left
        pick = int(np.argmax(np.where(pool, distance, -1.0)))
        order.append(pick)
        left[pick] = False
        waiting = waiting - over[:, pick]
    return order
