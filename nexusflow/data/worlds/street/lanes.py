"""Vehicles that follow each other: an intelligent-driver model on every lane of the main street."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nexusflow.data.worlds.street.agents import Agent, Body, draw_body
from nexusflow.data.worlds.street.curves import Array
from nexusflow.data.worlds.street.streets import CROSSING_DEPTH_M, STOP_GAP_M, Carriageway, Lane, Street

__all__ = ["Flow", "Red", "draw_rig", "drive_main_street", "lane_agents"]

FRAME_S = 0.5
_STEP_S = 0.25
_WARM_UP_S = 12.0
_REACH_M = 90.0  # lanes are filled this far beyond both ends
_COUPLING_M = 0.6  # between a truck and its trailer
_ACCELERATION, _BRAKING, _HARD_BRAKING, _TIME_GAP_S, _STANDSTILL_M = 1.4, 2.0, 4.0, 1.1, 2.2


@dataclass(frozen=True)
class Red:
    """A crossing of the main street that belongs to pedestrians from `start_s` to `end_s` (scene time)."""

    s_m: float
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Flow:
    """Vehicles of all lanes: bodies front to back, where their front is at every key frame.

    Args:
        units_V: bodies of each unit (a truck with trailer is one unit of two bodies).
        lane_V: index of the lane of each unit.
        lateral_V: offset of each unit, metres.
        front_KV: distance of the front along the lane's direction at each key frame, metres.
    """

    units_V: list[list[Body]]
    lanes: list[Lane]
    lane_V: Array
    lateral_V: Array
    front_KV: Array


def draw_rig(street: Street, rng: np.random.Generator, prefix: str, with_trailer: bool = True) -> list[Body]:
    """Draw the bodies of one vehicle; where the class is trailer, a truck that pulls it comes first."""
    weights = street.style.weights(prefix)
    kind = str(rng.choice(list(weights), p=list(weights.values())))
    if kind != "trailer":
        return [draw_body(street.style, rng, kind)]
    trailer = draw_body(street.style, rng, "trailer")
    return [draw_body(street.style, rng, "truck"), trailer] if with_trailer else [trailer]


def unit_length(unit: list[Body]) -> float:
    """Length from the front of the first body to the rear of the last, metres."""
    return sum(body.size_3[0] for body in unit) + _COUPLING_M * (len(unit) - 1)


def _fill_lane(
    street: Street, rng: np.random.Generator, cyclists: bool, density: float
) -> list[tuple[float, list[Body]]]:
    """Place units along one lane, foremost first: (front, bodies)."""
    style, units = street.style, []
    front = street.plan.length_m + _REACH_M
    mean_gap = (100.0 / style["cyclists"] if cyclists else style["headway"]) / density
    minimum = 3.0 if cyclists else 5.0
    front -= rng.exponential(mean_gap)
    while front > -_REACH_M:
        unit = [draw_body(style, rng, "bicycle")] if cyclists else draw_rig(street, rng, "mix_")
        units.append((front, unit))
        front -= unit_length(unit) + minimum + rng.exponential(max(mean_gap - minimum, 1.0))
    return units


def _lanes(way: Carriageway) -> list[tuple[Lane, bool]]:
    """Driving lanes, then one track for cyclists along each outermost lane: (lane, for cyclists)."""
    lanes = way.lanes()
    half = way.lane_width_m / 2
    tracks = [
        Lane(float(lane.lateral_m + np.sign(lane.lateral_m) * (half - 0.4)), lane.direction, True)
        for lane in lanes
        if lane.outer
    ]
    return [(lane, False) for lane in lanes] + [(track, True) for track in tracks]


def _stop_lines(street: Street, reds: list[Red], direction: int) -> Array:
    """Where fronts halt before each red crossing, along the direction of travel."""
    s = np.array([red.s_m for red in reds])
    along = s if direction > 0 else street.plan.length_m - s
    return along - CROSSING_DEPTH_M / 2 - STOP_GAP_M


def _acceleration(speed_V: Array, desired_V: Array, gap_V: Array, closing_V: Array) -> Array:
    """The intelligent-driver model (Treiber, Hennecke and Helbing 2000, eq. 2)."""
    wish = _STANDSTILL_M + np.maximum(
        speed_V * _TIME_GAP_S + speed_V * closing_V / (2 * np.sqrt(_ACCELERATION * _BRAKING)), 0.0
    )
    free = 1 - (speed_V / desired_V) ** 4
    return np.maximum(_ACCELERATION * (free - (wish / np.maximum(gap_V, 0.1)) ** 2), -8.0)


def drive_main_street(
    street: Street, reds: list[Red], rng: np.random.Generator, key_frames: int, density: float
) -> Flow:
    """Simulate all lanes of the main street.

    Args:
        street: geometry and style.
        reds: crossings given to pedestrians, and when.
        rng: random stream.
        key_frames: how many states to report, half a second apart, from scene time 0.
        density: multiplies the number of vehicles.

    Returns:
        The flow. Nobody overtakes; vehicles halt at reds that they can still obey.
    """
    units: list[list[Body]] = []
    lane_of, front, desired, leader, stops, offsets = [], [], [], [], [], []
    lanes = _lanes(street.main)
    for index, (lane, cyclists) in enumerate(lanes):
        speed = rng.uniform(3.2, 4.8) if cyclists else street.style["speed"] * rng.uniform(0.75, 1.2)
        inward = -0.22 * np.sign(lane.lateral_m) if lane.outer and not cyclists else 0.0
        for k, (at, unit) in enumerate(_fill_lane(street, rng, cyclists, density)):
            leader.append(len(units) - 1 if k else -1)
            units.append(unit)
            lane_of.append(index)
            front.append(at)
            desired.append(speed * rng.uniform(0.88, 1.12))
            offsets.append(lane.lateral_m + inward + rng.uniform(-0.12, 0.12))
            stops.append(_stop_lines(street, reds, lane.direction))
    front_V, desired_V, leader_V = np.array(front), np.array(desired), np.array(leader)
    length_V = np.array([unit_length(unit) for unit in units])
    states = _integrate(front_V, desired_V, leader_V, length_V, np.array(stops), reds, key_frames)
    return Flow(units, [lane for lane, _ in lanes], np.array(lane_of), np.array(offsets), states)


def _integrate(
    front_V: Array,
    desired_V: Array,
    leader_V: Array,
    length_V: Array,
    stop_VR: Array,
    reds: list[Red],
    key_frames: int,
) -> Array:
    """Step the model through warm-up and scene; returns the fronts (K, V) at the key frames."""
    speed_V, followers = desired_V.copy(), leader_V >= 0
    per_frame = round(FRAME_S / _STEP_S)
    warm_up = round(_WARM_UP_S / _STEP_S)
    start_R = np.array([red.start_s for red in reds])
    end_R = np.array([red.end_s for red in reds])
    states = []
    for step in range(warm_up + (key_frames - 1) * per_frame + 1):
        if step >= warm_up and (step - warm_up) % per_frame == 0:
            states.append(front_V.copy())
        time = (step - warm_up) * _STEP_S
        gap_V = np.full(len(front_V), 1e6)
        gap_V[followers] = (front_V - length_V)[leader_V[followers]] - front_V[followers]
        closing_V = np.zeros(len(front_V))
        closing_V[followers] = speed_V[followers] - speed_V[leader_V[followers]]
        pull_V = _acceleration(speed_V, desired_V, gap_V, closing_V)
        if reds:
            gap_VR = stop_VR - front_V[:, None]
            obeys = (gap_VR > -0.5) & (gap_VR > (speed_V**2 / (2 * _HARD_BRAKING))[:, None])
            active = obeys & (time >= start_R) & (time < end_R)
            # the model halts a standstill gap short of the obstacle, so the line is moved on by that much
            stop_V = np.where(active, gap_VR + _STANDSTILL_M, 1e6).min(1)
            pull_V = np.minimum(pull_V, _acceleration(speed_V, desired_V, stop_V, speed_V))
        after_V = np.maximum(speed_V + pull_V * _STEP_S, 0.0)
        after_V[after_V < 0.05] = 0.0
        front_V = front_V + (speed_V + after_V) / 2 * _STEP_S
        speed_V = after_V
    return np.array(states)


def lane_poses(way: Carriageway, lane: Lane, lateral_m: float, centre_K: Array, length_m: float) -> Array:
    """Global poses (K, 3) of boxes whose middle is at `centre_K` along the lane's direction."""
    s = centre_K if lane.direction > 0 else length_m - centre_K
    yaw = way.curve.heading(s) + (0.0 if lane.direction > 0 else np.pi)
    return np.concatenate([way.curve.point(s, lateral_m), yaw[:, None]], axis=1)


def lane_agents(street: Street, flow: Flow) -> list[list[Agent]]:
    """Turn the flow into agents.

    Args:
        street: the street.
        flow: the simulated flow.

    Returns:
        For each unit of the flow its agents, front to back.
    """
    units = []
    for v, unit in enumerate(flow.units_V):
        lane = flow.lanes[int(flow.lane_V[v])]
        front_K, agents = flow.front_KV[:, v], []
        for part, body in enumerate(unit):
            centre_K = front_K - body.size_3[0] / 2
            lateral = float(flow.lateral_V[v])
            poses = lane_poses(street.main, lane, lateral, centre_K, street.plan.length_m)
            agents.append(Agent(f"lane-{v}-{part}", body, poses))
            front_K = front_K - body.size_3[0] - _COUPLING_M
        units.append(agents)
    return units
