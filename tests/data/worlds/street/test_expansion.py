from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shapely import Point, unary_union

from nexusflow.data.worlds.street.layout import LOCATIONS


@pytest.fixture(scope="module")
def maps(tiny_world: Path):
    from nuscenes.map_expansion.map_api import NuScenesMap

    return {name: NuScenesMap(str(tiny_world), name) for name in LOCATIONS}


def _first_pose(nusc, location: str) -> tuple[np.ndarray, float] | None:
    for scene in nusc.scene:
        if nusc.get("log", scene["log_token"])["location"] == location:
            sample = nusc.get("sample", scene["first_sample_token"])
            lidar = nusc.get("sample_data", sample["data"]["LIDAR_TOP"])
            pose = nusc.get("ego_pose", lidar["ego_pose_token"])
            w, _, _, z = pose["rotation"]
            return np.array(pose["translation"][:2]), float(2 * np.arctan2(z, w))
    return None


POLYGONS = ("drivable_area", "road_segment", "lane", "ped_crossing", "walkway")


def test_devkit_draws_all_layers_around_the_ego(nusc, maps) -> None:
    layers = [*POLYGONS, "road_divider", "lane_divider"]
    found = dict.fromkeys(layers, 0.0)
    for location, nusc_map in maps.items():
        pose = _first_pose(nusc, location)
        if pose is None:
            continue
        (x, y), yaw = pose
        mask = nusc_map.get_map_mask((x, y, 50.0, 50.0), np.rad2deg(yaw), layers, (100, 100))
        assert mask.shape == (7, 100, 100)
        assert mask[0, 50, 50] == 1  # the ego is on the road
        assert 0.2 < mask[0].mean() < 0.6
        for name, layer in zip(layers, mask, strict=True):
            found[name] += layer.mean()
        assert nusc_map.get_map_geom((x, y, 50.0, 50.0), 0.0, ["ped_crossing"])
        assert nusc_map.record_on_point(x, y, "road_segment")
    assert all(found.values()), found


@pytest.mark.filterwarnings("ignore")
def test_devkit_renders_a_patch(nusc, maps) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pose = _first_pose(nusc, "boston-seaport")
    assert pose is not None
    (x, y), _ = pose
    patch = (x - 30, y - 30, x + 30, y + 30)
    # the devkit draws polygons by a library that knows only Shapely 1; lines need nothing of the kind
    figure, _ = maps["boston-seaport"].render_map_patch(
        patch, ["road_divider", "lane_divider"], figsize=(3, 3)
    )
    assert figure.axes
    pyplot.close("all")


def test_segments_and_lanes_cover_the_drivable_area_exactly(maps) -> None:
    for nusc_map in maps.values():
        parts = [
            nusc_map.extract_polygon(r["polygon_token"]) for r in (*nusc_map.road_segment, *nusc_map.lane)
        ]
        assert all(part.is_valid for part in parts)
        roads = [nusc_map.extract_polygon(t) for r in nusc_map.drivable_area for t in r["polygon_tokens"]]
        union = unary_union(parts)
        assert union.symmetric_difference(unary_union(roads)).area < 0.5 * len(roads)
        assert sum(len(p.interiors) for p in union.geoms) == 0
        width, height = nusc_map.canvas_edge
        low_x, low_y, high_x, high_y = union.bounds
        assert low_x > 0 and low_y > 0 and high_x < width and high_y < height


def test_base_mask_agrees_with_the_vector_map(nusc, maps) -> None:
    rng = np.random.default_rng(0)
    for record in nusc.map:
        location = next((nusc.get("log", t)["location"] for t in record["log_tokens"]), None)
        if location is None:
            continue
        nusc_map = maps[location]
        ground = unary_union(
            [nusc_map.extract_polygon(t) for r in nusc_map.drivable_area for t in r["polygon_tokens"]]
            + [nusc_map.extract_polygon(r["polygon_token"]) for r in nusc_map.walkway]
        )
        xy = rng.uniform(0, nusc_map.canvas_edge, (300, 2))
        truth = np.array([ground.contains(Point(p)) for p in xy])
        far = np.array([ground.boundary.distance(Point(p)) > 0.5 for p in xy])
        on = record["mask"].is_on_mask(xy[:, 0], xy[:, 1])
        assert truth.any() and np.array_equal(on[far], truth[far])
