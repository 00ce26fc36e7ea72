"""Bounds of the stretch: above every measured one, exact for a simple layer, infinite without a radius."""

import math

import pytest
import torch

from nexusflow.alignment import AffineCoupling, CouplingStack

VARIANTS = [{}, {"fused": False}, {"additive": True}, {"clamp": 0.5}, {"permutation_seed": 3}, {"depth": 4}]


def scrambled(module, seed: int = 0):
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(std=0.3)
    return module.double()


def measured(flow: torch.nn.Module, radius: float, inverse: bool, dim: int) -> float:
    """The largest stretch between random pairs of points in the ball, far ones and near ones."""
    torch.manual_seed(1)
    directions = torch.nn.functional.normalize(torch.randn(2, 1000, dim, dtype=torch.float64), dim=-1)
    first, second = radius * torch.rand(2, 1000, 1, dtype=torch.float64) * directions
    second[500:] = first[500:] + 1e-4 * directions[1, 500:] * radius
    first, second = (x / (x.norm(dim=-1, keepdim=True) / radius).clamp_min(1) for x in (first, second))
    with torch.no_grad():
        images = [flow.inverse(x) if inverse else flow(x)[0] for x in (first, second)]
    return ((images[0] - images[1]).norm(dim=-1) / (first - second).norm(dim=-1)).max().item()


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("radius", [0.1, 2.0])
def test_nothing_in_the_ball_is_stretched_more(options, inverse, radius):
    flow = scrambled(CouplingStack(5, **({"depth": 3, "hidden": 8} | options)))
    bound = flow.lipschitz(radius, inverse=inverse)
    assert 1 <= measured(flow, radius, inverse, 5) <= bound < math.inf
    layer = scrambled(AffineCoupling(5, 8, kept=3))
    assert measured(layer, radius, inverse, 5) <= layer.lipschitz(radius, inverse=inverse)


def test_a_shear_is_bounded_exactly():
    layer = AffineCoupling(2, 2, additive=True)
    with torch.no_grad():
        for weight, values in zip(
            layer.parameters(), ([[1.0], [-1.0]], [0, 0], [[2.0, -2.0]], [0]), strict=True
        ):
            weight.copy_(torch.tensor(values))
    # t(a) = 2 relu(a) - 2 relu(-a) = 2 a; the product of norms sees twice that, and so [[1, 0], [4, 1]].
    assert layer.lipschitz() == pytest.approx(
        torch.linalg.matrix_norm(torch.tensor([[1.0, 0], [4, 1]]), 2).item()
    )
    assert layer.lipschitz(inverse=True) == pytest.approx(layer.lipschitz())


@pytest.mark.parametrize("inverse", [False, True])
def test_only_a_constant_scale_has_a_bound_everywhere(inverse):
    assert scrambled(CouplingStack(4, 3, 8)).lipschitz(inverse=inverse) == math.inf
    assert 1 < scrambled(CouplingStack(4, 3, 8, additive=True)).lipschitz(inverse=inverse) < math.inf
    assert CouplingStack(4, 3).lipschitz(inverse=inverse) == 1
    assert CouplingStack(4, 0).lipschitz(inverse=inverse) == 1


def test_a_larger_ball_is_stretched_no_less():
    flow = scrambled(CouplingStack(4, 4, 8))
    bounds = [flow.lipschitz(radius) for radius in (0, 0.5, 1, 5)]
    assert bounds == sorted(bounds) and bounds[0] < bounds[-1]


def test_a_negative_radius_is_refused():
    with pytest.raises(ValueError, match="radius"):
        CouplingStack(4).lipschitz(-1)


def test_log_det_alone():
    flow, x_BD = scrambled(CouplingStack(6, 3, 8)), torch.randn(3, 6, dtype=torch.float64)
    assert torch.equal(flow.log_det(x_BD), flow(x_BD)[1])
    layer = scrambled(AffineCoupling(6, 8))
    torch.testing.assert_close(layer.log_det(x_BD), layer(x_BD)[1])
