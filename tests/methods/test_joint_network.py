"""The joint network: sizes, places of the maxima, the frozen pass."""

import copy

import pytest
import torch
import torch.nn.functional as F

from nexusflow.core.errors import UserError
from nexusflow.methods.joint_network import JointNetwork, unpool
from nexusflow.methods.jtr_config import JTRConfig

torch.set_num_threads(1)


def make(channels: int = 5, widths=(4, 6, 8), extra=(1, 0, 1), norm="batch") -> JointNetwork:
    torch.manual_seed(0)
    return JointNetwork(channels, widths, extra, norm)


def stack(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_published_size():
    config = JTRConfig()
    network = JointNetwork(17, config.widths, config.extra_blocks, config.norm)
    assert sum(weight.numel() for weight in network.parameters()) == 24_989_393
    with torch.no_grad():
        latent, reconstruction = network(stack(1, 17, 32, 64))
    # A 32nd of the size, so 9 × 12 for 288 × 384.
    assert latent.shape == (1, 512, 1, 2)
    assert reconstruction.shape == (1, 17, 32, 64)


def test_convolutions_per_level():
    network = make()
    convolutions = [
        [part for part in level if isinstance(part, torch.nn.Conv2d)] for level in network.encoder.levels
    ]
    assert [[(c.in_channels, c.out_channels) for c in level] for level in convolutions] == [
        [(5, 4), (4, 4)],
        [(4, 6)],
        [(6, 8), (8, 8)],
    ]
    mirrored = [[part for part in level if isinstance(part, torch.nn.Conv2d)] for level in network.decoder]
    assert [[(c.in_channels, c.out_channels) for c in level] for level in mirrored] == [
        [(4, 4), (4, 4)],
        [(6, 4)],
        [(8, 6), (6, 6)],
    ]
    assert all(c.kernel_size == (3, 3) for level in convolutions + mirrored for c in level)
    assert [part.kernel_size for part in network.head] == [(3, 3), (1, 1)]


@pytest.mark.parametrize("size", [(100, 100), (16, 24), (13, 9)])
def test_sizes_that_poolings_do_not_divide(size):
    latent, reconstruction = make()(stack(2, 5, *size))
    assert latent.shape == (2, 8, size[0] // 8, size[1] // 8)
    assert reconstruction.shape == (2, 5, *size)


@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
def test_unpooling_inverts_the_places(size):
    x = stack(2, 3, *size) + 0.5
    pooled, places = F.max_pool2d(x, 2, return_indices=True)
    back = unpool(pooled, places, size)
    assert back.shape == x.shape
    assert torch.equal(back, F.max_unpool2d(pooled, places, 2, output_size=list(size)))
    assert torch.equal(back[back != 0], x[back != 0])
    assert int((back != 0).sum()) == pooled.numel()
    assert torch.equal(F.max_pool2d(back, 2), pooled)


def test_encode_is_the_first_half_of_forward():
    x = stack(2, 5, 16, 16)
    torch.testing.assert_close(make().encode(x), make()(x)[0], rtol=0, atol=0)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_frozen_pass_is_that_of_a_copy(norm):
    network = make(norm=norm)
    twin = copy.deepcopy(network)
    ours, theirs = stack(3, 5, 16, 16).requires_grad_(), stack(3, 5, 16, 16).requires_grad_()
    latent, expected = network.encode_frozen(ours), twin.encode(theirs)
    torch.testing.assert_close(latent, expected, rtol=0, atol=0)
    latent.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=0)
    assert ours.grad.abs().max() > 0
    assert all(weight.grad is None for weight in network.parameters())
    assert any(weight.grad is not None for weight in twin.parameters())


def test_the_frozen_pass_leaves_the_batch_statistics():
    network = make()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    assert before
    network.encode_frozen(stack(3, 5, 16, 16))
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
    network.encode(stack(3, 5, 16, 16))
    assert not all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())


def test_the_frozen_pass_follows_the_current_weights():
    network, x = make(), stack(3, 5, 16, 16)
    before = network.encode_frozen(x)
    with torch.no_grad():
        network.encoder.levels[0][0].weight.mul_(-1)
    assert not torch.equal(network.encode_frozen(x), before)


def test_every_weight_learns_and_nothing_is_random():
    torch.use_deterministic_algorithms(True)
    try:
        gradients = []
        for _ in range(2):
            network = make(norm="group", widths=(8, 16, 16))
            latent, reconstruction = network(stack(2, 5, 16, 16))
            (latent.square().mean() + reconstruction.square().mean()).backward()
            gradients.append({name: weight.grad for name, weight in network.named_parameters()})
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(gradient.abs().max() > 0 for gradient in gradients[0].values())
    assert all(torch.equal(gradient, gradients[1][name]) for name, gradient in gradients[0].items())


def test_the_head_has_no_activation():
    reconstruction = make()(stack(2, 5, 16, 16))[1]
    assert reconstruction.min() < 0 < reconstruction.max()


@pytest.mark.parametrize("run", ["encode", "encode_frozen", "forward"])
def test_too_few_cells(run):
    with pytest.raises(UserError, match=r"method\.widths: 3 levels need canvases of 8 cells .* 7 x 20"):
        getattr(make(), run)(stack(1, 5, 7, 20))
