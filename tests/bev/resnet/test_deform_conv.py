"""The deformable convolution against its definition, value by value, and against mmcv's operator."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nexusflow.bev.resnet.deform_conv import DeformConv, deform_conv


def read(x_HW: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Bilinear value at a place; pixels outside are zero."""
    total = torch.zeros((), dtype=x_HW.dtype)
    top, left = (math.floor(place.detach()) for place in (row, column))
    for i in (top, top + 1):
        for j in (left, left + 1):
            if 0 <= i < x_HW.shape[0] and 0 <= j < x_HW.shape[1]:
                total = total + (1 - (row - i).abs()) * (1 - (column - j).abs()) * x_HW[i, j]
    return total


def by_definition(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, stride: int) -> Tensor:
    images, kernel = x.shape[0], weight.shape[-1]
    rows, columns = offset.shape[-2:]
    result = torch.zeros(images, weight.shape[0], rows, columns)
    for f in range(images):
        for i in range(rows):
            for j in range(columns):
                for k in range(kernel * kernel):
                    row = i * stride - 1 + k // kernel + offset[f, 2 * k, i, j]
                    column = j * stride - 1 + k % kernel + offset[f, 2 * k + 1, i, j]
                    value = torch.stack([read(plane, row, column) for plane in x[f]])
                    result[f, :, i, j] += mask[f, k, i, j] * (weight[:, :, k // kernel, k % kernel] @ value)
    return result


def make_inputs(stride: int, scale: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 5, 7, generator=generator)
    rows, columns = -(-5 // stride), -(-7 // stride)
    # Some places lie outside the image.
    offset = scale * torch.randn(2, 18, rows, columns, generator=generator)
    mask = torch.rand(2, 9, rows, columns, generator=generator)
    return x, offset, mask, torch.randn(4, 3, 3, 3, generator=generator)


def gradients(result: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    weight = torch.linspace(-1, 1, result.numel()).view_as(result)
    return torch.autograd.grad((result * weight).sum(), inputs)


@pytest.mark.parametrize("stride", [1, 2])
def test_values_are_those_of_the_definition(stride: int) -> None:
    inputs = make_inputs(stride, 2.0)
    result = deform_conv(*inputs, stride, 1)
    torch.testing.assert_close(result, by_definition(*inputs, stride), atol=1e-4, rtol=1e-4)


def test_gradients_are_those_of_the_definition() -> None:
    inputs = tuple(tensor.requires_grad_() for tensor in make_inputs(2, 1.0))
    mine = gradients(deform_conv(*inputs, 2, 1), inputs)
    theirs = gradients(by_definition(*inputs, 2), inputs)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
def test_without_shifts_it_is_a_convolution(stride: int) -> None:
    x, offset, mask, weight = make_inputs(stride, 0.0)
    result = deform_conv(x, offset, torch.ones_like(mask), weight, stride, 1)
    torch.testing.assert_close(result, F.conv2d(x, weight, stride=stride, padding=1), atol=1e-5, rtol=1e-5)


def test_places_far_outside_read_zero() -> None:
    x, offset, mask, weight = make_inputs(1, 0.0)
    assert not deform_conv(x, offset + 1e9, mask, weight, 1, 1).any()
    # Just outside the border half of the border pixel is still read.
    assert deform_conv(x, offset - 5.4, mask, weight, 1, 1).any()


def test_a_fresh_layer_weighs_all_places_by_one_half() -> None:
    layer = DeformConv(3, 4, 2)
    torch.nn.init.zeros_(layer.conv_offset.weight)
    torch.nn.init.zeros_(layer.conv_offset.bias)
    x = make_inputs(1, 0.0)[0]
    expected = 0.5 * F.conv2d(x, layer.weight, stride=2, padding=1)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_lower_precision_outside_changes_nothing_inside() -> None:
    inputs = make_inputs(1, 1.0)
    with torch.autocast("cpu", torch.bfloat16):
        result = deform_conv(*inputs, 1, 1)
    assert result.dtype == torch.float32
    assert torch.equal(result, deform_conv(*inputs, 1, 1))


@pytest.mark.parametrize("stride", [1, 2])
def test_values_and_gradients_are_those_of_mmcv(stride: int) -> None:
    pytest.importorskip(
        "mmcv._ext", reason="mmcv is not installed with compiled operators", exc_type=ImportError
    )
    from mmcv.ops import modulated_deform_conv2d

    inputs = tuple(tensor.requires_grad_() for tensor in make_inputs(stride, 2.0))
    mine = deform_conv(*inputs, stride, 1)
    theirs = modulated_deform_conv2d(*inputs, None, stride, 1, 1, 1, 1)
    torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)
    for a, b in zip(gradients(mine, inputs), gradients(theirs, inputs), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
