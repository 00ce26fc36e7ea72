"""A sparse lidar sweep: rays aimed at road users plus rings on the ground, with true first hits.

Letters: R rays, M objects (upright boxes).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nexusflow.data.worlds.street.curves import Array
from nexusflow.data.worlds.street.rig import LIDAR_POSITION_M, LIDAR_YAW

__all__ = ["sweep"]

_RINGS = 10
_PER_RING = 28
_RANGE_M = 70.0
_PER_BOX = (4, 22)  # fewest and most rays aimed at one road user
_DENSITY = 130.0  # rays · m² per square metre of side face, before the limits above
_INSIDE_M = 0.005  # surfaces are hit this far behind the annotated ones, so that points are inside the box


def _aims(poses_M3: Array, size_M3: Array, rng: np.random.Generator) -> Array:
    """Random points inside boxes (R, 3), more for large and near ones."""
    distance2 = np.maximum((poses_M3[:, :2] ** 2).sum(1), 4.0)
    face = size_M3[:, 2] * np.maximum(size_M3[:, 0], size_M3[:, 1])
    counts = np.clip(np.ceil(_DENSITY * face / distance2), *_PER_BOX).astype(int)
    owner = np.repeat(np.arange(len(poses_M3)), counts)
    local = (rng.uniform(-0.5, 0.5, (len(owner), 3)) * 0.96) * size_M3[owner]
    cos, sin = np.cos(poses_M3[owner, 2]), np.sin(poses_M3[owner, 2])
    x = cos * local[:, 0] - sin * local[:, 1] + poses_M3[owner, 0]
    y = sin * local[:, 0] + cos * local[:, 1] + poses_M3[owner, 1]
    return np.stack([x, y, local[:, 2] + size_M3[owner, 2] / 2], 1)


def _rings(origin_3: Array, rng: np.random.Generator) -> Array:
    """Points on flat ground (R, 3) on rings around the sensor."""
    radius = np.geomspace(3.5, 32.0, _RINGS).repeat(_PER_RING)
    angle = np.tile(np.arange(_PER_RING) * 2 * np.pi / _PER_RING, _RINGS) + rng.uniform(0, 0.2)
    return np.stack([origin_3[0] + radius * np.cos(angle), radius * np.sin(angle), np.zeros_like(radius)], 1)


def _first_hits(
    origin_3: Array, ray_R3: Array, poses_M3: Array, size_M3: Array
) -> tuple[Array, NDArray[np.intp]]:
    """Distance to the first box along each ray (inf = none) and its index."""
    cos, sin = np.cos(poses_M3[:, 2]), np.sin(poses_M3[:, 2])
    shift = origin_3[:2] - poses_M3[:, :2]
    start = np.stack(
        [
            cos * shift[:, 0] + sin * shift[:, 1],
            -sin * shift[:, 0] + cos * shift[:, 1],
            origin_3[2] - size_M3[:, 2] / 2,
        ],
        1,
    )
    x, y, z = ray_R3.T
    local = np.stack(
        [
            np.outer(x, cos) + np.outer(y, sin),
            np.outer(y, cos) - np.outer(x, sin),
            np.outer(z, np.ones_like(cos)),
        ],
        -1,
    )
    local = np.where(np.abs(local) < 1e-9, 1e-9, local)
    half = size_M3 / 2 - _INSIDE_M
    a, b = (-half - start) / local, (half - start) / local
    enter, leave = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
    enter = np.where((enter < leave) & (enter > 0), enter, np.inf)
    first = enter.argmin(1)
    return enter[np.arange(len(first)), first], first


def _inside(points_R3: Array, poses_M3: Array, size_M3: Array) -> NDArray[np.bool_]:
    """Matrix (R, M): which points lie in which boxes, or within two millimetres of them."""
    cos, sin = np.cos(poses_M3[:, 2]), np.sin(poses_M3[:, 2])
    x, y = points_R3[:, None, 0] - poses_M3[:, 0], points_R3[:, None, 1] - poses_M3[:, 1]
    half = size_M3[:, :2] / 2 + 0.002
    below_top = (points_R3[:, None, 2] < size_M3[:, 2] + 0.002) & (points_R3[:, None, 2] > -0.002)
    return (np.abs(cos * x + sin * y) < half[:, 0]) & (np.abs(cos * y - sin * x) < half[:, 1]) & below_top


def sweep(
    poses_M3: Array, size_M3: Array, targets: int, silent_M: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Measure one sweep.

    Args:
        poses_M3: x, y (m), yaw (rad) of everything that stands around, ego frame.
        size_M3: length, width, height, metres.
        targets: the first so many objects are road users, at which rays are aimed.
        silent_M: objects whose points are left out, because no camera sees any of them.
        rng: the frame's random stream.

    Returns:
        Points (P, 5): x, y, z in the lidar frame (m), intensity, ring; and the points on each object (M,).
    """
    origin = np.array(LIDAR_POSITION_M)
    aims = np.concatenate([_aims(poses_M3[:targets], size_M3[:targets], rng), _rings(origin, rng)])
    ray = aims - origin
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    hit, owner = np.full(len(ray), np.inf), np.zeros(len(ray), np.intp)
    if len(poses_M3):
        hit, owner = _first_hits(origin, ray, poses_M3, size_M3)
    ground = np.where(ray[:, 2] < -1e-4, -origin[2] / np.minimum(ray[:, 2], -1e-4), np.inf)
    on_box = hit < ground
    depth = np.where(on_box, hit, ground)
    points = ray * depth[:, None]
    keep = depth < _RANGE_M
    if len(poses_M3):
        keep &= ~(on_box & silent_M[owner])
    inside = _inside(points + origin, poses_M3[:targets], size_M3[:targets])
    # where boxes overlap, or a ray slips under one, a point would count for two: leave it out
    keep &= ~(inside & ~(on_box[:, None] & (owner[:, None] == np.arange(targets)))).any(1)
    counts = np.bincount(owner[keep & on_box], minlength=len(poses_M3)).astype(np.int64)
    points = points[keep]
    cos, sin = np.cos(-LIDAR_YAW), np.sin(-LIDAR_YAW)
    x, y = cos * points[:, 0] - sin * points[:, 1], sin * points[:, 0] + cos * points[:, 1]
    intensity = np.where(on_box[keep], 60.0, 12.0)
    ring = np.clip((np.arcsin(ray[keep, 2]) + 0.54) / 0.72 * 31, 0, 31).round()
    return np.stack([x, y, points[:, 2], intensity, ring], 1).astype(np.float32), counts
