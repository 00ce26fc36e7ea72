"""Maximum mean discrepancy with a Gaussian kernel.

Letters: N, M points, D dimensions.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist, pdist

__all__ = ["median_bandwidth", "squared_mmd"]


def median_bandwidth(points_ND: np.ndarray) -> float:
    """Choose the bandwidth by the median heuristic.

    Args:
        points_ND: the points of both samples together.

    Returns:
        Median distance of two different points; 1 if all coincide.
    """
    median = float(np.median(pdist(np.asarray(points_ND, np.float64))))
    return median or 1.0


def squared_mmd(
    x_ND: np.ndarray, y_MD: np.ndarray, bandwidth: float | None = None, unbiased: bool = True
) -> float:
    """Estimate the squared maximum mean discrepancy of two samples.

    Args:
        x_ND: first sample.
        y_MD: second sample.
        bandwidth: s of the kernel exp(-d² / (2 s²)); None: the median heuristic over both.
        unbiased: leave out the distance of a point to itself; equal distributions then give zero on average.

    Returns:
        The squared discrepancy; an unbiased estimate may be slightly negative.

    Source: Gretton et al., JMLR 2012, Eqs. 3 and 5.
    """
    x, y = np.asarray(x_ND, np.float64), np.asarray(y_MD, np.float64)
    assert not unbiased or min(len(x), len(y)) >= 2
    width = median_bandwidth(np.concatenate([x, y])) if bandwidth is None else bandwidth

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.exp(-cdist(a, b, "sqeuclidean") / (2 * width**2))

    k_xx, k_yy = kernel(x, x), kernel(y, y)
    n, m = len(x), len(y)
    if unbiased:
        within_x = (k_xx.sum() - np.trace(k_xx)) / (n * (n - 1))
        within_y = (k_yy.sum() - np.trace(k_yy)) / (m * (m - 1))
    else:
        within_x, within_y = k_xx.mean(), k_yy.mean()
    return float(within_x + within_y - 2 * kernel(x, y).mean())
