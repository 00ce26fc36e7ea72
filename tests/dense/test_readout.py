"""Features read out twice, against autograd's own operations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nexusflow.dense.readout import full_precision, read_out


def plain(x_BCHW: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    return full_precision(x_BCHW), F.adaptive_avg_pool2d(x_BCHW, cells)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("used", ["both", "features", "averages"])
@pytest.mark.parametrize("sides", [(8, 12), (7, 9)], ids=["even cells", "uneven cells"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_those_of_the_plain_operations(
    layout: torch.memory_format, used: str, sides: tuple[int, int], dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    gradients = []
    x_BCHW = torch.randn(2, 3, *sides).to(dtype=dtype, memory_format=layout)
    weights = torch.randn(2, 3, *sides), torch.randn(2, 3, 4, 4)
    for read in (read_out, plain):
        leaf = x_BCHW.clone(memory_format=torch.preserve_format).requires_grad_()
        features, averages = read(leaf, 4)
        assert features.dtype == torch.float32
        loss = torch.zeros(())
        if used != "averages":
            loss = loss + (features * weights[0]).sum()
        if used != "features":
            loss = loss + (averages.float() * weights[1]).sum()
        gradients.append(torch.autograd.grad(loss, leaf)[0].float())
    precision = 1e-6 if dtype == torch.float32 else 2e-2
    assert torch.allclose(*gradients, rtol=precision, atol=precision)


def test_a_gradient_that_somebody_else_holds_is_left_alone() -> None:
    leaf = torch.randn(1, 2, 4, 4, requires_grad=True)
    features, averages = read_out(leaf, 2)
    features.retain_grad()
    (features.sum() + averages.sum()).backward()
    assert features.grad is not None and torch.equal(features.grad, torch.ones_like(features))
    assert leaf.grad is not None and torch.allclose(leaf.grad, torch.full_like(leaf, 1.25))


def test_without_cells_the_features_are_their_own_averages() -> None:
    x_BCHW = torch.randn(1, 2, 4, 4, dtype=torch.bfloat16)
    features, averages = read_out(x_BCHW, None)
    assert averages is x_BCHW and features.dtype == torch.float32
