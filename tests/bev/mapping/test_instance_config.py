"""The paper's numbers, and mistakes that are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from nexusflow.bev.mapping.instance_config import InstanceMapConfig
from nexusflow.config.load import load_configuration
from tests.bev.mapping.instances import instance_config


def test_the_full_scale_has_the_papers_numbers() -> None:
    section = load_configuration(Path(__file__).parents[3] / "config", "full").nuscenes
    assert section is not None
    config = section.model.map
    assert config.queries == "instance" and config.frames == "last"
    assert (config.dim, config.heads, config.layers, config.ffn_channels) == (256, 8, 6, 512)
    own = config.instance
    sizes = (own.queries, own.encoder_layers, own.points, own.thing_blocks, own.stuff_blocks)
    assert sizes == (300, 6, 4, 4, 6)
    loss = own.loss
    assert (loss.classification, loss.box, loss.giou, loss.dice, loss.stuff) == (2, 5, 2, 2, 4)
    assert (loss.cost_classification, loss.cost_box, loss.cost_giou, loss.cost_dice) == (2, 5, 2, 2)
    painting = own.painting
    assert (painting.candidates, painting.min_score, painting.max_overlap) == (100, 0.1, 0.4)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"queries": 0}, "queries"),
        ({"loss": {"dice": -1}}, "dice"),
        ({"painting": {"min_score": 2}}, "min_score"),
    ],
)
def test_mistakes_are_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        instance_config(**changes)


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="levels"):
        InstanceMapConfig.model_validate({"levels": 4})
