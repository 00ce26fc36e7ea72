"""Noise of a part of a batch is that of its samples in the whole batch."""

import torch

from nexusflow.bev.noise import BatchNoise
from nexusflow.core.parts import BatchPart


def drawn(noise: BatchNoise, samples: int) -> list[torch.Tensor]:
    return [
        noise.rand(samples, 3),
        noise.randn(samples * 2, 5),
        noise.randint(7, samples, 2),
        noise.rand(2, samples, 4, batch_dim=1).transpose(0, 1),
    ]


def test_parts_draw_what_the_whole_draws() -> None:
    whole = drawn(BatchNoise(3), 4)
    parts = [drawn(BatchNoise(3, BatchPart(*part, 4)), part[1] - part[0]) for part in ((0, 1), (1, 4))]
    for number, expected in enumerate(whole):
        assert torch.equal(torch.cat([part[number] for part in parts]), expected)
    assert not torch.equal(whole[0], BatchNoise(4).rand(4, 3))


def test_the_whole_batch_draws_as_the_generator_alone_does() -> None:
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(BatchNoise(3).rand(4, 3), torch.rand(4, 3, generator=generator))
