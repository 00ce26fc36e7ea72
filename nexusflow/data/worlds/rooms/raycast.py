"""Where rays meet the solids of a room; the hot loops, compiled.

Letters: P rays, N solids.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from nexusflow.data.worlds.rooms.primitives import BOX, CYLINDER, Solids

__all__ = ["Hits", "cast_rays", "occluded"]

_FAR = 1e9
_NEAR = 1e-4


class Hits(NamedTuple):
    """First meeting point of every ray.

    Attributes:
        distance_P: in units of the ray's direction; infinite where nothing is met.
        solid_P: number of the solid, -1 where nothing is met.
        normal_P3: unit normal in room axes, against the ray.
        local_P3: meeting point in the solid's own axes, metres.
        face_P: axis of the face of a box (0, 1, 2); 1 for caps, 0 otherwise.
    """

    distance_P: np.ndarray
    solid_P: np.ndarray
    normal_P3: np.ndarray
    local_P3: np.ndarray
    face_P: np.ndarray


@numba.njit(cache=True, inline="always")
def _local(x, y, z, cos, sin):  # type: ignore[no-untyped-def]
    return cos * x - sin * z, y, sin * x + cos * z


@numba.njit(cache=True)
def _meet_box(ox, oy, oz, dx, dy, dz, hx, hy, hz):  # type: ignore[no-untyped-def]
    """Distance, axis and sign of the nearest face in front; negative distance where there is none."""
    near, far = -_FAR, _FAR
    near_axis, near_sign, far_axis, far_sign = 0, 1.0, 0, 1.0
    origin, direction, half = (ox, oy, oz), (dx, dy, dz), (hx, hy, hz)
    for axis in range(3):
        o, d, h = origin[axis], direction[axis], half[axis]
        if abs(d) < 1e-12:
            if abs(o) > h:
                return -1.0, 0, 1.0
            continue
        first, last = (-h - o) / d, (h - o) / d
        sign = -1.0
        if first > last:
            first, last, sign = last, first, 1.0
        if first > near:
            near, near_axis, near_sign = first, axis, sign
        if last < far:
            far, far_axis, far_sign = last, axis, sign
    if near > far or far < _NEAR:
        return -1.0, 0, 1.0
    if near > _NEAR:
        return near, near_axis, near_sign
    # The ray starts inside: the room's own box is seen from within, its faces point inwards.
    return far, far_axis, far_sign


@numba.njit(cache=True)
def _meet_round(ox, oy, oz, dx, dy, dz, hx, hy, hz, upright):  # type: ignore[no-untyped-def]
    """Distance to an ellipsoid or upright cylinder, and whether a cap was met."""
    px, py, pz = ox / hx, oy / hy, oz / hz
    vx, vy, vz = dx / hx, dy / hy, dz / hz
    a = vx * vx + vz * vz
    b = px * vx + pz * vz
    c = px * px + pz * pz - 1.0
    if not upright:
        a, b, c = a + vy * vy, b + py * vy, c + py * py
    best, cap = -1.0, False
    root = b * b - a * c
    if a > 1e-12 and root >= 0:
        distance = (-b - np.sqrt(root)) / a
        if distance > _NEAR and (not upright or abs(py + distance * vy) <= 1.0):
            best = distance
    if upright and abs(vy) > 1e-12:
        distance = ((-1.0 if vy > 0 else 1.0) - py) / vy
        x, z = px + distance * vx, pz + distance * vz
        if distance > _NEAR and x * x + z * z <= 1.0 and (best < 0 or distance < best):
            best, cap = distance, True
    return best, cap


@numba.njit(cache=True)
def _may_meet(wx, wy, wz, dx, dy, dz, hx, hy, hz):  # type: ignore[no-untyped-def]
    """Whether a line passes through the sphere around a solid; `w` leads from the line to its centre."""
    length2 = dx * dx + dy * dy + dz * dz
    along = wx * dx + wy * dy + wz * dz
    distance2 = wx * wx + wy * wy + wz * wz - along * along / length2
    return distance2 <= 1.001 * (hx * hx + hy * hy + hz * hz)


@numba.njit(cache=True)
def _cast(origin_3, rays_P3, kind_N, centre_N3, half_N3, cos_N, sin_N):  # type: ignore[no-untyped-def]
    count = len(rays_P3)
    distance_P = np.full(count, np.inf)
    solid_P = np.full(count, -1, np.int64)
    normal_P3, local_P3 = np.zeros((count, 3)), np.zeros((count, 3))
    face_P = np.zeros(count, np.int64)
    for p in range(count):
        for n in range(len(kind_N)):
            hx, hy, hz = half_N3[n, 0], half_N3[n, 1], half_N3[n, 2]
            if not _may_meet(
                centre_N3[n, 0] - origin_3[0],
                centre_N3[n, 1] - origin_3[1],
                centre_N3[n, 2] - origin_3[2],
                rays_P3[p, 0],
                rays_P3[p, 1],
                rays_P3[p, 2],
                hx,
                hy,
                hz,
            ):
                continue
            c, s = cos_N[n], sin_N[n]
            ox, oy, oz = _local(
                origin_3[0] - centre_N3[n, 0],
                origin_3[1] - centre_N3[n, 1],
                origin_3[2] - centre_N3[n, 2],
                c,
                s,
            )
            dx, dy, dz = _local(rays_P3[p, 0], rays_P3[p, 1], rays_P3[p, 2], c, s)
            axis, sign, cap = 0, 1.0, False
            if kind_N[n] == BOX:
                distance, axis, sign = _meet_box(ox, oy, oz, dx, dy, dz, hx, hy, hz)
            else:
                distance, cap = _meet_round(ox, oy, oz, dx, dy, dz, hx, hy, hz, kind_N[n] == CYLINDER)
            if distance <= 0 or distance >= distance_P[p]:
                continue
            distance_P[p], solid_P[p] = distance, n
            x, y, z = ox + distance * dx, oy + distance * dy, oz + distance * dz
            local_P3[p, 0], local_P3[p, 1], local_P3[p, 2] = x, y, z
            nx, ny, nz = 0.0, 0.0, 0.0
            if kind_N[n] == BOX:
                face_P[p] = axis
                if axis == 0:
                    nx = sign
                elif axis == 1:
                    ny = sign
                else:
                    nz = sign
            elif cap:
                face_P[p] = 1
                ny = -1.0 if dy > 0 else 1.0
            else:
                face_P[p] = 0
                nx, nz = x / (hx * hx), z / (hz * hz)
                if kind_N[n] != CYLINDER:
                    ny = y / (hy * hy)
            norm = np.sqrt(nx * nx + ny * ny + nz * nz)
            normal_P3[p, 0] = (c * nx + s * nz) / norm
            normal_P3[p, 1] = ny / norm
            normal_P3[p, 2] = (-s * nx + c * nz) / norm
    return distance_P, solid_P, normal_P3, local_P3, face_P


@numba.njit(cache=True)
def _occluded(starts_P3, goal_3, kind_N, centre_N3, half_N3, cos_N, sin_N):  # type: ignore[no-untyped-def]
    hidden_P = np.zeros(len(starts_P3), np.bool_)
    count, guess = len(kind_N), 1
    for p in range(len(starts_P3)):
        wx, wy, wz = goal_3[0] - starts_P3[p, 0], goal_3[1] - starts_P3[p, 1], goal_3[2] - starts_P3[p, 2]
        # Solid 0 is the room itself, which hides nothing. What hid the last point likely hides this one too.
        for turn in range(count - 1):
            n = 1 + (guess - 1 + turn) % (count - 1)
            hx, hy, hz = half_N3[n, 0], half_N3[n, 1], half_N3[n, 2]
            if not _may_meet(
                centre_N3[n, 0] - starts_P3[p, 0],
                centre_N3[n, 1] - starts_P3[p, 1],
                centre_N3[n, 2] - starts_P3[p, 2],
                wx,
                wy,
                wz,
                hx,
                hy,
                hz,
            ):
                continue
            c, s = cos_N[n], sin_N[n]
            ox, oy, oz = _local(
                starts_P3[p, 0] - centre_N3[n, 0],
                starts_P3[p, 1] - centre_N3[n, 1],
                starts_P3[p, 2] - centre_N3[n, 2],
                c,
                s,
            )
            dx, dy, dz = _local(wx, wy, wz, c, s)
            if kind_N[n] == BOX:
                distance, _, _ = _meet_box(ox, oy, oz, dx, dy, dz, hx, hy, hz)
            else:
                distance, _ = _meet_round(ox, oy, oz, dx, dy, dz, hx, hy, hz, kind_N[n] == CYLINDER)
            if 0 < distance < 0.97:
                hidden_P[p], guess = True, n
                break
    return hidden_P


def _arrays(solids: Solids) -> tuple[np.ndarray, ...]:
    return (solids.kind_N, solids.centre_N3, solids.half_N3, np.cos(solids.yaw_N), np.sin(solids.yaw_N))


def cast_rays(solids: Solids, origin_3: np.ndarray, rays_P3: np.ndarray) -> Hits:
    """Find what each ray meets first.

    Args:
        solids: the room; a ray that starts inside a box meets it from within.
        origin_3: start of all rays, metres.
        rays_P3: directions, not necessarily of unit length.

    Returns:
        The meeting points.
    """
    return Hits(*_cast(origin_3, rays_P3, *_arrays(solids)))


def occluded(solids: Solids, starts_P3: np.ndarray, goal_3: np.ndarray) -> np.ndarray:
    """Find from which points a lamp is hidden.

    Args:
        solids: the room; its first solid hides nothing.
        starts_P3: points, metres, a little off their surface.
        goal_3: the lamp, metres.

    Returns:
        bool (P,).
    """
    return _occluded(starts_P3, goal_3, *_arrays(solids))
