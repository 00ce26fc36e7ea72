"""The tangent that bounds log-scales, and their exponential."""

from __future__ import annotations

import pytest
import torch

from nexusflow.alignment.bounded import LARGE, bounded, exponential


@pytest.mark.parametrize("size", [LARGE - 1, LARGE])
def test_it_is_tanh(size: int) -> None:
    torch.manual_seed(0)
    u = 3 * torch.randn(size)
    assert torch.allclose(bounded(u).double(), u.double().tanh(), rtol=0, atol=2e-7)


def test_small_tensors_get_the_exact_function() -> None:
    torch.manual_seed(0)
    u = torch.randn(LARGE - 1)
    assert torch.equal(bounded(u), u.tanh())


def test_a_new_flow_stays_the_identity_and_extremes_are_finite() -> None:
    assert not bounded(torch.zeros(LARGE)).any()
    assert torch.equal(bounded(torch.full((LARGE,), -1e30)), torch.full((LARGE,), -1.0))
    assert torch.equal(bounded(torch.full((LARGE,), 1e30)), torch.full((LARGE,), 1.0))


def test_its_argument_stays_what_it_is() -> None:
    u = torch.full((LARGE,), 0.5)
    bounded(u)
    assert torch.equal(u, torch.full((LARGE,), 0.5))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [LARGE - 1, LARGE])
def test_it_is_the_exponential(size: int, sign: int) -> None:
    torch.manual_seed(0)
    s = 2 * torch.rand(size) - 1
    expected = (sign * s.double()).exp()
    assert torch.allclose(exponential(s, sign=sign).double(), expected, rtol=2e-7, atol=0)
    assert torch.allclose(exponential(s, out=s, sign=sign).double(), expected, rtol=2e-7, atol=0)
    assert torch.allclose(s.double(), expected, rtol=2e-7, atol=0)


def test_the_exponential_of_zero_is_one_and_small_tensors_get_the_exact_function() -> None:
    assert torch.equal(exponential(torch.zeros(LARGE)), torch.ones(LARGE))
    s = torch.linspace(-1, 1, LARGE - 1)
    assert torch.equal(exponential(s), s.exp())
    assert torch.equal(exponential(s, sign=-1), (-s).exp())
