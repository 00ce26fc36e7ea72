"""Six cameras and a lidar on the roof: places, directions and intrinsics, close to a nuScenes car's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from nexusflow.data.worlds.street.curves import Array

__all__ = ["CHANNELS", "LIDAR_CHANNEL", "LIDAR_POSITION_M", "LIDAR_YAW", "Camera", "build_rig", "quaternion"]

CHANNELS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
LIDAR_CHANNEL = "LIDAR_TOP"
LIDAR_POSITION_M = (0.943713, 0.0, 1.84023)
LIDAR_YAW = -np.pi / 2  # the lidar's x points to the right of the car, its y ahead

_NATIVE_HEIGHT, _NATIVE_WIDTH = 900, 1600
# position (x, y, z) m; direction of view, degrees; focal length and principal point in pixels of 1600 × 900
_MOUNTS: dict[str, tuple[tuple[float, float, float], float, tuple[float, float, float]]] = {
    "CAM_FRONT": ((1.70, 0.016, 1.51), 0.3, (1266.4, 816.3, 491.5)),
    "CAM_FRONT_RIGHT": ((1.55, -0.495, 1.50), -56.4, (1260.8, 807.9, 495.3)),
    "CAM_FRONT_LEFT": ((1.52, 0.495, 1.51), 55.2, (1272.6, 826.6, 479.8)),
    "CAM_BACK": ((0.03, 0.003, 1.58), 180.0, (809.2, 829.2, 481.8)),
    "CAM_BACK_LEFT": ((1.035, 0.485, 1.59), 108.4, (1256.7, 792.1, 492.8)),
    "CAM_BACK_RIGHT": ((1.015, -0.481, 1.56), -110.2, (1259.5, 807.3, 501.2)),
}


@dataclass(frozen=True)
class Camera:
    """A calibrated camera.

    Args:
        channel: its nuScenes name.
        position_3: place in the ego frame, metres.
        rotation_33: columns are the camera's x (right), y (down) and z (ahead) axes in the ego frame.
        intrinsic_33: pixels of the image as it is written; pixel centres have whole coordinates.
    """

    channel: str
    position_3: Array
    rotation_33: Array
    intrinsic_33: Array


def quaternion(rotation_33: Array) -> list[float]:
    """Turn a rotation matrix into (w, x, y, z) with w ≥ 0."""
    return [float(v) for v in Rotation.from_matrix(rotation_33).as_quat(canonical=True, scalar_first=True)]


def build_rig(height: int, width: int) -> tuple[Camera, ...]:
    """Make the cameras for an image size.

    Args:
        height: pixels.
        width: pixels.

    Returns:
        The cameras in the order of ``CHANNELS``, with the intrinsics of the resized image.
    """
    sx, sy = width / _NATIVE_WIDTH, height / _NATIVE_HEIGHT
    cameras = []
    for channel in CHANNELS:
        position, degrees, (focal, cx, cy) = _MOUNTS[channel]
        yaw = np.deg2rad(degrees)
        sin, cos = np.sin(yaw), np.cos(yaw)
        rotation = np.array([[sin, 0.0, cos], [-cos, 0.0, sin], [0.0, -1.0, 0.0]])
        # resizing moves pixel centres by half a pixel minus half a new pixel
        intrinsic = np.array(
            [
                [focal * sx, 0.0, (cx + 0.5) * sx - 0.5],
                [0.0, focal * sy, (cy + 0.5) * sy - 0.5],
                [0.0, 0.0, 1.0],
            ]
        )
        cameras.append(Camera(channel, np.array(position), rotation, intrinsic))
    return tuple(cameras)
