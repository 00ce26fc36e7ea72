"""Plans a room: its box, what hangs on the walls, and furniture that does not overlap."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nexusflow.data.worlds.rooms import furniture
from nexusflow.data.worlds.rooms.furniture import Place
from nexusflow.data.worlds.rooms.primitives import BOX, Material, Solids, SolidsBuilder
from nexusflow.data.worlds.rooms.style import RoomStyle

__all__ = ["Room", "plan_room"]

_TRIES = 12


@dataclass
class Room:
    """A planned room; its floor is centred at the origin.

    Attributes:
        width: along x, metres.
        depth: along z, metres.
        height: metres.
        builder: receives the solids.
        footprints: centre x, centre z and radius of standing pieces, metres.
        lamps: places of the lamps, metres.
    """

    width: float
    depth: float
    height: float
    builder: SolidsBuilder = field(default_factory=SolidsBuilder)
    footprints: list[tuple[float, float, float]] = field(default_factory=list)
    lamps: list[np.ndarray] = field(default_factory=list)

    def solids(self) -> Solids:
        """Return all solids; the first one is the room's own box."""
        return self.builder.build()

    def is_free(self, x: float, z: float, radius: float) -> bool:
        """Whether a disc on the floor meets no standing piece."""
        return all(np.hypot(x - cx, z - cz) > radius + r for cx, cz, r in self.footprints)

    def wall(self, number: int, along: float, inset: float) -> Place:
        """Place at a wall: number 0..3, `along` in [-0.5, 0.5] of its length, `inset` metres off it."""
        half = (self.depth / 2 - inset, self.width / 2 - inset)
        if number == 0:
            return Place((along * self.width, 0.0, -half[0]), 0.0)
        if number == 1:
            return Place((-half[1], 0.0, along * self.depth), np.pi / 2)
        if number == 2:
            return Place((along * self.width, 0.0, half[0]), np.pi)
        return Place((half[1], 0.0, along * self.depth), -np.pi / 2)


def _count(expected: float, rng: np.random.Generator) -> int:
    """A whole number whose mean is `expected`."""
    return int(expected) + int(rng.random() < expected - int(expected))


def _stand(room: Room, rng: np.random.Generator, inset: float, radius: float) -> Place | None:
    """Find a free place at a wall and reserve it."""
    for _ in range(_TRIES):
        number = int(rng.integers(4))
        length = room.width if number % 2 == 0 else room.depth
        reach = max(0.0, 0.5 - (radius + 0.05) / length)
        place = room.wall(number, float(rng.uniform(-reach, reach)), inset)
        if room.is_free(place.foot[0], place.foot[2], 0.8 * radius):
            room.footprints.append((place.foot[0], place.foot[2], 0.8 * radius))
            return place
    return None


def _hang(room: Room, style: RoomStyle, rng: np.random.Generator) -> None:
    """Windows and pictures on the walls."""
    for _ in range(_count(style.windows, rng)):
        number = int(rng.integers(4))
        at = room.wall(number, float(rng.uniform(-0.25, 0.25)), 0.0)
        size = (float(rng.uniform(1.1, 2.0)), float(rng.uniform(1.0, 1.4)))
        sky = Material((0.72, 0.82, 0.95), (0.9, 0.9, 0.88), "panes", size[0] / 2, 0.3, style.daylight)
        b_y = 0.9 + size[1] / 2
        room.builder.add(BOX, (0, b_y, 0), (size[0], size[1], 0.06), "window", sky, at.yaw, at.foot)
        room.lamps.append(np.array([0.9 * at.foot[0], b_y, 0.9 * at.foot[2]]))
    if rng.random() < style.tv:
        at = room.wall(int(rng.integers(4)), float(rng.uniform(-0.3, 0.3)), 0.03)
        furniture.television(room.builder, at, rng, 1.0)
    for _ in range(_count(style.pictures, rng)):
        at = room.wall(int(rng.integers(4)), float(rng.uniform(-0.38, 0.38)), 0.0)
        size = (float(rng.uniform(0.5, 1.2)), float(rng.uniform(0.4, 0.85)))
        first = np.array([0.05, 0.50, 0.55]) + rng.uniform(-0.05, 0.2, 3)
        second = np.array([0.75, 0.85, 0.85]) + rng.uniform(-0.2, 0.1, 3)
        canvas = Material(tuple(first.tolist()), tuple(second.tolist()), "painting", size[0] / 2)
        y = float(rng.uniform(1.35, 1.75))
        room.builder.add(BOX, (0, y, 0), (size[0], size[1], 0.05), "picture", canvas, at.yaw, at.foot)


def _box(room: Room, style: RoomStyle, rng: np.random.Generator) -> None:
    """The room itself; walls, floor and ceiling are told apart by their faces."""
    pattern = ("stripes", "carpet", "checker")[rng.integers(3)] if rng.random() < style.pattern else "plain"
    wall = Material(style.wall, style.wall_second, pattern, float(rng.uniform(0.12, 0.3)))
    room.builder.add(BOX, (0, room.height / 2, 0), (room.width, room.height, room.depth), "wall", wall)
    kind = ("planks", "tiles", "carpet", "checker")[rng.integers(4)]
    floor = Material(style.floor, style.floor_second, kind, float(rng.uniform(0.1, 0.3)), 0.1)
    # Thin slabs just inside the box carry their own label and material.
    room.builder.add(BOX, (0, 0.0, 0), (room.width, 0.01, room.depth), "floor", floor)
    ceiling = Material((0.86, 0.86, 0.84))
    room.builder.add(BOX, (0, room.height, 0), (room.width, 0.01, room.depth), "ceiling", ceiling)
    lamp = Material((1.0, 0.98, 0.9), light=1.0)
    room.builder.add(BOX, (0, room.height - 0.04, 0), (0.5, 0.06, 0.5), "objects", lamp)
    room.lamps.append(np.array([0.0, room.height - 0.12, 0.0]))


def _furnish(room: Room, style: RoomStyle, rng: np.random.Generator) -> None:
    """Large pieces first, so that they find a place."""
    b = room.builder
    if rng.random() < style.bed and (at := _stand(room, rng, 1.05, 1.15)):
        furniture.bed(b, at, style, rng)
    for _ in range(_count(style.sofa, rng)):
        if at := _stand(room, rng, 0.5, 0.95):
            furniture.sofa(b, at, style, rng)
            _coffee_table(room, at, style, rng)
    for _ in range(_count(style.cupboard, rng)):
        if at := _stand(room, rng, 0.32, 0.7):
            width, depth, height = furniture.cupboard(b, at, style, rng)
            if height < 1.2:
                if rng.random() < style.tv:
                    furniture.television(b, at, rng, height)
                furniture.clutter(b, at, style, rng, (width, depth), height, _count(style.clutter, rng))
    for _ in range(_count(style.shelf, rng)):
        if at := _stand(room, rng, 0.18, 0.6):
            furniture.shelf(b, at, style, rng)
    for _ in range(_count(style.desk, rng)):
        if at := _stand(room, rng, 0.85, 0.85):
            _desk(room, at, style, rng)


def _coffee_table(room: Room, at: Place, style: RoomStyle, rng: np.random.Generator) -> None:
    """A low table in front of a sofa."""
    ahead = np.array([np.sin(at.yaw), np.cos(at.yaw)])
    x, z = at.foot[0] + 1.1 * ahead[0], at.foot[2] + 1.1 * ahead[1]
    if rng.random() < 0.75 and room.is_free(x, z, 0.3):
        room.footprints.append((x, z, 0.5))
        place = Place((x, 0.0, z), at.yaw)
        width, depth, height = furniture.table(room.builder, place, style, rng, low=True)
        count = _count(style.clutter, rng)
        furniture.clutter(room.builder, place, style, rng, (width, depth), height, count)


def _desk(room: Room, at: Place, style: RoomStyle, rng: np.random.Generator) -> None:
    """A table with a chair at one or both long sides, and things or a screen on it."""
    b = room.builder
    width, depth, height = furniture.table(b, at, style, rng)
    for side in (1, -1)[: int(rng.integers(1, 3))]:
        shift = side * (depth / 2 + 0.18)
        foot = (at.foot[0] + np.sin(at.yaw) * shift, 0.0, at.foot[2] + np.cos(at.yaw) * shift)
        turn = at.yaw + (np.pi if side > 0 else 0.0) + float(rng.normal(0, 0.25))
        furniture.chair(b, Place(foot, turn), style, rng)
    if rng.random() < 0.5 * style.tv:
        furniture.television(b, at, rng, height)
    furniture.clutter(b, at, style, rng, (width, depth), height, _count(style.clutter, rng))


def plan_room(style: RoomStyle, rng: np.random.Generator) -> Room:
    """Plan a room of a style.

    Args:
        style: sizes, colours and furniture.
        rng: the room's own source of randomness.

    Returns:
        The room with all its solids.
    """
    room = Room(
        float(style.width_m * rng.uniform(0.85, 1.15)),
        float(style.depth_m * rng.uniform(0.85, 1.15)),
        float(style.height_m * rng.uniform(0.95, 1.05)),
    )
    _box(room, style, rng)
    _hang(room, style, rng)
    _furnish(room, style, rng)
    return room
