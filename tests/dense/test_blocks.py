"""Pooling and unpooling keep places."""

import torch
import torch.nn.functional as F

from nexusflow.dense.blocks import conv_block, initialise, pool, unpool
from nexusflow.dense.config import DenseModelConfig


def test_unpooling_equals_torch_and_keeps_places() -> None:
    x = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
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


def test_weights_follow_xavier_and_biases_are_zero() -> None:
    block = conv_block(40, 60, DenseModelConfig())
    initialise(block)
    weight, bias = block[0].weight, block[0].bias
    assert not bias.any()
    expected = (2 / (9 * 40 + 9 * 60)) ** 0.5
    assert abs(float(weight.detach().std()) / expected - 1) < 0.03
