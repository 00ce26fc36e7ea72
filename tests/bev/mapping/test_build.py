"""The former that the config names, and what it hands to training and prediction."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nexusflow.bev.mapping.build import build_map_former, predict_map
from nexusflow.bev.mapping.former import MapFormer
from nexusflow.bev.mapping.instance_former import InstanceMapFormer
from nexusflow.bev.model import BEVModel
from tests.bev.conftest import make_batch, run, tiny_config
from tests.bev.mapping.instances import INSTANCE, instance_config, numbered_canvas


def test_the_config_decides() -> None:
    assert isinstance(build_map_former(tiny_config()), MapFormer)
    assert isinstance(build_map_former(instance_config()), InstanceMapFormer)


def test_predicted_maps() -> None:
    bev = torch.randn(1, 16, 12, 12)
    masks = predict_map(build_map_former(instance_config()), bev)
    assert masks.shape == (1, 4, 24, 24) and set(masks.unique().tolist()) <= {0.0, 1.0}
    probabilities = predict_map(build_map_former(tiny_config(bev_cells=12, map_cells=24)), bev)
    assert probabilities.shape == (1, 4, 24, 24) and 0 < probabilities.min() < probabilities.max() < 1


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("frames", ["last", "all"])
def test_a_step_of_the_whole_model(single: bool, frames: str) -> None:
    section = {"queries": "instance", "instance": INSTANCE, "frames": frames}
    config = tiny_config(map=section)
    batch = make_batch(config)
    batch = replace(batch, maps=numbered_canvas(32).expand(2, 2, -1, -1, -1))
    torch.manual_seed(0)
    model = BEVModel(config)
    output, losses = run(model, batch, single=single)
    assert output.taps["map"]["features"].shape[1:] == (12, 16)
    assert output.taps["map"]["weights"].shape == output.taps["map"]["features"].shape[:2]
    assert 0 <= output.taps["map"]["positions"].min() <= output.taps["map"]["positions"].max() <= 1
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.map.parameters())


def test_autocast_keeps_the_losses() -> None:
    config = tiny_config(map={"queries": "instance", "instance": INSTANCE})
    batch = make_batch(config)
    batch = replace(batch, maps=numbered_canvas(32).expand(2, 2, -1, -1, -1))
    torch.manual_seed(0)
    model = BEVModel(config)
    plain = run(model, batch)[1]
    with torch.autocast("cpu", torch.bfloat16):
        rough = run(model, batch)[1]
    for name in (name for name in plain if name.startswith("map/")):
        assert rough[name].dtype == torch.float32
        torch.testing.assert_close(rough[name], plain[name], rtol=0.1, atol=0.05)


def test_the_memory_tap_shows_the_map_memory() -> None:
    config = tiny_config(tap="memory", map={"queries": "instance", "instance": INSTANCE})
    model, batch = BEVModel(config), make_batch(config)
    output = model(*batch.inputs, None)
    memory = output.outputs["map"].memory_FCHW
    assert torch.equal(output.taps["map"]["features"], memory.flatten(2).transpose(1, 2))
