from __future__ import annotations

import numpy as np
import pytest

from nexusflow.data.worlds.street.layout import StreetPlan
from nexusflow.data.worlds.street.streets import Street, build_street
from nexusflow.data.worlds.street.style import Style
from nexusflow.data.worlds.street.surfaces import build_surfaces


def _street(number: int, gap: float) -> Street:
    name = f"singapore-onenorth-train-{number:03d}"
    plan = StreetPlan(name, "singapore-onenorth", "train", (200.0, 150.0), 240.0, False)
    return build_street(plan, Style(gap), seed=0)


def test_traffic_side_follows_the_dial() -> None:
    gaps = np.linspace(0, 1, 9)
    sides = np.array([[_street(n, g).keeps_left for g in gaps] for n in range(30)])
    assert not sides[:, 0].any() and sides[:, -1].all()
    assert np.all(np.diff(sides.astype(int), axis=1) >= 0)
    assert 0 < sides[:, 4].mean() < 1


def test_geometry_moves_a_little_when_the_dial_does() -> None:
    for number in range(6):
        a, b = _street(number, 0.30).main, _street(number, 0.31).main
        assert np.abs(a.curve.xy_N2 - b.curve.xy_N2).max() < 0.5
        assert abs(a.lane_width_m - b.lane_width_m) < 0.01


@pytest.mark.parametrize("gap", [0.0, 1.0])
def test_lanes_lie_on_the_side_that_traffic_keeps(gap: float) -> None:
    street = _street(1, gap)
    for way in street.ways:
        for lane in way.lanes():
            keeps_left = np.sign(lane.lateral_m) == lane.direction
            assert keeps_left == (gap == 1.0)
            assert way.right_m < lane.lateral_m < way.left_m


def test_surfaces_are_consistent() -> None:
    for number in range(4):
        street = _street(number, 0.5)
        surfaces = build_surfaces(street)
        assert surfaces.drivable.is_valid and not surfaces.drivable.interiors
        grown = surfaces.drivable.buffer(0.05)
        for lane in surfaces.lanes:
            assert grown.contains(lane)
        for corners in surfaces.crossings:
            width, depth = np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[2] - corners[1])
            assert width > depth  # the two longest edges run over the road
        for pavement in surfaces.pavements:
            assert pavement.intersection(surfaces.drivable).area < 0.5
