"""Losses: pinned values, the identity between centre and pair, and the extensions' behaviour."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nexusflow.alignment import (
    center_loss,
    covariance_penalty,
    normalize_embeddings,
    pair_loss,
    variance_penalty,
)


@settings(max_examples=40, deadline=None)
@given(
    tasks=st.integers(2, 5),
    batch=st.integers(1, 6),
    dim=st.integers(1, 9),
    reduction=st.sampled_from(["sum", "mean"]),
    scale=st.floats(0.01, 100),
    seed=st.integers(0, 10_000),
)
def test_center_times_tasks_is_pair(tasks, batch, dim, reduction, scale, seed):
    z_NBD = scale * torch.randn(
        tasks, batch, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    torch.testing.assert_close(
        tasks * center_loss(z_NBD, reduction), pair_loss(z_NBD, reduction), rtol=1e-6, atol=0
    )


def test_pinned_values():
    z_NBD = torch.tensor([[[0.0, 0.0], [1.0, 1.0]], [[2.0, 0.0], [1.0, 5.0]]])  # squared distances 4 and 16
    assert pair_loss(z_NBD).item() == 10.0
    assert center_loss(z_NBD).item() == 5.0
    assert pair_loss(z_NBD, "mean").item() == 5.0
    assert center_loss(z_NBD, "mean").item() == 2.5


def test_gradient_of_center_points_away_from_the_centre():
    z_NBD = torch.randn(3, 1, 4, requires_grad=True)
    center_loss(z_NBD).backward()
    torch.testing.assert_close(z_NBD.grad, 2 * (z_NBD - z_NBD.mean(0)).detach())


@pytest.mark.parametrize("mode", ["layer", "unit"])
def test_normalised_embeddings_ignore_scale(mode):
    z_NBD = 3 + torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))
    small = normalize_embeddings(0.1 * z_NBD, mode)  # smaller, and the epsilon of the norm would show
    torch.testing.assert_close(small, normalize_embeddings(z_NBD, mode), rtol=0.02, atol=1e-3)
    assert torch.equal(normalize_embeddings(z_NBD, "none"), z_NBD)


def test_variance_penalty_is_the_missing_standard_deviation():
    spread_NBD = torch.randn(2, 4000, 3, generator=torch.Generator().manual_seed(0))
    assert variance_penalty(4 * spread_NBD).item() == 0
    assert variance_penalty(0.25 * spread_NBD).item() == pytest.approx(0.75, abs=0.02)
    assert variance_penalty(0 * spread_NBD, floor=2.0).item() == pytest.approx(2 * 0.99)


def test_variance_penalty_pushes_close_embeddings_apart():
    z_NBD = (1e-3 * torch.randn(2, 6, 3)).requires_grad_()
    variance_penalty(z_NBD).backward()
    assert ((z_NBD - 0.1 * z_NBD.grad).std(1) > z_NBD.std(1)).all()


def test_covariance_penalty_sees_redundant_dimensions_only():
    x_B = torch.tensor([-1.0, 1.0, -1.0, 1.0])
    y_B = torch.tensor([-1.0, -1.0, 1.0, 1.0])
    assert covariance_penalty(torch.stack((x_B, y_B), -1)[None]).item() == 0
    # Off-diagonal covariance 4/3, twice, divided by D = 2.
    assert covariance_penalty(torch.stack((x_B, x_B), -1)[None]).item() == pytest.approx(16 / 9)


@pytest.mark.parametrize("penalty", [variance_penalty, covariance_penalty])
def test_penalties_refuse_single_samples(penalty):
    with pytest.raises(ValueError, match="two samples"):
        penalty(torch.randn(2, 1, 3))
