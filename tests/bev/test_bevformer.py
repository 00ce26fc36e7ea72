"""The paper's BEV encoder: cameras are read where they see something, and nothing depends on what is kept."""

import torch
from torch import Tensor

from nexusflow.bev.bevformer import SpatialCrossAttention
from nexusflow.bev.config import EncoderConfig
from nexusflow.bev.deformable import deformable_sample
from nexusflow.bev.model import BEVModel
from tests.bev.conftest import make_batch, tiny_config

CONFIG = EncoderConfig(kind="bevformer", channels=16, heads=2, points=3, heights_m=(0.0, 1.0))


def every_camera(
    attention: SpatialCrossAttention, query_BQC: Tensor, features_BNChw: Tensor, where: Tensor, seen: Tensor
) -> Tensor:
    """The same by its definition: all pillars in all cameras, then the mean over those that see them."""
    batch, cameras = features_BNChw.shape[:2]
    shape = (attention.heads, attention.heights, attention.points, 2)
    size = torch.tensor([features_BNChw.shape[-1], features_BNChw.shape[-2]])
    offsets = attention.offsets(query_BQC).unflatten(-1, shape) * (2.0 / size)
    weights = attention.weights(query_BQC).unflatten(-1, (attention.heads, -1)).softmax(-1)
    total, count = torch.zeros_like(query_BQC), torch.zeros(*query_BQC.shape[:2], 1)
    for b in range(batch):
        for n in range(cameras):
            value = attention.value(features_BNChw[b, n][None])
            places = (where[b, n][:, None, :, None] + offsets[b]).flatten(2, 3)
            sampled = deformable_sample(value, places[None], weights[b][None])[0]
            hit = seen[b, n].any(-1)[:, None].float()
            total[b] += sampled * hit
            count[b] += hit
    result: Tensor = attention.out(total / count.clamp(min=1))
    return result


def test_cameras_are_averaged_over_the_pillars_that_they_see() -> None:
    torch.manual_seed(0)
    attention = SpatialCrossAttention(CONFIG, 8)
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    query, features = torch.randn(2, 9, 16), torch.randn(2, 3, 8, 4, 6)
    where, seen = torch.rand(2, 3, 9, 2, 2) * 2 - 1, torch.rand(2, 3, 9, 2) < 0.3
    seen[:, 2] = False  # a camera that sees nothing
    seen[:, :, 4] = False  # a pillar that nobody sees
    mine = attention(query, features, where, seen)
    theirs = every_camera(attention, query, features, where, seen)
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
    weight = torch.randn_like(mine)
    ours = torch.autograd.grad((mine * weight).sum(), list(attention.parameters()))
    reference = torch.autograd.grad((theirs * weight).sum(), list(attention.parameters()))
    for a, b in zip(ours, reference, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def _gradients(recompute: bool) -> list[Tensor]:
    config = tiny_config(encoder={"kind": "bevformer", "heads": 2}, recompute=recompute)
    torch.manual_seed(0)
    model, batch = BEVModel(config), make_batch(config)
    model.set_step(3)
    output = model(*batch.inputs, batch.truth)
    losses = model.losses(output, batch.truth, batch.maps[:, -1], batch.map_visible)
    return list(torch.autograd.grad(torch.stack(list(losses.values())).sum(), list(model.parameters())))


def test_recomputed_activations_give_the_same_gradients() -> None:
    kept, recomputed = _gradients(False), _gradients(True)
    assert all(map(torch.equal, kept, recomputed))
    assert any(gradient.any() for gradient in kept)
