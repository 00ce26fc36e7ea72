"""Six camera images of one moment: solids over the ground in painter's order, an id picture beside.

Letters: Q quads, M objects, A annotated agents, N = 6 cameras, H, W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nexusflow.data.worlds.street.backdrop import Backdrop, Rays
from nexusflow.data.worlds.street.curves import Array
from nexusflow.data.worlds.street.painter import paint_order
from nexusflow.data.worlds.street.rig import Camera
from nexusflow.data.worlds.street.solids import Quads
from nexusflow.data.worlds.street.weather import SceneLight

__all__ = ["Rendering", "View", "render_view"]

_NEAR_M = 0.15
_SHIFT = 4
_SHADOW_LAYER = -1


@dataclass(frozen=True)
class View:
    """What stands around the ego at one moment, ego frame.

    Args:
        ego_3: global x, y (m) and yaw (rad).
        poses_M3: x, y (m), yaw (rad) of all objects.
        size_M2: footprints, metres.
        ids_M: number of an agent, from 1, or 0 for scenery.
        quads: all quads; `owner_Q` indexes the objects.
    """

    ego_3: Array
    poses_M3: Array
    size_M2: Array
    ids_M: NDArray[np.int64]
    quads: Quads


@dataclass(frozen=True)
class Rendering:
    """Images (N, H, W, 3) uint8 RGB, and per agent number the pixels seen and those of its whole outline."""

    images_NHW3: NDArray[np.uint8]
    seen_A: NDArray[np.int64]
    outline_A: NDArray[np.int64]
    ids_HW: NDArray[np.int16]


def _clip(polygon: Array, planes: Array) -> Array:
    """Cut a polygon (n, 3) by half-spaces a·x ≥ b given as rows (a, b)."""
    for plane in planes:
        side = polygon @ plane[:3] - plane[3]
        inside = side >= 0
        if inside.all():
            continue
        if not inside.any():
            return polygon[:0]
        points = []
        for k in range(len(polygon)):
            j = k - 1
            if inside[j] != inside[k]:
                share = side[j] / (side[j] - side[k])
                points.append(polygon[j] + share * (polygon[k] - polygon[j]))
            if inside[k]:
                points.append(polygon[k])
        polygon = np.array(points)
    return polygon


class _Canvas:
    """One camera's slice of the tall picture, and of the id picture."""

    def __init__(
        self,
        camera: Camera,
        rays: Rays,
        image: NDArray[np.uint8],
        ids: NDArray[np.int16],
        scratch: NDArray[np.uint8],
    ):
        self.camera, self.image, self.ids, self.scratch = camera, image, ids, scratch
        k, f = camera.intrinsic_33, rays.factor
        # supersampled pixel centres are whole numbers as well
        self.k = np.array([k[0, 0] * f, k[1, 1] * f, (k[0, 2] + 0.5) * f - 0.5, (k[1, 2] + 0.5) * f - 0.5])
        rows, columns = rays.size
        low = (np.array([-columns * 0.5, -rows * 0.5]) - self.k[2:]) / self.k[:2]
        high = (np.array([columns * 1.5, rows * 1.5]) - self.k[2:]) / self.k[:2]
        self.guard = np.array(
            [
                [0, 0, 1, _NEAR_M],
                [1, 0, -low[0], 0],
                [-1, 0, high[0], 0],
                [0, 1, -low[1], 0],
                [0, -1, high[1], 0],
            ]
        )
        self.frame = (
            (np.array([-0.5, -0.5]) - self.k[2:]) / self.k[:2],
            (np.array([columns, rows]) - 0.5 - self.k[2:]) / self.k[:2],
        )

    def candidates(self, quads: Quads) -> tuple[NDArray[np.intp], Array]:
        """Indices of quads that face the camera and may be in the picture, and their camera coordinates."""
        camera = self.camera
        faces = np.einsum("qd,qd->q", quads.normals_Q3, camera.position_3 - quads.corners_Q43[:, 0]) > 0
        index = np.flatnonzero(faces)
        xyz = (quads.corners_Q43[index] - camera.position_3) @ camera.rotation_33
        x, y, z = xyz[..., 0], xyz[..., 1], xyz[..., 2]
        low, high = self.frame
        hidden = (z < _NEAR_M).all(1) | (x < low[0] * z).all(1) | (x > high[0] * z).all(1)
        hidden |= (y < low[1] * z).all(1) | (y > high[1] * z).all(1)
        return index[~hidden], xyz[~hidden]

    def polygons(self, xyz: Array) -> list[NDArray[np.int32]]:
        """Drawing coordinates of quads given in camera coordinates, clipped where needed."""
        depth = np.maximum(xyz[..., 2:], _NEAR_M)
        low, high = self.guard[[1, 3], [2, 2]] * -1, self.guard[[2, 4], [2, 2]]
        flat = xyz[..., :2] / depth
        easy = (xyz[..., 2] >= _NEAR_M).all(1) & (flat > low).all((1, 2)) & (flat < high).all((1, 2))
        pixels = np.round((flat * self.k[:2] + self.k[2:]) * (1 << _SHIFT)).astype(np.int32)
        result = list(pixels)
        for q in np.flatnonzero(~easy):
            points = _clip(xyz[q], self.guard)
            if len(points):
                points = points[:, :2] / points[:, 2:] * self.k[:2] + self.k[2:]
            result[q] = np.round(points.reshape(-1, 2) * (1 << _SHIFT)).astype(np.int32)
        return result


def _count_outline(scratch: NDArray[np.uint8], polygons: list[NDArray[np.int32]]) -> int:
    """Draw one object alone and count its pixels; leaves the scratch picture empty."""
    stacked = np.concatenate(polygons) >> _SHIFT
    height, width = scratch.shape
    x0, y0 = np.clip(stacked.min(0) - 1, 0, (width, height))
    x1, y1 = np.clip(stacked.max(0) + 2, 0, (width, height))
    if x1 <= x0 or y1 <= y0:
        return 0
    for polygon in polygons:
        cv2.fillConvexPoly(scratch, polygon, (1.0,), cv2.LINE_8, _SHIFT)
    part = scratch[y0:y1, x0:x1]
    count = int(cv2.countNonZero(part))
    part[:] = 0
    return count


def _draw_camera(
    canvas: _Canvas, view: View, colours_Q3: list[list[float]], outline_A: NDArray[np.int64]
) -> None:
    """Draw all solids that one camera sees."""
    quads = view.quads
    index, xyz = canvas.candidates(quads)
    if len(index) == 0:
        return
    owners = np.unique(quads.owner_Q[index])
    eye = canvas.camera.position_3[:2]
    rank = np.zeros(len(view.poses_M3), np.int64)
    rank[owners[paint_order(view.poses_M3[owners], view.size_M2[owners], eye)]] = np.arange(len(owners))
    away = -np.hypot(*(quads.middle_Q2[index] - eye).T).round(3)
    order = np.lexsort((index, away, quads.layer_Q[index], rank[quads.owner_Q[index]]))
    polygons = canvas.polygons(xyz)
    outline: dict[int, list[NDArray[np.int32]]] = {}
    for k in order:
        polygon, q = polygons[k], index[k]
        if len(polygon) < 3:
            continue
        cv2.fillConvexPoly(canvas.image, polygon, colours_Q3[q], cv2.LINE_8, _SHIFT)
        if quads.layer_Q[q] == _SHADOW_LAYER:
            continue
        number = int(view.ids_M[quads.owner_Q[q]])
        cv2.fillConvexPoly(canvas.ids, polygon, (float(number),), cv2.LINE_8, _SHIFT)
        if number:
            outline.setdefault(number, []).append(polygon)
    for number, parts in outline.items():
        outline_A[number] += _count_outline(canvas.scratch, parts)


def _finish(
    image: NDArray[np.uint8], rays: Rays, light: SceneLight, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Average rays to pixels, apply the scene's light and the sensor's noise."""
    if rays.factor > 1:
        size = (image.shape[1] // rays.factor, image.shape[0] // rays.factor)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    noisy = cv2.LUT(image, light.table_256_3[None]).astype(np.float32)
    if light.colourfulness < 1:
        grey = noisy.mean(-1, keepdims=True)
        noisy = grey + light.colourfulness * (noisy - grey)
    noisy += light.noise * rng.standard_normal(noisy.shape, dtype=np.float32)
    return np.clip(noisy + 0.5, 0, 255).astype(np.uint8)


def render_view(backdrop: Backdrop, view: View, light: SceneLight, rng: np.random.Generator) -> Rendering:
    """Render all cameras.

    Args:
        backdrop: ground and sky of the scene.
        view: what stands around.
        light: the scene's light.
        rng: random stream of the frame (noise only).

    Returns:
        Images and pixel counts; counts are in supersampled pixels, index 0 is nobody.
    """
    rays, quads = backdrop.rays, view.quads
    image = backdrop.paint(view.ego_3)
    ids = np.zeros(image.shape[:2], np.int16)
    shade = np.where(quads.layer_Q == _SHADOW_LAYER, 1.0, light.shade(quads.normals_Q3, float(view.ego_3[2])))
    distance = np.hypot(*quads.middle_Q2.T)
    haze = (1 - np.exp(-light.haze_per_m * distance))[:, None]
    colours = np.clip(quads.colours_Q3 * shade[:, None], 0, 255) * (1 - haze) + light.sky_low_3 * haze
    rows, columns = rays.size
    scratch = np.zeros((rows, columns), np.uint8)
    count = int(view.ids_M.max(initial=0)) + 1
    outline = np.zeros(count, np.int64)
    table = np.round(colours).tolist()
    for n, camera in enumerate(rays.cameras):
        part = slice(n * rows, (n + 1) * rows)
        _draw_camera(_Canvas(camera, rays, image[part], ids[part], scratch), view, table, outline)
    seen = np.bincount(ids.ravel(), minlength=count)
    images = _finish(image, rays, light, rng)
    shape = (len(rays.cameras), rows // rays.factor, columns // rays.factor, 3)
    return Rendering(images.reshape(shape), seen, outline, ids)
