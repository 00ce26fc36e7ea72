"""What cameras and annotators do to a perfect picture: noise, missing depth, void at outlines.

Letters: H × W pixels.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

__all__ = ["sense_colour", "sense_depth", "sense_labels", "sense_normals"]

_BORDER = 0.012  # of the width
_STEP = 0.08
_GRAZING = 0.14
_BENT = 0.9
_TOO_NEAR_M = 0.35
_TOO_FAR_M = 9.5
# Automatic exposure brings this quantile of the light to this value, by this share of the way in stops.
_EXPOSED_SHARE = 0.9
_EXPOSED_LIGHT = 0.7
_EXPOSURE_STRENGTH = 0.75


def _exposure(light_HW3: np.ndarray) -> float:
    """Factor that brings a bright part of the picture close to white, as automatic exposure does."""
    bright = float(np.quantile(light_HW3, _EXPOSED_SHARE))
    return float((_EXPOSED_LIGHT / max(bright, 1e-6)) ** _EXPOSURE_STRENGTH)


def sense_colour(light_HW3: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vignetting, exposure, noise and gamma.

    Args:
        light_HW3: linear light, not negative.
        rng: source of randomness.

    Returns:
        RGB in [0, 1] with 256 levels.
    """
    height, width = light_HW3.shape[:2]
    y = (np.arange(height) - height / 2) / width
    x = (np.arange(width) - width / 2) / width
    fall_HW = 1 - 0.45 * (y[:, None] ** 2 + x[None, :] ** 2)
    exposed = light_HW3 * fall_HW[..., None] * _exposure(light_HW3) * np.exp(rng.normal(0, 0.08))
    noisy = exposed + rng.normal(0, 1, light_HW3.shape) * (0.006 + 0.012 * np.sqrt(np.maximum(exposed, 0)))
    return np.round(np.clip(noisy, 0, 1) ** (1 / 2.2) * 255) / 255


def sense_depth(
    depth_HW: np.ndarray, facing_HW: np.ndarray, gloss_HW: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Noise that grows with the square of the depth, and pixels without a value.

    Values are missing at the border, beside steps in depth, on grazing, shiny, too near and too far surfaces.

    Args:
        depth_HW: metres.
        facing_HW: cosine between ray and normal.
        gloss_HW: gloss of the surfaces.
        rng: source of randomness.

    Returns:
        Depth in metres with 0 where it is missing, and where it is there.
    """
    width = depth_HW.shape[1]
    step_HW = maximum_filter(depth_HW, 3) - minimum_filter(depth_HW, 3)
    blobs_HW = gaussian_filter(rng.normal(0, 1, depth_HW.shape), max(1.0, width / 40))
    blobs_HW /= blobs_HW.std() + 1e-12
    missing = (step_HW > _STEP * depth_HW) & (rng.random(depth_HW.shape) < 0.55)
    missing |= (facing_HW < _GRAZING) & (blobs_HW > -0.3)
    missing |= (gloss_HW >= 0.3) & (blobs_HW > 0.2)
    missing |= (depth_HW < _TOO_NEAR_M) | (depth_HW > _TOO_FAR_M)
    edge = max(1, round(_BORDER * width))
    missing[:, :edge] = missing[:, -edge:] = True
    missing[:edge] = missing[-edge:] = True
    noisy = depth_HW + rng.normal(0, 1, depth_HW.shape) * 0.0025 * depth_HW**2
    return np.where(missing, 0.0, noisy), ~missing


def sense_normals(normal_HW3: np.ndarray, depth_HW: np.ndarray) -> np.ndarray:
    """Normals where a plane can be fitted to the depths around a pixel, as normals are found from depth.

    Args:
        normal_HW3: unit vectors of the surfaces.
        depth_HW: sensed depth in metres, 0 = missing.

    Returns:
        Unit vectors; zero where depth is missing or one of the four neighbours lies on another surface.
    """
    known_HW = depth_HW > 0
    for axis in (0, 1):
        first, second = (
            tuple(part if number == axis else slice(None) for number in (0, 1))
            for part in (slice(None, -1), slice(1, None))
        )
        bent = (normal_HW3[first] * normal_HW3[second]).sum(-1) < _BENT
        near, far = depth_HW[first], depth_HW[second]
        apart = (near > 0) & (far > 0) & (abs(near - far) > _STEP * np.minimum(near, far))
        known_HW[first] &= ~(bent | apart)
        known_HW[second] &= ~(bent | apart)
    return np.where(known_HW[..., None], normal_HW3, 0.0)


def sense_labels(label_HW: np.ndarray, solid_HW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leave outlines of things partly unlabelled, as annotators do.

    Args:
        label_HW: class, -1 = void.
        solid_HW: number of the solid that is seen.
        rng: source of randomness.

    Returns:
        Class, -1 = void.
    """
    mixed = maximum_filter(label_HW, 3) != minimum_filter(label_HW, 3)
    outline = mixed & (maximum_filter(solid_HW, 3) != minimum_filter(solid_HW, 3))
    return np.where(outline & (rng.random(label_HW.shape) < 0.35), -1, label_HW)
