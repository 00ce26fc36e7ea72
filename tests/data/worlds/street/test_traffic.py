from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nexusflow.data.worlds.seeds import generator
from nexusflow.data.worlds.street.agents import KINDS
from nexusflow.data.worlds.street.config import StreetWorldConfig
from nexusflow.data.worlds.street.layout import plan_world
from nexusflow.data.worlds.street.painter import footprints
from nexusflow.data.worlds.street.streets import build_street
from nexusflow.data.worlds.street.style import Style
from nexusflow.data.worlds.street.traffic import SceneTraffic, simulate_traffic

OFFICIAL = {
    "train": [f"scene-{k:04d}" for k in range(700)],
    "val": [f"scene-{k:04d}" for k in range(800, 950)],
}


def _traffic(number: int, city: str, gap: float = 0.25, split: str = "train") -> tuple[SceneTraffic, bool]:
    plan = plan_world(StreetWorldConfig(), OFFICIAL)
    scene = [s for s in plan.scenes if s.street.city == city and s.split == split][number]
    street = build_street(scene.street, Style(0.0 if city == "boston" else gap), 0)
    return simulate_traffic(street, generator(0, "test", scene.name), 20, 1.0), street.keeps_left


@pytest.mark.parametrize("city", ["boston", "singapore"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_all_classes_come_near_the_ego(city: str, split: str) -> None:
    near: Counter[str] = Counter()
    for number in range(0, 16, 2):
        traffic, _ = _traffic(number, city, split=split)
        for agent in traffic.agents:
            distance = np.hypot(*(agent.poses_K3 - traffic.ego_K3)[:, :2].T)
            near[agent.body.kind] += int((distance < 25).any())
    assert set(near) == set(KINDS)
    assert min(near.values()) >= 6, near


@pytest.mark.parametrize(
    ("city", "gap", "left"), [("singapore", 1.0, True), ("singapore", 0.0, False), ("boston", 1.0, False)]
)
def test_oncoming_traffic_passes_on_the_other_side(city: str, gap: float, left: bool) -> None:
    offsets = []
    for number in range(3):
        traffic, keeps_left = _traffic(number, city, gap)
        assert keeps_left == left
        for agent in traffic.agents:
            turn = np.cos(agent.poses_K3[:, 2] - traffic.ego_K3[:, 2])
            if not agent.name.startswith("lane") or np.nanmax(turn) > -0.9:
                continue
            shift = (agent.poses_K3 - traffic.ego_K3)[:, :2]
            yaw = traffic.ego_K3[:, 2]
            side = -np.sin(yaw) * shift[:, 0] + np.cos(yaw) * shift[:, 1]
            offsets.append(side[np.hypot(*shift.T) < 25])
    sides = np.concatenate(offsets)
    assert len(sides) > 20
    assert np.all(sides < 0) if left else np.all(sides > 0)


def test_motion_is_plausible() -> None:
    for number in range(4):
        traffic, _ = _traffic(number, "boston")
        for agent in traffic.agents:
            step = np.hypot(*np.diff(agent.poses_K3[:, :2], axis=0).T) / 0.5
            step = step[np.isfinite(step)]
            limit = {"pedestrian": 2.0, "bicycle": 6.0}.get(agent.body.kind, 13.0)
            assert step.size == 0 or step.max() < limit
            assert not agent.parked or step.max() == 0
            moving = np.flatnonzero(np.nan_to_num(np.hypot(*np.diff(agent.poses_K3[:, :2], axis=0).T)) > 0.5)
            for k in moving:  # everybody moves where it points
                way = agent.poses_K3[k + 1, :2] - agent.poses_K3[k, :2]
                yaw = agent.poses_K3[k, 2]
                assert way @ [np.cos(yaw), np.sin(yaw)] > 0.95 * np.linalg.norm(way)
        travelled = np.hypot(*np.diff(traffic.ego_K3[:, :2], axis=0).T).sum()
        assert 5 < travelled < 100


def test_vehicles_of_a_lane_do_not_overlap() -> None:
    from shapely import Polygon, STRtree

    for number in range(3):
        traffic, _ = _traffic(number, "singapore")
        agents = [a for a in traffic.agents if a.body.kind not in ("pedestrian", "bicycle")]
        for frame in (0, 10, 19):
            poses = np.array([a.poses_K3[frame] for a in agents])
            there = np.isfinite(poses[:, 0])
            size = np.array([a.body.size_3[:2] for a in agents]) - 0.1
            boxes = [Polygon(c) for c in footprints(poses[there], size[there])]
            hits = STRtree(boxes).query(boxes, predicate="intersects")
            assert (hits[0] == hits[1]).all()
