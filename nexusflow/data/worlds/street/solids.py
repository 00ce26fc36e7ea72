"""Shaded solids as flat quads: the parts of road users, buildings and trees.

Letters: Q quads, 4 corners of a quad.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nexusflow.data.worlds.street.curves import Array

__all__ = ["QuadList", "Quads", "join_quads"]

_CORNERS = {
    "front": ((1, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1)),
    "back": ((0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1)),
    "left": ((0, 1, 0), (1, 1, 0), (1, 1, 1), (0, 1, 1)),
    "right": ((1, 0, 0), (0, 0, 0), (0, 0, 1), (1, 0, 1)),
    "top": ((0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)),
}
_NORMALS = {"front": (1, 0, 0), "back": (-1, 0, 0), "left": (0, 1, 0), "right": (0, -1, 0), "top": (0, 0, 1)}


@dataclass(frozen=True)
class Quads:
    """Quads with what is needed to draw them in the right order.

    Args:
        corners_Q43: x, y, z in metres.
        normals_Q3: outward unit normals.
        colours_Q3: RGB in [0, 255] before light.
        layer_Q: parts of an object with a higher layer are drawn later; shadows have layer -1.
        middle_Q2: x, y of the part that the quad belongs to; nearer parts of a layer are drawn later.
        owner_Q: index of the object.
    """

    corners_Q43: Array
    normals_Q3: Array
    colours_Q3: Array
    layer_Q: NDArray[np.int64]
    middle_Q2: Array
    owner_Q: NDArray[np.int64]

    def select(self, keep_Q: NDArray[np.bool_]) -> Quads:
        """The quads where `keep_Q` is true."""
        return Quads(
            self.corners_Q43[keep_Q],
            self.normals_Q3[keep_Q],
            self.colours_Q3[keep_Q],
            self.layer_Q[keep_Q],
            self.middle_Q2[keep_Q],
            self.owner_Q[keep_Q],
        )

    def moved(self, x_Q: Array, y_Q: Array, yaw_Q: Array, owner_Q: NDArray[np.int64]) -> Quads:
        """Rotate and shift every quad by its own pose (rad, metres) and give it an owner."""
        cos, sin = np.cos(yaw_Q), np.sin(yaw_Q)

        def turn(v: Array) -> Array:
            extra = v.ndim - 2  # broadcast over corners
            c, s = (np.reshape(t, (-1, *([1] * extra))) for t in (cos, sin))
            out = v.copy()
            out[..., 0] = c * v[..., 0] - s * v[..., 1]
            out[..., 1] = s * v[..., 0] + c * v[..., 1]
            return out

        corners, middle = turn(self.corners_Q43), turn(self.middle_Q2)
        corners[..., 0] += x_Q[:, None]
        corners[..., 1] += y_Q[:, None]
        middle += np.stack([x_Q, y_Q], 1)
        return Quads(corners, turn(self.normals_Q3), self.colours_Q3, self.layer_Q, middle, owner_Q)


def join_quads(parts: list[Quads]) -> Quads:
    """Concatenate; at least one part."""
    return Quads(
        np.concatenate([p.corners_Q43 for p in parts]),
        np.concatenate([p.normals_Q3 for p in parts]),
        np.concatenate([p.colours_Q3 for p in parts]),
        np.concatenate([p.layer_Q for p in parts]),
        np.concatenate([p.middle_Q2 for p in parts]),
        np.concatenate([p.owner_Q for p in parts]),
    )


@dataclass
class QuadList:
    """Collects the quads of one object in its own frame: x ahead, y left, z up, origin on the ground."""

    corners: list[Array] = field(default_factory=list)
    normals: list[tuple[float, float, float]] = field(default_factory=list)
    colours: list[Array] = field(default_factory=list)
    layers: list[int] = field(default_factory=list)
    middles: list[tuple[float, float]] = field(default_factory=list)

    def _add(
        self, corners: Array, normal: tuple[float, float, float], colour: Array, layer: int, middle: Array
    ) -> None:
        self.corners.append(corners)
        self.normals.append(normal)
        self.colours.append(np.asarray(colour, float))
        self.layers.append(layer)
        self.middles.append((float(middle[0]), float(middle[1])))

    def cuboid(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        colour: Array,
        layer: int = 0,
        **faces: Array,
    ) -> None:
        """Add the five visible faces of a box.

        Args:
            x: extent along x, metres; `y`, `z` likewise.
            colour: RGB of all faces.
            layer: drawing layer.
            faces: other colours for named faces (front, back, left, right, top).
        """
        low, high = np.array([x[0], y[0], z[0]]), np.array([x[1], y[1], z[1]])
        middle = (low + high)[:2] / 2
        for name, pattern in _CORNERS.items():
            corners = low + np.array(pattern) * (high - low)
            self._add(corners, _NORMALS[name], faces.get(name, colour), layer, middle)

    def decal(
        self,
        face: str,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        colour: Array,
        layer: int = 0,
    ) -> None:
        """Add a patch on a face of the box with these extents; call it after that box's `cuboid`."""
        low, high = np.array([x[0], y[0], z[0]]), np.array([x[1], y[1], z[1]])
        corners = low + np.array(_CORNERS[face]) * (high - low) + 0.01 * np.array(_NORMALS[face])
        self._add(corners, _NORMALS[face], colour, layer, (low + high)[:2] / 2)

    def shadow(self, length: float, width: float, colour: Array) -> None:
        """Add the dark patch under an object."""
        x, y = length / 2 + 0.1, width / 2 + 0.1
        corners = np.array([[-x, -y, 0.01], [x, -y, 0.01], [x, y, 0.01], [-x, y, 0.01]])
        self._add(corners, (0.0, 0.0, 1.0), colour, -1, np.zeros(2))

    def build(self) -> Quads:
        """Return the collected quads with owner 0."""
        n = len(self.corners)
        return Quads(
            np.array(self.corners, float),
            np.array(self.normals, float),
            np.array(self.colours, float),
            np.array(self.layers, np.int64),
            np.array(self.middles, float),
            np.zeros(n, np.int64),
        )
