"""Is a measured MMD more than chance, and how far does it spread: permutations, subsets, halves of one set.

All of these are weight vectors on one kernel matrix; see `nexusflow.analysis.mmd`.
Letters: N, M points of the two samples, J points of both together, D dimensions, P permutations, S subsets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nexusflow.analysis.mmd import (
    DEFAULT_BLOCK,
    check_samples,
    five_kernels,
    mean_squared_distance,
    quadratic_forms,
    sample_weights,
    squared_mmd,
)
from nexusflow.core.errors import UserError

__all__ = ["MMDReport", "PermutationTest", "Spread", "mmd_report", "null_reference", "permutation_test"]

# A permutation that repeats the observed split must count as a tie, whatever the rounding of its sum.
_TIE = 1e-12
_PERMUTATIONS, _SUBSETS, _SPLITS = 0, 1, 2  # streams of random numbers: asking more of one changes no other


@dataclass(frozen=True)
class PermutationTest:
    """Five-kernel MMD² of two samples against random relabellings of their points.

    Args:
        squared_mmd: of the samples as given.
        null_P: of the relabelled samples.
        p_value: (1 + relabellings at least as far apart) / (1 + relabellings), in (0, 1].
    """

    squared_mmd: float
    null_P: np.ndarray
    p_value: float


@dataclass(frozen=True)
class Spread:
    """Five-kernel MMD² over random draws.

    Args:
        mean: over the draws.
        std: over the draws, divisor one less than their number; near zero if a draw takes nearly all points.
        size: points of each sample in a draw; the V-statistic is biased by the order of 1 / size, so compare
            equal sizes only.
    """

    mean: float
    std: float
    size: int


@dataclass(frozen=True)
class MMDReport:
    """A cell of Table 1 and what is needed to judge it; every number is an MMD², not its root.

    Args:
        five_kernel: over random subsets of equal size of both samples.
        reference_x: over random halves of the first sample: what no difference at all looks like.
        reference_y: the same of the second sample.
        unbiased: one Gaussian kernel, all points.
        p_value: of the permutation test, all points.
        bandwidth: of the five kernels between the samples, in units of squared distance.
        bandwidth_is_fixed: the bandwidth was given, not taken from the points.
    """

    five_kernel: Spread
    reference_x: Spread
    reference_y: Spread
    unbiased: float
    p_value: float
    bandwidth: float
    bandwidth_is_fixed: bool


def permutation_test(
    x_ND: np.ndarray,
    y_MD: np.ndarray,
    *,
    seed: int,
    permutations: int = 1000,
    bandwidth: float | None = None,
    block: int = DEFAULT_BLOCK,
) -> PermutationTest:
    """Test whether two samples come from one distribution.

    The kernels are computed once for all permutations, in float64. It holds (N + M) x permutations weights
    (32 MB for 2,000 points per sample and 1,000 permutations), never the whole kernel matrix.

    Args:
        x_ND: first sample.
        y_MD: second sample.
        seed: of the permutations.
        permutations: how many.
        bandwidth: fixed, in units of squared distance; None: the mean squared distance of the joint sample,
            which no permutation changes.
        block: points per side of a tile of the kernel matrix.

    Returns:
        The statistic, its permuted values and the p-value.

    Raises:
        UserError: if a sample has fewer than two points or a value that is not finite.
        ValueError: if shapes, bandwidth, block or the number of permutations make no sense.

    Source: Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 2010 (the ones in the p-value).
    """
    x_ND, y_MD = check_samples(x_ND, y_MD, bandwidth)
    joint_JD = np.concatenate([x_ND, y_MD])
    width = mean_squared_distance(joint_JD) if bandwidth is None else bandwidth
    weights_JP = _permuted_weights(len(x_ND), len(y_MD), permutations, seed)
    forms_P = quadratic_forms(joint_JD, weights_JP, five_kernels(width), block)
    return _judge(float(forms_P[0]), forms_P[1:])


def null_reference(
    points_ND: np.ndarray,
    *,
    seed: int,
    splits: int = 100,
    size: int = 500,
    bandwidth: float | None = None,
    block: int = DEFAULT_BLOCK,
) -> Spread:
    """Measure the five-kernel MMD² of two disjoint random parts of one sample (reading a of Table 1's "Ref").

    Args:
        points_ND: the sample.
        seed: of the splits.
        splits: how many.
        size: points per part; half of the sample if it has fewer than two such parts.
        bandwidth: fixed, in units of squared distance; None: the mean squared distance of this sample.
        block: points per side of a tile of the kernel matrix.

    Returns:
        Mean, spread and size of the parts.

    Raises:
        UserError: if the sample has fewer than two points or a value that is not finite.
        ValueError: if shape, bandwidth, block, size or the number of splits make no sense.
    """
    points_ND, _ = check_samples(points_ND, points_ND, bandwidth)
    width = mean_squared_distance(points_ND) if bandwidth is None else bandwidth
    size = min(size, len(points_ND) // 2)
    _check_draws(splits, size)
    generator = _generator(seed, _SPLITS)
    weights_NS = np.zeros((len(points_ND), splits))
    for split in range(splits):
        order_N = generator.permutation(len(points_ND))
        weights_NS[order_N[:size], split] = 1 / size
        weights_NS[order_N[size : 2 * size], split] = -1 / size
    return _spread(quadratic_forms(points_ND, weights_NS, five_kernels(width), block), size)


def mmd_report(
    x_ND: np.ndarray,
    y_MD: np.ndarray,
    *,
    seed: int,
    subsets: int = 100,
    subset_size: int = 500,
    bandwidth: float | None = None,
    permutations: int = 1000,
    block: int = DEFAULT_BLOCK,
) -> MMDReport:
    """Measure how far two sets of features are apart, with spread, null level and significance.

    Args:
        x_ND: first sample.
        y_MD: second sample.
        seed: of subsets, splits and permutations.
        subsets: random subsets, drawn without replacement, as repeated points would raise the V-statistic.
        subset_size: points of each sample in a subset.
        bandwidth: fixed B of all kernels exp(-d² / (f B)), in units of squared distance, with f = 1 for the
            unbiased estimate. None: the mean squared distance of the joint sample, of each sample alone for
            its reference, and the median heuristic for the unbiased estimate.
        permutations: of the test.
        block: points per side of a tile of the kernel matrix.

    Returns:
        The report.

    Raises:
        UserError: if a sample has fewer than two points, or than a subset, or a value that is not finite.
        ValueError: if shapes, bandwidth, block or the numbers of draws make no sense.
    """
    x_ND, y_MD = check_samples(x_ND, y_MD, bandwidth)
    _check_draws(subsets, subset_size)
    n, m = len(x_ND), len(y_MD)
    if subset_size > min(n, m):
        raise UserError(
            f"MMD subsets of {subset_size} points need as many in both samples, which have {n} and {m}; "
            "lower the subset size."
        )
    joint_JD = np.concatenate([x_ND, y_MD])
    width = mean_squared_distance(joint_JD) if bandwidth is None else bandwidth
    weights_JS = _subset_weights(n, m, subset_size, subsets, seed)
    weights_JP = _permuted_weights(n, m, permutations, seed)
    forms = quadratic_forms(joint_JD, np.hstack([weights_JS, weights_JP]), five_kernels(width), block)
    reference_x, reference_y = (
        null_reference(points, seed=seed, splits=subsets, size=subset_size, bandwidth=bandwidth, block=block)
        for points in (x_ND, y_MD)
    )
    deviation = None if bandwidth is None else float(np.sqrt(bandwidth / 2))
    return MMDReport(
        _spread(forms[:subsets], subset_size),
        reference_x,
        reference_y,
        unbiased=squared_mmd(x_ND, y_MD, deviation, block=block),
        p_value=_judge(float(forms[subsets]), forms[subsets + 1 :]).p_value,
        bandwidth=width,
        bandwidth_is_fixed=bandwidth is not None,
    )


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, stream]))


def _permuted_weights(n: int, m: int, permutations: int, seed: int) -> np.ndarray:
    """Weights (n + m, 1 + permutations): the samples as given, then relabelled at random."""
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, not {permutations}")
    weights_JP = np.repeat(sample_weights(n, m)[:, None], 1 + permutations, 1)
    weights_JP[:, 1:] = _generator(seed, _PERMUTATIONS).permuted(weights_JP[:, 1:], axis=0)
    return weights_JP


def _subset_weights(n: int, m: int, size: int, subsets: int, seed: int) -> np.ndarray:
    """Weights (n + m, subsets) that are zero outside a random subset of each sample."""
    generator = _generator(seed, _SUBSETS)
    weights_JS = np.zeros((n + m, subsets))
    for subset in range(subsets):
        weights_JS[generator.permutation(n)[:size], subset] = 1 / size
        weights_JS[n + generator.permutation(m)[:size], subset] = -1 / size
    return weights_JS


def _check_draws(draws: int, size: int) -> None:
    if draws < 2 or size < 1:
        raise ValueError(f"a spread needs at least two draws of one point or more, not {draws} of {size}")


def _spread(values_S: np.ndarray, size: int) -> Spread:
    return Spread(float(values_S.mean()), float(values_S.std(ddof=1)), size)


def _judge(observed: float, null_P: np.ndarray) -> PermutationTest:
    at_least = int((null_P >= observed - _TIE).sum())
    return PermutationTest(observed, null_P, (1 + at_least) / (1 + len(null_P)))
