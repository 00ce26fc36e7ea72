"""Ranking of birth and keep thresholds."""

import math

from nexusflow.evaluation.fast_tracking import TrackingScores
from nexusflow.evaluation.thresholds import rank_thresholds


def test_best_first() -> None:
    values = {
        (0.4, 0.3): (0.2, 1.5),
        (0.5, 0.3): (0.3, 1.6),
        (0.5, 0.4): (0.3, 1.4),
        (0.6, 0.4): (0.3, 1.4),
        (0.9, 0.9): (math.nan, math.nan),
    }

    def evaluate(birth: float, keep: float) -> TrackingScores:
        amota, amotp = values[birth, keep]
        return TrackingScores({"amota": amota, "amotp": amotp}, {})

    ranks = rank_thresholds(values, evaluate)
    assert [(r.birth, r.keep) for r in ranks] == [(0.6, 0.4), (0.5, 0.4), (0.5, 0.3), (0.4, 0.3), (0.9, 0.9)]
    assert (ranks[-1].amota, ranks[-1].amotp) == (0.0, math.inf)
