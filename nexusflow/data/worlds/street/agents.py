"""Road users: their classes, sizes and paint, and what one of them is over a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nexusflow.data.worlds.street.curves import Array
from nexusflow.data.worlds.street.style import Style

__all__ = ["CATEGORIES", "KINDS", "Agent", "Body", "draw_body"]

KINDS = ("bicycle", "bus", "car", "motorcycle", "pedestrian", "trailer", "truck")
CATEGORIES = {
    "bicycle": "vehicle.bicycle",
    "bus": "vehicle.bus.rigid",
    "car": "vehicle.car",
    "motorcycle": "vehicle.motorcycle",
    "pedestrian": "human.pedestrian.adult",
    "trailer": "vehicle.trailer",
    "truck": "vehicle.truck",
}
# mean length, width, height and the relative spread of each, metres
_SIZES: dict[str, tuple[tuple[float, float, float], float]] = {
    "bicycle": ((1.75, 0.60, 1.70), 0.04),
    "bus": ((10.8, 2.70, 3.25), 0.05),
    "car": ((4.50, 1.88, 1.60), 0.05),
    "motorcycle": ((2.20, 0.85, 1.55), 0.04),
    "pedestrian": ((0.70, 0.65, 1.74), 0.06),
    "trailer": ((9.20, 2.50, 3.50), 0.07),
    "truck": ((6.90, 2.50, 2.95), 0.06),
}
_PAINT = {
    "bicycle": ("cyclist", "cyclist"),
    "bus": ("bus", "bus"),
    "car": ("car", "car"),
    "motorcycle": ("clothes", "car"),
    "pedestrian": ("clothes", "clothes"),
    "trailer": ("trailer", "trailer"),
    "truck": ("cab", "cargo"),
}


@dataclass(frozen=True)
class Body:
    """What stays the same about a road user: class, (length, width, height) m, two RGB colours, rider."""

    kind: str
    size_3: tuple[float, float, float]
    paint_23: Array
    ridden: bool = True


@dataclass(frozen=True)
class Agent:
    """A road user over the key frames of a scene.

    Args:
        name: unique within the scene.
        body: its looks.
        poses_K3: global x, y (middle of the box, metres) and yaw (rad) per key frame; NaN where it is absent.
        parked: left by its driver.
    """

    name: str
    body: Body
    poses_K3: Array
    parked: bool = False

    def present_K(self) -> NDArray[np.bool_]:
        """In which key frames it exists."""
        return np.isfinite(self.poses_K3[:, 0])


def draw_body(style: Style, rng: np.random.Generator, kind: str, ridden: bool = True) -> Body:
    """Draw the size and paint of a road user; always the same number of random numbers.

    Args:
        style: the city's palettes.
        rng: random stream.
        kind: one of ``KINDS``.
        ridden: False for a two-wheeler without rider, which is lower.

    Returns:
        The body.
    """
    mean, spread = _SIZES[kind]
    size = np.array(mean) * (1 + spread * rng.uniform(-1, 1, 3))
    if not ridden:
        size[2] *= 0.65
    index = rng.integers(0, 60, 2)
    shade = rng.uniform(0.88, 1.12, (2, 1))
    paint = np.stack([style.palette(key, int(k)) for key, k in zip(_PAINT[kind], index, strict=True)]) * shade
    length, width, height = (round(float(v), 3) for v in size)
    return Body(kind, (length, width, height), np.clip(paint, 0, 255), ridden)
