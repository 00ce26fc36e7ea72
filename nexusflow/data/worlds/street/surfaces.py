"""What lies on the ground as vector shapes: the common source of the painted picture and of the map."""

from __future__ import annotations

from dataclasses import dataclass

from shapely import Polygon, unary_union
from shapely.geometry.base import BaseGeometry

from nexusflow.data.worlds.street.curves import Array
from nexusflow.data.worlds.street.streets import FILLET_M, Carriageway, Street

__all__ = ["Surfaces", "build_surfaces"]

_OVERLAP_M = 0.05  # neighbouring road segments overlap a little, so that their union has no slits
_LANE_MARGIN_M = 0.1  # lanes stay this far inside the road surface, so that its outline is not frayed


@dataclass(frozen=True)
class Surfaces:
    """Vector shapes of one street, global metres.

    Args:
        drivable: everything between the kerbs.
        pavements: strips for people.
        segments: road segments, each with a flag "is a junction"; their union is `drivable`.
        lanes: one polygon per driving lane and block.
        crossings: corners (4, 2) of each pedestrian crossing.
        road_dividers: lines (n, 2) between the directions.
        lane_dividers: lines (n, 2) between lanes of one direction and along parking lanes.
    """

    drivable: Polygon
    pavements: tuple[Polygon, ...]
    segments: tuple[tuple[Polygon, bool], ...]
    lanes: tuple[Polygon, ...]
    crossings: tuple[Array, ...]
    road_dividers: tuple[Array, ...]
    lane_dividers: tuple[Array, ...]


def _polygons(shape: BaseGeometry, min_area_m2: float = 0.5) -> list[Polygon]:
    """The polygons of a geometry, crumbs dropped."""
    parts = getattr(shape, "geoms", [shape])
    return [part for part in parts if isinstance(part, Polygon) and part.area > min_area_m2]


def _road(way: Carriageway) -> Polygon:
    return Polygon(way.curve.ribbon(0.0, way.curve.length_m, way.right_m, way.left_m)).buffer(0)


def _segments(street: Street, drivable: Polygon) -> list[tuple[Polygon, bool]]:
    """Cut the road surface into junctions and the pieces between them."""
    reach = {
        arm.junction_m: max(abs(arm.way.right_m), arm.way.left_m) + FILLET_M + 0.6 for arm in street.arms
    }
    margin = FILLET_M + 0.3
    main = street.main
    zones = [
        Polygon(main.curve.ribbon(s - r, s + r, main.right_m - margin, main.left_m + margin))
        for s, r in reach.items()
    ]
    junctions = [piece for zone in zones for piece in _polygons(drivable.intersection(zone))]
    rest = drivable.difference(unary_union(zones).buffer(-_OVERLAP_M)) if zones else drivable
    return [(piece, True) for piece in junctions] + [(piece, False) for piece in _polygons(rest)]


def build_surfaces(street: Street) -> Surfaces:
    """Turn a street's geometry into shapes.

    Args:
        street: the street.

    Returns:
        Its shapes; kerbs are rounded at junctions.
    """
    raw = unary_union([_road(way) for way in street.ways])
    rounded = raw.buffer(FILLET_M, quad_segs=4).buffer(-FILLET_M, quad_segs=4)
    drivable = max(_polygons(rounded.union(raw).simplify(0.02)), key=lambda p: p.area)
    pavement = drivable.buffer(street.pavement_m, quad_segs=4).difference(drivable).simplify(0.02)
    lanes, road_dividers, lane_dividers = [], [], []
    for way in street.ways:
        for s0, s1 in way.blocks:
            road_dividers.append(way.curve.line(s0, s1, 0.0))
            offsets = way.divider_offsets() + way.parking_offsets()
            lane_dividers += [way.curve.line(s0, s1, y) for y in offsets]
            half = way.lane_width_m / 2 - _LANE_MARGIN_M
            lanes += [
                Polygon(way.curve.ribbon(s0, s1, lane.lateral_m - half, lane.lateral_m + half))
                for lane in way.lanes()
            ]
    return Surfaces(
        drivable,
        tuple(_polygons(pavement)),
        tuple(_segments(street, drivable)),
        tuple(lanes),
        tuple(crossing.corners() for crossing in street.crossings),
        tuple(road_dividers),
        tuple(lane_dividers),
    )
