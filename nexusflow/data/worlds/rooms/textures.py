"""Patterns on surfaces, as a function of the place on the surface.

Letters: P points.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nexusflow.data.worlds.rooms.primitives import Material

__all__ = ["PATTERNS", "paint"]

Mix = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _hash(i_P: np.ndarray, j_P: np.ndarray, salt: int) -> np.ndarray:
    """Value noise on a lattice, in [0, 1)."""
    h = (i_P.astype(np.int64) * 374761393 + j_P.astype(np.int64) * 668265263 + salt * 2147483647) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65536.0


def _noise(u_P: np.ndarray, v_P: np.ndarray, salt: int = 0) -> np.ndarray:
    """Smooth value noise in [0, 1)."""
    i_P, j_P = np.floor(u_P), np.floor(v_P)
    a_P, b_P = u_P - i_P, v_P - j_P
    a_P, b_P = a_P * a_P * (3 - 2 * a_P), b_P * b_P * (3 - 2 * b_P)
    low = _hash(i_P, j_P, salt) * (1 - a_P) + _hash(i_P + 1, j_P, salt) * a_P
    high = _hash(i_P, j_P + 1, salt) * (1 - a_P) + _hash(i_P + 1, j_P + 1, salt) * a_P
    return low * (1 - b_P) + high * b_P


def _wood(u_P: np.ndarray, v_P: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.sin(6 * v_P + 5 * _noise(0.25 * u_P, v_P, 1))


def _planks(u_P: np.ndarray, v_P: np.ndarray) -> np.ndarray:
    row_P = np.floor(v_P)
    seam_P = (v_P - row_P < 0.06) | (np.mod(0.25 * u_P + _hash(row_P, row_P, 3), 1) < 0.015)
    return np.where(seam_P, 1.0, 0.6 * _hash(row_P, np.floor(0.25 * u_P + _hash(row_P, row_P, 3)), 4))


def _checker(u_P: np.ndarray, v_P: np.ndarray) -> np.ndarray:
    return np.mod(np.floor(u_P) + np.floor(v_P), 2)


def _stripes(u_P: np.ndarray, v_P: np.ndarray) -> np.ndarray:
    return (np.mod(u_P, 1) < 0.4).astype(float)


def _tiles(u_P: np.ndarray, v_P: np.ndarray) -> np.ndarray:
    return ((np.mod(u_P, 1) < 0.06) | (np.mod(v_P, 1) < 0.06)).astype(float)


def _carpet(u_P: np.ndarray, v_P: np.ndarray) -> np.ndarray:
    return 0.5 * _noise(u_P, v_P, 5) + 0.5 * _noise(4 * u_P, 4 * v_P, 6)


def _spines(u_P: np.ndarray, v_P: np.ndarray) -> np.ndarray:
    return _hash(np.floor(u_P), np.zeros_like(u_P), 7)


def _painting(u_P: np.ndarray, v_P: np.ndarray) -> np.ndarray:
    return np.round(3 * _noise(2 * u_P, 2 * v_P, 8)) / 3


def _panes(u_P: np.ndarray, v_P: np.ndarray) -> np.ndarray:
    frame_P = (np.abs(np.mod(u_P, 1) - 0.5) > 0.44) | (np.abs(np.mod(v_P, 1) - 0.5) > 0.44)
    return frame_P.astype(float)


def _plain(u_P: np.ndarray, v_P: np.ndarray) -> np.ndarray:
    return np.zeros_like(u_P)


PATTERNS: dict[str, Mix] = {
    "plain": _plain,
    "wood": _wood,
    "planks": _planks,
    "checker": _checker,
    "stripes": _stripes,
    "tiles": _tiles,
    "carpet": _carpet,
    "spines": _spines,
    "painting": _painting,
    "panes": _panes,
}


def paint(material: Material, local_P3: np.ndarray, face_P: np.ndarray) -> np.ndarray:
    """Colour of points on a surface.

    Args:
        material: its colours and pattern.
        local_P3: points in the solid's own axes, metres.
        face_P: axis that the face is square to.

    Returns:
        Linear RGB in [0, 1], (P, 3).
    """
    # Upright faces run along the horizontal and y; level ones along x and z.
    u_P = np.where(face_P == 0, local_P3[:, 2], local_P3[:, 0]) / material.size
    v_P = np.where(face_P == 1, local_P3[:, 2], local_P3[:, 1]) / material.size
    share_P = PATTERNS[material.pattern](u_P, v_P)[:, None]
    return (1 - share_P) * np.asarray(material.colour) + share_P * np.asarray(material.second)
