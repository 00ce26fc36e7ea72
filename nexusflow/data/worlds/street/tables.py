"""The records of the 13 nuScenes tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from nexusflow.data.worlds.seeds import token
from nexusflow.data.worlds.street.agents import CATEGORIES
from nexusflow.data.worlds.street.layout import LocationPlan, ScenePlan, StreetPlan
from nexusflow.data.worlds.street.rig import LIDAR_CHANNEL, LIDAR_POSITION_M, LIDAR_YAW, Camera, quaternion

__all__ = [
    "ATTRIBUTES", "CATEGORY_NAMES", "TABLES", "base_mask_name", "fixed_tables", "log_name", "log_token",
    "visibility_token", "yaw_quaternion",
]  # fmt: skip

Record = dict[str, Any]

TABLES = (
    "attribute", "calibrated_sensor", "category", "ego_pose", "instance", "log", "map", "sample",
    "sample_annotation", "sample_data", "scene", "sensor", "visibility",
)  # fmt: skip
CATEGORY_NAMES = (
    "animal", "human.pedestrian.adult", "human.pedestrian.child", "human.pedestrian.construction_worker",
    "human.pedestrian.personal_mobility", "human.pedestrian.police_officer", "human.pedestrian.stroller",
    "human.pedestrian.wheelchair", "movable_object.barrier", "movable_object.debris",
    "movable_object.pushable_pullable", "movable_object.trafficcone", "static_object.bicycle_rack",
    "vehicle.bicycle", "vehicle.bus.bendy", "vehicle.bus.rigid", "vehicle.car", "vehicle.construction",
    "vehicle.emergency.ambulance", "vehicle.emergency.police", "vehicle.motorcycle", "vehicle.trailer",
    "vehicle.truck",
)  # fmt: skip
ATTRIBUTES = (
    "vehicle.moving", "vehicle.stopped", "vehicle.parked", "cycle.with_rider", "cycle.without_rider",
    "pedestrian.moving", "pedestrian.standing", "pedestrian.sitting_lying_down",
)  # fmt: skip
_VISIBILITY = ((0, 40), (40, 60), (60, 80), (80, 100))
_VEHICLES = {"boston": "n008", "singapore": "n015"}


def visibility_token(share: float) -> str:
    """The token of the visibility level of a share in [0, 1] of seen pixels."""
    return str(1 + sum(share * 100 >= low for low, _ in _VISIBILITY[1:]))


def yaw_quaternion(yaw: float) -> list[float]:
    """The quaternion (w, x, y, z) of a turn about z by `yaw` rad."""
    half = (yaw + np.pi) % (2 * np.pi) / 2 - np.pi / 2
    return [float(np.cos(half)), 0.0, 0.0, float(np.sin(half))]


def log_name(street: StreetPlan) -> str:
    """The recording's name; all scenes of a street share one."""
    number = int(street.name.rsplit("-", 1)[1])
    day, hour = 1 + number // 24 % 28, number % 24
    month = {"train": 7, "val": 9}[street.split]
    vehicle = _VEHICLES[street.city]
    place = {"boston": "-0400", "singapore": "+0800"}[street.city]
    minute = {"seaport": 0, "onenorth": 10, "queenstown": 20, "hollandvillage": 30}[
        street.location.split("-")[1]
    ]
    return f"{vehicle}-2018-{month:02d}-{day:02d}-{hour:02d}-{minute:02d}-00{place}"


def log_token(seed: int, street: StreetPlan) -> str:
    """The token of a street's recording."""
    return token(seed, "log", street.name)


def base_mask_name(seed: int, location: str) -> str:
    """Path of a location's base mask inside the data set."""
    return f"maps/{token(seed, 'map', location)}.png"


def _sensors(seed: int, cameras: tuple[Camera, ...]) -> tuple[list[Record], list[Record]]:
    """The tables sensor and calibrated_sensor."""
    sensors, calibrated = [], []
    for camera in cameras:
        sensors.append(
            {"token": token(seed, "sensor", camera.channel), "channel": camera.channel, "modality": "camera"}
        )
        calibrated.append(
            {
                "token": token(seed, "calibrated_sensor", camera.channel),
                "sensor_token": token(seed, "sensor", camera.channel),
                "translation": camera.position_3.tolist(),
                "rotation": quaternion(camera.rotation_33),
                "camera_intrinsic": camera.intrinsic_33.tolist(),
            }
        )
    sensors.append(
        {"token": token(seed, "sensor", LIDAR_CHANNEL), "channel": LIDAR_CHANNEL, "modality": "lidar"}
    )
    calibrated.append(
        {
            "token": token(seed, "calibrated_sensor", LIDAR_CHANNEL),
            "sensor_token": token(seed, "sensor", LIDAR_CHANNEL),
            "translation": list(LIDAR_POSITION_M),
            "rotation": yaw_quaternion(LIDAR_YAW),
            "camera_intrinsic": [],
        }
    )
    return sensors, calibrated


def fixed_tables(
    seed: int, cameras: tuple[Camera, ...], locations: tuple[LocationPlan, ...], scenes: tuple[ScenePlan, ...]
) -> dict[str, list[Record]]:
    """Make the tables that do not depend on what happens in the scenes.

    Args:
        seed: seed of the world.
        cameras: the rig.
        locations: all maps.
        scenes: all scenes.

    Returns:
        The tables attribute, calibrated_sensor, category, log, map, sensor and visibility.
    """
    assert set(CATEGORIES.values()) <= set(CATEGORY_NAMES)
    sensors, calibrated = _sensors(seed, cameras)
    streets = list(dict.fromkeys(scene.street for scene in scenes))
    logs = [
        {
            "token": log_token(seed, street),
            "logfile": log_name(street),
            "vehicle": _VEHICLES[street.city],
            "date_captured": "-".join(log_name(street).split("-")[1:4]),
            "location": street.location,
        }
        for street in streets
    ]
    maps = [
        {
            "token": token(seed, "map", plan.location),
            "log_tokens": [log_token(seed, street) for street in streets if street.location == plan.location],
            "category": "semantic_prior",
            "filename": base_mask_name(seed, plan.location),
        }
        for plan in locations
    ]
    named = {
        "attribute": [
            {"token": token(seed, "attribute", n), "name": n, "description": ""} for n in ATTRIBUTES
        ],
        "category": [
            {"token": token(seed, "category", n), "name": n, "description": ""} for n in CATEGORY_NAMES
        ],
    }
    visibility = [
        {
            "token": str(k + 1),
            "level": f"v{low}-{high}",
            "description": f"{low} to {high} % of the object's pixels seen",
        }
        for k, (low, high) in enumerate(_VISIBILITY)
    ]
    return {
        **named,
        "sensor": sensors,
        "calibrated_sensor": calibrated,
        "log": logs,
        "map": maps,
        "visibility": visibility,
    }
