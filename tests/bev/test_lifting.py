"""A coloured pixel lands in the right cell, and the sparse product has the right gradient."""

from __future__ import annotations

import math

import numpy as np
import torch

from nexusflow.bev.lifting import BilinearLift, LiftGeometry, lift_matrix, pillar_points
from tests.bev.conftest import camera

GEOMETRY = LiftGeometry((32, 64), (32, 64), 0.3)


def _lift(
    heights: tuple[float, ...] = (0.0,), geometry: LiftGeometry = GEOMETRY, cached: int = 4
) -> BilinearLift:
    return BilinearLift(8.0, 16, heights, geometry, cached)


def test_coloured_pixel_lands_in_its_cell() -> None:
    rigs = torch.stack([camera(0.0, 32, 64), camera(math.pi, 32, 64)])
    # Cell (row 10, column 14): y = 2.5 to the left, x = 6.5 ahead, on the ground.
    point = torch.tensor([6.5, 2.5, 0.0, 1.0])
    u, v, depth, _ = rigs[0] @ point
    column, row = int(u / depth), int(v / depth)
    features = torch.zeros(1, 2, 1, 32, 64)
    features[0, 0, 0, row, column] = 1.0
    grid = _lift()(features, rigs[None])[0, 0]
    assert divmod(int(grid.argmax()), 16) == (10, 14)
    assert not grid[:, :8].any(), "the camera to the front must not paint what lies behind"


def test_constant_images_give_constant_pillars_where_seen() -> None:
    rigs = torch.stack([camera(k * math.pi / 2, 32, 64) for k in range(4)])
    grid = _lift((0.0, 1.0))(torch.ones(1, 4, 3, 32, 64), rigs[None])
    assert grid.shape == (1, 6, 16, 16)
    seen = grid > 0
    torch.testing.assert_close(grid[seen], torch.ones(int(seen.sum())))
    assert 0.5 < seen.float().mean() < 1.0


def test_heights_and_channels_are_ordered_height_first() -> None:
    features = torch.stack([torch.full((32, 64), 1.0), torch.full((32, 64), 2.0)])[None, None]
    grid = _lift((0.0, 0.5))(features, camera(0.0, 32, 64)[None, None])
    torch.testing.assert_close(grid[0, :, 8, 14], torch.tensor([1.0, 2.0, 1.0, 2.0]))


def test_gradient_is_that_of_the_dense_matrix() -> None:
    rigs = torch.stack([camera(0.0, 32, 64), camera(1.0, 32, 64)])
    features = torch.randn(2, 2, 3, 32, 64, requires_grad=True)
    lift = _lift((0.0, 1.0))
    weights = torch.randn(2, 6, 16, 16)
    both = torch.stack([rigs, rigs.flip(0)])
    (lift(features, both) * weights).sum().backward()
    for sample in range(2):
        rounded = np.round(both[sample].numpy(), 3)
        matrix = torch.from_numpy(
            lift_matrix(rounded, pillar_points(8.0, 16, (0.0, 1.0)), GEOMETRY).toarray()
        )
        upstream = weights[sample].unflatten(0, (2, 3)).permute(2, 3, 0, 1).reshape(-1, 3)
        wanted = (matrix.T @ upstream).reshape(2, 32, 64, 3).permute(0, 3, 1, 2)
        torch.testing.assert_close(features.grad[sample], wanted, atol=1e-4, rtol=1e-4)


def test_equal_rigs_share_one_matrix_and_the_cache_is_bounded() -> None:
    lift = _lift(cached=2)
    features = torch.zeros(1, 1, 1, 32, 64)
    for yaw in (0.0, 0.0 + 1e-8, 1.0, 2.0):
        lift(features, camera(yaw, 32, 64)[None, None])
    assert len(lift._cache) == 2


def test_feature_size_may_be_smaller_than_the_image() -> None:
    lift = _lift(geometry=LiftGeometry((32, 64), (8, 16), 0.3))
    features = torch.arange(16.0).expand(1, 1, 1, 8, 16)
    grid = lift(features, camera(0.0, 32, 64)[None, None])[0, 0]
    # Straight ahead lies the middle of the image: between feature columns 7 and 8.
    torch.testing.assert_close(grid[7:9, 14].mean(), torch.tensor(7.5))
    assert grid[7, 14] > grid[8, 14], "what lies to the right (smaller y) has the larger column"
