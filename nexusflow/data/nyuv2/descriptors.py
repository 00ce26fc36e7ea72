"""What an image looks like, as a vector, without any label.

Letters: N images, D dimensions, H × W pixels.
"""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA

from nexusflow.core.progress import track

__all__ = ["brightness", "image_descriptors"]

_COLOUR_BINS = 4
_ORIENTATIONS = 8
_GRID = (3, 4)
_DIMENSIONS = 32


def brightness(image_3HW: np.ndarray) -> float:
    """Mean luminance of an image.

    Args:
        image_3HW: RGB in [0, 1].

    Returns:
        Luminance in [0, 1] (Rec. 601 weights).
    """
    return float(np.tensordot([0.299, 0.587, 0.114], np.asarray(image_3HW, np.float64), 1).mean())


def _colours(image_3HW: np.ndarray) -> np.ndarray:
    """Joint histogram of red, green and blue; its square root makes distances those of Hellinger."""
    bins_3P = np.clip((image_3HW.reshape(3, -1) * _COLOUR_BINS).astype(int), 0, _COLOUR_BINS - 1)
    code_P = (bins_3P[0] * _COLOUR_BINS + bins_3P[1]) * _COLOUR_BINS + bins_3P[2]
    counts = np.bincount(code_P, minlength=_COLOUR_BINS**3)
    return np.sqrt(counts / counts.sum())


def _gradients(image_3HW: np.ndarray) -> np.ndarray:
    """Orientations of the luminance's gradient in each cell of a coarse grid, weighted by strength."""
    grey_HW = np.tensordot([0.299, 0.587, 0.114], np.asarray(image_3HW, np.float64), 1)
    dy_HW, dx_HW = np.gradient(grey_HW)
    strength_HW = np.hypot(dx_HW, dy_HW)
    angle_HW = np.mod(np.arctan2(dy_HW, dx_HW), np.pi) / np.pi
    bin_HW = np.minimum((angle_HW * _ORIENTATIONS).astype(int), _ORIENTATIONS - 1)
    parts = []
    for rows in np.array_split(np.arange(grey_HW.shape[0]), _GRID[0]):
        for columns in np.array_split(np.arange(grey_HW.shape[1]), _GRID[1]):
            cell = np.ix_(rows, columns)
            weights = strength_HW[cell].ravel()
            parts.append(np.bincount(bin_HW[cell].ravel(), weights, minlength=_ORIENTATIONS))
    total = np.concatenate(parts)
    return np.sqrt(total / max(total.sum(), 1e-12))


def image_descriptors(images_N3HW: np.ndarray) -> np.ndarray:
    """Describe images by colour and by oriented gradients, reduced by PCA that is fitted to them alone.

    Args:
        images_N3HW: RGB in [0, 1].

    Returns:
        Descriptors (N, D), float64, D at most 32.

    Source: the paper clusters NYUv2 but does not say by what; these descriptors need neither labels nor
        weights from elsewhere.
    """
    rows = [
        np.concatenate([_colours(image), _gradients(image)])
        for image in track(images_N3HW, "describing images", total=len(images_N3HW))
    ]
    raw_ND = np.stack(rows)
    dimensions = min(_DIMENSIONS, len(raw_ND) - 1, raw_ND.shape[1])
    return PCA(dimensions, svd_solver="full").fit_transform(raw_ND)
