"""Choice of the score thresholds of track birth and keeping, on training scenes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nexusflow.evaluation.fast_tracking import TrackingScores

__all__ = ["ThresholdRank", "rank_thresholds"]


@dataclass(frozen=True)
class ThresholdRank:
    """How well one pair of thresholds does.

    Args:
        birth: score from which a query starts a track.
        keep: score below which a track is on its way to end.
        amota: mean over the classes, in [0, 1]; 0 where undefined.
        amotp: mean over the classes, metres; infinite where undefined.
    """

    birth: float
    keep: float
    amota: float
    amotp: float


def rank_thresholds(
    candidates: Iterable[tuple[float, float]], evaluate: Callable[[float, float], TrackingScores]
) -> list[ThresholdRank]:
    """Evaluate pairs of thresholds and sort them, best first.

    Highest AMOTA wins, then lowest AMOTP, then the stricter (higher) thresholds. Use training scenes only:
    choosing on the scenes that are reported would flatter the result.

    Args:
        candidates: pairs of (birth, keep).
        evaluate: gives the metrics for (birth, keep), e.g. tracks again and calls `evaluate_tracks`.

    Returns:
        One entry per candidate, best first.
    """
    ranks = []
    for birth, keep in candidates:
        overall = evaluate(birth, keep).overall
        amota = 0.0 if math.isnan(overall["amota"]) else overall["amota"]
        amotp = math.inf if math.isnan(overall["amotp"]) else overall["amotp"]
        ranks.append(ThresholdRank(birth, keep, amota, amotp))
    return sorted(ranks, key=lambda rank: (-rank.amota, rank.amotp, -rank.birth, -rank.keep))
