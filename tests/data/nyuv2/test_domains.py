"""Clusters of validation images: equal parts, by looks alone."""

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.domains import assign_equally, validation_clusters


def toned_cache(train: list[float], val: list[float]) -> NYUv2Cache:
    """Images of one grey each, with a little noise."""
    tones_N = np.array([*train, *val])
    images = tones_N[:, None, None, None] + np.random.default_rng(0).normal(
        0, 0.02, (len(tones_N), 3, 12, 16)
    )
    empty = np.zeros((len(tones_N), 12, 16), np.int8)
    images_N3HW = np.clip(images, 0, 1).astype(np.float32)
    return NYUv2Cache(images_N3HW, empty, images_N3HW[:, :1], images_N3HW, len(train), len(val))


def test_points_go_to_the_nearest_centre_where_there_is_room() -> None:
    centres_KD = np.array([[0.0], [10.0]])
    assert assign_equally(np.array([[9.0], [1.0], [0.0], [11.0]]), centres_KD).tolist() == [1, 0, 0, 1]
    # All are nearest to the first centre; the two farthest make room.
    assert assign_equally(np.array([[0.0], [3.0], [1.0], [2.0]]), centres_KD).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8])
def test_parts_differ_by_one_at_most(count: int) -> None:
    points_MD = np.random.default_rng(count).normal(size=(count, 2))
    sizes = np.bincount(assign_equally(points_MD, np.eye(3, 2)), minlength=3)
    assert sizes.sum() == count and sizes.max() - sizes.min() <= 1


def test_the_cost_is_the_least_of_all_equal_parts() -> None:
    from itertools import permutations

    points_MD = np.random.default_rng(0).normal(size=(4, 2))
    centres_KD = np.array([[0.0, 0.0], [1.0, 1.0]])

    def cost(centre_M: tuple[int, ...]) -> float:
        return float(((points_MD - centres_KD[list(centre_M)]) ** 2).sum())

    best = min(cost(centre_M) for centre_M in permutations((0, 0, 1, 1)))
    assert cost(tuple(assign_equally(points_MD, centres_KD))) == pytest.approx(best)


def test_validation_images_join_the_training_images_they_look_like() -> None:
    cache = toned_cache([0.1, 0.9, 0.1, 0.9], [0.9, 0.1, 0.1, 0.9])
    assert validation_clusters(cache, np.array([0, 1, 0, 1])).tolist() == [1, 0, 0, 1]
    assert validation_clusters(cache, np.array([1, 0, 1, 0])).tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("clusters", [[-1, -1], [0, 0], [0, -1]])
def test_a_partition_without_clusters_is_refused(clusters: list[int]) -> None:
    with pytest.raises(UserError, match="no clusters of images; make one of the kind clusters_sdn"):
        validation_clusters(toned_cache([0.1, 0.9], [0.5]), np.array(clusters))
