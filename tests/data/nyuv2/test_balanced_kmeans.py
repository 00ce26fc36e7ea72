"""Clusters of equal sizes."""

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.balanced_kmeans import balanced_kmeans


@pytest.mark.parametrize("count", [9, 10, 11])
def test_clusters_are_equal_within_one(count: int) -> None:
    points = np.random.default_rng(count).normal(size=(count, 2))
    sizes = np.bincount(balanced_kmeans(points, 3, seed=0))
    assert sizes.sum() == count and sizes.max() - sizes.min() <= 1


def test_clear_groups_are_found() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 20)
    points = rng.normal(size=(60, 4)) * 0.1 + 3 * np.eye(4)[groups]
    found = balanced_kmeans(points, 3, seed=1)
    assert all(len(set(found[groups == k])) == 1 for k in range(3)) and len(set(found)) == 3


def test_unequal_groups_are_cut_where_it_costs_least() -> None:
    points = np.concatenate([np.linspace(0, 1, 8), [10, 10.1, 10.2, 20]])[:, None]
    found = balanced_kmeans(points, 3, seed=0)
    assert np.bincount(found).tolist() == [4, 4, 4]
    assert len(set(found[[8, 9, 10, 11]])) == 1


def test_too_few_images_are_refused() -> None:
    with pytest.raises(UserError, match="2 images"):
        balanced_kmeans(np.zeros((2, 3)), 3, seed=0)
