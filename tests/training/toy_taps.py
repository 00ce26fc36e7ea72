"""A frozen model of two tasks whose taps are functions of the row alone, and surrogates that fit it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from nexusflow.alignment import MLPAggregator, NexusFlow
from nexusflow.suites.taps import FrameTable, TapReader

WIDTHS = {"track": 3, "map": 5}


class ToyReader(TapReader):
    """Five training frames and seven validation frames, of which four are of Boston.

    Args:
        broken: gives NaN instead of features.
    """

    def __init__(self, broken: bool = False) -> None:
        self.tap_channels = dict(WIDTHS)
        self.labelled_in = {"track": "singapore", "map": "boston"}
        self.asked: list[int] = []
        self.weight = torch.ones(())
        self._fill = float("nan") if broken else 0.0

    def frames(self, split: str) -> FrameTable:
        rows_N = np.arange(5) if split == "train" else np.arange(5, 12)
        names_N = np.array([f"frame{row}" for row in rows_N])
        domains_N = np.where(rows_N % 2, "boston", "singapore")
        return FrameTable(rows_N, names_N, domains_N, np.array([f"scene{row // 2}" for row in rows_N]))

    def taps(self, rows: Sequence[int]) -> dict[str, dict[str, Tensor]]:
        self.asked += rows
        return {
            task: {
                "features": self.weight * torch.stack([self._tokens(task, row) for row in rows]),
                "weights": torch.tensor([[1.0, 3.0]]).repeat(len(rows), 1),
                "positions": torch.full((len(rows), 2, 2), 0.5),
            }
            for task in self.tap_channels
        }

    def _tokens(self, task: str, row: int) -> Tensor:
        generator = torch.Generator().manual_seed(1000 * len(task) + row)
        return torch.randn(2, self.tap_channels[task], generator=generator) + self._fill


def make_surrogates(seed: int = 0, depth: int = 2) -> NexusFlow:
    """Small surrogates for the toy's tasks."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NexusFlow(WIDTHS, dim=8, depth=depth, hidden=8, aggregator=partial(MLPAggregator, layers=2))
