"""A hand-made nuScenes root whose truth is known: two scenes in two cities, on one straight street.

Both cities hold the same street, seen from a vehicle that drives along it. Street coordinates: s along it, d
to the left of the vehicle's path, metres. Boston's street runs along +x, Singapore's along +y, so targets and
boxes in the ego frame must be equal although the global frames differ. The vehicle is at s = 100, 102, 104 at
the key frames (0.5 s apart); cameras fire 0.05 s after the lidar, when it is 0.2 m further.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from nexusflow.data.nuscenes.vocabulary import CAMERAS

VERSION = "v1.0-trainval"
SCENES = {
    "scene-0001": "boston-seaport",
    "scene-0003": "singapore-onenorth",
}  # train, val in the devkit's lists
HEADING = {"boston-seaport": 0.0, "singapore-onenorth": np.pi / 2}
FRAMES, SPEED, STEP_S, CAMERA_LAG_S = 3, 4.0, 0.5, 0.05
WIDTH, HEIGHT, FOCAL = 112, 64, 50.0
CAMERA_YAW = dict(zip(CAMERAS, np.radians([0, -60, 60, 180, 120, -120]), strict=True))
MOUNT = (1.5, 0.0, 1.5)
CATEGORIES = ("vehicle.car", "vehicle.bus.rigid", "human.pedestrian.adult", "movable_object.barrier")

# name → category, s and d at frame 0, speed along s, heading against the street, (w, l, h), points, frames.
OBJECTS: dict[
    str, tuple[str, float, float, float, float, tuple[float, float, float], int, tuple[int, ...]]
] = {
    "parked_car": ("vehicle.car", 109.0, 3.0, 0.0, 0.5, (2.0, 4.0, 1.5), 7, (0, 1, 2)),
    "bus": ("vehicle.bus.rigid", 95.0, -2.0, 3.0, 0.0, (2.5, 10.0, 3.0), 3, (0, 1, 2)),
    "lone_pedestrian": ("human.pedestrian.adult", 101.0, 4.0, 0.0, 0.0, (0.6, 0.7, 1.8), 1, (1,)),
    "unseen_car": ("vehicle.car", 103.0, 1.0, 0.0, 0.0, (2.0, 4.0, 1.5), 0, (0, 1, 2)),
    "far_car": ("vehicle.car", 140.0, 0.0, 0.0, 0.0, (2.0, 4.0, 1.5), 9, (0, 1, 2)),
    "barrier": ("movable_object.barrier", 104.0, 0.0, 0.0, 0.0, (2.0, 0.5, 1.0), 9, (0, 1, 2)),
}


def to_global(location: str, s: float, d: float) -> tuple[float, float]:
    """Street coordinates → global x, y."""
    return (s, 199.5 + d) if location == "boston-seaport" else (300.0 - d, s)


def quaternion(yaw: float) -> list[float]:
    """Rotation about z, scalar first."""
    return [float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))]


def image_colour(scene: int, frame: int, camera: int) -> tuple[int, int, int]:
    """RGB of the uniform image of a camera."""
    return 100 * scene + 20, 60 * frame + 40, 30 * camera + 30


def write_tiny_root(root: Path, image_scale: int = 1) -> None:
    """Write the root; images and intrinsics are enlarged by `image_scale`."""
    tables: dict[str, list[dict[str, Any]]] = {
        "attribute": [],
        "visibility": [],
        "category": [{"token": f"category/{name}", "name": name} for name in CATEGORIES],
        "sensor": [{"token": "sensor/LIDAR_TOP", "channel": "LIDAR_TOP", "modality": "lidar"}],
        "calibrated_sensor": [
            {
                "token": "calibrated/LIDAR_TOP",
                "sensor_token": "sensor/LIDAR_TOP",
                "translation": [0.9, 0.0, 1.8],
                "rotation": quaternion(-np.pi / 2),
                "camera_intrinsic": [],
            }
        ],
        **{name: [] for name in ("instance", "ego_pose", "log", "scene", "sample", "sample_data")},
        "sample_annotation": [],
        "map": [],
    }
    for channel in CAMERAS:
        _add_camera(tables, channel, image_scale)
    for index, (name, location) in enumerate(SCENES.items()):
        _add_scene(tables, root, index, name, location, image_scale)
        _write_map(root, location)
    (root / "maps" / "mask.png").write_bytes(cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes())
    tables["map"].append(
        {"token": "map", "filename": "maps/mask.png", "log_tokens": [log["token"] for log in tables["log"]]}
    )
    (root / VERSION).mkdir(parents=True, exist_ok=True)
    for table, records in tables.items():
        (root / VERSION / f"{table}.json").write_text(json.dumps(records))


def _add_camera(tables: dict[str, list[dict[str, Any]]], channel: str, image_scale: int) -> None:
    """A pinhole camera: x right, y down, z along its yaw."""
    axes = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # camera → ego at yaw 0
    turned = Rotation.from_euler("z", CAMERA_YAW[channel]) * Rotation.from_matrix(axes)
    focal = FOCAL * image_scale
    tables["sensor"].append({"token": f"sensor/{channel}", "channel": channel, "modality": "camera"})
    tables["calibrated_sensor"].append(
        {
            "token": f"calibrated/{channel}",
            "sensor_token": f"sensor/{channel}",
            "translation": list(MOUNT),
            "rotation": turned.as_quat(scalar_first=True).tolist(),
            "camera_intrinsic": [
                [focal, 0.0, WIDTH * image_scale / 2],
                [0.0, focal, HEIGHT * image_scale / 2],
                [0.0, 0.0, 1.0],
            ],
        }
    )


def _add_scene(
    tables: dict[str, list[dict[str, Any]]],
    root: Path,
    index: int,
    name: str,
    location: str,
    image_scale: int,
) -> None:
    """A scene with its log, key frames, images and annotations."""
    tables["log"].append({"token": f"log/{name}", "logfile": f"log-{index}", "location": location})
    tables["scene"].append({"token": f"token/{name}", "name": name, "log_token": f"log/{name}"})
    start = 1_500_000_000_000_000 + index * 1_000_000_000
    for frame in range(FRAMES):
        sample = f"{name}/{frame}"
        stamp = start + int(frame * STEP_S * 1e6)
        tables["sample"].append({"token": sample, "scene_token": f"token/{name}", "timestamp": stamp})
        for channel in ("LIDAR_TOP", *CAMERAS):
            lag = 0.0 if channel == "LIDAR_TOP" else CAMERA_LAG_S
            s = 100.0 + SPEED * (frame * STEP_S + lag)
            token = f"{sample}/{channel}"
            tables["ego_pose"].append(
                {
                    "token": token,
                    "timestamp": stamp + int(lag * 1e6),
                    "translation": [*to_global(location, s, 0.0), 0.0],
                    "rotation": quaternion(HEADING[location]),
                }
            )
            is_camera = channel != "LIDAR_TOP"
            filename = f"samples/{channel}/{name}_{frame}.{'jpg' if is_camera else 'pcd.bin'}"
            tables["sample_data"].append(
                {
                    "token": token,
                    "sample_token": sample,
                    "ego_pose_token": token,
                    "calibrated_sensor_token": f"calibrated/{channel}",
                    "is_key_frame": True,
                    "filename": filename,
                    "timestamp": stamp + int(lag * 1e6),
                    "width": WIDTH * image_scale if is_camera else 0,
                    "height": HEIGHT * image_scale if is_camera else 0,
                }
            )
            if is_camera:  # the point clouds are left out on purpose
                colour = image_colour(index, frame, CAMERAS.index(channel))
                picture = np.full((HEIGHT * image_scale, WIDTH * image_scale, 3), colour[::-1], np.uint8)
                path = root / filename
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    # The second scene's last key frame has no annotation at all.
    last = FRAMES if index == 0 else FRAMES - 1
    for key, (category, s, d, speed, yaw, size, points, frames) in OBJECTS.items():
        instance = f"{name}/{key}"
        tables["instance"].append({"token": instance, "category_token": f"category/{category}"})
        present = [frame for frame in frames if frame < last]
        for frame in present:
            x, y = to_global(location, s + speed * frame * STEP_S, d)
            tables["sample_annotation"].append(
                {
                    "token": f"{instance}/{frame}",
                    "sample_token": f"{name}/{frame}",
                    "instance_token": instance,
                    "translation": [x, y, size[2] / 2],
                    "size": list(size),
                    "rotation": quaternion(HEADING[location] + yaw),
                    "num_lidar_pts": points,
                    "num_radar_pts": 0,
                    "visibility_token": "",
                    "attribute_tokens": [],
                    "prev": f"{instance}/{frame - 1}" if frame - 1 in present else "",
                    "next": f"{instance}/{frame + 1}" if frame + 1 in present else "",
                }
            )


class _MapBuilder:
    """Collects nodes, lines and polygons given in street coordinates."""

    def __init__(self, location: str) -> None:
        self.location = location
        layers = "node line polygon drivable_area road_segment road_block lane ped_crossing walkway stop_line"
        layers += " carpark_area road_divider lane_divider traffic_light lane_connector"
        self.content: dict[str, Any] = {layer: [] for layer in layers.split()}
        self.content |= {
            "version": "1.3",
            "canvas_edge": [400.0, 400.0],
            "arcline_path_3": {},
            "connectivity": {},
        }

    def _nodes(self, points: list[tuple[float, float]]) -> list[str]:
        tokens = []
        for s, d in points:
            x, y = to_global(self.location, s, d)
            tokens.append(f"node/{len(self.content['node'])}")
            self.content["node"].append({"token": tokens[-1], "x": x, "y": y})
        return tokens

    def polygon(self, s0: float, s1: float, d0: float, d1: float, hole: tuple[float, ...] = ()) -> str:
        """A rectangle, maybe with a rectangular hole."""
        token = f"polygon/{len(self.content['polygon'])}"
        outer = self._nodes([(s0, d0), (s1, d0), (s1, d1), (s0, d1)])
        holes = []
        if hole:
            a, b, c, d = hole
            holes = [{"node_tokens": self._nodes([(a, c), (b, c), (b, d), (a, d)])}]
        self.content["polygon"].append({"token": token, "exterior_node_tokens": outer, "holes": holes})
        return token

    def line(self, s0: float, s1: float, d: float) -> str:
        """A line along the street."""
        token = f"line/{len(self.content['line'])}"
        self.content["line"].append({"token": token, "node_tokens": self._nodes([(s0, d), (s1, d)])})
        return token


def _write_map(root: Path, location: str) -> None:
    """The street: see the expected cells in test_raster.py."""
    builder = _MapBuilder(location)
    content = builder.content
    content["drivable_area"].append(
        {"token": "drivable", "polygon_tokens": [builder.polygon(0, 400, -4, 6, hole=(91, 93, -1, 1))]}
    )
    content["road_segment"].append({"token": "road", "polygon_token": builder.polygon(0, 400, -3.5, 4.5)})
    content["lane"].append(
        {
            "token": "lane",
            "polygon_token": builder.polygon(0, 400, -3.5, 0.3),
            "left_lane_divider_segments": [],
            "right_lane_divider_segments": [],
        }
    )
    content["ped_crossing"].append(
        {"token": "zebra", "polygon_token": builder.polygon(104.5, 107.5, -3.5, 4.5)}
    )
    content["lane_divider"].append({"token": "lane_line", "line_token": builder.line(0, 400, 2.5)})
    content["road_divider"].append({"token": "road_line", "line_token": builder.line(0, 400, -0.5)})
    folder = root / "maps" / "expansion"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{location}.json").write_text(json.dumps(content))
