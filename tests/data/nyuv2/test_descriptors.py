"""Descriptors of images."""

import numpy as np
import pytest

from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.descriptors import brightness, image_descriptors


def test_descriptors_follow_the_looks(cache: NYUv2Cache) -> None:
    points = image_descriptors(cache.images_N3HW[:7])
    near = np.linalg.norm(points[0] - points[3])  # equal tones
    assert near < np.linalg.norm(points[0] - points[1]) and near < np.linalg.norm(points[0] - points[2])
    assert points.shape == (7, 6)


def test_descriptors_do_not_depend_on_company_order(cache: NYUv2Cache) -> None:
    images = np.asarray(cache.images_N3HW[:7])
    order = np.array([3, 1, 0, 6, 5, 2, 4])
    one, other = image_descriptors(images), image_descriptors(images[order])
    # The axes of a PCA may change sign; distances may not change.
    distances = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (one, other)]
    assert np.allclose(distances[0][np.ix_(order, order)], distances[1])


def test_brightness_weighs_green_most() -> None:
    image = np.zeros((3, 4, 4), np.float32)
    image[1] = 1
    assert brightness(image) == pytest.approx(0.587) and brightness(np.ones((3, 2, 2))) == pytest.approx(1)
