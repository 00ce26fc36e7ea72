"""Pooling and unpooling keep places."""

import pytest
import torch
import torch.nn.functional as F

from nexusflow.dense.blocks import conv_block, initialise, pool, unpool
from nexusflow.dense.config import DenseModelConfig

LAYOUTS = (torch.contiguous_format, torch.channels_last)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_unpooling_equals_torch_and_keeps_places(layout: torch.memory_format) -> None:
    x = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=layout)
    pooled, places = pool(x)
    back = unpool(pooled, places, 8, 12)
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)  # PyTorch's own unpooling is not among them
    try:
        expected = F.max_unpool2d(pooled, places, 2)
    finally:
        torch.use_deterministic_algorithms(deterministic)
    assert torch.equal(back, expected)
    assert torch.equal(back[back != 0], x[back != 0])
    assert int((back != 0).sum()) == pooled.numel()
    assert back.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_unpooling_sends_gradients_to_the_maxima(layout: torch.memory_format) -> None:
    x = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    pooled, places = pool(x.contiguous(memory_format=layout))
    inputs = pooled.detach().contiguous(memory_format=layout).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda y: unpool(y, places, 4, 6), (inputs,))


def test_weights_follow_xavier_and_biases_are_zero() -> None:
    block = conv_block(40, 60, DenseModelConfig())
    initialise(block)
    weight, bias = block[0].weight, block[0].bias
    assert not bias.any()
    expected = (2 / (9 * 40 + 9 * 60)) ** 0.5
    assert abs(float(weight.detach().std()) / expected - 1) < 0.03
