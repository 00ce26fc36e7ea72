"""Where the pictures are taken from.

Camera axes: x right, y up, z towards the camera; a pixel's ray has z = -1, so distances along it are depths.
Letters: P pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nexusflow.data.worlds.rooms.layout import Room
from nexusflow.data.worlds.rooms.style import RoomStyle

__all__ = ["FOCAL_OVER_WIDTH", "Camera", "choose_camera", "pixel_rays"]

# That of NYUv2: 518.9 pixels at 640 pixels of width.
FOCAL_OVER_WIDTH = 518.9 / 640
_TRIES = 40


@dataclass(frozen=True)
class Camera:
    """A pose in a room.

    Attributes:
        position_3: metres.
        axes_33: columns are the camera's x, y and z axes in room axes.
    """

    position_3: np.ndarray
    axes_33: np.ndarray


def pixel_rays(height: int, width: int, supersample: int) -> np.ndarray:
    """Rays through the pixels, row by row, in camera axes.

    Args:
        height: pixels.
        width: pixels.
        supersample: rays per pixel and axis.

    Returns:
        Directions (P, 3) with z = -1.
    """
    focal = FOCAL_OVER_WIDTH * width
    u = ((np.arange(width * supersample) + 0.5) / supersample - width / 2) / focal
    v = ((np.arange(height * supersample) + 0.5) / supersample - height / 2) / focal
    v_HW, u_HW = np.meshgrid(v, u, indexing="ij")
    return np.stack([u_HW, -v_HW, np.full_like(u_HW, -1.0)], -1).reshape(-1, 3)


def _pose(position_3: np.ndarray, yaw: float, pitch: float) -> Camera:
    right = np.array([np.cos(yaw), 0.0, np.sin(yaw)])
    forward = np.array([np.cos(pitch) * np.sin(yaw), np.sin(pitch), -np.cos(pitch) * np.cos(yaw)])
    return Camera(position_3, np.stack([right, np.cross(right, forward), -forward], axis=1))


def choose_camera(room: Room, style: RoomStyle, rng: np.random.Generator) -> Camera:
    """Stand near a wall, off the furniture, and look across the room, roughly square to its walls.

    Args:
        room: the room.
        style: height and pitch of the camera.
        rng: the picture's own source of randomness.

    Returns:
        The pose.
    """
    best = (-np.inf, 0.0, 0.0)
    for _ in range(_TRIES):
        x = float(rng.uniform(-0.5, 0.5)) * (room.width - 0.7)
        z = float(rng.uniform(-0.5, 0.5)) * (room.depth - 0.7)
        clear = min((np.hypot(x - cx, z - cz) - r for cx, cz, r in room.footprints), default=9.0)
        # The middle of a wall shows most of the room; too near a piece shows only that.
        short, long = sorted((abs(x / room.width), abs(z / room.depth)))
        score = min(clear, 0.35) * 4 + 2 * long - short
        best = max(best, (score, x, z))
    _, x, z = best
    aim = rng.normal(0, 0.16, 2) * (room.width, room.depth)
    # People hold a camera roughly square to the walls.
    square = np.round(np.arctan2(aim[0] - x, -(aim[1] - z)) / (np.pi / 2)) * (np.pi / 2)
    yaw = float(square + np.radians(rng.normal(0, 7)))
    pitch = np.radians(style.pitch_deg + rng.normal(0, 3))
    height = float(np.clip(style.camera_m + rng.normal(0, 0.1), 0.9, room.height - 0.4))
    return _pose(np.array([x, height, z]), yaw, float(pitch))
