"""Tasks as images of one size: what a suite offers to methods that compare predictions with labels.

Letters: B samples, C channels of a task's canvas, F feature channels, H × W cells of a canvas, h × w cells of
the features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

__all__ = ["CanvasSpec", "ChannelGroup", "DenseView", "ViewPlan"]

Kind = Literal["classes", "positive", "direction", "probability", "measure", "signed"]


@dataclass(frozen=True)
class ChannelGroup:
    """Neighbouring channels of a canvas that mean the same kind of thing.

    Attributes:
        kind: "classes": log-probabilities of exclusive classes (labels: one-hot, zero where void);
            "positive": lengths in metres (labels: 0 where invalid); "direction": unit vectors (labels: zero
            where invalid); "probability": independent probabilities in [0, 1]; "measure": real numbers such
            as log sizes; "signed": numbers in [-1, 1]. "measure" and "signed" mean something only as far as
            the task's largest "probability" does.
        channels: how many.
        mean: typical value of each channel ("positive" and "measure" only).
        std: typical spread of each channel ("positive" and "measure" only).
    """

    kind: Kind
    channels: int
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True)
class CanvasSpec:
    """What the canvases of a suite look like; known before any training.

    Attributes:
        groups: task → its channel groups, in the order of its channels.
        feature_channels: channels of the shared features of a view.
    """

    groups: Mapping[str, tuple[ChannelGroup, ...]]
    feature_channels: int

    def channels(self, task: str) -> int:
        """Count the channels of a task's canvas."""
        return sum(group.channels for group in self.groups[task])


@dataclass(frozen=True)
class ViewPlan:
    """Which views a method wants of every batch.

    Attributes:
        extra: views beside the one that the task losses see; each is an augmentation of that one where the
            suite has augmentations for it.
        photometric: also change colours, independently in every view.
    """

    extra: int = 1
    photometric: bool = False


@dataclass(frozen=True)
class DenseView:
    """One view of a batch, every task as an image; all canvases have one size.

    Attributes:
        predictions: task → (B, C, H, W), with gradient, in the units that `CanvasSpec` tells.
        labels: task → (B, C, H, W), zero in samples whose labels are hidden.
        valid: task → where there is a label, bool (B, 1, H, W); False in samples whose labels are hidden.
        visible: task → which samples show their labels, bool (B,).
        features_BFhw: shared features of the encoder, with gradient.
    """

    predictions: dict[str, Tensor]
    labels: dict[str, Tensor]
    valid: dict[str, Tensor]
    visible: dict[str, Tensor]
    features_BFhw: Tensor
