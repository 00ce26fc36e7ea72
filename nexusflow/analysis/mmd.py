"""Maximum mean discrepancy (MMD): how far two samples are apart, by the means of their kernel features.

Every V-statistic here is a quadratic form w·K·w of the kernel matrix K of both samples together, with weights
1/N on the first sample and -1/M on the second. One pass over the tiles of K serves many weight vectors, so
subsets and permutations share the kernels, and memory grows with the tile, not with the square of the sample.

Letters: N, M points of the two samples, J points of both together, D dimensions, W weight vectors, R, C rows
and columns of a tile.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import pdist

from nexusflow.core.errors import UserError

__all__ = [
    "DEFAULT_BLOCK",
    "check_samples",
    "five_kernel_mmd",
    "five_kernels",
    "mean_squared_distance",
    "median_bandwidth",
    "quadratic_forms",
    "sample_weights",
    "squared_mmd",
]

DEFAULT_BLOCK = 512  # points; a tile then fits the cache and still feeds the matrix product well

Kernel = Callable[[np.ndarray], np.ndarray]
"""Kernel values of an array of squared distances."""


def median_bandwidth(points_ND: np.ndarray) -> float:
    """Choose the bandwidth by the median heuristic.

    It holds the distances of all pairs, twice 64 MB for 4,000 points.

    Args:
        points_ND: the points of both samples together.

    Returns:
        Median distance of two different points; 1 if all coincide.
    """
    median = float(np.median(pdist(np.asarray(points_ND, np.float64))))
    return median or 1.0


def mean_squared_distance(points_ND: np.ndarray) -> float:
    """Choose the bandwidth of the five-kernel recipe.

    Args:
        points_ND: the points of both samples together, at least two.

    Returns:
        Mean squared distance of two different points; 1 if all coincide.
    """
    # The squared distances of all ordered pairs sum to 2 N Σ|p - mean|²: no pair needs to be visited.
    centred_ND = _centre(points_ND)
    return float(2 * np.square(centred_ND).sum() / (len(centred_ND) - 1)) or 1.0


def five_kernels(bandwidth: float) -> Kernel:
    """Build the sum of five Gaussian kernels exp(-d² / (f · bandwidth)), f = 1/4, 1/2, 1, 2, 4.

    Args:
        bandwidth: in units of squared distance.

    Returns:
        The kernel, with values in (0, 5].
    """

    def kernel(squared_RC: np.ndarray) -> np.ndarray:
        # Halving f squares the Gaussian, so one exponential serves all five.
        gaussian_RC = np.exp(squared_RC / (-4 * bandwidth))
        total_RC = gaussian_RC.copy()
        for _ in range(4):
            np.square(gaussian_RC, out=gaussian_RC)
            total_RC += gaussian_RC
        return total_RC

    return kernel


def sample_weights(n: int, m: int) -> np.ndarray:
    """Weight the joint sample such that the quadratic form of the kernel matrix is the V-statistic MMD².

    Args:
        n: points of the first sample.
        m: points of the second sample.

    Returns:
        Weights (n + m,), float64: 1/n, then -1/m.
    """
    return np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])


def quadratic_forms(
    points_JD: np.ndarray, weights_JW: np.ndarray, kernel: Kernel, block: int = DEFAULT_BLOCK
) -> np.ndarray:
    """Compute w·K·w of the kernel matrix K of some points for many weight vectors w, a tile of K at a time.

    It allocates the centred points, a few arrays of block x block and one of block x W numbers.
    A squared distance is rounded by about 1e-16 of the largest squared distance to the mean.

    Args:
        points_JD: the points.
        weights_JW: one weight vector per column.
        kernel: of squared distances.
        block: points per side of a tile.

    Returns:
        The forms (W,), float64.

    Raises:
        ValueError: if the block holds no point.
    """
    if block < 1:
        raise ValueError(f"block must be at least 1, not {block}")
    centred_JD = _centre(points_JD)
    squares_J = np.square(centred_JD).sum(1)
    forms_W = np.zeros(weights_JW.shape[1])
    for top in range(0, len(centred_JD), block):
        rows = slice(top, top + block)
        for left in range(top, len(centred_JD), block):
            columns = slice(left, left + block)
            squared_RC = centred_JD[rows] @ (-2 * centred_JD[columns].T)
            squared_RC += squares_J[rows, None]
            squared_RC += squares_J[columns]
            np.maximum(squared_RC, 0, out=squared_RC)
            if left == top:
                np.fill_diagonal(squared_RC, 0)
            # K is symmetric: a tile above the diagonal stands for its mirror image too.
            times = 1 if left == top else 2
            product_RW = kernel(squared_RC) @ weights_JW[columns]
            forms_W += times * np.einsum("rw,rw->w", weights_JW[rows], product_RW)
    return forms_W


def squared_mmd(
    x_ND: np.ndarray,
    y_MD: np.ndarray,
    bandwidth: float | None = None,
    unbiased: bool = True,
    block: int = DEFAULT_BLOCK,
) -> float:
    """Estimate the squared maximum mean discrepancy of two samples with one Gaussian kernel.

    Args:
        x_ND: first sample.
        y_MD: second sample.
        bandwidth: s of the kernel exp(-d² / (2 s²)); None: the median heuristic over both.
        unbiased: leave out the distance of a point to itself; equal distributions then give zero on average.
        block: points per side of a tile of the kernel matrix.

    Returns:
        The squared discrepancy, at most 2; an unbiased estimate may be slightly negative.

    Source: Gretton et al., JMLR 2012, Eqs. 3 and 5.
    """
    n, m = len(x_ND), len(y_MD)
    assert not unbiased or min(n, m) >= 2
    joint_JD = np.concatenate([np.asarray(x_ND, np.float64), np.asarray(y_MD, np.float64)])
    width = median_bandwidth(joint_JD) if bandwidth is None else bandwidth
    weights_J = sample_weights(n, m)
    weights_J3 = np.stack([weights_J, weights_J.clip(min=0), weights_J.clip(max=0)], 1)

    def kernel(squared_RC: np.ndarray) -> np.ndarray:
        return np.exp(squared_RC / (-2 * width**2))

    biased, within_x, within_y = quadratic_forms(joint_JD, weights_J3, kernel, block)
    # The mean a over all pairs counts each point with itself, value 1; the mean over the other pairs is
    # (n a - 1) / (n - 1) = a + (a - 1) / (n - 1).
    correction = (within_x - 1) / (n - 1) + (within_y - 1) / (m - 1) if unbiased else 0.0
    return float(biased + correction)


def five_kernel_mmd(
    x_ND: np.ndarray, y_MD: np.ndarray, bandwidth: float | None = None, block: int = DEFAULT_BLOCK
) -> float:
    """Compute MMD² by the recipe of transfer learning: a sum of five Gaussian kernels, V-statistic.

    The data-dependent bandwidth makes the value blind to a common scale of both samples. For samples of equal
    size it also keeps it below 2 (5 - 1.128) = 7.74, the value of two points repeated many times: the mean
    squared distance between the samples is less than twice the bandwidth, and the kernel is convex in it.

    Args:
        x_ND: first sample.
        y_MD: second sample.
        bandwidth: fixed, in units of squared distance; None: the mean squared distance of the joint sample.
        block: points per side of a tile of the kernel matrix.

    Returns:
        MMD² (not its root), never below zero but for rounding; equal distributions give about
        (1/N + 1/M) (5 - mean kernel).

    Raises:
        UserError: if a sample has fewer than two points or a value that is not finite.
        ValueError: if shapes, bandwidth or block make no sense.

    Source: Long et al., ICML 2015 (sum of kernels); factors and bandwidth as in public code that follows it.
    """
    x_ND, y_MD = check_samples(x_ND, y_MD, bandwidth)
    joint_JD = np.concatenate([x_ND, y_MD])
    width = mean_squared_distance(joint_JD) if bandwidth is None else bandwidth
    weights_J1 = sample_weights(len(x_ND), len(y_MD))[:, None]
    return float(quadratic_forms(joint_JD, weights_J1, five_kernels(width), block)[0])


def check_samples(
    x_ND: np.ndarray, y_MD: np.ndarray, bandwidth: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Check two samples and a bandwidth before anything is computed.

    Args:
        x_ND: first sample.
        y_MD: second sample.
        bandwidth: fixed bandwidth, if any.

    Returns:
        Both samples, float64.

    Raises:
        UserError: if a sample has fewer than two points or a value that is not finite.
        ValueError: if the samples are not tables of equal width, or the bandwidth is not positive.
    """
    x_ND, y_MD = np.asarray(x_ND, np.float64), np.asarray(y_MD, np.float64)
    if x_ND.ndim != 2 or y_MD.ndim != 2 or x_ND.shape[1] != y_MD.shape[1]:
        raise ValueError(f"samples must be tables of equal width, not {x_ND.shape} and {y_MD.shape}")
    if bandwidth is not None and not 0 < bandwidth < np.inf:
        raise ValueError(f"bandwidth must be positive and finite, not {bandwidth}")
    for name, points in (("first", x_ND), ("second", y_MD)):
        if len(points) < 2:
            raise UserError(f"The {name} sample of the MMD has {len(points)} points; give it at least two.")
        broken = int((~np.isfinite(points)).any(1).sum())
        if broken:
            raise UserError(
                f"The {name} sample of the MMD has {broken} points with NaN or infinite features; "
                "leave them out or look at the run that made them."
            )
    return x_ND, y_MD


def _centre(points_ND: np.ndarray) -> np.ndarray:
    """Move the mean to zero: far from it, squared distances by a matrix product would lose digits."""
    points = np.asarray(points_ND, np.float64)
    points = points - points[0]  # first, so that points that all coincide become exact zeros
    return points - points.mean(0)
