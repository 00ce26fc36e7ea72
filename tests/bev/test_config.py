"""Mistakes in the config are refused with the key's name; the config needs no heavy import."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from nexusflow.bev.config import BEVModelConfig


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"unknown": 1}, "unknown"),
        ({"tap": "everything"}, "tap"),
        ({"bev_cells": 0}, "bev_cells"),
        ({"norm_groups": 7}, "norm_groups"),
        ({"image_height": 8}, "image_height"),
        ({"backbone": {"depths": (1,)}}, "backbone.depths"),
        ({"backbone": {"output_stage": 3}}, "output_stage"),
        ({"backbone": {"kind": "vgg"}}, "backbone.kind must be plain or resnet_dcn"),
        ({"encoder": {"kind": "bevformer", "heads": 7}}, "encoder.heads"),
        ({"encoder": {"unet_depths": (1,)}}, "unet_depths"),
        ({"track": {"dim": 30}}, "track.dim"),
        ({"track": {"loss": {"code_weights": (1.0,)}}}, "code_weights"),
        ({"map": {"queries": "instance"}, "map_classes": 1}, "map_classes"),
        ({"thresholds": {"birth": 2.0}}, "birth"),
    ],
)
def test_mistakes_are_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        BEVModelConfig.model_validate(changes)


def test_config_is_frozen() -> None:
    config = BEVModelConfig()
    with pytest.raises(ValidationError):
        config.bev_cells = 3  # type: ignore[misc]


def test_every_field_is_described() -> None:
    pending = [BEVModelConfig]
    while pending:
        section = pending.pop()
        for name, field in section.model_fields.items():
            nested = field.annotation
            if isinstance(nested, type) and hasattr(nested, "model_fields"):
                pending.append(nested)
            else:
                assert field.description, f"{section.__name__}.{name}"


def test_config_imports_neither_torch_nor_numpy() -> None:
    code = "import sys, nexusflow.bev.config; assert not {'torch', 'numpy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
