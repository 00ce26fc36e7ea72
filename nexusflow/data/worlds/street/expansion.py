"""The vector maps of the map expansion (version 1.3) and the base masks of each location."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from shapely import Polygon

from nexusflow.data.worlds.seeds import token
from nexusflow.data.worlds.street.curves import Array
from nexusflow.data.worlds.street.layout import LocationPlan
from nexusflow.data.worlds.street.surfaces import Surfaces

__all__ = ["vector_map", "write_base_mask"]

_LISTS = (
    "polygon", "line", "node", "drivable_area", "road_segment", "road_block", "lane", "ped_crossing",
    "walkway", "stop_line", "carpark_area", "road_divider", "lane_divider", "traffic_light", "lane_connector",
)  # fmt: skip
MASK_CELL_M = 0.1


class _MapTables:
    """Collects the records of one map."""

    def __init__(self, location: str, seed: int) -> None:
        self.location, self.seed = location, seed
        self.tables: dict[str, Any] = {name: [] for name in _LISTS}

    def _token(self, table: str) -> str:
        return token(self.seed, "map", self.location, table, len(self.tables[table]))

    def nodes(self, xy: Array) -> list[str]:
        """Add points (n, 2) and return their tokens."""
        tokens = []
        for x, y in np.round(xy, 3).tolist():
            tokens.append(self._token("node"))
            self.tables["node"].append({"token": tokens[-1], "x": x, "y": y})
        return tokens

    def polygon(self, shape: Polygon) -> str:
        """Add a polygon and return its token."""
        record = {
            "token": self._token("polygon"),
            "exterior_node_tokens": self.nodes(np.asarray(shape.exterior.coords)[:-1]),
            "holes": [{"node_tokens": self.nodes(np.asarray(ring.coords)[:-1])} for ring in shape.interiors],
        }
        self.tables["polygon"].append(record)
        return str(record["token"])

    def line(self, xy: Array) -> tuple[str, list[str]]:
        """Add a line (n, 2) and return its token and those of its nodes."""
        record = {"token": self._token("line"), "node_tokens": self.nodes(xy)}
        self.tables["line"].append(record)
        return str(record["token"]), list(record["node_tokens"])

    def add(self, table: str, **fields: Any) -> str:
        """Add a record to a layer and return its token."""
        key = self._token(table)
        self.tables[table].append({"token": key, **fields})
        return key


def _add_street(tables: _MapTables, surfaces: Surfaces) -> None:
    """Add all layers of one street."""
    area = tables.add("drivable_area", polygon_tokens=[tables.polygon(surfaces.drivable)])
    segments = [
        tables.add(
            "road_segment",
            polygon_token=tables.polygon(shape),
            is_intersection=junction,
            drivable_area_token=area,
        )
        for shape, junction in surfaces.segments
    ]
    for shape in surfaces.lanes:
        corners = np.asarray(shape.exterior.coords)[:-1]
        half = len(corners) // 2
        ends = [tables.line(corners[[0, -1]])[0], tables.line(corners[[half - 1, half]])[0]]
        tables.add(
            "lane", polygon_token=tables.polygon(shape), lane_type="CAR", from_edge_line_token=ends[0],
            to_edge_line_token=ends[1], left_lane_divider_segments=[], right_lane_divider_segments=[],
        )  # fmt: skip
    for corners in surfaces.crossings:
        middle = Polygon(corners).centroid
        owner = min(range(len(segments)), key=lambda k: surfaces.segments[k][0].distance(middle))
        tables.add(
            "ped_crossing", polygon_token=tables.polygon(Polygon(corners)), road_segment_token=segments[owner]
        )
    for shape in surfaces.pavements:
        tables.add("walkway", polygon_token=tables.polygon(shape))
    for xy in surfaces.road_dividers:
        tables.add("road_divider", line_token=tables.line(xy)[0], road_segment_token=None)
    for xy in surfaces.lane_dividers:
        line, nodes = tables.line(xy)
        pieces = [{"node_token": node, "segment_type": "SINGLE_DASHED_WHITE"} for node in nodes]
        tables.add("lane_divider", line_token=line, lane_divider_segments=pieces)


def vector_map(plan: LocationPlan, streets: Sequence[Surfaces], seed: int) -> dict[str, Any]:
    """Build the content of ``maps/expansion/<location>.json``.

    Args:
        plan: the location and its canvas.
        streets: the shapes of its streets.
        seed: seed of the world.

    Returns:
        Plain data: every layer that the devkit reads, the ones that this world lacks being empty.
    """
    tables = _MapTables(plan.location, seed)
    for surfaces in streets:
        _add_street(tables, surfaces)
    return {
        **tables.tables,
        "version": "1.3",
        "canvas_edge": [float(v) for v in plan.canvas_m],
        "arcline_path_3": {},
        "connectivity": {},
    }


def write_base_mask(plan: LocationPlan, streets: Sequence[Surfaces], path: Path) -> None:
    """Write the binary mask of roads and pavements, 0.1 m per pixel, row = height − 10·y, column = 10·x.

    Args:
        plan: the location and its canvas.
        streets: the shapes of its streets.
        path: the PNG to write.
    """
    width, height = (round(v / MASK_CELL_M) for v in plan.canvas_m)
    mask = np.zeros((height, width), np.uint8)
    for surfaces in streets:
        for shape in (surfaces.drivable, *surfaces.pavements):
            rings = [np.asarray(ring.coords) for ring in (shape.exterior, *shape.interiors)]
            pixels = [
                np.round(np.stack([r[:, 0], plan.canvas_m[1] - r[:, 1]], 1) / MASK_CELL_M) for r in rings
            ]
            cv2.fillPoly(mask, [p.astype(np.int32) for p in pixels], (255.0,))
    done, encoded = cv2.imencode(
        ".png", mask, [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    )
    assert done
    path.write_bytes(encoded.tobytes())
