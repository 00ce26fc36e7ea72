"""The residual backbone: sizes, levels, what is frozen, and what recomputation may not change."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from nexusflow.bev.backbone_config import ResNetDCNConfig
from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.layers import levels_of
from nexusflow.bev.model import BEVModel
from nexusflow.bev.resnet.backbone import ResNetDCN
from nexusflow.config.load import load_configuration
from nexusflow.suites.nuscenes.suite import architecture_of
from tests.bev.conftest import make_batch, tiny_config
from tests.bev.resnet.conftest import SMALL, TRAINED, make_images, make_resnet

ROOT = Path(__file__).resolve().parents[3]


def trained(network: nn.Module) -> set[str]:
    return {name.rsplit(".", 1)[0] for name, p in network.named_parameters() if p.requires_grad}


def squares(network: nn.Module, images: Tensor) -> Tensor:
    return torch.stack([level.square().mean() for level in levels_of(network(images))]).sum()


@pytest.mark.parametrize("style", ["caffe", "pytorch"])
def test_four_levels_halve_from_stride_8_on(style: str) -> None:
    levels = make_resnet(num_levels=4, style=style)(make_images())
    assert [tuple(level.shape) for level in levels] == [
        (2, 8, 8, 12),
        (2, 8, 4, 6),
        (2, 8, 2, 3),
        (2, 8, 1, 2),
    ]


def test_every_parameter_learns_with_one_level_and_with_four() -> None:
    for levels in (1, 4):
        network = make_resnet(num_levels=levels)
        squares(network, make_images()).backward()
        still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert not still


def test_the_two_styles_differ_in_where_they_halve_only() -> None:
    caffe, pytorch = (make_resnet(style=style).eval() for style in ("caffe", "pytorch"))
    assert all(torch.equal(a, pytorch.state_dict()[name]) for name, a in caffe.state_dict().items())
    mine, theirs = caffe(make_images()), pytorch(make_images())
    assert mine.shape == theirs.shape and not torch.allclose(mine, theirs, rtol=0.1)


def test_images_are_read_as_bgr() -> None:
    network = make_resnet().eval()
    images = make_images()
    convolution = network.stem[0]
    seen: list[Tensor] = []
    convolution.register_forward_hook(lambda _m, inputs, _y: seen.append(inputs[0]))
    network(images)
    assert torch.equal(seen[0], images[:, [2, 1, 0]])


def test_what_is_frozen_neither_learns_nor_gathers_statistics() -> None:
    network = make_resnet(frozen_stages=4, norm="frozen", **TRAINED).train()
    assert trained(network) == {"neck.lateral_convs.0.conv", "neck.fpn_convs.0.conv"}
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    squares(network, make_images()).backward()
    assert before and all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())


def test_early_stages_alone_are_frozen() -> None:
    names = trained(make_resnet(frozen_stages=1, norm="frozen", **TRAINED))
    assert not any(".conv1." in f"{name}." and name.count(".") == 1 for name in names)
    assert not any("layer1" in name or ".bn" in name or "downsample.1" in name for name in names)
    assert any("layer2" in name for name in names) and any("layer4" in name for name in names)
    assert {name for name in trained(make_resnet()) if ".bn" in name}  # nothing is frozen there


@pytest.mark.parametrize("norm", [{"norm": "batch"}, {"norm": "frozen", "frozen_stages": 1, **TRAINED}])
def test_recomputation_changes_neither_gradients_nor_statistics(norm: dict[str, object]) -> None:
    results = []
    for recompute in (False, True):
        network = make_resnet(recompute, **norm).train()
        squares(network, make_images()).backward()
        gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        results.append((gradients, dict(network.named_buffers())))
    for mine, theirs in zip(*results, strict=True):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert any(int(buffer) == 1 for name, buffer in results[1][1].items() if name.endswith("tracked")) == (
        norm["norm"] == "batch"
    )


def small_model(**changes: object) -> BEVModelConfig:
    backbone = {**SMALL, **changes}
    sizes = {"image_height": 64, "image_width": 64, "norm_groups": 8}
    return tiny_config(encoder={"kind": "bevformer", "heads": 2}, **sizes).model_copy(
        update={"backbone": ResNetDCNConfig.model_validate(backbone)}
    )


@pytest.mark.parametrize("levels", [1, 4])
def test_the_model_trains_on_it(levels: int) -> None:
    config = BEVModelConfig.model_validate(small_model(num_levels=levels).model_dump())
    torch.manual_seed(0)
    model, batch = BEVModel(config), make_batch(config)
    output = model(*batch.inputs, batch.truth)
    sum(model.losses(output, batch.truth, batch.maps[:, -1], batch.map_visible).values()).backward()
    gradients = {name: p.grad for name, p in model.backbone.named_parameters()}
    assert all(g is not None and g.isfinite().all() and g.any() for g in gradients.values())
    assert (model.encoder.level_LC11 is None) == (levels == 1)


def test_phase_two_uses_the_statistics_of_phase_one() -> None:
    config = small_model()
    model = BEVModel(config)
    batch = make_batch(config)
    model.train()
    model.freeze_encoder()
    before = {name: buffer.clone() for name, buffer in model.backbone.named_buffers()}
    model.train()
    model(*batch.inputs, batch.truth)
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.backbone.named_buffers())


def test_several_levels_need_an_encoder_that_reads_them() -> None:
    model = tiny_config().model_dump() | {"backbone": {**SMALL, "num_levels": 4}}
    sizes = {"image_height": 64, "image_width": 64}
    with pytest.raises(ValidationError, match="num_levels must be 1"):
        BEVModelConfig.model_validate(model | sizes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"frozen_stages": 1}, "frozen_stages must be -1"),
        ({"norm": "frozen"}, "norm must be batch"),
        ({"weights": {"source": "imagenet"}}, "weights.file must be given"),
        ({"weights": {"source": "none", "file": "x"}}, "weights.file must be given"),
        ({"num_levels": 3}, "num_levels"),
    ],
)
def test_mistakes_are_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        ResNetDCNConfig.model_validate({**SMALL, **changes})


def test_only_what_decides_the_weights_names_the_architecture() -> None:
    known = architecture_of(small_model())
    assert architecture_of(small_model(**TRAINED)) == known
    assert architecture_of(small_model(implementation="mmdet")) == known
    assert architecture_of(small_model(style="pytorch")) != known


def test_the_full_scale_has_the_network_of_uniad() -> None:
    section = load_configuration(ROOT / "config", "full").nuscenes.model.backbone
    assert isinstance(section, ResNetDCNConfig) and section.depth == 101
    with torch.device("meta"):
        body = ResNetDCN(section.model_copy(update={"implementation": "torch", "num_levels": 4}))
    shapes = {name: tuple(p.shape) for name, p in body.state_dict().items()}
    assert shapes["body.layer3.22.conv2.conv_offset.weight"] == (27, 256, 3, 3)
    assert shapes["body.layer4.2.conv2.conv_offset.weight"] == (27, 512, 3, 3)
    assert "body.layer2.3.conv2.conv_offset.weight" not in shapes
    assert shapes["neck.lateral_convs.2.conv.weight"] == (256, 2048, 1, 1)
    assert shapes["neck.fpn_convs.3.conv.weight"] == (256, 256, 3, 3)
