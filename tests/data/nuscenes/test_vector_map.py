"""Maps through the devkit, cut into tiles."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.vector_map import load_location_map

BOSTON = "boston-seaport"


def _change(root: Path, function: Callable[[dict[str, Any]], Any]) -> None:
    path = root / "maps" / "expansion" / f"{BOSTON}.json"
    content = json.loads(path.read_text())
    function(content)
    path.write_text(json.dumps(content))


def test_layers_keep_their_lengths_and_areas(tiny_root: Path) -> None:
    layers = load_location_map(tiny_root, BOSTON)
    assert shapely.length(layers.divider).sum() == pytest.approx(800)
    assert shapely.length(layers.crossing_edges).sum() == pytest.approx(16)  # two edges of 8 m
    assert shapely.area(layers.crossing_area).sum() == pytest.approx(24)
    contour = shapely.union_all(layers.contour)  # a piece on a tile's border comes twice
    assert contour.length == pytest.approx(2 * 400 + 2 * 8)  # the lane lies inside the road
    assert shapely.area(layers.drivable).sum() == pytest.approx(400 * 10 - 4)  # less the hole
    assert shapely.length(layers.divider).max() <= 25 * np.sqrt(2)


def test_empty_layers(broken_root: Path) -> None:
    def clear(content: dict[str, Any]) -> None:
        for layer in (
            "drivable_area",
            "road_segment",
            "lane",
            "ped_crossing",
            "lane_divider",
            "road_divider",
        ):
            content[layer] = []

    _change(broken_root, clear)
    layers = load_location_map(broken_root, BOSTON)
    assert [len(layers.divider), len(layers.contour), len(layers.drivable), len(layers.crossing_edges)] == [
        0
    ] * 4


def test_self_intersecting_polygon_is_repaired(broken_root: Path) -> None:
    def bow_tie(content: dict[str, Any]) -> None:
        tokens = content["polygon"][0]["exterior_node_tokens"]
        tokens[2], tokens[3] = tokens[3], tokens[2]
        content["polygon"][0]["holes"] = []

    _change(broken_root, bow_tie)
    assert shapely.area(load_location_map(broken_root, BOSTON).drivable).sum() == pytest.approx(2000)


def test_line_without_nodes_draws_nothing(broken_root: Path) -> None:
    _change(broken_root, lambda content: content["line"][0].update(node_tokens=[]))
    assert shapely.length(load_location_map(broken_root, BOSTON).divider).sum() == pytest.approx(400)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            lambda c: c["line"][0].update(node_tokens=["gone", "gone"]),
            "line_token of token 'lane_line'.*gone",
        ),
        (
            lambda c: c["polygon"][0].update(exterior_node_tokens=["node/0"]),
            "polygon_tokens of token 'drivable'",
        ),
        (lambda c: c["node"][1].update(x=float("nan")), "'drivable' in layer drivable_area.*not finite"),
        (lambda c: c["node"][0].update(x=float("nan")), "'drivable' in layer drivable_area is broken"),
        (lambda c: c["lane"][0].update(polygon_token="gone"), "'gone' is missing"),
        (lambda c: c.pop("walkway"), "'walkway' is missing"),
        (lambda c: c.update(version="1.2"), r"version 1\.2"),
    ],
)
def test_broken_maps(broken_root: Path, function: Callable[[dict[str, Any]], Any], said: str) -> None:
    _change(broken_root, function)
    with pytest.raises(UserError, match=rf"{BOSTON}\.json.*{said}"):
        load_location_map(broken_root, BOSTON)


def test_missing_and_unreadable_map(broken_root: Path) -> None:
    path = broken_root / "maps" / "expansion" / f"{BOSTON}.json"
    path.write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        load_location_map(broken_root, BOSTON)
    path.unlink()
    with pytest.raises(UserError, match=r"boston-seaport\.json is missing; extract the map expansion v1\.3"):
        load_location_map(broken_root, BOSTON)
