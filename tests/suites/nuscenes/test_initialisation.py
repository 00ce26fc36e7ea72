"""Weights that a run of phase 1 starts with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.resnet.pretrained import LEAK
from nexusflow.suites.nuscenes.initialisation import initialise
from tests.bev.resnet.conftest import SMALL, make_resnet
from tests.bev.resnet.test_pretrained import uniad


def suite() -> Any:
    return SimpleNamespace(network=SimpleNamespace(backbone=make_resnet()), initialisation=None)


def config(**backbone: object) -> BEVModelConfig:
    return BEVModelConfig.model_validate({"image_height": 64, "image_width": 96, "backbone": backbone})


def test_weights_are_loaded_noted_and_the_leak_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file(uniad(), tmp_path / "a.safetensors")
    built = suite()
    weights = {"source": "uniad", "file": str(tmp_path / "a.safetensors")}
    initialise(built, config(**SMALL, weights=weights))
    assert built.initialisation["source"] == "uniad" and built.initialisation["file"] == "a.safetensors"
    assert all((value == 2).all() for value in built.network.backbone.state_dict().values())
    assert LEAK in capsys.readouterr().err


@pytest.mark.parametrize("backbone", [{}, SMALL])
def test_without_a_source_weights_stay_as_they_were_drawn(backbone: dict[str, object]) -> None:
    built, before = suite(), make_resnet().state_dict()
    initialise(built, config(**backbone))
    assert built.initialisation is None
    assert all(torch.equal(v, before[k]) for k, v in built.network.backbone.state_dict().items())
