"""Couplings: bijective, with the right log-determinant, whatever the sizes and options."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nexusflow.alignment import AffineCoupling, CouplingStack

VARIANTS = [
    {},
    {"fused": False},
    {"additive": True},
    {"additive": True, "fused": False},
    {"clamp": 2.0},
    {"permutation_seed": 3},
    {"depth": 5},
    {"depth": 5, "permutation_seed": 3},
    {"depth": 1},
    {"depth": 0},
]


def scrambled_stack(dim: int, seed: int = 0, **options) -> CouplingStack:
    """A stack that is far from the identity."""
    torch.manual_seed(seed)
    flow = CouplingStack(dim, **({"depth": 6, "hidden": 16} | options))
    with torch.no_grad():
        for weight in flow.parameters():
            weight.normal_(std=0.4)
    return flow


@settings(max_examples=25, deadline=None)
@given(
    dim=st.integers(2, 16),
    depth=st.integers(0, 8),
    fused=st.booleans(),
    additive=st.booleans(),
    permutation_seed=st.none() | st.integers(0, 99),
    seed=st.integers(0, 10_000),
)
def test_inverse_undoes_forward(dim, depth, fused, additive, permutation_seed, seed):
    flow = scrambled_stack(
        dim, seed, depth=depth, fused=fused, additive=additive, permutation_seed=permutation_seed
    ).double()
    x_BD = torch.randn(5, dim, dtype=torch.float64)
    z_BD, _ = flow(x_BD)
    torch.testing.assert_close(flow.inverse(z_BD), x_BD, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(flow(flow.inverse(x_BD))[0], x_BD, rtol=1e-8, atol=1e-8)


def test_inverse_survives_a_thousand_optimiser_steps():
    torch.manual_seed(0)
    flow = CouplingStack(8, depth=6, hidden=16)
    optimiser = torch.optim.AdamW(flow.parameters(), lr=1e-3)
    for _ in range(1000):
        optimiser.zero_grad()
        z_BD, log_det_B = flow(torch.randn(4, 8))
        (z_BD * torch.randn(4, 8)).sum().add(log_det_B.sum(), alpha=0.1).backward()
        optimiser.step()
    x_BD = torch.randn(64, 8)
    z_BD, _ = flow(x_BD)
    assert (z_BD - x_BD).abs().max() > 0.1
    torch.testing.assert_close(flow.inverse(z_BD), x_BD, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dim", [2, 5, 8])
@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_log_det_is_that_of_the_jacobian(dim, options):
    flow = scrambled_stack(dim, **options).double()
    x_BD = torch.randn(3, dim, dtype=torch.float64)
    _, log_det_B = flow(x_BD)
    for x_D, log_det in zip(x_BD, log_det_B, strict=True):
        jacobian_DD = torch.autograd.functional.jacobian(lambda x: flow(x[None])[0][0], x_D)
        torch.testing.assert_close(torch.linalg.slogdet(jacobian_DD).logabsdet, log_det)


def test_layer_log_det_is_that_of_the_jacobian():
    torch.manual_seed(0)
    layer = AffineCoupling(5, hidden=8, kept=3).double()
    torch.nn.init.normal_(layer.networks[0][-1].weight)
    x_D = torch.randn(5, dtype=torch.float64)
    jacobian_DD = torch.autograd.functional.jacobian(lambda x: layer(x)[0], x_D)
    z_D, log_det = layer(x_D)
    torch.testing.assert_close(torch.linalg.slogdet(jacobian_DD).logabsdet, log_det)
    torch.testing.assert_close(layer.inverse(z_D), x_D)
    assert torch.equal(z_D[:3], x_D[:3]) and log_det.abs() > 0.01


def test_small_log_scales_follow_equation_1():
    torch.manual_seed(0)
    layer = AffineCoupling(4, hidden=8, fused=False)
    for network in layer.networks:
        torch.nn.init.normal_(network[-1].weight, std=0.01)
    x_BD = torch.randn(3, 4)
    s_BC, t_BC = (network(x_BD[:, :2]) for network in layer.networks)
    torch.testing.assert_close(layer(x_BD)[0][:, 2:], x_BD[:, 2:] * s_BC.exp() + t_BC, rtol=1e-4, atol=1e-5)


def test_clamp_bounds_the_scale():
    torch.manual_seed(0)
    layer = AffineCoupling(4, hidden=8, clamp=0.5)
    torch.nn.init.normal_(layer.networks[0][-1].weight, std=1000)
    _, log_det_B = layer(torch.randn(50, 4))
    assert log_det_B.abs().max() <= 1.0 + 1e-6
    assert log_det_B.abs().max() > 0.9


@pytest.mark.parametrize("dim", [2, 5, 8])
@pytest.mark.parametrize("depth", [0, 1, 2, 5, 6])
def test_starts_as_the_identity(dim, depth):
    x_BD = torch.randn(4, dim)
    z_BD, log_det_B = CouplingStack(dim, depth)(x_BD)
    assert torch.equal(z_BD, x_BD)
    assert torch.equal(log_det_B, torch.zeros(4))


def test_starts_as_a_permutation_shared_by_equal_seeds():
    x_BD = torch.arange(9.0)[None]
    z_BD, _ = CouplingStack(9, permutation_seed=1)(x_BD)
    assert torch.equal(z_BD.sort().values, x_BD) and not torch.equal(z_BD, x_BD)
    assert torch.equal(CouplingStack(9, permutation_seed=1)(x_BD)[0], z_BD)
    assert not torch.equal(CouplingStack(9, permutation_seed=2)(x_BD)[0], z_BD)


def test_permutations_leave_the_global_random_state():
    torch.manual_seed(0)
    plain = CouplingStack(8)
    torch.manual_seed(0)
    permuted = CouplingStack(8, permutation_seed=5)
    for a, b in zip(plain.parameters(), permuted.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("permutation_seed", [None, 0])
def test_two_layers_change_both_halves(permutation_seed):
    flow = scrambled_stack(8, depth=2, permutation_seed=permutation_seed)
    x_BD = torch.randn(1, 8)
    moved_BD = x_BD.clone()
    moved_BD[0, 4] += 1.0
    change_D = (flow(moved_BD)[0] - flow(x_BD)[0]).abs()[0]
    assert (change_D[:4].max() > 1e-3) and (change_D[4:].max() > 1e-3)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_last_layer_changes_the_second_half(depth):
    flow = scrambled_stack(7, depth=depth)
    last = flow.layers[-1]
    assert isinstance(last, AffineCoupling) and last.parts == (3, 4)
    x_BD = torch.randn(2, 7)
    before = flow(x_BD)[0]
    with torch.no_grad():
        last.networks[0][-1].bias += 1
    after = flow(x_BD)[0]
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.isclose(before[:, 3:], after[:, 3:]).any()


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_autocast_keeps_full_precision(options):
    flow = scrambled_stack(8, **options)
    x_BD = torch.randn(16, 8)
    plain_BD, _ = flow(x_BD)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z_BD, _ = flow(x_BD)
        back_BD = flow.inverse(z_BD)
        half_BD, _ = flow(x_BD.bfloat16())
    assert z_BD.dtype == half_BD.dtype == torch.float32
    assert torch.equal(z_BD, plain_BD)
    torch.testing.assert_close(back_BD, x_BD, rtol=0, atol=1e-2)


def test_single_layer_accepts_half_precision():
    layer = AffineCoupling(4)
    z_BD, _ = layer(torch.randn(2, 4).bfloat16())
    assert z_BD.dtype == layer.inverse(z_BD.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("options", VARIANTS[:-1], ids=str)
def test_gradient_reaches_every_parameter(options):
    flow = scrambled_stack(6, **options)
    z_BD, log_det_B = flow(torch.randn(8, 6))
    (z_BD.square().sum() + log_det_B.sum()).backward()
    for name, weight in flow.named_parameters():
        assert weight.grad is not None and weight.grad.abs().max() > 0, name


def test_fused_couplings_have_fewer_parameters():
    def count(fused: bool) -> int:
        return sum(weight.numel() for weight in AffineCoupling(256, 256, fused=fused).parameters())

    assert count(fused=False) == 131_840  # 2 · (128·256 + 256 + 256·128 + 128)
    assert count(fused=True) == 98_816


def test_state_dict_and_deepcopy_keep_the_function():
    flow = scrambled_stack(6, permutation_seed=1)
    other = CouplingStack(6, hidden=16, permutation_seed=2)
    other.load_state_dict(flow.state_dict())
    x_BD = torch.randn(3, 6)
    assert torch.equal(other(x_BD)[0], flow(x_BD)[0])
    assert torch.equal(copy.deepcopy(flow)(x_BD)[0], flow(x_BD)[0])


def test_leading_dimensions_are_free():
    flow = scrambled_stack(6)
    x = torch.randn(2, 3, 6)
    z, log_det = flow(x)
    assert log_det.shape == (2, 3)
    torch.testing.assert_close(z[1], flow(x[1])[0])


@pytest.mark.parametrize("arguments", [{"dim": 1}, {"dim": 4, "depth": -1}, {"dim": 4, "clamp": 0.0}])
def test_impossible_stacks_are_refused(arguments):
    with pytest.raises(ValueError, match=r"dim|clamp"):
        CouplingStack(**arguments)


@pytest.mark.parametrize("kept", [0, 4, -1])
def test_a_coupling_keeps_and_changes_something(kept):
    with pytest.raises(ValueError, match="cannot keep"):
        AffineCoupling(4, kept=kept)
