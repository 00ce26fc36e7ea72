"""Everybody in a scene: through traffic and the ego car, side streets, parked vehicles, people on foot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nexusflow.data.worlds.street.agents import Agent, draw_body
from nexusflow.data.worlds.street.curves import Array
from nexusflow.data.worlds.street.lanes import (
    FRAME_S,
    Flow,
    Red,
    draw_rig,
    drive_main_street,
    lane_agents,
    lane_poses,
    unit_length,
)
from nexusflow.data.worlds.street.layout import MARGIN_M
from nexusflow.data.worlds.street.streets import ARM_LENGTH_M, PARKING_WIDTH_M, Street

__all__ = ["SceneTraffic", "simulate_traffic"]


@dataclass(frozen=True)
class SceneTraffic:
    """The ego's poses (K, 3: global x, y, yaw) and everybody else."""

    ego_K3: Array
    agents: tuple[Agent, ...]


def _draw_reds(street: Street, rng: np.random.Generator) -> list[Red]:
    """Give a few crossings of the main street to pedestrians, at the beginning or at the end of the scene."""
    reds = []
    for crossing in street.crossings:
        chosen, early, when = rng.uniform(size=3)
        if crossing.way is street.main and chosen < 0.2:
            times = (-100.0, 2.0 + 4.0 * when) if early < 0.5 else (1.5 + 4.0 * when, 100.0)
            reds.append(Red(crossing.s_m, *times))
    return reds


def _crossing_people(
    street: Street, reds: list[Red], rng: np.random.Generator, key_frames: int
) -> list[Agent]:
    """People who walk over a red crossing, one to three per crossing."""
    agents = []
    times = np.arange(key_frames) * FRAME_S
    width = street.main.left_m - street.main.right_m
    for k, red in enumerate(reds):
        for n in range(int(rng.integers(1, 4))):
            speed, along, delay = rng.uniform((1.2, -1.1, 0.0), (1.7, 1.1, 2.0))
            leftward = rng.uniform() < 0.5
            # early reds end when the walk does, late ones begin two seconds before it
            start = red.end_s - delay - width / speed if red.start_s < 0 else red.start_s + 2.0 + delay
            progress = np.clip((times - start) * speed, -1.0 - 0.4 * n, width + 1.0 + 0.4 * n)
            y = street.main.right_m + progress if leftward else street.main.left_m - progress
            yaw = street.main.curve.heading(red.s_m) + (1 if leftward else -1) * np.pi / 2
            xy = street.main.curve.point(red.s_m + along, y)
            poses = np.concatenate([xy, np.full((key_frames, 1), yaw)], 1)
            agents.append(Agent(f"crossing-{k}-{n}", draw_body(street.style, rng, "pedestrian"), poses))
    return agents


def _pavement_people(
    street: Street, rng: np.random.Generator, key_frames: int, density: float
) -> list[Agent]:
    """Walkers on fixed tracks of both pavements, people who stand near the kerb, bicycles left there."""
    agents: list[Agent] = []
    main, length = street.main, street.plan.length_m
    times = np.arange(key_frames) * FRAME_S
    scale = (street.pavement_m - 2.5) / 1.5
    for sign in (1, -1):
        for n in range(int(rng.poisson(street.style["walkers"] * density * length / 100))):
            s0, speed, track, stands, turn = rng.uniform((0, 1.0, 0, 0, 0), (length, 1.6, 1, 1, 2 * np.pi))
            body = draw_body(street.style, rng, "pedestrian")
            if stands < 0.2:
                s, extra, yaw = np.full(key_frames, s0), 0.8 + 0.8 * track, np.full(key_frames, turn)
                if any(abs(s0 - arm.junction_m) < 8.0 for arm in street.arms):
                    continue
            else:
                direction = 1 if track < 0.5 else -1
                s = s0 + direction * speed * times
                extra = 2.3 + scale * (round(3 * track) * 0.5)
                yaw = main.curve.heading(s) + (0.0 if direction > 0 else np.pi)
            xy = main.curve.point(s, sign * (main.edge_m(sign) + extra))
            agents.append(Agent(f"walker-{sign}-{n}", body, np.concatenate([xy, yaw[:, None]], 1)))
        for n in range(int(rng.poisson(0.6 * density * length / 100))):
            s0, turn = rng.uniform((0, -0.3), (length, 0.3))
            body = draw_body(street.style, rng, "bicycle", ridden=False)
            if any(abs(s0 - arm.junction_m) < 8.0 for arm in street.arms):
                continue
            xy = main.curve.point(s0, sign * (main.edge_m(sign) + 0.5))
            pose = np.array([*xy, main.curve.heading(s0) + turn])
            agents.append(Agent(f"bicycle-{sign}-{n}", body, np.tile(pose, (key_frames, 1)), parked=True))
    return agents


def _parked(street: Street, rng: np.random.Generator, key_frames: int, density: float) -> list[Agent]:
    """Vehicles in the parking lanes, clear of junctions and crossings."""
    agents: list[Agent] = []
    main = street.main
    for sign, count, width in zip((1, -1), main.counts, main.parking_m, strict=True):
        if width == 0.0:
            continue
        lateral = sign * (count * main.lane_width_m + PARKING_WIDTH_M / 2)
        ahead = main.side * sign
        for low, high in main.blocks:
            s = low + 0.5 + rng.exponential(4.0 / density)
            while True:
                (body,) = draw_rig(street, rng, "park_", with_trailer=False)
                length = body.size_3[0]
                if s + length > high - 0.5:
                    break
                middle = s + length / 2
                xy = main.curve.point(middle, lateral + rng.uniform(-0.08, 0.08))
                yaw = main.curve.heading(middle) + (0.0 if ahead > 0 else np.pi) + rng.normal(0, 0.02)
                pose = np.tile([*xy, yaw], (key_frames, 1))
                agents.append(Agent(f"parked-{sign}-{len(agents)}", body, pose, parked=True))
                s += length + 1.0 + rng.exponential(10.0 / density)
    return agents


def _side_traffic(street: Street, rng: np.random.Generator, key_frames: int, density: float) -> list[Agent]:
    """Vehicles that wait at the mouths of side streets, and some that drive away along them."""
    agents: list[Agent] = []
    times = np.arange(key_frames) * FRAME_S
    for k, arm in enumerate(street.arms):
        inbound, outbound = sorted(arm.way.lanes(), key=lambda lane: lane.direction)
        front = arm.stop_m + rng.uniform(0.0, 0.6)
        while rng.uniform() < 0.55 * min(density, 1.5):
            unit = draw_rig(street, rng, "mix_")
            if front + unit_length(unit) > ARM_LENGTH_M - 2.0:
                break
            for part, body in enumerate(unit):
                middle = np.full(key_frames, ARM_LENGTH_M - front - body.size_3[0] / 2)
                poses = lane_poses(arm.way, inbound, inbound.lateral_m, middle, ARM_LENGTH_M)
                agents.append(Agent(f"waiting-{k}-{len(agents)}-{part}", body, poses))
                front += body.size_3[0] + 0.6
            front += rng.uniform(0.8, 2.0)
        if rng.uniform() < 0.45 * density:
            body = draw_body(street.style, rng, str(rng.choice(["car", "motorcycle", "bicycle", "truck"])))
            start, speed = rng.uniform((5.0, 1.5), (22.0, 5.0))
            middle = arm.stop_m + start + speed * times
            poses = lane_poses(arm.way, outbound, outbound.lateral_m, middle, ARM_LENGTH_M)
            poses[middle > ARM_LENGTH_M - 6.0] = np.nan
            agents.append(Agent(f"leaving-{k}", body, poses))
    return agents


def _choose_ego(street: Street, flow: Flow, rng: np.random.Generator) -> int:
    """Pick a car that stays clear of the street's ends, one that gets along if there is any."""
    cars = [v for v, unit in enumerate(flow.units_V) if len(unit) == 1 and unit[0].kind == "car"]
    candidates = np.array(cars if cars else [v for v, unit in enumerate(flow.units_V) if len(unit) == 1])
    front_KC = flow.front_KV[:, candidates]
    margin = MARGIN_M - 5.0
    outside = np.maximum(margin - front_KC.min(0), front_KC.max(0) - (street.plan.length_m - margin))
    travel = front_KC[-1] - front_KC[0]
    duration = (flow.front_KV.shape[0] - 1) * FRAME_S
    penalty = np.maximum(outside, 0.0) + 2.0 * np.maximum(2.0 * duration - travel, 0.0)
    best = np.flatnonzero(penalty <= penalty.min() + 1e-9)
    return int(candidates[rng.choice(best)])


def simulate_traffic(
    street: Street, rng: np.random.Generator, key_frames: int, density: float
) -> SceneTraffic:
    """Populate a street for one scene.

    Args:
        street: geometry and style.
        rng: the scene's random stream.
        key_frames: number of key frames, half a second apart.
        density: multiplies the number of road users.

    Returns:
        The ego's way and everybody else, in a fixed order.
    """
    reds = _draw_reds(street, rng)
    flow = drive_main_street(street, reds, rng, key_frames, density)
    ego = _choose_ego(street, flow, rng)
    units = lane_agents(street, flow)
    agents = [agent for v, unit in enumerate(units) if v != ego for agent in unit]
    agents += _parked(street, rng, key_frames, density)
    agents += _side_traffic(street, rng, key_frames, density)
    agents += _crossing_people(street, reds, rng, key_frames)
    agents += _pavement_people(street, rng, key_frames, density)
    return SceneTraffic(units[ego][0].poses_K3, tuple(agents))
