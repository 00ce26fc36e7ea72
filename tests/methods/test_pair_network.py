"""The mapping network of MTPSL: layout, pairs, scales and shifts."""

import pytest
import torch

from nexusflow.core.errors import UserError
from nexusflow.methods.mtpsl_config import MTPSLConfig
from nexusflow.methods.pair_network import FilmUnit, PairNetwork, pair_code

CHANNELS = {"a": 4, "b": 1, "c": 3}
PUBLISHED = {"semantics": 13, "depth": 1, "normals": 3}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def small(norm="batch", seed=0) -> PairNetwork:
    torch.manual_seed(seed)
    return PairNetwork(CHANNELS, widths=(8, 6), extra_blocks=(1, 0), norm=norm)


def published() -> PairNetwork:
    config = MTPSLConfig()
    with torch.device("meta"):
        return PairNetwork(PUBLISHED, (*config.widths, 512), config.extra_blocks, config.norm)


def units_of(network: PairNetwork) -> list[FilmUnit]:
    return [unit for unit in network.modules() if isinstance(unit, FilmUnit)]


def images(seed=0, batch=2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {task: torch.randn(batch, count, 16, 12, generator=generator) for task, count in CHANNELS.items()}


def test_codes_number_the_off_diagonal_row_by_row():
    for tasks in (2, 3, 4):
        pairs = [(s, t) for s in range(tasks) for t in range(tasks) if s != t]
        assert [pair_code(s, t, tasks) for s, t in pairs] == list(range(tasks * (tasks - 1)))


def test_published_size():
    network = published()
    assert len(units_of(network)) == 13
    assert [len(level) for level in network.levels] == [2, 2, 3, 3, 3]  # type: ignore[arg-type]
    assert [tuple(unit.gamma_CP.shape) for unit in units_of(network)][::6] == [(64, 6), (256, 6), (512, 6)]
    assert len(network.film_parameters()) == 26
    assert sum(table.numel() for table in network.film_parameters()) == 2 * 6 * 4224
    assert sum(weight.numel() for weight in network.parameters()) == 14_819_328
    stems = [network.stems[task][0] for task in PUBLISHED]  # type: ignore[index]
    assert [(stem.in_channels, stem.out_channels) for stem in stems] == [(13, 64), (1, 64), (3, 64)]


def test_published_latents_have_the_size_of_the_bottleneck():
    image = {"depth": torch.empty(1, 1, 288, 384, device="meta")}
    assert published()(image, torch.zeros(1, dtype=torch.long, device="meta")).shape == (1, 512, 9, 12)


def test_all_pairs_are_the_same_at_first():
    network = small()
    outputs = [network(images(), torch.full((6,), code)) for code in range(6)]
    assert all(torch.equal(output, outputs[0]) for output in outputs[1:])
    for unit in units_of(network):
        assert (unit.gamma_CP == 1).all() and (unit.beta_CP == 0).all()


def test_every_image_reads_the_column_of_its_own_pair():
    network, x = small("image"), images(batch=1)
    with torch.no_grad():
        for table in network.film_parameters():
            table.add_(torch.randn(table.shape, generator=torch.Generator().manual_seed(1)))
    together = network(x, torch.tensor([4, 0, 5]))
    for row, (task, code) in enumerate(zip(x, (4, 0, 5), strict=True)):
        alone = network({task: x[task]}, torch.tensor([code]))
        torch.testing.assert_close(together[row : row + 1], alone)
    assert not torch.allclose(together, network(x, torch.tensor([4, 1, 5])))


@pytest.mark.parametrize("norm", ["batch", "group", "image"])
def test_scale_and_shift_stand_between_norm_and_relu(norm):
    unit = FilmUnit(3, 4, pairs=2, norm=norm)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        unit.gamma_CP.copy_(torch.tensor([[2.0, -3.0]]).expand(4, 2))
        unit.beta_CP.copy_(torch.tensor([[0.5, -0.25]]).expand(4, 2))
    normed = unit.norm(unit.convolution(x))
    expected = torch.stack([2 * normed[0] + 0.5, -3 * normed[1] - 0.25]).relu()
    torch.testing.assert_close(unit(x, torch.tensor([0, 1])), expected)


def test_norm_by_image_is_batch_norm_over_one_image():
    first, second = small("batch"), small("image")
    second.load_state_dict(first.state_dict(), strict=False)
    x, code = {"a": images(batch=1)["a"]}, torch.tensor([3])
    torch.testing.assert_close(first(x, code), second(x, code))


def test_biases_start_at_zero_and_weights_by_xavier():
    network = small()
    convolutions = [part for part in network.modules() if isinstance(part, torch.nn.Conv2d)]
    assert all((part.bias == 0).all() for part in convolutions if part.bias is not None)
    widest = max(convolutions, key=lambda part: part.weight.numel())
    fans = 9 * (widest.in_channels + widest.out_channels)
    assert float(widest.weight.detach().std()) == pytest.approx((2 / fans) ** 0.5, rel=0.15)


def test_every_parameter_learns():
    network = small()
    (network(images(), torch.arange(6)) ** 2).sum().backward()
    before_norm = {id(part.bias) for part in network.modules() if isinstance(part, torch.nn.Conv2d)}
    for name, weight in network.named_parameters():
        # The normalisation takes the mean away, and with it the effect of the bias before it.
        least = -1 if id(weight) in before_norm else 1e-4
        assert weight.grad is not None and weight.grad.abs().max() > least, name


def test_images_that_are_too_small_are_refused():
    with pytest.raises(UserError, match=r"method\.widths: 2 levels cannot halve images of 3 x 12 cells"):
        small()({"b": torch.zeros(2, 1, 3, 12)}, torch.zeros(2, dtype=torch.long))


def test_scale_and_shift_keep_half_precision():
    unit, codes = FilmUnit(3, 4, pairs=2, norm="batch"), torch.tensor([0, 1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert unit(torch.randn(2, 3, 8, 8), codes).dtype == torch.bfloat16
