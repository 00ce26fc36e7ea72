"""Three looks of images in a cache that was never on disk."""

import numpy as np
import pytest

from nexusflow.data.nyuv2.cache import NYUv2Cache

TONES = (0.1, 0.5, 0.9)


@pytest.fixture(scope="session")
def toned_cache() -> NYUv2Cache:
    """Six training and five validation images; image n has the tone n % 3."""
    rng, count = np.random.default_rng(0), 11
    tones_N = np.array(TONES)[np.array([n % 3 for n in (*range(6), *range(5))])]
    images_N3HW = tones_N[:, None, None, None] + rng.normal(0, 0.02, (count, 3, 32, 32))
    plane = (count, 1, 32, 32)
    return NYUv2Cache(
        images_N3HW=np.clip(images_N3HW, 0, 1).astype(np.float32),
        labels_NHW=np.zeros((count, 32, 32), np.int8),
        depth_N1HW=np.ones(plane, np.float32),
        normals_N3HW=np.zeros((count, 3, 32, 32), np.float32),
        num_train=6,
        num_val=5,
    )
