"""Surface normals from a depth image, by fitting planes.

Frame: x right, y up, z towards the camera. A wall that faces the camera has (0, 0, 1); a floor has y > 0.
Letters: H × W pixels, R × C pixels at which normals are wanted.
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
# Where the window is sampled, as shares of its half-width: nine offsets along each side are enough.
_SHARES = (-1, -2 / 3, -1 / 3, -1 / 9, 0, 1 / 9, 1 / 3, 2 / 3, 1)
_FEWEST = 0.25


def normals_from_depth(
    depth_HW: np.ndarray,
    camera: Intrinsics = KINECT,
    radius: int = 9,
    edge: float = 0.1,
    rows_R: np.ndarray | None = None,
    columns_C: np.ndarray | None = None,
) -> np.ndarray:
    """Fit a plane around every pixel.

    Inverse depth of a plane is linear in the pixel coordinates: 1/z = a·u + b·v + c with (a, b, c) along the
    normal. The fit is least squares over a square window, in inverse depth, in which the noise of a
    structured-light camera is even. Pixels of other surfaces, told by a step in depth, are left out.

    Args:
        depth_HW: metres along the optical axis, 0 = invalid.
        camera: pinhole camera of the depth image.
        radius: half-width of the window, pixels.
        edge: relative difference of inverse depth beyond which a pixel belongs to another surface; much
            smaller values cut off half of the window on floors that recede from the camera.
        rows_R: rows at which normals are wanted; all if None.
        columns_C: columns at which normals are wanted; all if None.

    Returns:
        Unit normals (R, C, 3), float32; zero where depth is invalid or under a quarter of the window supports
        the fit.

    Source: plane fits over windows like those of NYUv2's toolbox; these are not the normals of Eigen and
        Fergus that the pre-processed set holds.
    """
    depth = np.asarray(depth_HW, np.float64)
    rows = np.arange(depth.shape[0]) if rows_R is None else rows_R
    columns = np.arange(depth.shape[1]) if columns_C is None else columns_C
    valid = depth > 0
    inverse = np.where(valid, 1 / np.where(valid, depth, 1), 0)
    abc = _fit(inverse, camera, radius, edge, rows, columns)
    # 1/z = a·(u − u0) + b·(v − v0) + c_here: the constant at the principal point.
    u = (columns - camera.cx) / camera.fx
    v = (rows - camera.cy) / camera.fy
    c = abc[..., 2] - abc[..., 0] * u[None] - abc[..., 1] * v[:, None]
    # Image rows run down, y up; z towards the camera is positive.
    normal = np.stack([-abc[..., 0], abc[..., 1], c], axis=-1)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    return np.where(length > 0, normal / np.where(length > 0, length, 1), 0).astype(np.float32)


def _fit(
    inverse_HW: np.ndarray,
    camera: Intrinsics,
    radius: int,
    edge: float,
    rows_R: np.ndarray,
    columns_C: np.ndarray,
) -> np.ndarray:
    """Coefficients (R, C, 3) of inverse depth over (u − u0, v − v0, 1); zero where there is no fit."""
    offsets = sorted({round(radius * share) for share in _SHARES})
    padded = np.pad(inverse_HW, radius)
    here = inverse_HW[rows_R[:, None], columns_C]
    shape = here.shape
    left = np.zeros((3, 3, *shape))
    right = np.zeros((3, *shape))
    # Offsets rather than box filters, so that pixels of other surfaces can be left out.
    for dy in offsets:
        row = padded[rows_R + radius + dy]
        for dx in offsets:
            there = row[:, columns_C + radius + dx]
            near = (there > 0) & (here > 0) & (np.abs(there - here) <= edge * here)
            basis = (dx / camera.fx, dy / camera.fy, 1.0)
            for i in range(3):
                right[i] += near * (basis[i] * there)
                for j in range(i, 3):
                    left[i, j] += near * (basis[i] * basis[j])
    left[1, 0], left[2, 0], left[2, 1] = left[0, 1], left[0, 2], left[1, 2]
    count = left[2, 2]
    matrix = np.moveaxis(left, (0, 1), (2, 3))
    # The determinant, in pixels, vanishes where all support lies on one line.
    area = np.linalg.det(matrix) * (camera.fx * camera.fy) ** 2
    enough = (count >= _FEWEST * len(offsets) ** 2) & (area > 1)
    matrix = np.where(enough[..., None, None], matrix, np.eye(3))
    found = np.linalg.solve(matrix, np.moveaxis(right, 0, 2)[..., None])[..., 0]
    found[~enough] = 0
    return found
