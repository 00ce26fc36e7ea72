"""Lemma 1: holds under the analytic L, is tight where it should be, needs its factors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nexusflow.alignment import AffineCoupling, CouplingStack
from nexusflow.analysis.lemma import (
    _restored,
    check_lemma,
    inverse_lipschitz_bound,
    local_expansion,
    secant_ratio,
)
from nexusflow.core.errors import UserError

OPTIONS = {
    "dim": st.integers(2, 9),
    "depth": st.integers(0, 5),
    "fused": st.booleans(),
    "additive": st.booleans(),
    "clamp": st.floats(0.3, 2),
    "permutation_seed": st.none() | st.integers(0, 99),
}


def stack(seed: int, spread: float = 0.4, *, dim: int = 6, depth: int = 3, **options) -> CouplingStack:
    """A stack far from the identity, in double precision; ``spread`` 0 leaves it the identity."""
    flow = CouplingStack(dim, depth, hidden=8, **options).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in flow.parameters():
            weight.normal_(std=spread, generator=generator)
    return flow


def points(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40, deadline=None)
@given(
    options=st.fixed_dictionaries(OPTIONS),
    loss=st.sampled_from(["pair", "center"]),
    reduction=st.sampled_from(["sum", "mean"]),
    distance=st.sampled_from([0.0, 1e-3, 0.3, 3.0]),
    seed=st.integers(0, 10_000),
)
def test_lemma_holds_under_the_analytic_constant(options, loss, reduction, distance, seed):
    flows = stack(seed, **options), stack(seed + 1, **options)
    h_ND = points(seed, 7, options["dim"])
    other_ND = h_ND + distance * points(seed + 1, 7, options["dim"])
    check = check_lemma(flows, (h_ND, other_ND), loss=loss, reduction=reduction)
    assert check.analytic.share == 1
    assert check.secant.share == 1
    assert check.local.lipschitz <= check.analytic.lipschitz * (1 + 1e-9)
    assert check.secant.lipschitz <= check.analytic.lipschitz * (1 + 1e-9)
    np.testing.assert_allclose(check.local.slack_N, check.local.right_N - check.left_N)


@settings(max_examples=40, deadline=None)
@given(options=st.fixed_dictionaries(OPTIONS), seed=st.integers(0, 10_000))
def test_bound_holds_along_the_whole_segment(options, seed):
    flow = stack(seed, 0.7, **options)
    start_MD, end_MD = points(seed, 2, 5, options["dim"])
    bound_M = inverse_lipschitz_bound(flow, start_MD, end_MD) * (1 + 1e-9)
    assert (secant_ratio(flow, start_MD, end_MD) <= bound_M).all()
    weights_T11 = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None, None]
    between_PD = start_MD.lerp(end_MD, weights_T11).flatten(0, 1)
    assert (local_expansion(flow, between_PD) <= bound_M.repeat(9)).all()


def test_identity_stacks_make_the_lemma_an_equality():
    flows = CouplingStack(6, 4, hidden=8), CouplingStack(6, 4, hidden=8)  # last layers start at zero
    embeddings = points(0, 20, 6), points(1, 20, 6)
    for loss in ("pair", "center"):
        for reduction in ("sum", "mean"):
            check = check_lemma(flows, embeddings, loss=loss, reduction=reduction)
            assert check.delta == 0
            for reading in (check.analytic, check.local, check.secant):
                assert reading.lipschitz == pytest.approx(1)
                assert reading.share == 1 and not reading.vacuous
                np.testing.assert_allclose(reading.right_N, check.left_N)


def test_constant_shifts_move_points_rigidly():
    first, second = stack(0, 0.0, additive=True), stack(0, 0.0, additive=True)
    with torch.no_grad():
        second.layers[2].networks[0][2].bias.fill_(0.5)
    embeddings = points(0, 20, 6), points(1, 20, 6)
    check = check_lemma((first, second), embeddings)
    assert check.analytic.lipschitz == pytest.approx(1) == check.local.lipschitz
    assert check.delta == pytest.approx(0.5 * np.sqrt(3))  # three changed dimensions


@pytest.mark.parametrize("slope", [0.1, 1.0, 5.0])
def test_bound_of_one_additive_layer_is_exact(slope):
    # t(a) = slope * a for a > 0, through one hidden unit: a shear, whose norm is known.
    flow = CouplingStack(2, 1, hidden=1, additive=True).double()
    first, _, last = flow.layers[0].networks[0]
    with torch.no_grad():
        first.weight.fill_(1)
        first.bias.fill_(0)
        last.weight.fill_(slope)
    start_MD = points(0, 8, 2).abs()
    expected = slope / 2 + np.sqrt(1 + slope**2 / 4)
    bound_M = inverse_lipschitz_bound(flow, start_MD, start_MD + 1)
    np.testing.assert_allclose(bound_M, expected)
    np.testing.assert_allclose(local_expansion(flow, start_MD), expected)


def test_bound_of_a_constant_scale_is_exact():
    flow = CouplingStack(4, 1, hidden=3, clamp=2.0).double()
    with torch.no_grad():
        flow.layers[0].networks[0][2].bias.fill_(-0.6)
    start_MD, end_MD = points(0, 2, 8, 4)
    expected = np.exp(2 * np.tanh(0.3))
    for measured_M in (inverse_lipschitz_bound(flow, start_MD, end_MD), local_expansion(flow, start_MD)):
        np.testing.assert_allclose(measured_M, expected)


def set_network(layer: AffineCoupling, row: int, heights: list[float], kinks: list[float]) -> None:
    """Makes s (row 0) or t (row 1) the sum of heights * relu(a - kinks), and the other one zero."""
    first, _, last = layer.networks[0]
    with torch.no_grad():
        first.weight.fill_(1)
        first.bias.copy_(-torch.tensor(kinks))
        last.weight.zero_()
        last.weight[row] = torch.tensor(heights)


@pytest.mark.parametrize("slope", [-2.0, 0.5])
def test_bound_of_one_scaling_layer_is_exact_at_a_point(slope):
    flow = CouplingStack(2, 1, hidden=1, clamp=1e6).double()
    set_network(flow.layers[0], 0, [slope], [0.0])
    z_MD = points(0, 8, 2).abs()
    np.testing.assert_allclose(inverse_lipschitz_bound(flow, z_MD, z_MD), local_expansion(flow, z_MD))


def assert_bound_sees_the_middle(flow: CouplingStack, b: float, factor: float) -> None:
    """On the segment (-2, b) to (2, b) the inverse stretches far more than at the ends."""
    start_MD, end_MD = torch.tensor([[-2.0, b]]), torch.tensor([[2.0, b]])
    between_PD = torch.tensor([[a, b] for a in np.linspace(-2, 2, 41)])
    largest = local_expansion(flow, between_PD).max()
    assert largest > factor * local_expansion(flow, torch.cat((start_MD, end_MD))).max()
    assert largest <= inverse_lipschitz_bound(flow, start_MD, end_MD).item()


@pytest.mark.parametrize(("height", "b", "clamp"), [(5.0, 0.0, 1e6), (4.0, 10.0, 4.0)])
def test_bound_sees_scale_and_part_between_the_ends(height, b, clamp):
    flow = CouplingStack(2, 1, hidden=3, clamp=clamp).double()
    set_network(flow.layers[0], 0, [-height, 2 * height, -height], [-1.0, 0.0, 1.0])
    assert_bound_sees_the_middle(flow, b, 20)


def test_bound_sees_what_earlier_layers_moved():
    # The first layer that is inverted moves the middle of the segment to where the other one stretches.
    flow = CouplingStack(2, 2, hidden=3, clamp=1e6).double()
    set_network(flow.layers[1], 1, [-200.0, 400.0, -200.0], [-1.0, 0.0, 1.0])
    set_network(flow.layers[0], 0, [-0.05, 0.0, 0.0], [3.0, 0.0, 0.0])
    assert_bound_sees_the_middle(flow, 0.0, 1000)


@settings(max_examples=20, deadline=None)
@given(options=st.fixed_dictionaries(OPTIONS), seed=st.integers(0, 10_000))
def test_layers_are_run_through_as_the_inverse_does(options, seed):
    flow = stack(seed, **options).requires_grad_(False)
    x_MD = points(seed, 4, options["dim"])
    z_MD, log_det_M = flow(x_MD)
    steps = list(_restored(flow, z_MD))
    logs_M = sum((factors.log().sum(-1) for _, factors, _ in steps), torch.zeros(4))
    np.testing.assert_allclose(logs_M, -log_det_M, atol=1e-9)
    if steps:
        difference = steps[-1][2][:, :, None] - x_MD[:, None]
        assert (difference.abs().amin(-1) < 1e-9).all()


def test_centre_loss_needs_its_factor():
    flows = CouplingStack(6, 0), CouplingStack(6, 0)
    check = check_lemma(flows, (points(0, 20, 6), points(1, 20, 6)), loss="center")
    assert check.factor == pytest.approx(np.sqrt(2))
    as_printed_N = check.analytic.lipschitz * np.sqrt(check.loss_N) + check.delta
    assert (as_printed_N < check.left_N).all()
    assert check.analytic.share == 1


def test_loss_of_a_sample_is_the_loss_of_training():
    flows = CouplingStack(2, 0), CouplingStack(2, 0)
    embeddings = [[0.0, 0.0], [1.0, 1.0]], [[2.0, 0.0], [1.0, 5.0]]
    for loss, reduction, expected in (
        ("pair", "sum", [4, 16]),
        ("center", "sum", [2, 8]),
        ("pair", "mean", [2, 8]),
        ("center", "mean", [1, 4]),
    ):
        check = check_lemma(flows, embeddings, loss=loss, reduction=reduction)
        np.testing.assert_allclose(check.loss_N, expected)
        np.testing.assert_allclose(check.left_N, [2, 4])
        np.testing.assert_allclose(check.factor * np.sqrt(check.loss_N), [2, 4])


def test_aligned_latents_leave_the_difference_of_the_inverses():
    flows = stack(0), stack(1)
    z_ND = points(0, 15, 6)
    with torch.no_grad():
        embeddings = flows[0].inverse(z_ND), flows[1].inverse(z_ND)
    check = check_lemma(flows, embeddings)
    np.testing.assert_allclose(check.left_N.max(), check.delta)
    np.testing.assert_allclose(check.secant.right_N, check.delta)


def test_segments_without_length_have_the_expansion_of_a_point():
    flow = stack(0)
    z_MD = points(0, 8, 6)
    bound_M = inverse_lipschitz_bound(flow, z_MD, z_MD)
    assert (local_expansion(flow, z_MD) <= bound_M).all() and bound_M.isfinite().all()
    assert not secant_ratio(flow, z_MD, z_MD).any()
    assert (bound_M <= inverse_lipschitz_bound(flow, z_MD, z_MD + 0.1)).all()


def test_an_infinite_bound_is_flagged():
    flows = stack(0, 30.0, depth=8, clamp=3.0), stack(1, 30.0, depth=8, clamp=3.0)
    check = check_lemma(flows, (points(0, 5, 6), points(1, 5, 6)))
    assert check.analytic.vacuous and np.isinf(check.analytic.right_N).all() and check.analytic.share == 1
    assert not check.local.vacuous and not check.secant.vacuous


def test_a_flat_layer_after_an_overflow_leaves_the_bound_infinite():
    flow = stack(0, 1e6, depth=12)
    with torch.no_grad():
        flow.layers[0].networks[0][2].weight.zero_()
    assert inverse_lipschitz_bound(flow, points(0, 5, 6), points(1, 5, 6)).isposinf().all()


def test_only_some_jacobians():
    flows = stack(0), stack(1)
    embeddings = points(0, 30, 6), points(1, 30, 6)
    few, all_of_them = (check_lemma(flows, embeddings, jacobians=number) for number in (3, 30))
    assert few.local.lipschitz < all_of_them.local.lipschitz
    assert few.analytic.lipschitz == all_of_them.analytic.lipschitz


def test_flows_are_left_alone():
    flow = CouplingStack(4, 2)
    check_lemma((flow, flow), (np.ones((3, 4), np.float32), torch.zeros(3, 4)))
    assert all(weight.dtype == torch.float32 and weight.requires_grad for weight in flow.parameters())


def test_unusable_embeddings_are_refused():
    flows = CouplingStack(4), CouplingStack(4)
    for first, second in (((3, 4), (2, 4)), ((3, 5), (3, 5)), ((0, 4), (0, 4)), ((4,), (4,))):
        with pytest.raises(UserError, match="shape"):
            check_lemma(flows, (torch.zeros(first), torch.zeros(second)))
    with pytest.raises(UserError, match="NaN"):
        check_lemma(flows, (torch.full((2, 4), torch.nan), torch.zeros(2, 4)))
