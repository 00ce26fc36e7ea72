"""Shapes, number of parameters, painted masks, and one frame learned by heart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nexusflow.bev.mapping.instance_former import InstanceMapFormer
from nexusflow.bev.mapping.instance_losses import instance_map_losses
from nexusflow.config.load import load_configuration
from tests.bev.mapping.instances import instance_config, make_former, numbered_canvas

CONFIG = Path(__file__).parents[3] / "config"


@pytest.mark.parametrize("cells", [12, 24, 30])
def test_shapes(cells: int) -> None:
    former = make_former(map_cells=cells)
    output = former(torch.randn(3, 16, 12, 12), 1)
    assert output.memory_FCHW.shape == (3, 16, 12, 12)
    assert output.states_LFQD.shape == (2, 3, 12, 16) and output.queries_FQD.shape == (3, 12, 16)
    assert output.classes_LFQK.shape == (2, 3, 12, 3) and output.boxes_LFQ4.shape == (2, 3, 12, 4)
    assert output.logits_FKHW.shape == (3, 4, cells, cells)
    painted = former.paint(output)
    assert painted.shape == (3, 4, cells, cells) and set(painted.unique().tolist()) <= {0.0, 1.0}


def test_other_channels_are_brought_to_the_formers() -> None:
    config = instance_config()
    wide = config.model_copy(update={"encoder": config.encoder.model_copy(update={"channels": 24})})
    assert InstanceMapFormer(wide)(torch.randn(1, 24, 12, 12), 1).memory_FCHW.shape == (1, 16, 12, 12)


def test_parameters_at_the_papers_size() -> None:
    """Counted by hand from UniAD's layers, with one level instead of four in the deformable attentions."""
    section = load_configuration(CONFIG, "full").nuscenes
    assert section is not None
    with torch.device("meta"):
        former = InstanceMapFormer(section.model)
    d, norm = 256, 2 * 256
    linear, hidden = d * d + d, 2 * d * 512 + 512 + d
    grid = (d + 1) * (8 * 4 * 2) + (d + 1) * (8 * 4) + 2 * linear
    box = 2 * linear + (d + 1) * 4
    block = 2 * linear + (9 * 8 + 9) + 2 * linear + 2 * d * 1024 + 1024 + d + 2 * norm
    last = 2 * linear + 9 * 8 + 9
    expected = {
        "encoder": 6 * (grid + hidden + 2 * norm),
        "locations": 600 * d + (d + 1) * 2 + 6 * (4 * linear + grid + hidden + 3 * norm + (d + 1) * 3 + box),
        "thing_masks": 4 * block + last,
        "stuff_masks": 6 * (block + 4 * linear + norm) + last,
        "stuff_class": 6 * (d + 1),
    }
    found = {name: sum(p.numel() for p in part.parameters()) for name, part in former.named_children()}
    assert {name: count for name, count in found.items() if count} == expected
    total = sum(p.numel() for p in former.parameters())
    assert total == sum(expected.values()) + 3 * d == 17_324_926


def test_shapes_at_the_papers_size() -> None:
    """Queries, memory and classes as UniAD hands them on; a smaller grid stands in for 200 by 200 cells."""
    section = load_configuration(CONFIG, "full").nuscenes
    assert section is not None
    config = section.model.model_copy(update={"bev_cells": 10, "map_cells": 10})
    torch.manual_seed(0)
    former = InstanceMapFormer(config)
    output = former(torch.randn(1, 256, 10, 10), 1)
    assert output.states_LFQD.shape == (6, 1, 300, 256) and output.boxes_LFQ4.shape == (6, 1, 300, 4)
    assert output.classes_LFQK.shape == (6, 1, 300, 3)
    assert output.memory_FCHW.flatten(2).transpose(1, 2).shape == (1, 100, 256)
    masks, presence = former.stuff(output.memory_FCHW.flatten(2).transpose(1, 2))
    assert masks.shape == (7, 1, 1, 100) and presence.shape == (6, 1, 1, 1)


def test_class_masks_have_gradient_and_follow_the_painted_ones() -> None:
    former = make_former()
    output = former(torch.randn(1, 16, 12, 12), 1)
    output.logits_FKHW.sum().backward()
    assert former.thing_masks.last.key.weight.grad.any() and former.stuff_masks.last.key.weight.grad.any()
    assert former.locations.to_class[-1].weight.grad.any()
    stuff = former.stuff(output.memory_FCHW.flatten(2).transpose(1, 2))[0][-1, 0, 0] > 0.5
    painted = former.paint(output)[0, 3] > 0.5
    coarse = make_former(map_cells=12)
    assert torch.equal(coarse.paint(output)[0, 3].flatten() > 0.5, stuff)
    assert painted.shape == (24, 24)


@pytest.mark.slow
def test_one_frame_is_learned_by_heart() -> None:
    former = make_former(map_cells=12, queries=8)
    numbers = numbered_canvas(12)[None]
    bev = torch.randn(1, 16, 12, 12, generator=torch.Generator().manual_seed(1))
    optimiser = torch.optim.AdamW(former.parameters(), 3e-3)
    history = []
    for _ in range(250):
        losses = instance_map_losses(former, former(bev, 1), numbers, torch.tensor([True]))
        total = torch.stack(list(losses.values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        history.append(float(total.detach()))
    assert history[-1] < 0.1 * history[0]
    painted, truth = former.paint(former(bev, 1))[0] > 0.5, numbers[0] > 0
    assert not painted[1].any()
    for label in (0, 2, 3):
        union = (painted[label] | truth[label]).sum()
        assert (painted[label] & truth[label]).sum() > 0.85 * union, label
