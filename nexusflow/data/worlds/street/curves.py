"""Smooth centre lines with a coordinate along (s) and across (y, positive to the left), metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Curve", "bent_curve", "straight_curve"]

Array = NDArray[np.float64]


class Curve:
    """A centre line sampled at equal steps; straight beyond both ends.

    Args:
        xy_N2: points, metres, global frame.
        heading_N: direction at each point, rad, without jumps.
        step_m: distance between points.
    """

    def __init__(self, xy_N2: Array, heading_N: Array, step_m: float) -> None:
        self.xy_N2, self.heading_N = xy_N2, heading_N
        self.s_N = np.arange(len(xy_N2)) * step_m
        self.length_m = float(self.s_N[-1])

    def heading(self, s: ArrayLike) -> Array:
        """Direction (rad) at distance `s` (any shape)."""
        return np.interp(np.asarray(s, float), self.s_N, self.heading_N)

    def point(self, s: ArrayLike, y: ArrayLike) -> Array:
        """Global points (..., 2) at distance `s` and offset `y` (broadcast together)."""
        s, y = np.broadcast_arrays(np.asarray(s, float), np.asarray(y, float))
        inside = np.clip(s, 0.0, self.length_m)
        heading = self.heading(s)
        cos, sin = np.cos(heading), np.sin(heading)
        base_x = np.interp(inside, self.s_N, self.xy_N2[:, 0]) + (s - inside) * cos
        base_y = np.interp(inside, self.s_N, self.xy_N2[:, 1]) + (s - inside) * sin
        return np.stack([base_x - y * sin, base_y + y * cos], axis=-1)

    def line(self, s0: float, s1: float, y: float, step_m: float = 4.0) -> Array:
        """A polyline (n, 2) at constant offset `y` from `s0` to `s1`."""
        n = max(2, int(np.ceil(abs(s1 - s0) / step_m)) + 1)
        return self.point(np.linspace(s0, s1, n), y)

    def ribbon(self, s0: float, s1: float, y0: float, y1: float, step_m: float = 4.0) -> Array:
        """The outline (n, 2), open, of the strip between two distances and two offsets."""
        return np.concatenate([self.line(s0, s1, y0, step_m), self.line(s0, s1, y1, step_m)[::-1]])


def bent_curve(
    rng: np.random.Generator, centre: tuple[float, float], base_heading: float, length_m: float, bend: float
) -> Curve:
    """Draw a gently winding centre line.

    Args:
        rng: random stream; always the same number of draws, whatever `bend`.
        centre: the point at half the length, metres.
        base_heading: direction there, rad, to which up to 0.08 rad are added.
        length_m: length.
        bend: amplitude of the curvature, 1/m.

    Returns:
        The curve.
    """
    step = 1.0
    s = np.arange(round(length_m / step) + 1) * step
    phases = rng.uniform(0, 2 * np.pi, 2)
    strength = rng.uniform(0.3, 1.0, 2)
    periods = rng.uniform((150.0, 80.0), (260.0, 130.0))
    kappa = sum(
        bend * strength[k] * (1.0, 0.5)[k] * np.sin(2 * np.pi * s / periods[k] + phases[k]) for k in range(2)
    )
    heading = np.concatenate([[0.0], np.cumsum((kappa[1:] + kappa[:-1]) / 2 * step)])
    middle = len(s) // 2
    heading += base_heading + rng.uniform(-0.08, 0.08) - heading[middle]
    half = (heading[1:] + heading[:-1]) / 2
    xy = np.concatenate([[[0.0, 0.0]], np.cumsum(np.stack([np.cos(half), np.sin(half)], -1) * step, axis=0)])
    return Curve(xy - xy[middle] + np.asarray(centre), heading, step)


def straight_curve(start: Array, heading: float, length_m: float) -> Curve:
    """A straight centre line from `start` (2,) in direction `heading` (rad)."""
    ends = np.stack([start, start + length_m * np.array([np.cos(heading), np.sin(heading)])])
    return Curve(ends, np.array([heading, heading]), length_m)
