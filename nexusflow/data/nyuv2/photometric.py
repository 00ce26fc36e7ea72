"""Random changes of an image's colours, which leave every pixel where it is.

Letters: H × W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

__all__ = ["OPERATIONS", "random_colours"]

_OPERATIONS_PER_IMAGE = 2
# Magnitudes are whole numbers from 0 to 30, of which the smallest six are drawn.
_LARGEST = 30
_DRAWN = 6

# Takes image, magnitude and sign.
Operation = Callable[[Image.Image, int, int], Image.Image]


def _enhance(enhancer: Callable[[Image.Image], Any]) -> Operation:
    def operation(image: Image.Image, magnitude: int, sign: int) -> Image.Image:
        changed: Image.Image = enhancer(image).enhance(1 + sign * 0.9 * magnitude / _LARGEST)
        return changed

    return operation


def _posterise(image: Image.Image, magnitude: int, sign: int) -> Image.Image:
    return ImageOps.posterize(image, 8 - round(4 * magnitude / _LARGEST))


def _solarise(image: Image.Image, magnitude: int, sign: int) -> Image.Image:
    return ImageOps.solarize(image, 255 - 255 * magnitude // _LARGEST)


OPERATIONS: dict[str, Operation] = {
    "identity": lambda image, magnitude, sign: image,
    "brightness": _enhance(ImageEnhance.Brightness),
    "colour": _enhance(ImageEnhance.Color),
    "contrast": _enhance(ImageEnhance.Contrast),
    "sharpness": _enhance(ImageEnhance.Sharpness),
    "posterise": _posterise,
    "solarise": _solarise,
    "auto-contrast": lambda image, magnitude, sign: ImageOps.autocontrast(image),
    "equalise": lambda image, magnitude, sign: ImageOps.equalize(image),
}


def random_colours(image_3HW: Tensor, generator: np.random.Generator) -> Tensor:
    """Apply two random operations to the colours of an image; they may be the same.

    An operation has a magnitude m, drawn from 0 to 5 of the 31 from 0 to 30, and a sign s.

    | operation | what it does | with m = 0 | with m = 5 |
    | --- | --- | --- | --- |
    | identity, auto-contrast, equalise | as in Pillow, without a magnitude | | |
    | brightness, colour, contrast, sharpness | enhanced by the factor 1 + 0.9 s m / 30 | 1 | 0.85 or 1.15 |
    | posterise | keeps 8 - round(4 m / 30) bits | 8 | 7 |
    | solarise | inverts values (of 255) from 255 - floor(255 m / 30) up | 255 | 213 |

    Args:
        image_3HW: RGB in [0, 1].
        generator: source of randomness.

    Returns:
        RGB in [0, 1] of the same shape, rounded to 8 bits.

    Source: the image augmentation of JTR, which is RandAugment without its geometric operations.
    """
    pixels_HW3 = (image_3HW * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    image = Image.fromarray(np.ascontiguousarray(pixels_HW3))
    names = list(OPERATIONS)
    for _ in range(_OPERATIONS_PER_IMAGE):
        name = names[int(generator.integers(len(names)))]
        magnitude, sign = int(generator.integers(_DRAWN)), int(generator.choice((-1, 1)))
        image = OPERATIONS[name](image, magnitude, sign)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float() / 255
