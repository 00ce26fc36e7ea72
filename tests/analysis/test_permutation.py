"""The permutation test against relabelling by hand, and the report of two sets of features."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexusflow.analysis.mmd import five_kernel_mmd, mean_squared_distance, squared_mmd
from nexusflow.analysis.permutation import _permuted_weights, mmd_report, null_reference, permutation_test
from nexusflow.core.errors import UserError


def gaussians(n: int, m: int, shift: float = 0, seed: int = 0, d: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(shift, 1, (m, d))


@settings(max_examples=30)
@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 10**6), st.sampled_from([None, 2.0]))
def test_every_permutation_equals_its_relabelled_samples(
    n: int, m: int, seed: int, bandwidth: float | None
) -> None:
    x, y = gaussians(n, m, 0.5, seed, d=3)
    test = permutation_test(x, y, seed=seed, permutations=20, bandwidth=bandwidth, block=4)
    joint, weights_JP = np.concatenate([x, y]), _permuted_weights(n, m, 20, seed)
    want = [five_kernel_mmd(joint[w > 0], joint[w < 0], bandwidth) for w in weights_JP.T]
    np.testing.assert_allclose([test.squared_mmd, *test.null_P], want, atol=1e-10)
    at_least = sum(value >= want[0] - 1e-12 for value in want[1:])
    assert test.p_value == (1 + at_least) / 21


def test_permutations_draw_all_relabellings_alike() -> None:
    weights_JP = _permuted_weights(2, 3, 5000, seed=0)[:, 1:]
    firsts = [tuple(np.flatnonzero(w > 0)) for w in weights_JP.T]
    counts = [firsts.count(pair) for pair in combinations(range(5), 2)]
    assert sum(counts) == 5000
    assert max(abs(count - 500) for count in counts) < 5 * math.sqrt(450)


def test_a_tie_is_no_win() -> None:
    # Two points each, far apart: only the observed split and its mirror image reach the statistic, 2 of 6.
    x, y = np.array([[0.0], [1.0]]), np.array([[50.0], [51.0]])
    test = permutation_test(x, y, seed=0, permutations=3000)
    assert test.p_value == pytest.approx(1 / 3, abs=0.04)
    for seed in range(10):
        z, _ = gaussians(3, 3, seed=seed)
        equal = permutation_test(z, z[[1, 2, 0]], seed=seed, permutations=100)
        assert equal.squared_mmd == pytest.approx(0, abs=1e-12)
        assert equal.p_value == 1


def test_p_values_are_uniform_without_a_difference_and_small_with_one() -> None:
    p = np.array(
        [permutation_test(*gaussians(15, 25, seed=s), seed=s, permutations=99).p_value for s in range(200)]
    )
    assert p.mean() == pytest.approx(0.5, abs=5 / math.sqrt(12 * 200))
    assert (p <= 0.05).mean() < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 200)
    assert permutation_test(*gaussians(60, 40, shift=1), seed=0).p_value == 1 / 1001


def test_the_seed_decides_and_more_permutations_extend_fewer() -> None:
    x, y = gaussians(12, 9)
    one, two = (permutation_test(x, y, seed=3, permutations=40) for _ in range(2))
    np.testing.assert_array_equal(one.null_P, two.null_P)
    assert not np.array_equal(one.null_P, permutation_test(x, y, seed=4, permutations=40).null_P)
    more = permutation_test(x, y, seed=3, permutations=60)
    np.testing.assert_allclose(more.null_P[:40], one.null_P, atol=1e-12)


def test_the_report_agrees_with_its_parts() -> None:
    x, y = gaussians(60, 50, shift=0.6)
    report = mmd_report(x, y, seed=5, subsets=30, subset_size=20, permutations=200, block=32)
    assert report == mmd_report(x, y, seed=5, subsets=30, subset_size=20, permutations=200, block=32)
    assert report.five_kernel != mmd_report(x, y, seed=6, subsets=30, subset_size=20).five_kernel
    assert report.p_value == permutation_test(x, y, seed=5, permutations=200).p_value
    assert report.unbiased == pytest.approx(squared_mmd(x, y), abs=1e-12)
    assert report.bandwidth == mean_squared_distance(np.concatenate([x, y]))
    assert not report.bandwidth_is_fixed
    reference = null_reference(y, seed=5, splits=30, size=20)
    assert report.reference_y.mean == pytest.approx(reference.mean, abs=1e-12)
    assert report.five_kernel.mean > report.reference_x.mean + 2 * report.reference_x.std


def test_a_subset_of_all_points_is_the_statistic_itself() -> None:
    x, y = gaussians(20, 20, shift=0.3)
    for bandwidth in (None, 7.0):
        spread = mmd_report(x, y, seed=0, subset_size=20, bandwidth=bandwidth, permutations=1).five_kernel
        assert spread.mean == pytest.approx(five_kernel_mmd(x, y, bandwidth), abs=1e-12)
        assert spread.std == pytest.approx(0, abs=1e-12)


def test_a_fixed_bandwidth_holds_for_every_kernel() -> None:
    x, y = gaussians(30, 30, shift=0.3)
    report = mmd_report(x, y, seed=0, subset_size=10, bandwidth=16.0, permutations=10)
    assert (report.bandwidth, report.bandwidth_is_fixed) == (16.0, True)
    assert report.unbiased == pytest.approx(squared_mmd(x, y, math.sqrt(8)), abs=1e-12)
    shrunk = mmd_report(x / 4, y / 4, seed=0, subset_size=10, bandwidth=1.0, permutations=10)
    for name in ("five_kernel", "reference_x", "reference_y"):
        assert getattr(shrunk, name).mean == pytest.approx(getattr(report, name).mean, abs=1e-12)


def test_subsets_of_one_distribution_lie_at_the_level_of_the_reference() -> None:
    x, y = gaussians(400, 400, seed=1)
    report = mmd_report(x, y, seed=1, subset_size=50, permutations=10)
    assert report.reference_x.size == 50
    assert report.five_kernel.mean == pytest.approx(report.reference_x.mean, rel=0.15)


def test_halves_are_disjoint_and_as_large_as_the_sample_allows() -> None:
    # Two far groups of coinciding points: overlapping halves could never be all of one group each.
    points = np.repeat([[0.0], [1e3]], 2, axis=0)
    reference = null_reference(points, seed=0, splits=600, size=500)
    assert reference.size == 2
    extreme = five_kernel_mmd(points[:2], points[2:])
    assert reference.mean == pytest.approx(extreme / 3, rel=0.2)  # 2 of 6 splits; the others mix alike
    assert null_reference(np.arange(7.0)[:, None], seed=0, splits=2, size=500).size == 3


def test_the_spread_of_two_draws_by_hand() -> None:
    points = np.random.default_rng(0).normal(size=(9, 2))
    generator = np.random.Generator(np.random.PCG64([4, 2]))
    orders = [generator.permutation(9) for _ in range(2)]
    width = mean_squared_distance(points)
    a, b = (five_kernel_mmd(points[o[:3]], points[o[3:6]], width) for o in orders)
    spread = null_reference(points, seed=4, splits=2, size=3)
    assert spread.mean == pytest.approx((a + b) / 2, abs=1e-12)
    assert spread.std == pytest.approx(abs(a - b) / math.sqrt(2), abs=1e-12)


def test_mistakes_are_named() -> None:
    x, y = gaussians(6, 9)
    with pytest.raises(
        UserError, match="subsets of 7 points need as many in both samples, which have 6 and 9"
    ):
        mmd_report(x, y, seed=0, subset_size=7)
    with pytest.raises(UserError, match="first sample of the MMD has 6 points with NaN"):
        mmd_report(np.full_like(x, np.nan), y, seed=0, subset_size=3)
    with pytest.raises(UserError, match="has 1 points"):
        null_reference(x[:1], seed=0)
    with pytest.raises(ValueError, match="permutations"):
        permutation_test(x, y, seed=0, permutations=0)
    with pytest.raises(ValueError, match="two draws"):
        mmd_report(x, y, seed=0, subsets=1, subset_size=3)
    with pytest.raises(ValueError, match="two draws"):
        null_reference(x, seed=0, size=0)
    with pytest.raises(ValueError, match="equal width"):
        permutation_test(x, y[:, :3], seed=0)
