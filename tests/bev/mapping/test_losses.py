"""Mask losses: perfect masks cost nothing, hidden frames count for nothing."""

from __future__ import annotations

import torch

from nexusflow.bev.config import MapConfig
from nexusflow.bev.mapping.losses import map_losses
from nexusflow.bev.types import MapOutput


def _output(logits: torch.Tensor, frames: int = 1) -> MapOutput:
    return MapOutput(logits, torch.zeros(len(logits), 4, 8), torch.zeros(len(logits), 8, 4, 4), frames)


def test_perfect_masks_cost_nothing() -> None:
    masks = (torch.rand(2, 4, 8, 8) < 0.3).to(torch.uint8)
    losses = map_losses(_output(masks.float() * 60 - 30), masks, torch.tensor([True, True]), MapConfig())
    assert all(float(value) < 1e-4 for value in losses.values())


def test_normalised_over_visible_frames_only() -> None:
    logits, masks = torch.randn(2, 4, 8, 8), (torch.rand(2, 4, 8, 8) < 0.3).to(torch.uint8)
    alone = map_losses(_output(logits[:1]), masks[:1], torch.tensor([True]), MapConfig())
    hidden = map_losses(_output(logits), masks, torch.tensor([True, False]), MapConfig())
    for name, value in alone.items():
        torch.testing.assert_close(value, hidden[name])


def test_hidden_frames_get_exactly_no_gradient() -> None:
    logits = torch.randn(2, 4, 8, 8, requires_grad=True)
    masks = torch.ones(2, 4, 8, 8, dtype=torch.uint8)
    sum(map_losses(_output(logits), masks, torch.tensor([False, True]), MapConfig()).values()).backward()
    assert not logits.grad[0].any() and logits.grad[1].any()


def test_last_frame_of_clips() -> None:
    logits, masks = torch.randn(4, 4, 8, 8), (torch.rand(2, 2, 4, 8, 8) < 0.3).to(torch.uint8)
    visible = torch.tensor([True, True])
    last = map_losses(_output(logits, 2), masks[:, -1], visible, MapConfig())
    direct = map_losses(_output(logits[1::2]), masks[:, -1], visible, MapConfig())
    torch.testing.assert_close(last, direct)
    both = map_losses(_output(logits, 2), masks, visible, MapConfig())
    assert not torch.equal(both["map/dice"], last["map/dice"])
    from_last = map_losses(_output(logits[1::2]), masks, visible, MapConfig())
    torch.testing.assert_close(from_last, direct)
