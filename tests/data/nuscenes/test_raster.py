"""Targets of the tiny street, cell by cell.

Ego at s = 100, cells of 1 m, half-width 10 m: street coordinate d is row d + 10, s is column s - 90. Dividers
lie on d = -0.5 (row 9) and d = 2.5 (row 12), contours on d = -3.5 (row 6) and d = 4.5 (row 14), the long
edges of the crossing on s = 104.5 (column 14) and s = 107.5 (column 17). The drivable area covers rows 6..15
but for a hole of rows 9, 10 and columns 1, 2.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from nuscenes.map_expansion.map_api import NuScenesMap

from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.geometry import rigid
from nexusflow.data.nuscenes.raster import MapRasteriser
from nexusflow.data.nuscenes.vector_map import load_location_map
from tests.data.nuscenes.tiny_root import HEADING, quaternion, to_global

LOCATIONS = ["boston-seaport", "singapore-onenorth"]


def _draw(
    root: Path, location: str, config: NuScenesReaderConfig, s: float = 100.0, turn: float = 0.0
) -> np.ndarray:
    pose = rigid(
        np.array(quaternion(HEADING[location] + turn)), np.array([*to_global(location, s, 0.0), 0.0])
    )
    return MapRasteriser(load_location_map(root, location), config).draw(pose)


def _full() -> np.ndarray:
    """Targets without the overlap rule."""
    target = np.zeros((4, 20, 20), np.uint8)
    target[0, [9, 12]] = 1
    target[1, 6:15, [14, 17]] = 1
    target[2, [6, 14]] = 1
    target[3, 6:16] = 1
    target[3, 9:11, 1:3] = 0
    return target


@pytest.mark.parametrize("location", LOCATIONS)
def test_lines_and_areas_cell_by_cell(
    tiny_root: Path, tiny_config: NuScenesReaderConfig, location: str
) -> None:
    config = tiny_config.model_copy(update={"overlap_rule": False})
    np.testing.assert_array_equal(_draw(tiny_root, location, config), _full())


@pytest.mark.parametrize("location", LOCATIONS)
def test_overlap_rule(tiny_root: Path, tiny_config: NuScenesReaderConfig, location: str) -> None:
    expected = _full()
    expected[0, :, [14, 17]] = 0  # the crossing erases dividers
    expected[1, [6, 14]] = 0  # the contour erases the crossing
    np.testing.assert_array_equal(_draw(tiny_root, location, tiny_config), expected)


def test_thick_eraser(tiny_root: Path, tiny_config: NuScenesReaderConfig) -> None:
    config = tiny_config.model_copy(update={"erase_width_m": 4.0})
    target = _draw(tiny_root, "boston-seaport", config)
    assert not target[0, 12].any()  # two cells from the contour at row 14
    assert target[0, 9, :11].all()
    assert target[2].sum() == 40


def test_the_target_moves_with_the_vehicle(tiny_root: Path, tiny_config: NuScenesReaderConfig) -> None:
    target = _draw(tiny_root, "boston-seaport", tiny_config, s=103.0)
    assert np.flatnonzero(target[1].any(axis=0)).tolist() == [11, 14]


def test_turning_left_turns_the_target_right(tiny_root: Path, tiny_config: NuScenesReaderConfig) -> None:
    """A vehicle across the street sees d along +x: what was row d + 10 becomes column d + 10."""
    config = tiny_config.model_copy(update={"overlap_rule": False})
    target = _draw(tiny_root, "boston-seaport", config, turn=np.pi / 2)
    np.testing.assert_array_equal(target, _full().transpose(0, 2, 1)[:, ::-1])


def test_crossing_as_polygon(tiny_root: Path, tiny_config: NuScenesReaderConfig) -> None:
    config = tiny_config.model_copy(update={"crossing": "polygon"})
    target = _draw(
        tiny_root, "boston-seaport", config, s=100.5
    )  # crossing covers s = 104..107 of the ego's 0.5 shift
    assert np.flatnonzero(target[1].any(axis=0)).tolist() == [14, 15, 16]
    assert np.flatnonzero(target[1].any(axis=1)).tolist() == list(range(7, 14))
    assert not target[0, :, 14:17].any()


def test_line_width_is_opencvs(tiny_root: Path, tiny_config: NuScenesReaderConfig) -> None:
    """OpenCV's thickness 2 covers three cells, as in the reference implementation."""
    config = tiny_config.model_copy(update={"line_width_px": 2, "overlap_rule": False})
    target = _draw(tiny_root, "boston-seaport", config)
    assert np.flatnonzero(target[2].any(axis=1)).tolist() == [5, 6, 7, 13, 14, 15]


def test_off_the_map(tiny_root: Path, tiny_config: NuScenesReaderConfig) -> None:
    assert not _draw(tiny_root, "boston-seaport", tiny_config, s=5000.0).any()


@pytest.mark.parametrize("turn", [0.0, 0.4, -2.0])
def test_areas_and_lines_lie_where_the_devkit_draws_them(
    tiny_root: Path, tiny_config: NuScenesReaderConfig, turn: float
) -> None:
    """The devkit rounds vertices to cells, so masks may differ by up to two cells along outlines."""
    config = tiny_config.model_copy(update={"map_cells": 100, "line_width_px": 2, "overlap_rule": False})
    location = "singapore-onenorth"
    target = _draw(tiny_root, location, config, s=101.3, turn=turn)
    x, y = to_global(location, 101.3, 0.0)
    theirs = NuScenesMap(str(tiny_root), location).get_map_mask(
        (x, y, 20.0, 20.0),
        np.degrees(HEADING[location] + turn),
        ["drivable_area", "lane_divider"],
        (100, 100),
    )
    brush = np.ones((5, 5), np.uint8)
    assert (target[3] & theirs[0]).sum() / (target[3] | theirs[0]).sum() > 0.95
    assert not (target[3] & ~cv2.dilate(theirs[0], brush)).any()
    assert theirs[1].any()
    assert not (theirs[1] & ~cv2.dilate(target[0], brush)).any()  # ours also holds the road divider


@pytest.mark.parametrize("crossing", ["edges", "polygon"])
@pytest.mark.parametrize("overlap_rule", [True, False])
@pytest.mark.parametrize("turn", [0.0, 0.7])
def test_instances_cover_exactly_the_class_masks(
    tiny_root: Path, tiny_config: NuScenesReaderConfig, crossing: str, overlap_rule: bool, turn: float
) -> None:
    update = {"crossing": crossing, "overlap_rule": overlap_rule, "line_width_px": 2, "map_cells": 50}
    config = tiny_config.model_copy(update=update)
    pose = rigid(
        np.array(quaternion(HEADING[LOCATIONS[0]] + turn)), np.array([*to_global(LOCATIONS[0], 101.7, 0), 0])
    )
    rasteriser = MapRasteriser(load_location_map(tiny_root, LOCATIONS[0]), config)
    pieces = rasteriser.draw_instances(pose)
    assert pieces.dtype == np.int16 and pieces.max() > 1
    np.testing.assert_array_equal(pieces > 0, rasteriser.draw(pose))
    for canvas in pieces:  # numbered from 1, without gaps
        assert set(np.unique(canvas)) - {0} == set(range(1, canvas.max() + 1))


def test_instances_are_the_lines_of_the_map(tiny_root: Path, tiny_config: NuScenesReaderConfig) -> None:
    """Two dividers, two edges of a crossing, two sides of the road, one drivable area."""
    config = tiny_config.model_copy(update={"overlap_rule": False})
    pose = rigid(np.array(quaternion(0.0)), np.array([*to_global("boston-seaport", 100.0, 0.0), 0.0]))
    pieces = MapRasteriser(load_location_map(tiny_root, "boston-seaport"), config).draw_instances(pose)
    assert pieces.max((1, 2)).tolist() == [2, 2, 2, 1]
    for number, rows in ((0, (9, 12)), (2, (6, 14))):
        ids = [np.unique(pieces[number, row]).tolist() for row in rows]
        assert sorted(ids) == [[1], [2]]
    assert sorted(np.unique(pieces[1, 6:15, column]).tolist() for column in (14, 17)) == [[1], [2]]


def test_an_erased_instance_stays_one(tiny_root: Path, tiny_config: NuScenesReaderConfig) -> None:
    """The crossing cuts the dividers into parts, which keep their number."""
    pose = rigid(np.array(quaternion(0.0)), np.array([*to_global("boston-seaport", 100.0, 0.0), 0.0]))
    pieces = MapRasteriser(load_location_map(tiny_root, "boston-seaport"), tiny_config).draw_instances(pose)
    assert not pieces[0, 12, 14] and pieces[0, 12, 13] == pieces[0, 12, 19] > 0
