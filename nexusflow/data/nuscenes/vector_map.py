"""Vector maps of the map expansion, prepared once per location for fast drawing.

Every layer is cut into tiles of a few dozen metres, so that a frame touches only a handful of short pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json
from nexusflow.data.nuscenes.vocabulary import LOCATIONS

if TYPE_CHECKING:
    from nuscenes.map_expansion.map_api import NuScenesMap

__all__ = ["LocationMap", "load_location_map"]

_COARSE_M, _FINE_M = 400.0, 25.0
_FARTHEST_M = 50_000.0
_LINE, _POLYGON = shapely.GeometryType.LINESTRING, shapely.GeometryType.POLYGON


@dataclass(frozen=True)
class LocationMap:
    """The layers of one location that the targets are drawn from, each an array of shapely pieces.

    Args:
        location: name of the location.
        divider: lines between lanes and between roads.
        crossing_edges: the two longest edges of every pedestrian crossing.
        crossing_area: union of the pedestrian crossings, polygons.
        contour: boundary lines of the union of road segments and lanes.
        drivable: union of the drivable areas, polygons.
        owners: for `divider` and `crossing_edges`, which line each piece was cut from.
    """

    location: str
    divider: np.ndarray
    crossing_edges: np.ndarray
    crossing_area: np.ndarray
    contour: np.ndarray
    drivable: np.ndarray
    owners: dict[str, np.ndarray] = field(default_factory=dict)


def load_location_map(data_root: Path, location: str) -> LocationMap:
    """Read a location's map through the official devkit and prepare its layers.

    The contour is taken from the union over the whole location: inside any patch its rings are those of the
    union clipped to the patch, and the patch's own border never appears.

    Args:
        data_root: folder that holds `maps/expansion/{location}.json`.
        location: one of the four locations.

    Returns:
        The prepared layers.

    Raises:
        UserError: if the file is missing, older than version 1.3, or has a broken record.

    Source: layers and classes as in UniAD's map targets.
    """
    path = Path(data_root) / "maps" / "expansion" / f"{location}.json"
    source = _open(Path(data_root), path, location)
    lines = [
        _geometry(path, layer, record, "line_token", source.extract_line)
        for layer in ("road_divider", "lane_divider")
        for record in getattr(source, layer)
    ]
    crossings = _polygons(path, source, ["ped_crossing"])
    roads = shapely.union_all(_polygons(path, source, ["road_segment", "lane"]))
    edges = [edge for polygon in crossings for edge in _longest_edges(polygon)]
    divider, divider_owner = _tiles(lines, _LINE)
    crossing_edges, crossing_owner = _tiles(edges, _LINE)
    return LocationMap(
        location=location,
        divider=divider,
        crossing_edges=crossing_edges,
        crossing_area=_tiles([shapely.union_all(crossings)], _POLYGON)[0],
        contour=_tiles([shapely.boundary(roads)], _LINE)[0],
        drivable=_tiles([shapely.union_all(_polygons(path, source, ["drivable_area"]))], _POLYGON)[0],
        owners={"divider": divider_owner, "crossing_edges": crossing_owner},
    )


def _open(data_root: Path, path: Path, location: str) -> NuScenesMap:
    """Open a map with the devkit."""
    assert location in LOCATIONS, location
    if not path.is_file():
        raise UserError(f"{path} is missing; extract the map expansion v1.3 into {path.parent}.")
    from nuscenes.map_expansion.map_api import NuScenesMap

    try:
        return NuScenesMap(dataroot=str(data_root), map_name=location)
    except KeyError as error:
        raise UserError(
            f"{path}: key or token {error} is missing; extract the map expansion v1.3 again."
        ) from error
    except Exception as error:
        content = read_json(path)  # raises its own error where the file is no JSON
        version = content.get("version", "1.0") if isinstance(content, dict) else "unknown"
        raise UserError(
            f"{path} cannot be read as a map of version {version} ({type(error).__name__}); "
            "extract the map expansion v1.3."
        ) from error


def _geometry(
    path: Path,
    layer: str,
    record: dict[str, Any],
    key: str,
    extract: Callable[[str], Any],
    token: str | None = None,
) -> shapely.Geometry:
    """Build one line or polygon and check it."""
    try:
        geometry = extract(record[key] if token is None else token)
        # A map is cut into tiles, whose number grows with its extent.
        if not (np.abs(shapely.get_coordinates(geometry)) < _FARTHEST_M).all():
            raise ValueError("a node is not finite or not on any map")
    except (
        KeyError,
        IndexError,
        ValueError,
        TypeError,
        AttributeError,
        shapely.errors.ShapelyError,
    ) as error:
        raise UserError(
            f"{path}: {key} of token {record.get('token')!r} in layer {layer} is broken ({error}); "
            "extract the map expansion v1.3 again."
        ) from error
    return geometry


def _polygons(path: Path, source: NuScenesMap, layers: Iterable[str]) -> list[shapely.Geometry]:
    """Valid polygons of some layers; self-intersecting ones are repaired."""
    found: list[shapely.Geometry] = []
    for layer in layers:
        for record in getattr(source, layer):
            if layer == "drivable_area":  # the one layer whose records own several polygons
                tokens = record.get("polygon_tokens", [])
                if not isinstance(tokens, list):
                    raise UserError(
                        f"{path}: polygon_tokens of token {record.get('token')!r} in layer {layer} "
                        "are no list; extract the map expansion v1.3 again."
                    )
                found += [
                    _geometry(path, layer, record, "polygon_tokens", source.extract_polygon, token)
                    for token in tokens
                ]
            else:
                found.append(_geometry(path, layer, record, "polygon_token", source.extract_polygon))
    return [polygon if polygon.is_valid else shapely.make_valid(polygon) for polygon in found]


def _longest_edges(polygon: shapely.Geometry) -> list[shapely.LineString]:
    """The two longest edges of a polygon's outer ring."""
    edges: list[shapely.LineString] = []
    for part in shapely.get_parts(shapely.get_parts(polygon)):
        if part.geom_type != "Polygon":
            continue
        ring_R2 = shapely.get_coordinates(part.exterior)
        lengths_R = np.linalg.norm(np.diff(ring_R2, axis=0), axis=1)
        longest = np.argsort(lengths_R, kind="stable")[-2:]
        edges += [shapely.LineString(ring_R2[index : index + 2]) for index in longest]
    return edges


def _tiles(
    geometries: Iterable[shapely.Geometry], kind: shapely.GeometryType
) -> tuple[np.ndarray, np.ndarray]:
    """Cut geometries into small pieces of one type; first coarsely, which keeps huge rings cheap.

    Returns the pieces, and the number of the geometry that each was cut from.
    """
    pieces = np.array(list(geometries), dtype=object)
    source = np.arange(len(pieces))
    for side_m in (_COARSE_M, _FINE_M):
        pieces, owner = _cut(pieces, side_m, kind)
        source = source[owner]
    return pieces, source


def _cut(geometries: np.ndarray, side_m: float, kind: shapely.GeometryType) -> tuple[np.ndarray, np.ndarray]:
    """Cut geometries along a square grid and keep the parts of one type, in a fixed order, with their origin.

    A line that runs along a border of the grid is kept on both sides, which draws the same.
    """
    known = np.array(
        [i for i, piece in enumerate(geometries) if piece is not None and not piece.is_empty], dtype=int
    )
    geometries = geometries[known]
    if not len(geometries):
        return geometries, known
    low_2 = np.floor(shapely.bounds(geometries)[:, :2].min(axis=0) / side_m).astype(int)
    high_2 = np.floor(shapely.bounds(geometries)[:, 2:].max(axis=0) / side_m).astype(int) + 1
    columns, rows = np.meshgrid(np.arange(low_2[0], high_2[0]), np.arange(low_2[1], high_2[1]))
    x, y = columns.ravel() * side_m, rows.ravel() * side_m
    squares = shapely.box(x, y, x + side_m, y + side_m)
    owner, square = shapely.STRtree(squares).query(geometries, predicate="intersects")
    order = np.lexsort((square, owner))
    pieces = shapely.intersection(geometries[owner[order]], squares[square[order]])
    groups, of_group = shapely.get_parts(pieces, return_index=True)
    parts, of_part = shapely.get_parts(groups, return_index=True)  # twice: a collection may hold multi-parts
    kept = (shapely.get_type_id(parts) == kind) & ~shapely.is_empty(parts)
    return parts[kept], known[owner[order]][of_group[of_part[kept]]]
