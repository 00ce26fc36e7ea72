"""The solids that a room is made of, collected one by one and handed to the ray caster as arrays.

Room axes: x right, y up, z towards the viewer of a camera with yaw 0; metres.
Letters: N solids.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nexusflow.data.nyuv2.vocabulary import CLASSES, VOID

__all__ = ["BOX", "CYLINDER", "ELLIPSOID", "Material", "Solids", "SolidsBuilder"]

BOX, ELLIPSOID, CYLINDER = 0, 1, 2

Colour = tuple[float, float, float]


class Material(NamedTuple):
    """How a surface looks.

    Attributes:
        colour: first colour, linear RGB in [0, 1].
        second: second colour of the pattern.
        pattern: name of the pattern, see `textures`.
        size: size of the pattern, metres.
        gloss: strength of the highlight, in [0, 1].
        light: light that the surface gives by itself, in [0, 1].
    """

    colour: Colour
    second: Colour = (0.0, 0.0, 0.0)
    pattern: str = "plain"
    size: float = 0.1
    gloss: float = 0.0
    light: float = 0.0


@dataclass(frozen=True)
class Solids:
    """All solids of a room.

    Attributes:
        kind_N: BOX, ELLIPSOID or CYLINDER (upright), int64.
        centre_N3: metres.
        half_N3: half sizes along the solid's own axes, metres.
        yaw_N: rotation about y, radians.
        label_N: class 0..12, or -1 for clutter without label.
        materials: one per solid.
    """

    kind_N: np.ndarray
    centre_N3: np.ndarray
    half_N3: np.ndarray
    yaw_N: np.ndarray
    label_N: np.ndarray
    materials: tuple[Material, ...]


@dataclass
class SolidsBuilder:
    """Collects solids; every piece of furniture is placed by its foot point and yaw."""

    rows: list[tuple[int, np.ndarray, np.ndarray, float, int, Material]] = field(default_factory=list)

    def add(
        self,
        kind: int,
        centre: tuple[float, float, float],
        size: tuple[float, float, float],
        label: str | None,
        material: Material,
        yaw: float = 0.0,
        foot: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        """Add one solid.

        Args:
            kind: BOX, ELLIPSOID or CYLINDER.
            centre: of the solid in the frame of its piece, metres.
            size: full size along its own axes, metres.
            label: class name, None for clutter without label.
            material: how it looks.
            yaw: rotation of the piece about y, radians.
            foot: place of the piece's frame in the room, metres.
        """
        x, y, z = centre
        cos, sin = np.cos(yaw), np.sin(yaw)
        place = np.array([foot[0] + cos * x + sin * z, foot[1] + y, foot[2] - sin * x + cos * z])
        number = VOID if label is None else CLASSES.index(label)
        self.rows.append((kind, place, np.asarray(size, np.float64) / 2, yaw, number, material))

    def build(self) -> Solids:
        """Return all solids as arrays."""
        kinds, centres, halves, yaws, labels, materials = zip(*self.rows, strict=True)
        return Solids(
            np.array(kinds, np.int64),
            np.stack(centres),
            np.stack(halves),
            np.array(yaws, np.float64),
            np.array(labels, np.int64),
            materials,
        )
