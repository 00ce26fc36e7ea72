"""Boxes start at the learned references and are refined from layer to layer."""

from __future__ import annotations

import math

import pytest
import torch

from nexusflow.bev.mapping.instance_decoder import LocationDecoder


@pytest.fixture
def decoder() -> LocationDecoder:
    torch.manual_seed(0)
    return LocationDecoder(16, 2, 2, 32, layers=3, queries=6, classes=3, recompute=False)


def test_shapes_and_start(decoder: LocationDecoder) -> None:
    states, classes, boxes = decoder(torch.randn(2, 25, 16))
    assert states.shape == (3, 2, 6, 16) and classes.shape == (3, 2, 6, 3) and boxes.shape == (3, 2, 6, 4)
    start = decoder.reference(decoder.place).sigmoid()
    for layer in range(3):  # no branch moves a box before it has learned to
        torch.testing.assert_close(boxes[layer, 0, :, :2], start)
        torch.testing.assert_close(boxes[layer, 1, :, 2:], torch.full((6, 2), -2.0).sigmoid())
    assert float(classes.detach().sigmoid().mean()) < 0.05


def test_a_layer_refines_the_one_before_without_gradient(decoder: LocationDecoder) -> None:
    last = decoder.to_box[1][-1]
    torch.nn.init.constant_(last.bias, 0.5)
    boxes = decoder(torch.randn(1, 25, 16))[2]
    moved = torch.logit(boxes[1]) - torch.logit(boxes[0])
    torch.testing.assert_close(moved, torch.full_like(moved, 0.5))
    boxes[1].sum().backward()
    assert last.bias.grad.abs().min() > 0
    assert not decoder.to_box[0][-1].bias.grad.any()  # the reference is cut off
    assert not decoder.reference.weight.grad.any()


def test_recomputing_changes_no_gradient() -> None:
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        decoder = LocationDecoder(16, 2, 2, 32, 2, 6, 3, recompute)
        states, classes, boxes = decoder(torch.randn(1, 25, 16))
        (states.square().sum() + classes.sum() + boxes.sum()).backward()
        gradients.append([p.grad for p in decoder.parameters()])
    assert all(map(torch.equal, *gradients))


def test_prior_is_one_percent(decoder: LocationDecoder) -> None:
    assert decoder.to_class[2].bias[0].item() == pytest.approx(math.log(0.01 / 0.99))
