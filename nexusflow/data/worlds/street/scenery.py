"""What stands beside a street and is not annotated: buildings and trees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from shapely import STRtree, points

from nexusflow.data.worlds.seeds import generator
from nexusflow.data.worlds.street.curves import Array
from nexusflow.data.worlds.street.solids import QuadList, Quads, join_quads
from nexusflow.data.worlds.street.streets import Street
from nexusflow.data.worlds.street.surfaces import Surfaces

__all__ = ["Scenery", "build_scenery"]

_BARK = np.array([86.0, 66.0, 48.0])


@dataclass(frozen=True)
class Scenery:
    """Things that only stand there.

    Args:
        poses_S3: x, y (m), yaw (rad) of each thing.
        size_S2: length and width of its footprint, metres.
        height_S: metres.
        quads: all quads, global frame; `owner_Q` is the index of the thing.
    """

    poses_S3: Array
    size_S2: Array
    height_S: Array
    quads: Quads


def _building(length: float, width: float, height: float, colour: Array, window: float) -> Quads:
    """A box with darker bands of windows on every side."""
    q = QuadList()
    x, y = (-length / 2, length / 2), (-width / 2, width / 2)
    q.cuboid(x, y, (0.0, height), colour, top=0.8 * colour)
    dark = colour * (1 - 2.2 * window)
    floors = max(1, min(4, int((height - 2.0) / 3.4)))
    for k in range(floors):
        low = 1.4 + k * 3.4
        for face in ("front", "back"):
            q.decal(face, x, (0.86 * y[0], 0.86 * y[1]), (low, low + 1.5), dark)
        for face in ("left", "right"):
            q.decal(face, (0.86 * x[0], 0.86 * x[1]), y, (low, low + 1.5), dark)
    return q.build()


def _tree(radius: float, height: float, colour: Array) -> Quads:
    """A trunk and a crown of two boxes, the upper one lighter."""
    q = QuadList()
    q.cuboid((-0.2, 0.2), (-0.2, 0.2), (0.0, 0.45 * height), _BARK)
    q.cuboid((-radius, radius), (-radius, radius), (0.42 * height, 0.78 * height), 0.88 * colour, 1)
    r = 0.68 * radius
    q.cuboid((-r, r), (-r, r), (0.78 * height, height), 1.12 * colour, 2)
    return q.build()


class _Site:
    """Knows which ground is free to build on."""

    def __init__(self, surfaces: Surfaces) -> None:
        self.shapes = [surfaces.drivable, *surfaces.pavements]
        self.tree = STRtree(self.shapes)

    def free(self, xy: Array, distance_m: float) -> bool:
        """Whether no road or pavement lies within a distance of any of the points (n, 2)."""
        return len(self.tree.query(points(xy), predicate="dwithin", distance=distance_m)[0]) == 0


def _buildings(
    street: Street, rng: np.random.Generator, site: _Site
) -> list[tuple[Array, Array, float, Quads]]:
    things = []
    style, main = street.style, street.main
    for sign in (1, -1):
        front = main.edge_m(sign) + street.pavement_m + street.verge_m
        s = -55.0
        while s < street.plan.length_m + 55.0:
            u = rng.uniform(size=7)
            length = style["building_width"] * (0.7 + 0.6 * u[0])
            width, height = 10.0 + 5.0 * u[1], style["building_height"] * (0.65 + 0.7 * u[2])
            middle, offset = s + length / 2, sign * (front + width / 2 + 2.0 * u[3])
            s += length + style["building_gap"] * (0.4 + 1.2 * u[4])
            xy, yaw = main.curve.point(middle, offset), float(main.curve.heading(middle))
            pose = np.array([*xy, yaw])
            footprint = main.curve.point(
                middle + length / 2 * np.array([-1, 0, 1, 1, 0, -1]),
                offset + sign * width / 2 * np.array([-1, -1, -1, 1, 1, 1]),
            )
            if not site.free(footprint, 2.5):
                continue
            colour = style.palette("building", int(6 * u[5])) * (0.9 + 0.2 * u[6])
            quads = _building(length, width, height, np.clip(colour, 0, 255), style["window"])
            things.append((pose, np.array([length, width]), height, quads))
    return things


def _trees(street: Street, rng: np.random.Generator, site: _Site) -> list[tuple[Array, Array, float, Quads]]:
    things = []
    style, main = street.style, street.main
    for sign in (1, -1):
        s = -40.0 + 10.0 * rng.uniform()
        while s < street.plan.length_m + 40.0:
            u = rng.uniform(size=6)
            radius, height = (
                style["tree_radius"] * (0.75 + 0.5 * u[0]),
                style["tree_height"] * (0.8 + 0.4 * u[1]),
            )
            offset = sign * (main.edge_m(sign) + street.pavement_m + 1.2 + radius + 1.5 * u[2])
            xy = main.curve.point(s, offset)
            s += style["tree_spacing"] * (0.5 + u[3])
            if not site.free(xy[None], radius + 0.2):
                continue
            colour = style.colour("rgb_foliage") * (0.75 + 0.5 * u[4])
            pose = np.array([*xy, 2 * np.pi * u[5]])
            things.append((pose, np.array([2 * radius, 2 * radius]), height, _tree(radius, height, colour)))
    return things


def build_scenery(street: Street, surfaces: Surfaces, seed: int) -> Scenery:
    """Put buildings and trees beside a street.

    Args:
        street: geometry and style.
        surfaces: its roads and pavements, which stay free.
        seed: seed of the world.

    Returns:
        The scenery.
    """
    rng = generator(seed, "scenery", street.plan.name)
    site = _Site(surfaces)
    things = _buildings(street, rng, site) + _trees(street, rng, site)
    moved = []
    for owner, (pose, _, _, quads) in enumerate(things):
        n = len(quads.layer_Q)
        x, y, yaw = (np.full(n, v) for v in pose)
        moved.append(quads.moved(x, y, yaw, np.full(n, owner)))
    return Scenery(
        np.array([t[0] for t in things]),
        np.array([t[1] for t in things]),
        np.array([t[2] for t in things]),
        join_quads(moved),
    )
