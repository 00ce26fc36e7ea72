"""Time of the MMD permutation test against recomputing the kernels for every permutation.

    python benchmarks/mmd.py --sizes 50 100 200 --permutations 100 --rounds 3

Both get the same permutations, and the benchmark stops if their statistics differ. Times are medians of
rounds in which the two take turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
from scipy.spatial.distance import cdist

from nexusflow.analysis.mmd import mean_squared_distance
from nexusflow.analysis.permutation import permutation_test

FACTORS = (0.25, 0.5, 1, 2, 4)


def naive_statistic(x_ND: np.ndarray, y_ND: np.ndarray, bandwidth: float) -> float:
    """Five-kernel MMD² as its formula reads."""

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        squared = cdist(a, b, "sqeuclidean")
        return float(sum(np.exp(-squared / (bandwidth * factor)).mean() for factor in FACTORS))

    return mean(x_ND, x_ND) + mean(y_ND, y_ND) - 2 * mean(x_ND, y_ND)


def naive_null(x_ND: np.ndarray, y_ND: np.ndarray, seed: int, permutations: int) -> np.ndarray:
    """Recompute all kernels for every permutation, drawn as `permutation_test` draws them."""
    joint = np.concatenate([x_ND, y_ND])
    bandwidth = mean_squared_distance(joint)
    first = np.repeat((np.arange(len(joint)) < len(x_ND))[:, None], permutations, 1)
    first = np.random.Generator(np.random.PCG64([seed, 0])).permuted(first, axis=0)
    return np.array([naive_statistic(joint[column], joint[~column], bandwidth) for column in first.T])


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Measure, compare and print a table, then the size of the paper's analysis without a rival."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200], help="points per sample")
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--permutations", type=int, default=100, help="of both (default: 100)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default: 3)")
    arguments = parser.parse_args()
    generator, count = np.random.default_rng(0), arguments.permutations
    print(f"{'points':>7s} {'ours s':>9s} {'naive s':>9s} {'ratio':>7s} {'difference':>11s}")
    for size in arguments.sizes:
        x_ND, y_ND = generator.normal(size=(2, size, arguments.dimensions))
        difference = np.abs(
            permutation_test(x_ND, y_ND, seed=0, permutations=count).null_P - naive_null(x_ND, y_ND, 0, count)
        ).max()
        if difference > 1e-10:
            raise SystemExit(f"the two disagree by {difference:.1e} at {size} points")
        calls = (
            partial(permutation_test, x_ND, y_ND, seed=0, permutations=count),
            partial(naive_null, x_ND, y_ND, 0, count),
        )
        times = [[seconds(call) for call in calls] for _ in range(arguments.rounds)]
        ours, naive = (median(column) for column in zip(*times, strict=True))
        print(f"{size:7d} {ours:9.4f} {naive:9.4f} {naive / ours:7.1f} {difference:11.1e}")
    x_ND, y_ND = generator.normal(size=(2, 2000, arguments.dimensions))
    large = partial(permutation_test, x_ND, y_ND, seed=0)
    typical = median(seconds(large) for _ in range(arguments.rounds))
    print(f"2,000 points per sample, 1,000 permutations: {typical:.2f} s")


if __name__ == "__main__":
    main()
