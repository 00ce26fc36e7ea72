"""Renders one picture with its depth, normals and labels.

Letters: H × W pixels, P rays.
"""

from __future__ import annotations

import numpy as np

from nexusflow.data.nyuv2.files import LabelledImage
from nexusflow.data.worlds.rooms.camera import Camera, pixel_rays
from nexusflow.data.worlds.rooms.layout import Room
from nexusflow.data.worlds.rooms.primitives import Solids
from nexusflow.data.worlds.rooms.raycast import Hits, cast_rays, occluded
from nexusflow.data.worlds.rooms.sensor import sense_colour, sense_depth, sense_labels, sense_normals
from nexusflow.data.worlds.rooms.style import RoomStyle
from nexusflow.data.worlds.rooms.textures import paint

__all__ = ["render_view"]

_SHADOW = 0.35
# A lamp on the camera, up and to the left: surfaces of different orientation differ in brightness.
_CAMERA_LAMP_3 = (-0.9, 0.5, 0.0)
_CAMERA_LAMP_POWER = 0.9


def _albedo(solids: Solids, hits: Hits) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour, gloss and own light of every meeting point."""
    colour_P3 = np.zeros_like(hits.local_P3)
    gloss_P, light_P = np.zeros(len(colour_P3)), np.zeros(len(colour_P3))
    for number in np.unique(hits.solid_P):
        chosen = hits.solid_P == number
        material = solids.materials[number]
        colour_P3[chosen] = paint(material, hits.local_P3[chosen], hits.face_P[chosen])
        gloss_P[chosen], light_P[chosen] = material.gloss, material.light
    return colour_P3, gloss_P, light_P


def _shade(
    room: Room, solids: Solids, style: RoomStyle, hits: Hits, points_P3: np.ndarray, camera: Camera
) -> np.ndarray:
    """Ambient light, lamps with soft falloff, highlights, and shadows of the first lamp."""
    colour_P3, gloss_P, own_P = _albedo(solids, hits)
    total_P3 = np.full_like(colour_P3, style.ambient)
    shine_P = np.zeros(len(colour_P3))
    look_P3 = camera.position_3 - points_P3
    look_P3 /= np.linalg.norm(look_P3, axis=1, keepdims=True)
    daylight = (np.array([0.92, 0.97, 1.0]), style.daylight)
    own = camera.position_3 + camera.axes_33 @ np.array(_CAMERA_LAMP_3)
    lamps = [(lamp_3, *daylight) for lamp_3 in room.lamps] + [(own, np.ones(3), _CAMERA_LAMP_POWER)]
    lamps[0] = (room.lamps[0], np.asarray(style.lamp), style.lamp_power)
    for number, (lamp_3, tint, power) in enumerate(lamps):
        way_P3 = lamp_3 - points_P3
        far_P = np.linalg.norm(way_P3, axis=1)
        way_P3 /= far_P[:, None]
        facing_P = np.maximum((way_P3 * hits.normal_P3).sum(1), 0.0)
        light_P = power * facing_P / (0.6 + 0.12 * far_P**2)
        if number == 0:
            starts_P3 = points_P3 + 2e-3 * hits.normal_P3
            light_P = np.where(occluded(solids, starts_P3, lamp_3), _SHADOW * light_P, light_P)
        total_P3 += light_P[:, None] * tint
        half_P3 = way_P3 + look_P3
        half_P3 /= np.linalg.norm(half_P3, axis=1, keepdims=True)
        shine_P += light_P * np.maximum((half_P3 * hits.normal_P3).sum(1), 0.0) ** 40
    return colour_P3 * (total_P3 + own_P[:, None]) + (gloss_P * shine_P)[:, None]


def _average(x_P3: np.ndarray, height: int, width: int, supersample: int) -> np.ndarray:
    cells = x_P3.reshape(height, supersample, width, supersample, 3)
    return cells.mean((1, 3))


def render_view(
    room: Room,
    style: RoomStyle,
    camera: Camera,
    size: tuple[int, int],
    supersample: int,
    rng: np.random.Generator,
) -> LabelledImage:
    """Render a picture as a colour camera and a structured-light depth sensor would see it.

    Args:
        room: the room.
        style: its light.
        camera: the pose.
        size: height and width, pixels.
        supersample: rays per pixel and axis for the colours.
        rng: source of the sensors' noise.

    Returns:
        Colours, labels, depth and normals; invalid pixels as the real data set marks them.
    """
    height, width = size
    solids = room.solids()
    rays_P3 = pixel_rays(height, width, supersample) @ camera.axes_33.T
    hits = cast_rays(solids, camera.position_3, rays_P3)
    points_P3 = camera.position_3 + hits.distance_P[:, None] * rays_P3
    colours_P3 = _shade(room, solids, style, hits, points_P3, camera)
    image = sense_colour(_average(colours_P3, height, width, supersample), rng)

    # Depth, normals and labels are those of one ray per pixel, never mixtures of two surfaces.
    rays_P3 = pixel_rays(height, width, 1) @ camera.axes_33.T
    hits = cast_rays(solids, camera.position_3, rays_P3)
    depth_HW = hits.distance_P.reshape(height, width)
    normal_HW3 = (hits.normal_P3 @ camera.axes_33).reshape(height, width, 3)
    label_HW = solids.label_N[hits.solid_P].reshape(height, width)
    gloss_HW = np.array([m.gloss for m in solids.materials])[hits.solid_P].reshape(height, width)
    facing_P = -(hits.normal_P3 * rays_P3).sum(1) / np.linalg.norm(rays_P3, axis=1)
    depth_HW, _ = sense_depth(depth_HW, facing_P.reshape(height, width), gloss_HW, rng)
    label_HW = sense_labels(label_HW, hits.solid_P.reshape(height, width), rng)
    return LabelledImage(
        image.astype(np.float32),
        label_HW.astype(np.int8),
        depth_HW.astype(np.float32)[..., None],
        sense_normals(normal_HW3, depth_HW).astype(np.float32),
    )
