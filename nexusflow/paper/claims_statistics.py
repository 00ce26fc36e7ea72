"""The verdict on one comparison: a paired effect over seeds, its interval, a threshold set beforehand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nexusflow.paper.paired import MIN_SEEDS_FOR_INTERVAL, paired_interval
from nexusflow.paper.rows import mean_and_std

__all__ = ["VERDICTS", "Effect", "Verdict", "combine", "judge", "measure", "resampled_interval"]

Verdict = Literal[
    "reproduced", "not reproduced", "within noise", "impossible as printed", "not run at this scale"
]
VERDICTS: tuple[Verdict, ...] = (
    "reproduced",
    "within noise",
    "not reproduced",
    "impossible as printed",
    "not run at this scale",
)


@dataclass(frozen=True)
class Effect:
    """How much better one run is than another.

    Args:
        seeds: the seeds that both have.
        first: mean and standard deviation of the first run.
        second: mean and standard deviation of the second run.
        mean: mean effect: a signed difference, positive if the first is better, or the logarithm of a ratio.
        std: its sample standard deviation over seeds.
        interval: interval of the mean, None for fewer than three seeds.
    """

    seeds: tuple[int, ...]
    first: tuple[float | None, float | None]
    second: tuple[float | None, float | None]
    mean: float | None
    std: float | None
    interval: tuple[float, float] | None


def measure(
    first: Mapping[int, float],
    second: Mapping[int, float],
    up: bool,
    ratio: bool = False,
    confidence: float = 0.95,
) -> Effect:
    """Compare two runs seed by seed.

    Args:
        first: seed → value of the run that should be better.
        second: seed → value of the other.
        up: whether larger is better.
        ratio: take the logarithm of the ratio instead of the difference; seeds with a value that is not
            positive are left out.
        confidence: level of the interval.

    Returns:
        The effect; without seeds in common all numbers are None.
    """
    seeds = [seed for seed in sorted(first) if seed in second]
    if ratio:
        seeds = [seed for seed in seeds if first[seed] > 0 and second[seed] > 0]
    sign = 1.0 if up else -1.0
    effects = [
        sign * (math.log(first[seed] / second[seed]) if ratio else first[seed] - second[seed])
        for seed in seeds
    ]
    mean, std = mean_and_std(effects)
    return Effect(
        tuple(seeds),
        mean_and_std([first[seed] for seed in seeds]),
        mean_and_std([second[seed] for seed in seeds]),
        mean,
        std,
        paired_interval(effects, confidence),
    )


def resampled_interval(
    first: Mapping[int, Sequence[float]],
    second: Mapping[int, Sequence[float]],
    up: bool,
    confidence: float = 0.95,
) -> tuple[float, float] | None:
    """Say how much a difference depends on the validation images or scenes.

    Args:
        first: seed → values on resampled sets of the run that should be better.
        second: the same of the other run, on the same sets.
        up: whether larger is better.
        confidence: level of the interval.

    Returns:
        Quantiles of the signed difference, averaged over the seeds that both have; None without such seeds.
    """
    seeds = [seed for seed in sorted(first) if seed in second]
    if not seeds:
        return None
    differences = np.mean([np.subtract(first[seed], second[seed]) for seed in seeds], axis=0)
    low, high = np.quantile(differences if up else -differences, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)


def judge(effect: Effect, low: float, high: float = math.inf) -> Verdict:
    """Decide whether an effect lies in a range.

    Args:
        effect: the measured effect.
        low: lower end of the range that the claim allows.
        high: its upper end.

    Returns:
        "not run at this scale" without any seed; "within noise" with fewer than three; otherwise
        "reproduced" if the interval lies inside the range, "not reproduced" if it lies outside, and
        "within noise" if it holds an end of the range.
    """
    if not effect.seeds:
        return "not run at this scale"
    if effect.interval is None or len(effect.seeds) < MIN_SEEDS_FOR_INTERVAL:
        return "within noise"
    start, end = effect.interval
    if start > low and end < high:
        return "reproduced"
    return "not reproduced" if end < low or start > high else "within noise"


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """Judge a claim that makes several comparisons at once: all of them must hold.

    Args:
        verdicts: one per comparison.

    Returns:
        "not reproduced" if one comparison is refuted; else "not run at this scale" if one was not run; else
        "within noise" if one is undecided; else "reproduced". Nothing at all counts as not run.
    """
    for verdict in ("not reproduced", "not run at this scale", "within noise"):
        if verdict in verdicts:
            return verdict  # type: ignore[return-value]
    return "reproduced" if verdicts else "not run at this scale"
