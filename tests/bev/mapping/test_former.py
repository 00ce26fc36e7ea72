"""Mask shapes, the map canvas, several queries per class."""

from __future__ import annotations

import pytest
import torch

from nexusflow.bev.mapping.former import MapFormer
from tests.bev.conftest import tiny_config


@pytest.mark.parametrize(("per_class", "cells"), [(1, 32), (2, 32), (1, 20)])
def test_shapes(per_class: int, cells: int) -> None:
    former = MapFormer(tiny_config(map_cells=cells, map={"queries_per_class": per_class}))
    output = former(torch.randn(3, 16, 16, 16), 1)
    assert output.logits_FKHW.shape == (3, 4, cells, cells)
    assert output.queries_FQD.shape == (3, 4 * per_class, 16)
    assert output.memory_FCHW.shape == (3, 16, 16, 16)
