"""What the extraction of features asks of a suite: frames with their domains, and a trained model's taps.

Letters: N frames, B frames of a batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nexusflow.core.errors import UserError
from nexusflow.core.spread import evenly_spread

__all__ = ["FrameTable", "TapReader", "balanced_frames"]


@dataclass(frozen=True)
class FrameTable:
    """Frames of one split, in order.

    Attributes:
        rows_N: rows of the cache, int64.
        names_N: token or number of each frame, fixed-width strings.
        domains_N: domain of each frame: city, or cluster of images.
        groups_N: what frames that resemble each other share: scene, or image.
    """

    rows_N: NDArray[np.int64]
    names_N: NDArray[np.str_]
    domains_N: NDArray[np.str_]
    groups_N: NDArray[np.str_]

    def take(self, index_N: NDArray[np.int64]) -> FrameTable:
        """Return the frames at some places of the table."""
        return FrameTable(
            self.rows_N[index_N], self.names_N[index_N], self.domains_N[index_N], self.groups_N[index_N]
        )


class TapReader(ABC):
    """A trained model, frozen, and the frames that it can look at.

    Attributes:
        tap_channels: features of each task's tap, by task.
        labelled_in: task → domain whose training frames show its labels under the suite's own partition.
    """

    tap_channels: dict[str, int]
    labelled_in: dict[str, str]

    @abstractmethod
    def frames(self, split: str) -> FrameTable:
        """List the frames of a split that may be used; the same for every run.

        Args:
            split: "train" or "val".

        Returns:
            The frames, ordered as in the cache.
        """

    @abstractmethod
    def taps(self, rows: Sequence[int]) -> dict[str, dict[str, Tensor]]:
        """Look at frames without any label and without gradient.

        Args:
            rows: B rows of the cache.

        Returns:
            Taps by task, float32, see `nexusflow.alignment.tokens_of`.
        """


def balanced_frames(table: FrameTable, per_domain: int) -> FrameTable:
    """Choose as many frames of every domain, evenly spread over its frames; no randomness, no run matters.

    Args:
        table: the candidates.
        per_domain: frames wanted of each domain; lowered to what the smallest domain has.

    Returns:
        The chosen frames, domain by domain.

    Raises:
        UserError: if there are fewer than two domains.
    """
    domains, counts = np.unique(table.domains_N, return_counts=True)
    if len(domains) < 2:
        raise UserError(
            f"Features are compared between domains, but the frames are of {len(domains)}; "
            "add scenes or images of another domain."
        )
    count = min(per_domain, int(counts.min()))
    chosen = []
    for domain in domains:
        own = np.flatnonzero(table.domains_N == domain)
        chosen.append(own[evenly_spread(len(own), count)])
    return table.take(np.concatenate(chosen))
