"""Distances between domains: equal to the plainest formulas, zero for equal samples, blind to scale."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from nexusflow.analysis.mmd import five_kernel_mmd
from nexusflow.methods.matching_losses import moment_distance, multi_kernel_mmd


def samples(n: int = 5, m: int = 3, dim: int = 4, shift: float = 0.5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n * 10 + m)
    x, y = (torch.randn(count, dim, generator=generator, dtype=torch.float64) for count in (n, m))
    return x.requires_grad_(), (y + shift).requires_grad_()


def plain_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """One kernel value at a time."""
    both = [*x, *y]
    distances = [sum((a - b) ** 2) for i, a in enumerate(both) for j, b in enumerate(both) if i != j]
    bandwidth = sum(distances) / len(distances)

    def mean_kernel(first: np.ndarray, second: np.ndarray) -> float:
        values = [
            sum(math.exp(-sum((a - b) ** 2) / (factor * bandwidth)) for factor in (0.25, 0.5, 1, 2, 4))
            for a in first
            for b in second
        ]
        return sum(values) / len(values)

    return mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)


@pytest.mark.parametrize(("n", "m"), [(5, 3), (1, 3), (1, 1), (8, 8)])
def test_mmd_is_that_of_the_plain_formula(n: int, m: int) -> None:
    x, y = (part.detach() for part in samples(n, m))
    assert float(multi_kernel_mmd(x, y)) == pytest.approx(plain_mmd(x.numpy(), y.numpy()), abs=1e-12)


def test_mmd_is_that_of_the_analyses() -> None:
    x, y = (part.detach() for part in samples(9, 6))
    assert float(multi_kernel_mmd(x, y)) == pytest.approx(five_kernel_mmd(x.numpy(), y.numpy()), abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(50, 30), (7, 7)])
def test_moments_are_those_of_numpy(n: int, m: int) -> None:
    x, y = (part.detach() for part in samples(n, m))
    a, b = x.numpy(), y.numpy() * 1.5
    centre = (a.mean(0) + b.mean(0)) / 2
    scale = np.sqrt((((a - centre) ** 2).mean(0) + ((b - centre) ** 2).mean(0)) / 2 + 1e-6)
    a, b = a / scale, b / scale
    means = ((a.mean(0) - b.mean(0)) ** 2).mean()
    covariances = ((np.cov(a.T, bias=True) - np.cov(b.T, bias=True)) ** 2).mean()
    assert float(moment_distance(x, y * 1.5)) == pytest.approx(means + covariances, rel=1e-9)


@pytest.mark.parametrize("distance", [multi_kernel_mmd, moment_distance])
def test_equal_samples_are_at_distance_zero(distance) -> None:
    x, _ = samples(6, 6)
    other = x.detach()[torch.randperm(6, generator=torch.Generator().manual_seed(0))].requires_grad_()
    loss = distance(x, other)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert x.grad is not None and x.grad.abs().max() < 1e-12


@pytest.mark.parametrize("distance", [multi_kernel_mmd, moment_distance])
def test_features_that_all_coincide_give_no_nan(distance) -> None:
    x, y = torch.ones(3, 4, requires_grad=True), torch.ones(2, 4, requires_grad=True)
    loss = distance(x, y)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(x.grad).all() and torch.isfinite(y.grad).all()


@pytest.mark.parametrize("distance", [multi_kernel_mmd, moment_distance])
def test_shrinking_together_gains_nothing(distance) -> None:
    x, y = samples(6, 5)
    loss = distance(x, y)
    loss.backward()
    assert distance(0.1 * x, 0.1 * y).item() == pytest.approx(loss.item(), rel=1e-3)
    along_scale = (x.grad * x).sum() + (y.grad * y).sum()
    assert abs(along_scale.item()) < 1e-4 * (x.grad.norm() * x.detach().norm()).item()
    assert x.grad.abs().max() > 0 and y.grad.abs().max() > 0


def test_means_and_covariances_count_both() -> None:
    x = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned = x @ torch.tensor([[1.0, 0.9], [0.0, math.sqrt(1 - 0.81)]], dtype=torch.float64)
    assert float(moment_distance(x, x + 1)) > 0.5
    # Equal means and variances, and a correlation of .9.
    assert float(moment_distance(x, turned)) == pytest.approx(2 * 0.81 / 4, abs=0.05)


@pytest.mark.parametrize("distance", [multi_kernel_mmd, moment_distance])
def test_descent_brings_the_domains_together(distance) -> None:
    x, y = samples(12, 12, shift=2.0)
    before = (x - y).detach().mean(0).norm().item()
    optimizer = torch.optim.SGD([x], lr=2.0)
    for _ in range(60):
        optimizer.zero_grad()
        distance(x, y.detach()).backward()
        optimizer.step()
    assert (x - y).detach().mean(0).norm().item() < 0.5 * before
