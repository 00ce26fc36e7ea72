"""Weights of other projects' checkpoints: taken completely or refused with one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nexusflow.bev.backbone_config import InitialWeightsConfig
from nexusflow.bev.resnet.pretrained import LEAK, load_pretrained
from nexusflow.core.errors import UserError
from tests.bev.resnet.conftest import make_resnet


def uniad(**changes: object) -> dict[str, Tensor]:
    """A checkpoint with UniAD's names."""
    state = make_resnet(**changes).state_dict()
    named = {
        key.replace("body.", "img_backbone.").replace("neck.", "img_neck."): torch.full_like(value, 2)
        for key, value in state.items()
    }
    return named | {"seg_head.query.weight": torch.ones(2), "pts_bbox_head.cls.bias": torch.ones(1)}


def imagenet() -> dict[str, Tensor]:
    """A classifier's checkpoint: no pyramid, no shifts."""
    state = make_resnet().state_dict()
    named = {key.removeprefix("body."): torch.full_like(value, 2) for key, value in state.items()}
    kept = {k: v for k, v in named.items() if not k.startswith("neck.") and "conv_offset" not in k}
    return kept | {"fc.weight": torch.ones(2, 2), "fc.bias": torch.ones(2)}


def section(source: str, path: Path) -> InitialWeightsConfig:
    return InitialWeightsConfig.model_validate({"source": source, "file": str(path)})


def test_the_image_part_of_uniad_is_taken_and_the_leak_is_named(tmp_path: Path) -> None:
    path = tmp_path / "uniad.safetensors"
    save_file(uniad(), path)
    network = make_resnet()
    record = load_pretrained(network, section("uniad", path))
    assert all((value == 2).all() for value in network.state_dict().values())
    assert record["taken"] == len(network.state_dict())
    assert record["left_out"] == {"pts_bbox_head": 1, "seg_head": 1}
    assert record["warning"] == LEAK and not record["drawn"]


def test_a_classifier_fills_the_body_and_the_rest_keeps_its_drawn_weights(tmp_path: Path) -> None:
    save_file(imagenet(), tmp_path / "a.safetensors")
    network, untouched = make_resnet(), make_resnet()
    record = load_pretrained(network, section("imagenet", tmp_path / "a.safetensors"))
    for name, value in network.state_dict().items():
        drawn = name.startswith("neck.") or "conv_offset" in name
        assert torch.equal(value, untouched.state_dict()[name]) if drawn else (value == 2).all()
    assert record["left_out"] == {"fc": 2} and "warning" not in record
    assert record["drawn"][:2] == ["body.layer3", "body.layer4"]


def spoiled(change: str) -> dict[str, Any]:
    state: dict[str, Any] = uniad()
    if change == "lacks":
        del state["img_backbone.layer1.0.conv1.weight"]
    if change == "holds":
        state["img_backbone.layer9.0.conv1.weight"] = torch.ones(1)
    if change == "shape":
        state["img_backbone.conv1.weight"] = torch.ones(1)
    return state


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("lacks", "lacks img_backbone.layer1.0.conv1.weight"),
        ("holds", "holds img_backbone.layer9.0.conv1.weight"),
        ("shape", r"img_backbone.conv1.weight has shape \(1,\)"),
    ],
)
def test_a_checkpoint_that_does_not_fit_changes_nothing(tmp_path: Path, change: str, named: str) -> None:
    path = tmp_path / "a.safetensors"
    save_file(spoiled(change), path)
    network, before = make_resnet(), make_resnet().state_dict()
    with pytest.raises(UserError, match=named):
        load_pretrained(network, section("uniad", path))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing"):
        load_pretrained(make_resnet(), section("uniad", tmp_path / "none.safetensors"))
    (tmp_path / "a.safetensors").write_bytes(b"no checkpoint")
    (tmp_path / "c.safetensors").touch()
    torch.save(uniad(), tmp_path / "b.pth")
    for name in ("a.safetensors", "b.pth", "c.safetensors"):
        with pytest.raises(UserError, match="no safetensors file"):
            load_pretrained(make_resnet(), section("uniad", tmp_path / name))


def test_an_error_without_text_is_named_by_its_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise OSError

    monkeypatch.setattr("nexusflow.bev.resnet.pretrained.load_file", fail)
    with pytest.raises(UserError, match=r"no safetensors file \(OSError\)"):
        load_pretrained(make_resnet(), section("uniad", tmp_path / "a.safetensors"))
