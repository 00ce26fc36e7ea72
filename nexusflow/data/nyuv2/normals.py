"""Surface normals from a depth image, by fitting planes.

Frame: x right, y up, z towards the camera. A wall that faces the camera has (0, 0, 1); a floor has y > 0.
Letters: H × W pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["KINECT", "Intrinsics", "normals_from_depth"]


class Intrinsics(NamedTuple):
    """A pinhole camera.

    Attributes:
        fx: focal length along the columns, pixels.
        fy: focal length along the rows, pixels.
        cx: column of the principal point.
        cy: row of the principal point.
    """

    fx: float
    fy: float
    cx: float
    cy: float


# The colour camera of NYUv2, 480 × 640 pixels, as published with its toolbox.
KINECT = Intrinsics(518.85790117450188, 519.46961112127485, 325.58244941119034, 253.73616633400465)


def normals_from_depth(
    depth_HW: np.ndarray, camera: Intrinsics = KINECT, radius: int = 5, edge: float = 0.05
) -> np.ndarray:
    """Fit a plane around every pixel.

    Inverse depth of a plane is linear in the pixel coordinates: 1/z = a·u + b·v + c with (a, b, c) along the
    normal. The fit is least squares over a square window, in inverse depth, in which the noise of a
    structured-light camera is even. Pixels of other surfaces, told by a step in depth, are left out.

    Args:
        depth_HW: metres along the optical axis, 0 = invalid.
        camera: pinhole camera of the depth image.
        radius: half-width of the window, pixels.
        edge: relative distance from the surface's own slope beyond which a pixel belongs to another one.

    Returns:
        Unit normals (H, W, 3), float32; zero where depth is invalid or too few pixels support the fit.

    Source: plane fits as in the toolbox of NYUv2; these are not the normals of Eigen and Fergus that the
        pre-processed set holds.
    """
    depth = np.asarray(depth_HW, np.float64)
    height, width = depth.shape
    valid = depth > 0
    inverse = np.where(valid, 1 / np.where(valid, depth, 1), 0)
    u = (np.arange(width) - camera.cx) / camera.fx
    v = (np.arange(height) - camera.cy) / camera.fy
    u_HW, v_HW = np.meshgrid(u, v)
    slope_down, slope_right = _slope(inverse, 1, 0), _slope(inverse, 0, 1)
    total = np.zeros((3, 3, height, width))
    right = np.zeros((3, height, width))
    count = np.zeros((height, width))
    # Offsets rather than box filters, so that pixels of other surfaces can be left out.
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            shifted = _shift(inverse, dy, dx)
            expected = inverse + dy * slope_down + dx * slope_right
            near = (shifted > 0) & valid & (np.abs(shifted - expected) <= edge * inverse)
            du, dv = dx / camera.fx, dy / camera.fy
            basis = (du, dv, 1.0)
            for i in range(3):
                right[i] += near * basis[i] * shifted
                for j in range(i, 3):
                    total[i, j] += near * (basis[i] * basis[j])
            count += near
    total[1, 0], total[2, 0], total[2, 1] = total[0, 1], total[0, 2], total[1, 2]
    matrix = np.moveaxis(total, (0, 1), (2, 3))
    enough = (count >= 3 * (2 * radius + 1)) & (np.abs(np.linalg.det(matrix)) > 0)
    matrix[~enough] = np.eye(3)
    a, b, c_here = np.moveaxis(np.linalg.solve(matrix, np.moveaxis(right, 0, 2)[..., None])[..., 0], 2, 0)
    # 1/z = a·(u − u0) + b·(v − v0) + c_here: the constant at the principal point.
    c = c_here - a * u_HW - b * v_HW
    normal = np.stack([-a, b, c], axis=-1)  # image rows run down, y up; z towards the camera is positive
    normal[~enough] = 0
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    return np.where(length > 0, normal / np.where(length > 0, length, 1), 0).astype(np.float32)


def _shift(x_HW: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Value of the neighbour at (+dy, +dx), zero outside the image."""
    height, width = x_HW.shape
    moved = np.zeros_like(x_HW)
    rows = slice(max(0, -dy), min(height, height - dy))
    columns = slice(max(0, -dx), min(width, width - dx))
    there_rows = slice(max(0, dy), min(height, height + dy))
    there_columns = slice(max(0, dx), min(width, width + dx))
    moved[rows, columns] = x_HW[there_rows, there_columns]
    return moved


def _slope(x_HW: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Difference to the neighbour on the side where it is smaller, which is blind to steps."""
    ahead, behind = _shift(x_HW, dy, dx), _shift(x_HW, -dy, -dx)
    forward = np.where(ahead > 0, ahead - x_HW, np.inf)
    backward = np.where(behind > 0, x_HW - behind, np.inf)
    smaller = np.where(np.abs(forward) < np.abs(backward), forward, backward)
    return np.where(np.isfinite(smaller), smaller, 0.0)
