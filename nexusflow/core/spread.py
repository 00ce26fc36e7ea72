"""Places spread evenly over a row of things."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["evenly_spread"]


def evenly_spread(count: int, wanted: int) -> NDArray[np.int64]:
    """Choose places evenly, the first and the last among them; no randomness.

    Args:
        count: how many there are.
        wanted: how many to choose; all if there are fewer.

    Returns:
        Their places, ascending, int64.
    """
    return np.linspace(0, count - 1, min(wanted, count)).round().astype(np.int64)
