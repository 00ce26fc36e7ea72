"""Intervals of mean differences that are paired by training seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

__all__ = ["MIN_SEEDS_FOR_INTERVAL", "paired_interval"]

MIN_SEEDS_FOR_INTERVAL = 3


def paired_interval(differences: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Interval of a mean difference by Student's t.

    With three to five seeds a percentile bootstrap is far too narrow (it cannot leave the range of the
    data), so the t interval is used at every n.

    Args:
        differences: one difference per seed.
        confidence: level of the interval.

    Returns:
        Lower and upper end, or None for fewer than three seeds.
    """
    n = len(differences)
    if n < MIN_SEEDS_FOR_INTERVAL:
        return None
    mean, std = float(np.mean(differences)), float(np.std(differences, ddof=1))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * std / float(np.sqrt(n))
    return mean - half, mean + half
