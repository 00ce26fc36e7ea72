"""The network out of MMDetection's blocks is that in plain PyTorch; a sentence says what is missing."""

from __future__ import annotations

import sys

import pytest
import torch

from nexusflow.bev.backbone_config import ResNetDCNConfig
from nexusflow.bev.resnet import mmdet_parts
from nexusflow.bev.resnet.backbone import ResNetDCN
from nexusflow.core.errors import UserError
from tests.bev.resnet.conftest import SMALL, make_images, make_resnet


def need_mmdet() -> None:
    reason = "the extra mmdet3d is not installed"
    pytest.importorskip("mmcv._ext", reason=reason, exc_type=ImportError)
    pytest.importorskip("mmdet", reason=reason, exc_type=ImportError)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("style", ["caffe", "pytorch"])
@pytest.mark.parametrize("levels", [1, 4])
def test_both_implementations_agree(style: str, levels: int) -> None:
    need_mmdet()
    changes = {"style": style, "num_levels": levels}
    ours, theirs = (make_resnet(implementation=name, **changes) for name in ("torch", "mmdet"))
    assert theirs.implementation == "mmdet" and type(theirs.body) is not type(ours.body)
    mine, other = ours.state_dict(), theirs.state_dict()
    assert mine.keys() == other.keys() and all(torch.equal(mine[name], other[name]) for name in mine)
    results = []
    for network in (ours, theirs):
        outputs = network(make_images())
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        torch.stack([level.square().mean() for level in outputs]).sum().backward()
        results.append((outputs, {name: p.grad for name, p in network.named_parameters()}))
    (mine_out, mine_grad), (other_out, other_grad) = results
    for a, b in zip(mine_out, other_out, strict=True):
        torch.testing.assert_close(a, b, atol=1e-3 * float(a.detach().abs().max()), rtol=0)
    for name, a in mine_grad.items():
        torch.testing.assert_close(a, other_grad[name], atol=5e-3 * float(a.abs().max()), rtol=0)


@pytest.mark.filterwarnings("ignore")
def test_installed_blocks_are_taken_by_themselves() -> None:
    need_mmdet()
    assert (
        ResNetDCN(ResNetDCNConfig.model_validate(SMALL | {"implementation": "auto"})).implementation
        == "mmdet"
    )


def test_without_the_library_plain_pytorch_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mmcv", None)
    monkeypatch.setitem(sys.modules, "mmdet", None)
    assert not mmdet_parts.has_mmdet()
    assert (
        ResNetDCN(ResNetDCNConfig.model_validate(SMALL | {"implementation": "auto"})).implementation
        == "torch"
    )
    with pytest.raises(UserError, match=r"make environment-mmdet3d.*implementation to torch"):
        ResNetDCN(ResNetDCNConfig.model_validate(SMALL | {"implementation": "mmdet"}))
