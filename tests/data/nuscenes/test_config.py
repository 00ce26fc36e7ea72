"""Derived sizes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from nexusflow.data.nuscenes.config import NuScenesReaderConfig


def test_erase_width_scales_with_resolution() -> None:
    assert NuScenesReaderConfig(bev_half_m=51.2, map_cells=200).erase_width_px == 6
    assert NuScenesReaderConfig(bev_half_m=51.2, map_cells=100).erase_width_px == 3
    assert NuScenesReaderConfig(map_cells=10).erase_width_px == 2  # never thinner than the lines
    assert NuScenesReaderConfig().cell_m == 0.5


def test_unknown_settings_are_refused() -> None:
    for settings in ({"crossing": "zebra"}, {"colour": "red"}):
        with pytest.raises(ValidationError):
            NuScenesReaderConfig.model_validate(settings)
