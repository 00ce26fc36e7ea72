"""Random scale and crop: every label follows the image."""

import numpy as np
import pytest
import torch

from nexusflow.data.nyuv2.augment import SCALES, random_scale_crop
from nexusflow.data.nyuv2.batch import DenseBatch, collate_images
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.vocabulary import TASKS

ALL = dict.fromkeys(TASKS, [True] * 3)


class Fixed(np.random.Generator):
    """Draws the same scale, the upper left corner, and one answer to flipping."""

    def __init__(self, scale: int, coin: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.answers, self.coin = [scale, 0, 0], coin
        self.count = 0

    def integers(self, *arguments: object, **more: object) -> int:  # type: ignore[override]
        self.count += 1
        return self.answers[(self.count - 1) % 3]

    def random(self, *arguments: object, **more: object) -> float:  # type: ignore[override]
        return self.coin


@pytest.fixture
def batch(cache: NYUv2Cache) -> DenseBatch:
    return collate_images(cache, [0, 1, 2], ALL)


def test_scale_one_changes_nothing(batch: DenseBatch) -> None:
    same = random_scale_crop(batch, Fixed(0, 0.9))
    assert torch.allclose(same.images_B3HW, batch.images_B3HW, atol=1e-5)
    assert torch.equal(same.labels_BHW, batch.labels_BHW)
    assert torch.equal(same.depth_B1HW, batch.depth_B1HW)


def test_what_is_enlarged_is_nearer(batch: DenseBatch) -> None:
    larger = random_scale_crop(batch, Fixed(2, 0.9))
    assert torch.equal(larger.depth_B1HW[:, :, 0, 0], batch.depth_B1HW[:, :, 0, 0] / SCALES[2])
    assert set(larger.labels_BHW.unique().tolist()) <= set(batch.labels_BHW.unique().tolist())
    length = larger.normals_B3HW.norm(dim=1)
    assert float(length.max()) <= 1 + 1e-5
    # Where no neighbour is invalid a normal survives; where one is, it does not.
    assert 0 < int((length > 0).sum()) < int((batch.normals_B3HW.norm(dim=1) > 0).sum())


def test_a_mirrored_room_has_mirrored_normals(batch: DenseBatch) -> None:
    mirrored = random_scale_crop(batch, Fixed(0, 0.1), flip=True)
    assert torch.equal(mirrored.labels_BHW, batch.labels_BHW.flip(-1))
    assert torch.allclose(mirrored.normals_B3HW[:, 0], -batch.normals_B3HW[:, 0].flip(-1), atol=1e-5)
    assert torch.allclose(mirrored.normals_B3HW[:, 1], batch.normals_B3HW[:, 1].flip(-1), atol=1e-5)


def test_the_generator_decides_everything(batch: DenseBatch) -> None:
    first, second, other = (random_scale_crop(batch, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.images_B3HW, second.images_B3HW)
    assert not torch.equal(first.images_B3HW, other.images_B3HW)
