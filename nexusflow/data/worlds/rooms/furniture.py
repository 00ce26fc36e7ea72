"""Pieces of furniture, built of boxes, ellipsoids and cylinders at a foot point, front towards +z."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexusflow.data.worlds.rooms.primitives import BOX, CYLINDER, ELLIPSOID, Colour, Material, SolidsBuilder
from nexusflow.data.worlds.rooms.style import RoomStyle

__all__ = ["Place", "bed", "chair", "clutter", "cupboard", "shelf", "sofa", "table", "television"]


class Place(NamedTuple):
    """Where a piece stands.

    Attributes:
        foot: x, y, z of its foot point, metres.
        yaw: rotation about y, radians.
    """

    foot: tuple[float, float, float]
    yaw: float


def _vary(colour: Colour, rng: np.random.Generator, spread: float = 0.06) -> Colour:
    shift = rng.normal(0, spread / 2, 3) + rng.normal(0, spread)
    red, green, blue = np.clip(np.asarray(colour) + shift, 0.02, 0.98)
    return float(red), float(green), float(blue)


def _wood(base: Colour, rng: np.random.Generator) -> Material:
    colour = _vary(base, rng)
    dark = tuple(0.78 * c for c in colour)
    return Material(colour, (dark[0], dark[1], dark[2]), "wood", 0.12, 0.15)


def _cloth(base: Colour, rng: np.random.Generator) -> Material:
    colour = _vary(base, rng, 0.08)
    light = np.clip(np.asarray(colour) * 1.35, 0, 1)
    pattern = ("carpet", "stripes", "checker", "plain")[rng.integers(4)]
    return Material(colour, (float(light[0]), float(light[1]), float(light[2])), pattern, 0.14)


def bed(b: SolidsBuilder, at: Place, style: RoomStyle, rng: np.random.Generator) -> tuple[float, float]:
    """Add a bed with headboard and pillows; returns its width and depth in metres."""
    width, depth = float(rng.uniform(1.2, 1.9)), float(rng.uniform(1.9, 2.1))
    frame, cloth = _wood(style.wood, rng), _cloth(style.cloth, rng)
    b.add(BOX, (0, 0.14, 0), (width, 0.28, depth), "bed", frame, at.yaw, at.foot)
    b.add(BOX, (0, 0.40, 0.05), (width - 0.06, 0.26, depth - 0.1), "bed", cloth, at.yaw, at.foot)
    b.add(BOX, (0, 0.50, -depth / 2 + 0.03), (width, 1.0, 0.06), "bed", frame, at.yaw, at.foot)
    white = Material((0.85, 0.83, 0.80))
    for side in (-0.25, 0.25):
        centre = (side * width, 0.58, -depth / 2 + 0.3)
        b.add(ELLIPSOID, centre, (0.42 * width, 0.18, 0.4), "bed", white, at.yaw, at.foot)
    return width, depth


def sofa(b: SolidsBuilder, at: Place, style: RoomStyle, rng: np.random.Generator) -> tuple[float, float]:
    """Add a sofa or armchair with cushions; returns its width and depth in metres."""
    width, depth = float(rng.uniform(0.9, 2.2)), 0.9
    cloth = _cloth(style.sofa_cloth, rng)
    b.add(BOX, (0, 0.21, 0), (width, 0.42, depth), "sofa", cloth, at.yaw, at.foot)
    b.add(BOX, (0, 0.42, -depth / 2 + 0.12), (width, 0.84, 0.24), "sofa", cloth, at.yaw, at.foot)
    for side in (-1, 1):
        centre = (side * (width / 2 - 0.09), 0.31, 0)
        b.add(BOX, centre, (0.18, 0.62, depth), "sofa", cloth, at.yaw, at.foot)
    if rng.random() < 0.7:
        cushion = Material(_vary(style.accent, rng, 0.1), (0.8, 0.8, 0.75), "stripes", 0.08)
        spot = (float(rng.uniform(-0.3, 0.3)) * width, 0.56, -0.15)
        b.add(ELLIPSOID, spot, (0.42, 0.36, 0.2), "objects", cushion, at.yaw, at.foot)
    return width, depth


def table(
    b: SolidsBuilder, at: Place, style: RoomStyle, rng: np.random.Generator, low: bool = False
) -> tuple[float, float, float]:
    """Add a table or, if low, a coffee table; returns its width, depth and height in metres."""
    width, depth = float(rng.uniform(0.9, 1.6)), float(rng.uniform(0.55, 0.85))
    height = float(rng.uniform(0.38, 0.46)) if low else float(rng.uniform(0.70, 0.76))
    wood = _wood(style.table_wood, rng)
    b.add(BOX, (0, height - 0.04, 0), (width, 0.09, depth), "table", wood, at.yaw, at.foot)
    for x in (-1, 1):
        for z in (-1, 1):
            centre = (x * (width / 2 - 0.05), (height - 0.04) / 2, z * (depth / 2 - 0.05))
            b.add(BOX, centre, (0.09, height - 0.04, 0.09), "table", wood, at.yaw, at.foot)
    return width, depth, height


def chair(b: SolidsBuilder, at: Place, style: RoomStyle, rng: np.random.Generator) -> tuple[float, float]:
    """Add a chair; returns its width and depth in metres."""
    seat, frame = _cloth(style.seat, rng), _wood(style.seat, rng)
    b.add(BOX, (0, 0.45, 0), (0.46, 0.10, 0.46), "chair", seat, at.yaw, at.foot)
    b.add(BOX, (0, 0.70, -0.20), (0.46, 0.56, 0.07), "chair", seat, at.yaw, at.foot)
    for x in (-0.19, 0.19):
        for z in (-0.19, 0.19):
            b.add(CYLINDER, (x, 0.21, z), (0.07, 0.42, 0.07), "chair", frame, at.yaw, at.foot)
    return 0.5, 0.5


def cupboard(
    b: SolidsBuilder, at: Place, style: RoomStyle, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Add a cupboard, wardrobe or chest with doors; returns its width, depth and height in metres."""
    tall = rng.random() < 0.5
    width, depth = float(rng.uniform(0.7, 1.5)), float(rng.uniform(0.4, 0.6))
    height = float(rng.uniform(1.8, 2.1)) if tall else float(rng.uniform(0.7, 1.0))
    wood = _wood(style.wood, rng)
    b.add(BOX, (0, height / 2, 0), (width, height, depth), "furniture", wood, at.yaw, at.foot)
    door = Material(_vary(wood.colour, rng, 0.04), wood.second, "wood", 0.12, 0.2)
    for side in (-1, 1):
        centre = (side * width / 4, height / 2, depth / 2 + 0.01)
        b.add(BOX, centre, (width / 2 - 0.04, height - 0.1, 0.02), "furniture", door, at.yaw, at.foot)
        knob = (side * 0.06, height / 2, depth / 2 + 0.04)
        b.add(ELLIPSOID, knob, (0.04, 0.04, 0.04), "furniture", Material((0.7, 0.65, 0.5)), at.yaw, at.foot)
    return width, depth, height


def _books(
    b: SolidsBuilder, at: Place, rng: np.random.Generator, low: float, high: float, shelf_y: float, z: float
) -> None:
    """Stand rows of books on a board."""
    x = low
    while x < high - 0.12:
        run = float(rng.uniform(0.12, min(0.45, high - x)))
        height = float(rng.uniform(0.19, 0.29))
        first = rng.permutation(np.array([0.75, 0.1, 0.1]) + rng.uniform(-0.05, 0.2, 3))
        second = np.full(3, 0.9) - rng.uniform(0, 0.15)
        material = Material(tuple(first.tolist()), tuple(second.tolist()), "spines", 0.035)
        centre = (x + run / 2, shelf_y + height / 2, z)
        b.add(BOX, centre, (run, height, 0.18), "books", material, at.yaw, at.foot)
        x += run + float(rng.choice([0.0, 0.0, 0.15]))


def shelf(
    b: SolidsBuilder, at: Place, style: RoomStyle, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Add a shelf with books; returns its width, depth and height in metres."""
    width, depth, boards = float(rng.uniform(0.8, 1.4)), 0.32, int(rng.integers(3, 6))
    height, wood = 0.38 * boards + 0.04, _wood(style.wood, rng)
    b.add(BOX, (0, height / 2, -depth / 2 + 0.01), (width, height, 0.02), "furniture", wood, at.yaw, at.foot)
    for side in (-1, 1):
        centre = (side * (width / 2 - 0.015), height / 2, 0)
        b.add(BOX, centre, (0.03, height, depth), "furniture", wood, at.yaw, at.foot)
    for board in range(boards + 1):
        y = 0.38 * board + 0.02
        b.add(BOX, (0, y, 0), (width, 0.03, depth), "furniture", wood, at.yaw, at.foot)
        if board < boards and rng.random() < 0.85:
            _books(b, at, rng, -width / 2 + 0.04, width / 2 - 0.04, y + 0.015, 0.0)
    return width, depth, height


def television(b: SolidsBuilder, at: Place, rng: np.random.Generator, y: float) -> None:
    """Add a television whose lower edge is at height y (metres)."""
    width = float(rng.uniform(0.8, 1.4))
    black = Material((0.03, 0.03, 0.035), gloss=0.6)
    centre = (0.0, y + 0.04 + 0.29 * width, 0.0)
    b.add(BOX, centre, (width, 0.58 * width, 0.06), "tv", black, at.yaw, at.foot)
    b.add(BOX, (0.0, y + 0.02, 0.0), (0.3, 0.04, 0.16), "tv", black, at.yaw, at.foot)


def clutter(
    b: SolidsBuilder,
    at: Place,
    style: RoomStyle,
    rng: np.random.Generator,
    size: tuple[float, float],
    y: float,
    count: int,
) -> None:
    """Put lamps, vases, boxes, books and unlabelled things on a surface.

    Args:
        b: receives the solids.
        at: place of the surface.
        style: colours.
        rng: source of randomness.
        size: width and depth of the surface, metres.
        y: height of the surface above the foot point, metres.
        count: number of things.
    """
    for _ in range(count):
        x, z = float(rng.uniform(-0.4, 0.4)) * size[0], float(rng.uniform(-0.35, 0.35)) * size[1]
        colour = _vary(style.accent, rng, 0.1)
        kind = rng.random()
        if kind < 0.28:
            _books(b, at, rng, x, x + 0.35, y, z)
        elif kind < 0.5:
            height = float(rng.uniform(0.2, 0.36))
            material = Material(colour, gloss=0.4)
            b.add(
                CYLINDER, (x, y + height / 2, z), (0.16, height, 0.16), "objects", material, at.yaw, at.foot
            )
        elif kind < 0.68:
            b.add(
                CYLINDER, (x, y + 0.13, z), (0.08, 0.26, 0.08), "objects", Material(colour), at.yaw, at.foot
            )
            shade = Material((0.5, 0.95, 0.45), light=0.35)
            b.add(CYLINDER, (x, y + 0.36, z), (0.24, 0.2, 0.24), "objects", shade, at.yaw, at.foot)
        elif kind < 0.88:
            edge = float(rng.uniform(0.18, 0.38))
            material = Material(colour, _vary(colour, rng, 0.15), "checker", 0.06)
            b.add(BOX, (x, y + edge / 2, z), (edge, edge, edge), "objects", material, at.yaw, at.foot)
        else:
            b.add(ELLIPSOID, (x, y + 0.1, z), (0.2, 0.2, 0.2), None, Material(colour), at.yaw, at.foot)
