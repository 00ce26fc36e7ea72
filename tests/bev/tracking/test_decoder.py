"""The decoder refines references, whichever attention it uses."""

from __future__ import annotations

import pytest
import torch

from nexusflow.bev.tracking.decoder import PatternCrossAttention, TrackDecoder
from tests.bev.conftest import tiny_config


@pytest.mark.parametrize("attention", ["pattern", "deformable"])
@pytest.mark.parametrize("refinement", ["metric", "sigmoid"])
def test_shapes_and_finite_gradients(attention: str, refinement: str) -> None:
    config = tiny_config(track={"cross_attention": attention, "refinement": refinement})
    decoder = TrackDecoder(config)
    bev = torch.randn(2, 16, 16, 16, requires_grad=True)
    code = torch.zeros(2, 5, 10)
    code[..., :2] = torch.rand(2, 5, 2) * 12 - 6
    logits, codes, final = decoder(torch.randn(2, 5, 16), code, torch.ones(2, 5, 5, dtype=torch.bool), bev)
    assert logits.shape == (2, 2, 5, 7) and codes.shape == (2, 2, 5, 10) and final.shape == (2, 5, 16)
    (logits.sum() + codes.sum()).backward()
    assert bev.grad is not None and bev.grad.isfinite().all() and bev.grad.any()


def test_first_predictions_stay_near_the_reference() -> None:
    decoder = TrackDecoder(tiny_config())
    code = torch.zeros(1, 3, 10)
    code[..., 0] = torch.tensor([-5.0, 0.0, 5.0])
    _, codes, _ = decoder(
        torch.randn(1, 3, 16), code, torch.ones(1, 3, 3, dtype=torch.bool), torch.randn(1, 16, 16, 16)
    )
    assert (codes[-1, ..., :2] - code[..., :2]).abs().max() < 1.0


def test_pattern_reads_nine_neighbouring_cells() -> None:
    config = tiny_config(encoder={"channels": 1, "unet_widths": (16, 16)})
    attention = PatternCrossAttention(config)
    bev = torch.arange(256.0).reshape(1, 1, 16, 16)
    seen = {}
    attention.out.register_forward_pre_hook(lambda _, inputs: seen.update(samples=inputs[0]))
    attention(torch.zeros(1, 1, 16), torch.tensor([[[0.5, 0.5]]]), bev)  # centre of cell (8, 8)
    centre = 8 * 16 + 8
    wanted = [centre + row * 16 + column for column in (-1, 0, 1) for row in (-1, 0, 1)]
    torch.testing.assert_close(
        seen["samples"][0, 0], torch.tensor(wanted, dtype=torch.float32), atol=1e-3, rtol=0
    )
