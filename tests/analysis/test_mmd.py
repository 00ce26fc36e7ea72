"""MMD against double loops, closed forms and its own bounds."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexusflow.analysis.mmd import (
    five_kernel_mmd,
    five_kernels,
    mean_squared_distance,
    median_bandwidth,
    quadratic_forms,
    sample_weights,
    squared_mmd,
)
from nexusflow.core.errors import UserError

SIZES = st.tuples(st.integers(2, 7), st.integers(2, 7), st.integers(1, 5), st.integers(0, 2**32 - 1))


def samples(
    sizes: tuple[int, int, int, int], scale: float = 1, offset: float = 0
) -> tuple[np.ndarray, np.ndarray]:
    n, m, d, seed = sizes
    rng = np.random.default_rng(seed)
    return rng.normal(offset, scale, (n, d)), rng.normal(offset + scale * rng.normal(), scale, (m, d))


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return math.fsum((p - q) ** 2 for p, q in zip(a.tolist(), b.tolist(), strict=True))


def loop_bandwidth(points: np.ndarray) -> float:
    pairs = [distance(points[i], points[j]) for i in range(len(points)) for j in range(len(points)) if i != j]
    return math.fsum(pairs) / len(pairs)


def loop_five_kernel(x: np.ndarray, y: np.ndarray, bandwidth: float) -> float:
    def mean(a: np.ndarray, b: np.ndarray) -> float:
        terms = [
            math.exp(-distance(p, q) / (bandwidth * f)) for p in a for q in b for f in (0.25, 0.5, 1, 2, 4)
        ]
        return math.fsum(terms) / (len(a) * len(b))

    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


def loop_single_kernel(x: np.ndarray, y: np.ndarray, deviation: float, unbiased: bool) -> float:
    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return math.exp(-distance(a, b) / (2 * deviation**2))

    def within(a: np.ndarray) -> float:
        terms = [
            kernel(a[i], a[j]) for i in range(len(a)) for j in range(len(a)) if not (unbiased and i == j)
        ]
        return math.fsum(terms) / len(terms)

    across = [kernel(p, q) for p in x for q in y]
    return within(x) + within(y) - 2 * math.fsum(across) / len(across)


@given(SIZES, st.sampled_from([1e-3, 1, 1e3]), st.sampled_from([0, 1e3]), st.integers(1, 5))
def test_five_kernels_equal_double_loops(
    sizes: tuple[int, int, int, int], scale: float, offset: float, block: int
) -> None:
    x, y = samples(sizes, scale, offset * scale)
    bandwidth = loop_bandwidth(np.concatenate([x, y]))
    assert mean_squared_distance(np.concatenate([x, y])) == pytest.approx(bandwidth, rel=1e-10)
    want = loop_five_kernel(x, y, bandwidth)
    assert five_kernel_mmd(x, y, block=block) == pytest.approx(want, abs=1e-10)
    fixed = 0.3 * scale**2
    assert five_kernel_mmd(x, y, fixed, block) == pytest.approx(loop_five_kernel(x, y, fixed), abs=1e-10)


@given(SIZES, st.booleans(), st.sampled_from([None, 0.7]), st.integers(1, 5))
def test_one_kernel_equals_double_loops(
    sizes: tuple[int, int, int, int], unbiased: bool, bandwidth: float | None, block: int
) -> None:
    x, y = samples(sizes)
    deviation = median_bandwidth(np.concatenate([x, y])) if bandwidth is None else bandwidth
    want = loop_single_kernel(x, y, deviation, unbiased)
    assert squared_mmd(x, y, bandwidth, unbiased, block) == pytest.approx(want, abs=1e-10)


def test_the_unbiased_estimate_of_two_points_each_in_closed_form() -> None:
    # x = {0, 1}, y = {2, 3}, exp(-d²): both pairs within have d = 1; across 2, 3, 1, 2.
    x, y = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    across = (2 * math.exp(-4) + math.exp(-9) + math.exp(-1)) / 4
    assert squared_mmd(x, y, math.sqrt(0.5)) == pytest.approx(2 * math.exp(-1) - 2 * across, abs=1e-14)


def test_the_unbiased_estimate_averages_to_zero_without_a_difference_the_biased_one_does_not() -> None:
    rng = np.random.default_rng(0)
    draws = [rng.normal(size=(2, 20, 3)) for _ in range(200)]
    unbiased = np.array([squared_mmd(x, y, 1.0) for x, y in draws])
    assert abs(unbiased.mean()) < 4 * unbiased.std() / math.sqrt(len(draws))
    mean_kernel = (1 / (1 + 2)) ** 1.5  # E exp(-d²/2) of two standard normal points in 3-D
    biased = np.mean([squared_mmd(x, y, 1.0, unbiased=False) for x, y in draws])
    assert biased == pytest.approx((1 / 20 + 1 / 20) * (1 - mean_kernel), rel=0.1)


def test_far_point_masses_reach_the_maximum() -> None:
    x, y = np.zeros((1000, 4)), np.full((1000, 4), 1e6)
    limit = 2 * (5 - sum(math.exp(-2 / f) for f in (0.25, 0.5, 1, 2, 4)))
    assert limit == pytest.approx(7.743, abs=1e-3)
    assert five_kernel_mmd(x, y) == pytest.approx(limit, abs=5e-3)


@given(SIZES, st.sampled_from([0.1, 1, 30]))
def test_equal_sizes_never_exceed_the_maximum(sizes: tuple[int, int, int, int], shift: float) -> None:
    x, y = samples((sizes[0], sizes[0], *sizes[2:]))
    assert -1e-12 < five_kernel_mmd(x, y + shift) < 7.7434


@given(SIZES, st.sampled_from([1e-4, 7.0, 1e5]))
def test_a_common_scale_and_shift_change_only_fixed_bandwidths(
    sizes: tuple[int, int, int, int], scale: float
) -> None:
    x, y = samples(sizes)
    assert five_kernel_mmd(scale * x + scale, scale * y + scale) == pytest.approx(
        five_kernel_mmd(x, y), abs=1e-10
    )
    bandwidth = mean_squared_distance(np.concatenate([x, y]))
    moved = five_kernel_mmd(scale * x, scale * y, bandwidth)
    assert moved == pytest.approx(five_kernel_mmd(x, y, bandwidth / scale**2), abs=1e-10)


@given(SIZES)
def test_order_of_points_and_of_samples_does_not_matter(sizes: tuple[int, int, int, int]) -> None:
    x, y = samples(sizes)
    want = five_kernel_mmd(x, y, block=3)
    assert five_kernel_mmd(x[::-1], np.roll(y, 1, 0), block=3) == pytest.approx(want, abs=1e-12)
    assert five_kernel_mmd(y, x, block=3) == pytest.approx(want, abs=1e-12)


def test_equal_samples_are_at_zero() -> None:
    x = np.random.default_rng(1).normal(size=(40, 8))
    assert five_kernel_mmd(x, x[::-1], block=7) == pytest.approx(0, abs=1e-12)
    same = np.full((10, 3), 0.1)  # ten times 0.1 do not add up to 1
    assert mean_squared_distance(same) == 1 and median_bandwidth(same) == 1
    assert five_kernel_mmd(same, same) == pytest.approx(0, abs=1e-14)


def test_rounding_of_repeated_points_cannot_leave_the_range_of_the_kernel() -> None:
    x = np.random.default_rng(3).normal(size=(40, 8))
    assert 0 <= five_kernel_mmd(x, x, 1e-20) <= 10


@settings(max_examples=20)
@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_tiles_equal_the_whole_matrix(block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, weights = rng.normal(5, 2, (50, 6)), rng.normal(size=(50, 4))
    squared = np.square(points[:, None] - points).sum(-1)
    want = np.einsum("iw,ij,jw->w", weights, five_kernels(30.0)(squared), weights)
    np.testing.assert_allclose(quadratic_forms(points, weights, five_kernels(30.0), block), want, atol=1e-10)


def test_memory_follows_the_block() -> None:
    points = np.random.default_rng(2).normal(size=(3000, 2))
    weights = sample_weights(1500, 1500)[:, None]
    peaks = []
    for block in (50, 3000):
        tracemalloc.start()
        quadratic_forms(points, weights, five_kernels(4.0), block)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < 1e6 < 3000 * 3000 * 8 < peaks[1]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_values_that_are_not_finite_are_counted(broken: float) -> None:
    x, y = samples((4, 5, 3, 0))
    y[1:3, 0] = broken
    with pytest.raises(UserError, match="second sample of the MMD has 2 points with NaN"):
        five_kernel_mmd(x, y)


def test_too_few_points_and_mistakes_of_the_caller() -> None:
    x, y = samples((4, 5, 3, 0))
    with pytest.raises(UserError, match="first sample of the MMD has 1 points"):
        five_kernel_mmd(x[:1], y)
    with pytest.raises(ValueError, match="equal width"):
        five_kernel_mmd(x, y[:, :2])
    with pytest.raises(ValueError, match="equal width"):
        five_kernel_mmd(x[0], y[0])
    for bandwidth in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="bandwidth"):
            five_kernel_mmd(x, y, bandwidth)
    with pytest.raises(ValueError, match="block"):
        five_kernel_mmd(x, y, block=0)
