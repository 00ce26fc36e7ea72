"""A small mapping former with instance queries, and numbered canvases for it."""

from __future__ import annotations

import torch
from torch import Tensor

from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.mapping.instance_former import InstanceMapFormer
from tests.bev.conftest import tiny_config

INSTANCE = {"queries": 12, "encoder_layers": 2, "thing_blocks": 2, "stuff_blocks": 2}


def instance_config(bev_cells: int = 12, map_cells: int = 24, **changes: object) -> BEVModelConfig:
    """Return the tiny config with instance queries; further keys belong to `map.instance`."""
    section = {"queries": "instance", "heads": 4, "instance": {**INSTANCE, **changes}}
    return tiny_config(bev_cells=bev_cells, map_cells=map_cells, map=section)


def make_former(seed: int = 0, **changes: object) -> InstanceMapFormer:
    """Build the former of `instance_config` with fixed weights."""
    torch.manual_seed(seed)
    return InstanceMapFormer(instance_config(**changes))  # type: ignore[arg-type]


def numbered_canvas(cells: int = 24) -> Tensor:
    """Return (4, H, W): two dividers, no crossing, one contour, a drivable half."""
    numbers = torch.zeros(4, cells, cells, dtype=torch.int16)
    numbers[0, cells // 6 : cells // 6 + 3] = 1
    numbers[0, cells // 2 : cells // 2 + 3] = 2
    numbers[2, :, cells // 4 : cells // 4 + 3] = 1
    numbers[0][numbers[2] > 0] = 0  # the contour erases the dividers
    numbers[3, cells // 3 :] = 1
    return numbers
