"""Normalisation image by image equals PyTorch's layer, whatever the layout."""

import pytest
import torch
import torch.nn.functional as F

from nexusflow.methods.image_norm import ImageNorm


def features(layout: torch.memory_format) -> torch.Tensor:
    x_NCHW = 3 + 2 * torch.randn(3, 4, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x_NCHW.contiguous(memory_format=layout).requires_grad_(True)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_instance_norm_scaled_and_shifted(layout: torch.memory_format) -> None:
    x_NCHW, norm = features(layout), ImageNorm(4).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -2.0, 0.5, 3.0]))
        norm.bias.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    generator = torch.Generator().manual_seed(1)
    scale_NC, shift_NC, to_NCHW = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((3, 4), (3, 4), (3, 4, 6, 5))
    )
    inputs = [x_NCHW, norm.weight, norm.bias, scale_NC.requires_grad_(True), shift_NC.requires_grad_(True)]
    found = norm.modulated(x_NCHW, scale_NC, shift_NC)
    plain = F.instance_norm(x_NCHW, weight=norm.weight, bias=norm.bias, eps=norm.eps)
    expected = scale_NC[:, :, None, None] * plain + shift_NC[:, :, None, None]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(
        torch.autograd.grad(found, inputs, to_NCHW),
        torch.autograd.grad(expected, inputs, to_NCHW),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)
    assert found.is_contiguous(memory_format=layout)


def test_alone_it_is_instance_norm_and_keeps_half_precision() -> None:
    x_NCHW, norm = features(torch.channels_last).detach(), ImageNorm(4)
    plain = F.instance_norm(x_NCHW.float(), weight=norm.weight, bias=norm.bias, eps=norm.eps)
    torch.testing.assert_close(norm(x_NCHW.float()), plain, rtol=1e-5, atol=1e-5)
    assert norm(x_NCHW.bfloat16()).dtype == torch.bfloat16
