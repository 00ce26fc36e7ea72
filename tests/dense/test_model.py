"""Split SegNet and SegNet-MTAN: published sizes, outputs in range, taps, frozen encoder."""

import pytest
import torch

from nexusflow.dense.config import DenseModelConfig
from nexusflow.dense.model import TASKS, build_dense_model

SMALL = DenseModelConfig(widths=(4, 6, 8, 8, 8))
MTAN = SMALL.model_copy(update={"network": "mtan"})


def images(height: int = 32, width: int = 64) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("network", "count"), [("segnet", 25_055_188), ("mtan", 44_229_076)])
def test_the_published_number_of_parameters(network: str, count: int) -> None:
    with torch.device("meta"):
        model = build_dense_model(DenseModelConfig.model_validate({"network": network}))
    assert sum(parameter.numel() for parameter in model.parameters()) == count


@pytest.mark.parametrize("config", [SMALL, MTAN, SMALL.model_copy(update={"norm": "group"})])
def test_outputs_have_their_shapes_and_ranges(config: DenseModelConfig) -> None:
    torch.manual_seed(0)  # some initial weights put a pixel's normal at zero, where it has no length
    outputs = build_dense_model(config)(images()).outputs
    assert outputs["segmentation"].shape == (2, 13, 32, 64)
    assert outputs["depth"].shape == (2, 1, 32, 64)
    total = outputs["segmentation"].exp().sum(1)
    assert torch.allclose(total, torch.ones_like(total), atol=1e-5)
    length = outputs["normal"].norm(dim=1)
    assert torch.allclose(length, torch.ones_like(length), atol=1e-4)


@pytest.mark.parametrize(
    ("config", "tap", "channels", "cells"),
    [(SMALL, "N1", 4, (4, 4)), (MTAN, "N1", 4, (4, 4)), (MTAN, "N2", 8, (1, 2)), (MTAN, "N3", 4, (32, 64))],
)
def test_taps_differ_between_tasks(
    config: DenseModelConfig, tap: str, channels: int, cells: tuple[int, int]
) -> None:
    averaged = 4 if cells == (4, 4) else None
    model = build_dense_model(config.model_copy(update={"tap": tap, "tap_cells": averaged}))
    taps = model(images()).taps
    assert model.tap_channels == dict.fromkeys(TASKS, channels)
    assert all(taps[task].shape == (2, channels, *cells) for task in TASKS)
    assert not torch.allclose(taps["segmentation"], taps["depth"])


@pytest.mark.parametrize("config", [SMALL, MTAN])
def test_every_weight_learns(config: DenseModelConfig) -> None:
    model = build_dense_model(config)
    output = model(images())
    sum(value.square().mean() for value in output.outputs.values()).backward()
    still = [
        name
        for name, parameter in model.named_parameters()
        if name != "logsigma" and (parameter.grad is None or not torch.isfinite(parameter.grad).all())
    ]
    assert not still


def test_a_frozen_encoder_keeps_weights_and_statistics() -> None:
    model = build_dense_model(SMALL)
    model.freeze_encoder()
    model.train()
    before = {name: value.clone() for name, value in model.trunk.encoder_first.state_dict().items()}
    model(images()).outputs["depth"].mean().backward()
    assert all(parameter.grad is None for parameter in model.encoder_parameters())
    after = model.trunk.encoder_first.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert model.trunk.decoder_first.training


def test_a_size_that_cannot_be_pooled_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        build_dense_model(SMALL)(images(40, 64))
