"""Moving pictures as GIF: one small palette for all frames, no dithering, equal frames give equal bytes.

Legend: F frames, H and W size in pixels, C found colours, K given colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from nexusflow.core.errors import UserError
from nexusflow.core.files import atomic_path
from nexusflow.core.spread import evenly_spread

__all__ = ["write_gif"]

_SAMPLED_FRAMES = 8
_CELL = 8
# GIF counts time in hundredths of a second.
_TICK_MS = 10


def _palette(frames: Sequence[Image.Image], colours: int, kept: Sequence[str]) -> Image.Image:
    """Choose colours that suit all frames; thin lines are too few pixels to be chosen, so they are given."""
    fixed = [round(255 * part) for colour in kept for part in to_rgb(colour)]
    places = evenly_spread(len(frames), _SAMPLED_FRAMES)
    stack = np.concatenate([np.asarray(frames[place]) for place in places])
    count = colours - len(kept)
    found = Image.fromarray(stack).quantize(count, Image.Quantize.MEDIANCUT).getpalette() or []
    found_C3, fixed_K3 = np.reshape(found[: 3 * count], (-1, 3)), np.reshape(fixed, (-1, 3))
    # Pillow looks colours up in coarse cells, so a close neighbour would take the place of a given one.
    distances_CK = np.abs(found_C3[:, None] - fixed_K3[None]).max(-1)
    apart_C = (distances_CK > _CELL).all(1)
    palette = Image.new("P", (1, 1))
    palette.putpalette([*fixed, *found_C3[apart_C].ravel().tolist()])
    return palette


def write_gif(
    path: Path,
    frames_FHW3: Sequence[NDArray[np.uint8]],
    frames_per_second: float,
    colours: int = 128,
    kept: Sequence[str] = (),
) -> None:
    """Write frames as a GIF that repeats for ever.

    Args:
        path: destination.
        frames_FHW3: RGB bytes, all of one size.
        frames_per_second: frames shown per second; rounded to hundredths of a second per frame.
        colours: size of the palette, at most 256.
        kept: colours that must be in the palette.

    Raises:
        UserError: if the file cannot be written, or there are more kept colours than the palette has.
    """
    if len(kept) >= colours:
        raise UserError(f"{path}: {colours} colours are too few beside {len(kept)} fixed ones; allow more.")
    images = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames_FHW3]
    palette = _palette(images, colours, kept)
    indexed = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    duration = max(_TICK_MS, round(1000 / frames_per_second / _TICK_MS) * _TICK_MS)
    with atomic_path(path) as temporary:
        indexed[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=indexed[1:],
            duration=duration,
            loop=0,
            optimize=False,
        )
