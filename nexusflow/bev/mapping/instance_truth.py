"""Map instances of one frame, read off a canvas of numbers.

Letters: K map classes (all but the last are things), M things, H/W canvas.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["FrameInstances", "read_instances"]


@dataclass(frozen=True)
class FrameInstances:
    """Things and stuff of one frame.

    Args:
        labels_M: thing class.
        boxes_M4: centre and size of the mask in [0, 1] of the canvas, x before y.
        masks_MHW: 0 or 1, float32.
        stuff_HW: 0 or 1, float32; the mask of the last class.
    """

    labels_M: Tensor
    boxes_M4: Tensor
    masks_MHW: Tensor
    stuff_HW: Tensor


def _extent(seen_MN: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first seen cell and the one after the last (M,)."""
    cells = seen_MN.shape[1]
    places_N = torch.arange(cells, device=seen_MN.device)
    first_M = torch.where(seen_MN, places_N, cells).amin(1)
    beyond_M = torch.where(seen_MN, places_N, -1).amax(1) + 1
    return first_M, beyond_M


def read_instances(numbers_KHW: Tensor) -> FrameInstances:
    """List the instances of a frame.

    Args:
        numbers_KHW: number of the instance of a class in a cell, 0 = none.

    Returns:
        Things in the order of class and number, and the mask of the stuff.
    """
    labels, masks = [], []
    for label, numbers_HW in enumerate(numbers_KHW[:-1]):
        numbers = numbers_HW.unique()
        numbers = numbers[numbers > 0]
        labels.append(numbers.new_full((len(numbers),), label, dtype=torch.int64))
        masks.append(numbers_HW[None] == numbers[:, None, None])
    masks_MHW = torch.cat(masks)
    x_M, x_beyond_M = _extent(masks_MHW.any(1))
    y_M, y_beyond_M = _extent(masks_MHW.any(2))
    height, width = numbers_KHW.shape[1:]
    box = [
        (x_M + x_beyond_M) / (2 * width),
        (y_M + y_beyond_M) / (2 * height),
        (x_beyond_M - x_M) / width,
        (y_beyond_M - y_M) / height,
    ]
    return FrameInstances(
        torch.cat(labels), torch.stack(box, -1), masks_MHW.float(), (numbers_KHW[-1] > 0).float()
    )
