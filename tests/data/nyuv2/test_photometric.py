"""Random colours: which operations occur, how strong they are, and that no pixel moves."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nexusflow.data.nyuv2.photometric import OPERATIONS, random_colours


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@pytest.fixture
def image() -> Tensor:
    """RGB of whole 256ths, dark at the left."""
    noise = torch.rand((3, 24, 40), generator=torch.Generator().manual_seed(0))
    return ((0.1 + 0.6 * torch.linspace(0, 1, 40) + 0.2 * noise) * 255).round() / 255


def apply(name: str, pixels: list[int], magnitude: int, sign: int = 1) -> list[int]:
    """What an operation makes of a row of grey pixels."""
    row = np.repeat(np.array(pixels, np.uint8)[None, :, None], 3, axis=2)
    return np.array(OPERATIONS[name](Image.fromarray(row), magnitude, sign))[0, :, 0].tolist()


def test_the_generator_decides_everything(image: Tensor) -> None:
    first, second = ([random_colours(image, g) for _ in range(20)] for g in (generator(1), generator(1)))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert len({x.numpy().tobytes() for x in first}) > 10


def test_colours_stay_in_range_and_the_image_is_left_alone(image: Tensor) -> None:
    before, g = image.clone(), generator(2)
    for tone in (image, torch.zeros_like(image), torch.ones_like(image)):
        for _ in range(40):
            changed = random_colours(tone, g)
            assert changed.shape == tone.shape and changed.dtype == torch.float32
            assert float(changed.min()) >= 0 and float(changed.max()) <= 1
    assert torch.equal(image, before)


def test_every_operation_and_only_small_magnitudes_occur(
    image: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, int, int]] = []
    for name in OPERATIONS:

        def record(image: Image.Image, magnitude: int, sign: int, name: str = name) -> Image.Image:
            calls.append((name, magnitude, sign))
            return image

        monkeypatch.setitem(OPERATIONS, name, record)
    g = generator(3)
    for _ in range(300):
        random_colours(image, g)
    assert len(calls) == 600
    assert {name for name, _, _ in calls} == {
        "identity", "brightness", "colour", "contrast", "sharpness",
        "posterise", "solarise", "auto-contrast", "equalise",
    }  # fmt: skip
    assert {magnitude for _, magnitude, _ in calls} == set(range(6))
    assert {sign for _, _, sign in calls} == {-1, 1}


def test_an_image_may_stay_as_it_is(image: Tensor) -> None:
    g = generator(4)
    assert any(torch.equal(random_colours(image, g), image) for _ in range(200))


def test_magnitudes_are_those_of_randaugment() -> None:
    pixels = [0, 100, 200, 212, 213, 255]
    for name in ("brightness", "colour", "contrast", "sharpness", "posterise"):
        assert apply(name, pixels, 0) == pixels
    assert apply("brightness", pixels, 5) == [0, 115, 230, 243, 244, 255]
    assert apply("brightness", pixels, 5, -1)[:3] == [0, 85, 170]
    assert apply("posterise", pixels, 3) == pixels
    assert apply("posterise", pixels, 4) == apply("posterise", pixels, 5) == [0, 100, 200, 212, 212, 254]
    assert apply("posterise", pixels, 30) == [0, 96, 192, 208, 208, 240]
    assert apply("solarise", pixels, 0) == [0, 100, 200, 212, 213, 0]
    assert apply("solarise", pixels, 5) == [0, 100, 200, 212, 42, 0]
    assert apply("auto-contrast", [50, 60, 101], 5) == [0, 50, 255]
    assert apply("contrast", [0, 200], 5) == [0, 215] and apply("contrast", [0, 200], 5, -1) == [15, 185]


def test_no_pixel_moves() -> None:
    """An image of two flat halves keeps its border where it was."""
    halves = torch.full((3, 16, 16), 0.3)
    halves[:, :, 5:] = 0.6
    g, borders = generator(5), 0
    for _ in range(60):
        changed = random_colours(halves, g)
        # Sharpness reaches one pixel to both sides, twice if drawn twice.
        assert (changed[:, :, :3] == changed[:, :1, :1]).all()
        assert (changed[:, :, 7:] == changed[:, :1, -1:]).all()
        borders += bool((changed[:, 0, 0] != changed[:, 0, -1]).all())
    # White is inverted by the weakest solarisation, so both halves may end up black.
    assert borders > 50
