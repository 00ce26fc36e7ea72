"""Trains surrogates afterwards, on the frozen features of a run that had none.

Letters: B frames of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from nexusflow.alignment import NexusFlow
from nexusflow.core.errors import UserError
from nexusflow.core.progress import track
from nexusflow.core.spread import evenly_spread
from nexusflow.suites.taps import TapReader
from nexusflow.training.features_config import FeaturesConfig

__all__ = ["fit_surrogates"]

_STREAM = 17  # of random numbers, apart from those of training


@lru_cache(maxsize=2)
def _order(count: int, epoch: int, seed: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64([seed, _STREAM, epoch])).permutation(count)


def _rows_at(step: int, rows_N: np.ndarray, size: int, seed: int) -> list[int]:
    """Rows of a step: epochs of shuffled frames that run on into each other."""
    places = (divmod(place, len(rows_N)) for place in range(step * size, (step + 1) * size))
    return [int(rows_N[_order(len(rows_N), epoch, seed)[place]]) for epoch, place in places]


class _KeptTaps:
    """Taps of frames, each looked at once: the model does not change while surrogates learn."""

    def __init__(self, reader: TapReader) -> None:
        self._reader = reader
        self._kept: dict[int, dict[str, dict[str, torch.Tensor]]] = {}

    def taps(self, rows: Sequence[int]) -> dict[str, dict[str, torch.Tensor]]:
        """As `TapReader.taps`."""
        unseen = [row for row in dict.fromkeys(rows) if row not in self._kept]
        if unseen:
            new = self._reader.taps(unseen)
            for place, row in enumerate(unseen):
                self._kept[row] = {
                    task: {name: tensor[place].clone() for name, tensor in tap.items()}
                    for task, tap in new.items()
                }
        frames = [self._kept[row] for row in rows]
        return {
            task: {name: torch.stack([frame[task][name] for frame in frames]) for name in tap}
            for task, tap in frames[0].items()
        }


def fit_surrogates(
    reader: TapReader, surrogates: NexusFlow, config: FeaturesConfig, seed: int, title: str
) -> list[float]:
    """Train surrogates by their alignment loss on training frames; the model gets no gradient.

    Args:
        reader: the trained model, frozen, and its data.
        surrogates: trained in place and left in evaluation mode.
        config: frames, steps, batch size and learning rate.
        seed: of the order of the frames.
        title: shown with the progress.

    Returns:
        Alignment loss of every step.

    Raises:
        UserError: if the loss becomes infinite or NaN.

    Source: our reading of "after the module" in Table 1 of the paper for methods that have no such module.
    """
    rows_N, source = reader.frames("train").rows_N, reader.taps
    if config.surrogate_frames is not None:
        rows_N = rows_N[evenly_spread(len(rows_N), config.surrogate_frames)]
        source = _KeptTaps(reader).taps
    surrogates.train()
    optimizer = torch.optim.Adam(surrogates.parameters(), lr=config.surrogate_learning_rate)
    losses: list[float] = []
    for step in track(range(config.surrogate_steps), f"{title}: surrogates"):
        aligned = surrogates(source(_rows_at(step, rows_N, config.surrogate_batch_size, seed)))
        losses.append(float(aligned.terms["align"].detach()))
        if not math.isfinite(losses[-1]):
            raise UserError(
                f"Surrogates diverged at step {step}; lower `features.surrogate_learning_rate` of the scale."
            )
        optimizer.zero_grad(set_to_none=True)
        aligned.loss.backward()
        optimizer.step()
    surrogates.eval()
    return losses
