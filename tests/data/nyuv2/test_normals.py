"""Normals from depth: exact on planes, right on the real camera's depth."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nexusflow.data.nyuv2.normals import KINECT, Intrinsics, normals_from_depth

CAMERA = Intrinsics(100.0, 101.0, 63.2, 47.8)


def plane_depth(
    normal: np.ndarray, distance: float, camera: Intrinsics, shape: tuple[int, int]
) -> np.ndarray:
    """Depth of the plane {p: n·p = -distance} in axes x right, y up, z towards the camera."""
    u = (np.arange(shape[1]) - camera.cx) / camera.fx
    v = (np.arange(shape[0]) - camera.cy) / camera.fy
    slope = normal[0] * u[None] - normal[1] * v[:, None] - normal[2]
    depth = -distance / slope
    return np.where((depth > 0) & (depth < 10), depth, 0)


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip((a * b).sum(-1), -1, 1)))


@pytest.mark.parametrize("normal", [(0, 0, 1), (0, 0.9, 0.4), (0.5, 0.3, 0.8), (-0.6, -0.2, 0.7)])
def test_planes_have_their_normal(normal: tuple[float, float, float]) -> None:
    unit = np.array(normal) / np.linalg.norm(normal)
    found = normals_from_depth(plane_depth(unit, 2.0, CAMERA, (96, 128)), CAMERA, radius=3)
    known = np.linalg.norm(found, axis=-1) > 0
    assert known.mean() > 0.6
    assert angle(found[known], unit).max() < 0.5


def test_the_floor_looks_up_and_the_wall_at_the_camera() -> None:
    floor = normals_from_depth(plane_depth(np.array([0.0, 1.0, 0.05]), 1.4, CAMERA, (96, 128)), CAMERA, 3)
    assert floor[80, 64, 1] > 0.95
    wall = normals_from_depth(np.full((96, 128), 3.0), CAMERA, 3)
    assert wall[48, 64] == pytest.approx([0, 0, 1], abs=1e-6)


def test_a_step_does_not_bend_the_surfaces_beside_it() -> None:
    depth = np.full((40, 60), 2.0)
    depth[:, 30:] = 4.0
    found = normals_from_depth(depth, CAMERA, 3)
    assert angle(found[5:-5, 5:-5], np.array([0, 0, 1.0])).max() < 0.5


def test_nothing_is_said_where_depth_is_missing() -> None:
    depth = np.full((40, 60), 2.0)
    depth[10:20, 10:20] = 0
    found = normals_from_depth(depth, CAMERA, 3)
    assert not found[10:20, 10:20].any() and np.isfinite(found).all()


def robust_plane(points_P3: np.ndarray) -> np.ndarray:
    """Plane through a patch by least squares over inverse depth, outliers left out in turns."""
    chosen = np.ones(len(points_P3), bool)
    for _ in range(10):
        inverse = 1 / points_P3[:, 2]
        basis = np.stack([points_P3[:, 0] * inverse, points_P3[:, 1] * inverse, np.ones(len(points_P3))], 1)
        fit = np.linalg.lstsq(basis[chosen], inverse[chosen], rcond=None)[0]
        error = np.abs(basis @ fit - inverse)
        chosen = error <= 2.5 * np.median(error[chosen])
    normal = np.array([-fit[0], fit[1], fit[2]])
    return normal / np.linalg.norm(normal)


@pytest.mark.parametrize("name", ["sync_depth_00000.png", "sync_depth_00050.png"])
def test_a_flat_patch_of_real_depth_has_the_normal_of_its_plane(real_folder: Path, name: str) -> None:
    depth = np.asarray(Image.open(real_folder / "rgbd" / name)).astype(np.float64) / 1000
    found = normals_from_depth(depth)
    v, u = np.mgrid[: depth.shape[0], : depth.shape[1]]
    best = None
    for top in range(20, depth.shape[0] - 100, 20):
        for left in range(20, depth.shape[1] - 100, 20):
            part = (slice(top, top + 80), slice(left, left + 80))
            z = depth[part]
            if (z > 0).mean() < 0.98:
                continue
            z, x, y = z[z > 0], u[part][z > 0], v[part][z > 0]
            points = np.stack([(x - KINECT.cx) / KINECT.fx * z, (y - KINECT.cy) / KINECT.fy * z, z], 1)
            plane = robust_plane(points)
            off = np.abs(points @ (plane * [1, -1, -1]) / (points @ (plane * [1, -1, -1])).mean() - 1)
            flatness = float(np.percentile(off, 95))
            if best is None or flatness < best[0]:
                best = (flatness, part, plane)
    assert best is not None and best[0] < 0.02
    patch = found[best[1]]
    known = np.linalg.norm(patch, axis=-1) > 0
    mean = patch[known].mean(0)
    assert known.mean() > 0.9
    assert angle(mean / np.linalg.norm(mean), best[2]) < 2
