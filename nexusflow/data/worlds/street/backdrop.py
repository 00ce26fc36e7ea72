"""What lies behind all solids: the painted ground by look-up along precomputed rays, haze and sky.

Letters: H, W rows and columns of the tall picture that stacks all cameras, supersampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nexusflow.data.worlds.street.curves import Array
from nexusflow.data.worlds.street.ground import Ground
from nexusflow.data.worlds.street.rig import Camera
from nexusflow.data.worlds.street.weather import SceneLight

__all__ = ["Backdrop", "Rays", "cast_rays"]

_FAR_M = 160.0  # ground beyond is all haze


@dataclass(frozen=True)
class Rays:
    """What every pixel of a rig sees on flat ground; the cameras' pictures are stacked on top of each other.

    Args:
        cameras: the rig.
        size: rows and columns of one camera's supersampled picture.
        factor: supersampling per axis.
        x_HW, y_HW: where each pixel's ray meets the ground, ego frame, metres (far away above the horizon).
        coarse_HW: whether the coarse raster serves there.
        distance_HW: metres; infinite above the horizon.
        height_HW: sine of the ray's elevation, ≥ 0.
    """

    cameras: tuple[Camera, ...]
    size: tuple[int, int]
    factor: int
    x_HW: NDArray[np.float32]
    y_HW: NDArray[np.float32]
    coarse_HW: NDArray[np.bool_]
    distance_HW: NDArray[np.float32]
    height_HW: NDArray[np.float32]


def cast_rays(cameras: tuple[Camera, ...], height: int, width: int, factor: int) -> Rays:
    """Intersect every pixel's ray with the ground.

    Args:
        cameras: the rig, calibrated for the given size.
        height: rows of an image.
        width: columns of an image.
        factor: rays per pixel and axis.

    Returns:
        The rays of all cameras.
    """
    rows, columns = height * factor, width * factor
    v, u = np.meshgrid(
        (np.arange(rows) + 0.5) / factor - 0.5, (np.arange(columns) + 0.5) / factor - 0.5, indexing="ij"
    )
    parts: list[list[Array]] = [[], [], [], [], []]
    for camera in cameras:
        pixel = np.stack([u, v, np.ones_like(u)], -1)
        ray = pixel @ np.linalg.inv(camera.intrinsic_33).T @ camera.rotation_33.T
        ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
        down = np.maximum(-ray[..., 2], 1e-6)
        distance = camera.position_3[2] / down
        hit = camera.position_3[:2] + ray[..., :2] * np.minimum(distance, 1e4)[..., None]
        footprint = distance / down / (camera.intrinsic_33[1, 1] * factor)
        distance = np.where(ray[..., 2] < -1e-4, distance, np.inf)
        for store, value in zip(
            parts,
            (hit[..., 0], hit[..., 1], footprint > 0.6, distance, np.maximum(ray[..., 2], 0.0)),
            strict=True,
        ):
            store.append(value)
    x, y, coarse, distance, elevation = (np.concatenate(p) for p in parts)
    return Rays(
        cameras, (rows, columns), factor,
        x.astype(np.float32), y.astype(np.float32), coarse.astype(bool), distance.astype(np.float32),
        elevation.astype(np.float32),
    )  # fmt: skip


class Backdrop:
    """Ground, haze and sky of one scene.

    Args:
        rays: the rig's rays.
        ground: the painted street.
        light: the scene's light.
    """

    def __init__(self, rays: Rays, ground: Ground, light: SceneLight) -> None:
        self.rays, self.ground, self.light = rays, ground, light
        level = np.clip(rays.height_HW * 2.2, 0, 1)[..., None]
        sky = light.sky_low_3 + level * (light.sky_top_3 - light.sky_low_3)
        self.sky_HW3 = np.round(sky).astype(np.uint8)
        haze = 1 - np.exp(-light.haze_per_m * np.minimum(rays.distance_HW, 1e4))
        haze[rays.distance_HW > _FAR_M] = 1.0
        self.haze_HW = np.ascontiguousarray(haze, dtype=np.float32)
        self.clear_HW = 1 - self.haze_HW

    def paint(self, ego_3: Array) -> NDArray[np.uint8]:
        """Paint what lies behind all solids, as one tall RGB picture."""
        rays, ground = self.rays, self.ground
        cos, sin = np.cos(ego_3[2]) / ground.cell_m, np.sin(ego_3[2]) / ground.cell_m
        shift = (ego_3[:2] - ground.origin_2) / ground.cell_m - 0.5
        column = np.float32(cos) * rays.x_HW - np.float32(sin) * rays.y_HW + np.float32(shift[0])
        row = np.float32(sin) * rays.x_HW + np.float32(cos) * rays.y_HW + np.float32(shift[1])
        outside = tuple(float(c) for c in ground.outside_3)
        fine = cv2.remap(ground.fine_HW3, column, row, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, outside)
        scale = ground.fine_HW3.shape[0] / ground.coarse_HW3.shape[0]
        column, row = (column + 0.5) / scale - 0.5, (row + 0.5) / scale - 0.5
        coarse = cv2.remap(
            ground.coarse_HW3, column, row, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, outside
        )
        np.copyto(fine, coarse, where=rays.coarse_HW[..., None])
        return np.asarray(cv2.blendLinear(fine, self.sky_HW3, self.clear_HW, self.haze_HW), np.uint8)
