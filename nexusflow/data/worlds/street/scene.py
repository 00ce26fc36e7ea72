"""Makes one scene: drives, renders, measures, writes its files and returns its records."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nexusflow.data.worlds.seeds import generator, token
from nexusflow.data.worlds.street.agents import CATEGORIES, Agent
from nexusflow.data.worlds.street.backdrop import Backdrop, Rays, cast_rays
from nexusflow.data.worlds.street.config import StreetWorldConfig
from nexusflow.data.worlds.street.ground import Ground, paint_ground
from nexusflow.data.worlds.street.lanes import FRAME_S
from nexusflow.data.worlds.street.layout import ScenePlan, StreetPlan
from nexusflow.data.worlds.street.lidar import sweep
from nexusflow.data.worlds.street.render import Rendering, render_view
from nexusflow.data.worlds.street.rig import LIDAR_CHANNEL, build_rig
from nexusflow.data.worlds.street.scenery import Scenery, build_scenery
from nexusflow.data.worlds.street.stage import Moment, Stage
from nexusflow.data.worlds.street.streets import Street, build_street
from nexusflow.data.worlds.street.style import Style
from nexusflow.data.worlds.street.surfaces import Surfaces, build_surfaces
from nexusflow.data.worlds.street.tables import log_name, log_token, visibility_token, yaw_quaternion
from nexusflow.data.worlds.street.traffic import simulate_traffic
from nexusflow.data.worlds.street.weather import draw_light

__all__ = ["SceneResult", "make_scene", "rays_of", "street_of", "style_of"]

Record = dict[str, Any]

_EPOCH_US = 1_532_000_000_000_000
_SCENE_US = 100_000_000
_FRAME_US = round(FRAME_S * 1e6)
_MOVING_MPS = 0.2


@dataclass
class SceneResult:
    """Records per table, and path and sha256 of every file written."""

    number: int
    tables: dict[str, list[Record]]
    files: dict[str, str] = field(default_factory=dict)


def style_of(config: StreetWorldConfig, plan: StreetPlan) -> Style:
    """The style of a street: Boston stays, Singapore moves with the dial."""
    return Style(0.0 if plan.city == "boston" else config.domain_gap)


@lru_cache(maxsize=2)
def rays_of(height: int, width: int, factor: int) -> Rays:
    """The rig's rays, computed once per process."""
    return cast_rays(build_rig(height, width), height, width, factor)


@lru_cache(maxsize=1)
def street_of(config: StreetWorldConfig, plan: StreetPlan) -> tuple[Street, Surfaces, Ground, Scenery]:
    """A street with all that is on it, computed once for the scenes that share it."""
    street = build_street(plan, style_of(config, plan), config.seed)
    surfaces = build_surfaces(street)
    ground = paint_ground(street, surfaces, config.seed, config.ground_cell_m)
    return street, surfaces, ground, build_scenery(street, surfaces, config.seed)


def stage_of(config: StreetWorldConfig, plan: ScenePlan) -> tuple[Stage, Backdrop]:
    """Populate and light the street of a scene."""
    street, _, ground, scenery = street_of(config, plan.street)
    rng = generator(config.seed, "scene", plan.name)
    light = draw_light(street.style, rng)
    traffic = simulate_traffic(street, rng, config.key_frames, config.traffic_density)
    rays = rays_of(config.image_height, config.image_width, config.supersample)
    return Stage(traffic, scenery), Backdrop(rays, ground, light)


def _attribute(agent: Agent, speed: float) -> str:
    """The nuScenes attribute of an agent that moves at `speed` m/s."""
    if agent.body.kind == "pedestrian":
        return "pedestrian.moving" if speed > _MOVING_MPS else "pedestrian.standing"
    if agent.body.kind in ("bicycle", "motorcycle"):
        return "cycle.with_rider" if agent.body.ridden else "cycle.without_rider"
    if agent.parked:
        return "vehicle.parked"
    return "vehicle.moving" if speed > _MOVING_MPS else "vehicle.stopped"


def _speeds(poses_K3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Speed (m/s) at every key frame, by differences to the neighbours; 0 where unknown."""
    velocity = np.gradient(poses_K3[:, :2], FRAME_S, axis=0)
    return np.nan_to_num(np.hypot(velocity[:, 0], velocity[:, 1]))


class _Writer:
    """Collects a scene's records and writes its files."""

    def __init__(self, config: StreetWorldConfig, plan: ScenePlan, root: Path) -> None:
        self.config, self.plan, self.root = config, plan, root
        names = ("ego_pose", "sample", "sample_data", "sample_annotation", "instance", "scene")
        self.result = SceneResult(plan.number, {name: [] for name in names})
        self.last_data: dict[str, Record] = {}
        self.history: dict[int, list[Record]] = {}
        self.last_sample: Record | None = None

    def key(self, *names: str | int) -> str:
        """A token of this scene."""
        return token(self.config.seed, self.plan.name, *names)

    def put(self, table: str, record: Record) -> Record:
        """Add a record."""
        self.result.tables[table].append(record)
        return record

    def file(self, name: str, content: bytes) -> None:
        """Write a file below the data set's root."""
        (self.root / name).write_bytes(content)
        self.result.files[name] = hashlib.sha256(content).hexdigest()

    def sample(self, frame: int, ego_3: NDArray[np.float64]) -> tuple[str, int]:
        """Add the sample and the ego pose of a key frame; returns the sample's token and time."""
        stamp = _EPOCH_US + self.plan.number * _SCENE_US + frame * _FRAME_US
        key = self.key("sample", frame)
        record = {"token": key, "timestamp": stamp, "prev": "", "next": "", "scene_token": self.key("scene")}
        if self.last_sample is not None:
            record["prev"], self.last_sample["next"] = self.last_sample["token"], key
        self.last_sample = self.put("sample", record)
        pose = {
            "token": self.key("ego_pose", frame),
            "timestamp": stamp,
            "rotation": yaw_quaternion(float(ego_3[2])),
            "translation": [round(float(ego_3[0]), 4), round(float(ego_3[1]), 4), 0.0],
        }
        self.put("ego_pose", pose)
        return key, stamp

    def sensor(self, frame: int, sample: tuple[str, int], channel: str, content: bytes) -> None:
        """Write one sensor's file and its sample_data record."""
        camera = channel != LIDAR_CHANNEL
        suffix = "jpg" if camera else "pcd.bin"
        name = f"samples/{channel}/{log_name(self.plan.street)}__{channel}__{sample[1]}.{suffix}"
        self.file(name, content)
        record = {
            "token": self.key("sample_data", channel, frame),
            "sample_token": sample[0],
            "ego_pose_token": self.key("ego_pose", frame),
            "calibrated_sensor_token": token(self.config.seed, "calibrated_sensor", channel),
            "timestamp": sample[1],
            "fileformat": "jpg" if camera else "pcd",
            "is_key_frame": True,
            "height": self.config.image_height if camera else 0,
            "width": self.config.image_width if camera else 0,
            "filename": name,
            "prev": "",
            "next": "",
        }
        last = self.last_data.get(channel)
        if last is not None:
            record["prev"], last["next"] = last["token"], record["token"]
        self.last_data[channel] = self.put("sample_data", record)

    def annotation(self, sample: str, index: int, agent: Agent, pose: list[float], record: Record) -> None:
        """Add an annotation and link it to the instance's last one."""
        length, width, height = agent.body.size_3
        full = {
            "token": self.key("sample_annotation", agent.name, sample),
            "sample_token": sample,
            "instance_token": self.key("instance", agent.name),
            "translation": [round(pose[0], 4), round(pose[1], 4), round(height / 2, 4)],
            "size": [width, length, height],
            "rotation": yaw_quaternion(pose[2]),
            "prev": "",
            "next": "",
            "num_radar_pts": 0,
            **record,
        }
        chain = self.history.setdefault(index, [])
        if chain:
            full["prev"], chain[-1]["next"] = chain[-1]["token"], full["token"]
        chain.append(self.put("sample_annotation", full))

    def close(self, agents: tuple[Agent, ...], weather: str) -> SceneResult:
        """Add the instances and the scene."""
        dropped: set[str] = set()
        for index, chain in self.history.items():
            # as in nuScenes, what no sensor ever hits is not annotated
            if not any(record["num_lidar_pts"] for record in chain):
                dropped.add(chain[0]["instance_token"])
                continue
            self.put(
                "instance",
                {
                    "token": chain[0]["instance_token"],
                    "category_token": token(
                        self.config.seed, "category", CATEGORIES[agents[index].body.kind]
                    ),
                    "nbr_annotations": len(chain),
                    "first_annotation_token": chain[0]["token"],
                    "last_annotation_token": chain[-1]["token"],
                },
            )
        annotations = self.result.tables["sample_annotation"]
        annotations[:] = [record for record in annotations if record["instance_token"] not in dropped]
        samples = self.result.tables["sample"]
        self.put(
            "scene",
            {
                "token": self.key("scene"),
                "log_token": log_token(self.config.seed, self.plan.street),
                "nbr_samples": len(samples),
                "first_sample_token": samples[0]["token"],
                "last_sample_token": samples[-1]["token"],
                "name": self.plan.name,
                "description": f"{self.plan.street.name}, {weather}",
            },
        )
        return self.result


def _annotate(
    writer: _Writer, sample: str, frame: int, stage: Stage, moment: Moment, shares: NDArray[np.float64],
    counts: NDArray[np.int64], speeds: NDArray[np.float64],
) -> None:  # fmt: skip
    """Add the annotations of a key frame."""
    view = moment.view
    distance = np.hypot(view.poses_M3[:, 0], view.poses_M3[:, 1])
    for row, index in enumerate(moment.agents.tolist()):
        if distance[row] > writer.config.annotation_range_m:
            continue
        agent = stage.agents[index]
        record = {
            "visibility_token": visibility_token(float(shares[row])),
            "attribute_tokens": [
                token(writer.config.seed, "attribute", _attribute(agent, float(speeds[index, frame])))
            ],
            "num_lidar_pts": int(counts[row]),
        }
        writer.annotation(sample, index, agent, stage.poses_AK3[index, frame].tolist(), record)


def _shares(rendering: Rendering, agents: int) -> NDArray[np.float64]:
    """Seen part of each agent's outline in [0, 1]; 0 where no camera looks."""
    outline, seen = rendering.outline_A[1 : agents + 1], rendering.seen_A[1 : agents + 1]
    return np.minimum(seen / np.maximum(outline, 1), 1.0)


def make_scene(config: StreetWorldConfig, plan: ScenePlan, root: Path) -> SceneResult:
    """Make a scene.

    Args:
        config: the world.
        plan: the scene's name and street.
        root: folder of the data set, with the ``samples/*`` folders in place.

    Returns:
        Its records and the hashes of its files.
    """
    stage, backdrop = stage_of(config, plan)
    writer = _Writer(config, plan, root)
    speeds = np.array([_speeds(agent.poses_K3) for agent in stage.agents])
    quality = [cv2.IMWRITE_JPEG_QUALITY, config.jpeg_quality]
    for frame in range(config.key_frames):
        rng = generator(config.seed, "frame", plan.name, frame)
        moment = stage.moment(frame)
        rendering = render_view(backdrop, moment.view, backdrop.light, rng)
        count = len(moment.agents)
        silent = np.zeros(len(moment.size_M3), bool)
        silent[:count] = rendering.seen_A[1 : count + 1] == 0
        points, hits = sweep(moment.view.poses_M3, moment.size_M3, count, silent, rng)
        sample = writer.sample(frame, moment.view.ego_3)
        for camera, image in zip(backdrop.rays.cameras, rendering.images_NHW3, strict=True):
            done, encoded = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), quality)
            assert done
            writer.sensor(frame, sample, camera.channel, encoded.tobytes())
        writer.sensor(frame, sample, LIDAR_CHANNEL, points.tobytes())
        _annotate(writer, sample[0], frame, stage, moment, _shares(rendering, count), hits[:count], speeds)
    return writer.close(stage.agents, backdrop.light.weather)
