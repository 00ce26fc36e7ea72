"""Minimal stand-ins for Lightning and MMEngine: what the adapters touch, in the order of the libraries."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

CHANNELS = {"depth": 5, "edges": 4}
TAPS = {"depth": "depth", "edges": "edges"}


def install(monkeypatch, **modules: dict[str, Any]) -> None:
    """Puts modules with these names and contents in the place of the libraries ('_' stands for '.')."""
    for name, contents in modules.items():
        module = ModuleType(name.replace("_", "."))
        module.__dict__.update(contents)
        monkeypatch.setitem(sys.modules, module.__name__, module)


class Branches(nn.Module):
    """Two branches."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.depth, self.edges = nn.Linear(3, 6), nn.Linear(6, 5), nn.Linear(6, 4)

    def outputs(self, x_BC: Tensor) -> tuple[Tensor, Tensor]:
        x_BC = self.shared(x_BC).relu()
        return self.depth(x_BC), self.edges(x_BC)


def batches(count: int) -> list[Tensor]:
    """Random inputs, the same each time."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(8, 3, generator=generator) for _ in range(count)]
