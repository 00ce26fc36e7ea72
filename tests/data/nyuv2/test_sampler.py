"""Order of the images."""

import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.sampler import ImageSampler


def test_an_epoch_shows_every_image_once() -> None:
    sampler = ImageSampler(10, 3, seed=4)
    assert sampler.steps_per_epoch == 3
    epochs = [[i for step in range(3 * e, 3 * e + 3) for i in sampler.indices_at(step)] for e in (0, 1)]
    assert all(len(set(epoch)) == 9 for epoch in epochs) and epochs[0] != epochs[1]
    assert ImageSampler(10, 3, seed=4).indices_at(5) == sampler.indices_at(5)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(UserError, match="batch_size is 8"):
        ImageSampler(7, 8, seed=0)
