"""The ground as a colour picture: asphalt, kerbs, pavement and paint, one raster per street."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from nexusflow.data.worlds.seeds import generator
from nexusflow.data.worlds.street.curves import Array
from nexusflow.data.worlds.street.streets import CROSSING_DEPTH_M, Carriageway, Crossing, Street
from nexusflow.data.worlds.street.surfaces import Surfaces

__all__ = ["Ground", "paint_ground"]

_SHIFT = 4  # fractional bits of drawing coordinates
_KERB_M = 0.35
_COARSE = 4  # cells per side that the coarse raster averages


@dataclass(frozen=True)
class Ground:
    """A painted district.

    Args:
        fine_HW3: uint8 RGB raster; row ↔ y, column ↔ x.
        coarse_HW3: the same, averaged over 4 × 4 cells, for distant ground.
        origin_2: global x, y of the corner of cell (0, 0), metres.
        cell_m: size of a fine cell.
        outside_3: colour beyond the raster.
    """

    fine_HW3: NDArray[np.uint8]
    coarse_HW3: NDArray[np.uint8]
    origin_2: Array
    cell_m: float
    outside_3: Array


class _Painter:
    """Fills shapes given in global metres."""

    def __init__(self, low_2: Array, size_2: Array, cell_m: float, colour_3: Array) -> None:
        width, height = (np.ceil(size_2 / cell_m / _COARSE) * _COARSE).astype(int)
        self.low_2, self.cell_m = low_2, cell_m
        self.image = np.empty((height, width, 3), np.uint8)
        self.image[:] = np.round(colour_3)

    def pixels(self, xy: Array) -> NDArray[np.int32]:
        """Drawing coordinates of points (n, 2)."""
        scaled = ((np.asarray(xy) - self.low_2) / self.cell_m - 0.5) * (1 << _SHIFT)
        return np.round(scaled).astype(np.int32)

    def fill(self, rings: list[Array], colour_3: Array) -> None:
        """Fill rings (even-odd) with a colour."""
        colour = tuple(float(v) for v in np.round(colour_3))
        cv2.fillPoly(self.image, [self.pixels(r) for r in rings], colour, cv2.LINE_AA, _SHIFT)

    def blend(self, ring: Array, colour_3: Array, opacity: float) -> None:
        """Fill one ring with partial opacity; the colour underneath is read at its middle."""
        if opacity <= 0:
            return
        column, row = np.clip(
            self.pixels(ring.mean(0, keepdims=True))[0] >> _SHIFT,
            0,
            np.array(self.image.shape[1::-1]) - 1,
        )
        self.fill([ring], self.image[row, column] * (1 - opacity) + colour_3 * opacity)


def _rings(polygon: Polygon) -> list[Array]:
    return [np.asarray(ring.coords) for ring in (polygon.exterior, *polygon.interiors)]


def _paint_lines(painter: _Painter, way: Carriageway, street: Street, main: bool) -> None:
    """Paint dividers, parking lines and kerb lines of one carriageway."""
    style, half = street.style, street.style["line_width"] / 2
    yellow, white = style.colour("rgb_road_divider"), style.colour("rgb_lane_divider")
    period = style["dash"] + style["dash_gap"]
    for s0, s1 in way.blocks:
        for y in (-1.15 * half - 0.08, 1.15 * half + 0.08) if main else (0.0,):
            painter.fill([way.curve.ribbon(s0, s1, y - half, y + half)], yellow)
        for y in way.divider_offsets():
            for start in np.arange(s0, s1 - 0.5, period):
                stop = min(start + style["dash"], s1)
                painter.fill([way.curve.ribbon(start, stop, y - half, y + half)], white)
        for y in way.parking_offsets():
            painter.fill([way.curve.ribbon(s0, s1, y - 0.7 * half, y + 0.7 * half)], white)
        for y in (way.left_m - 0.35, way.right_m + 0.35):
            for start in np.arange(s0, s1, 12.0):
                ring = way.curve.ribbon(start, min(start + 12.0, s1), y - half, y + half)
                painter.blend(ring, style.colour("rgb_edge_line"), style["edge_line"])


def _paint_crossing(painter: _Painter, crossing: Crossing, street: Street) -> None:
    """Paint zebra bars along the direction of driving, framed where the style says so."""
    style, way = street.style, crossing.way
    low, high = crossing.s_m - CROSSING_DEPTH_M / 2, crossing.s_m + CROSSING_DEPTH_M / 2
    colour = style.colour("rgb_crossing")
    for y in (low, high):
        ring = way.curve.ribbon(y - 0.15, y + 0.15, way.right_m, way.left_m)
        painter.blend(ring, colour, style["ladder"])
    width = way.left_m - way.right_m
    count = max(3, round(width / style["bar_period"]))
    for k in range(count):
        y = way.right_m + (k + 0.25) * width / count
        painter.fill([way.curve.ribbon(low, high, y, y + 0.5 * width / count)], colour)


def _speckle(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Multiply by patches and grain so that surfaces are not flat."""
    height, width = image.shape[:2]
    patches = rng.standard_normal((height // 24 + 2, width // 24 + 2), dtype=np.float32)
    field = cv2.resize(patches, (width, height), interpolation=cv2.INTER_LINEAR) * 0.05 + 1.0
    field += rng.standard_normal((height, width), dtype=np.float32) * 0.035
    return np.clip(image * field[..., None], 0, 255).astype(np.uint8)


def paint_ground(street: Street, surfaces: Surfaces, seed: int, cell_m: float) -> Ground:
    """Paint a street.

    Args:
        street: geometry and style.
        surfaces: its shapes.
        seed: seed of the world.
        cell_m: size of a cell, metres.

    Returns:
        The raster, fine and coarse.
    """
    style = street.style
    rng = generator(seed, "ground", street.plan.name)
    low_x, low_y, high_x, high_y = surfaces.drivable.bounds
    margin = 15.0
    low = np.array([low_x, low_y]) - margin
    verge = style.colour("rgb_verge") * rng.uniform(0.92, 1.08)
    painter = _Painter(low, np.array([high_x, high_y]) + margin - low, cell_m, verge)
    pavement = style.colour("rgb_pavement") * rng.uniform(0.93, 1.07)
    for polygon in surfaces.pavements:
        painter.fill(_rings(polygon), pavement)
    painter.fill(_rings(surfaces.drivable.buffer(_KERB_M, quad_segs=4)), style.colour("rgb_kerb"))
    painter.fill(_rings(surfaces.drivable), style.colour("rgb_asphalt") * rng.uniform(0.90, 1.10))
    for k, way in enumerate(street.ways):
        _paint_lines(painter, way, street, main=k == 0)
    for crossing in street.crossings:
        _paint_crossing(painter, crossing, street)
    fine = _speckle(painter.image, rng)
    size = (fine.shape[1] // _COARSE, fine.shape[0] // _COARSE)
    coarse = np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), np.uint8)
    return Ground(fine, coarse, low, cell_m, verge)
