"""The outline of the dense networks is the network: its parts add up, its shapes are those of an image."""

import pytest

from nexusflow.dense.config import DenseModelConfig
from nexusflow.suites.nyuv2.outline import outline_model
from nexusflow.suites.nyuv2.suite import build_model

SIZES = {"widths": [4, 4, 6, 6, 6], "extra_blocks": [0, 0, 0, 0, 0]}


@pytest.mark.parametrize("network", ["segnet", "mtan"])
@pytest.mark.parametrize("frozen", [False, True])
def test_parts_add_up_to_the_network(network: str, frozen: bool) -> None:
    config = DenseModelConfig.model_validate({**SIZES, "network": network})
    outline, _ = outline_model(config, (32, 64), frozen)
    model = build_model(config, 0)
    assert outline.parameters == sum(parameter.numel() for parameter in model.parameters())
    wanted = sum(parameter.numel() for parameter in model.encoder_parameters()) if frozen else 0
    assert sum(part.frozen for part in outline.trunk) == wanted
    assert outline.trunk[0].frozen == (outline.trunk[0].parameters if frozen else 0)
    assert all(branch.head.frozen == 0 for branch in outline.branches)


def test_shapes_are_those_of_an_image() -> None:
    config = DenseModelConfig.model_validate({**SIZES, "tap_cells": 2})
    outline, taps = outline_model(config, (32, 64), freeze_encoder=False)
    assert outline.input_shape == (3, 32, 64)
    assert [part.shape for part in outline.trunk] == [(6, 1, 2), (4, 32, 64)]
    assert [part.name for part in outline.trunk] == ["SegNetTrunk, encoder", "SegNetTrunk, decoder"]
    predicted = {branch.task: list(branch.predictions.values()) for branch in outline.branches}
    assert predicted == {"segmentation": [(13, 32, 64)], "depth": [(1, 32, 64)], "normal": [(3, 32, 64)]}
    assert {branch.head.shape for branch in outline.branches} == {(4, 2, 2)}
    assert {branch.head.name for branch in outline.branches} == {"2 × Conv2d"}
    assert tuple(taps["depth"]["features"].shape) == (1, 4, 2, 2)
