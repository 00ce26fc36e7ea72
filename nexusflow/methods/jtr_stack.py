"""All tasks of a view as one stack of channels, as JTR's network reads it, and how well it is reconstructed.

Letters: B samples, C channels of the stack, G channels of one group, K classes, H × W cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nexusflow.core.views import CanvasSpec, ChannelGroup, DenseView
from nexusflow.methods.dense_ops import sample_classes

__all__ = ["Stack", "StackBuilder"]

# Below this the numbers that a probability gates mean nothing, so they need not be reconstructed.
_GATE = 0.1
_EPSILON = 1e-12


@dataclass(frozen=True)
class Stack:
    """One stack.

    Attributes:
        channels_BCHW: what the network reads, about [0, 1].
        values_BCHW: what its reconstruction is compared with: the same, but "positive" groups in metres and
            "direction" groups in [-1, 1], both zero where nothing is known.
    """

    channels_BCHW: Tensor
    values_BCHW: Tensor


@dataclass(frozen=True)
class _Part:
    """One group and its place in the stack; `gates` are the places of its task's probabilities."""

    group: ChannelGroup
    place: slice
    gates: list[int]


def _parts_of(spec: CanvasSpec) -> list[_Part]:
    parts: list[_Part] = []
    start = 0
    for groups in spec.groups.values():
        places: list[slice] = []
        for group in groups:
            places.append(slice(start, start + group.channels))
            start += group.channels
        gates = [
            channel
            for group, place in zip(groups, places, strict=True)
            if group.kind == "probability"
            for channel in range(place.start, place.stop)
        ]
        parts += [_Part(group, place, gates) for group, place in zip(groups, places, strict=True)]
    return parts


def _normal_cdf(x_BGHW: Tensor, group: ChannelGroup) -> Tensor:
    """Phi: the share of a normal distribution with the group's mean and spread that lies below."""
    mean_G11 = x_BGHW.new_tensor(group.mean)[:, None, None]
    std_G11 = x_BGHW.new_tensor(group.std)[:, None, None]
    return torch.special.ndtr((x_BGHW - mean_G11) / std_G11)


def _reconstruction_error(output_BGHW: Tensor, values_BGHW: Tensor, group: ChannelGroup) -> Tensor:
    """Measures one group: (B, G, H, W), or (B, 1, H, W) for directions."""
    if group.kind in ("classes", "probability"):
        return F.binary_cross_entropy_with_logits(output_BGHW, values_BGHW, reduction="none")
    if group.kind == "direction":
        return 1 - (F.normalize(output_BGHW, dim=1, eps=_EPSILON) * values_BGHW).sum(1, keepdim=True)
    target_BGHW = _normal_cdf(values_BGHW, group) if group.kind == "positive" else values_BGHW
    return (output_BGHW.sigmoid() - target_BGHW).abs()


class StackBuilder:
    """Builds the stacks of views, tasks and groups in the order of the canvases.

    Args:
        spec: what the canvases look like.

    Source: JTR for classes, depths and normals, whose labels keep a mask of their own; the other kinds are
        this adaptation's.
    """

    def __init__(self, spec: CanvasSpec) -> None:
        self.tasks = {task: spec.channels(task) for task in spec.groups}
        self.channels = sum(self.tasks.values())
        self._parts = _parts_of(spec)

    def _joined(self, canvases: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([canvases[task].float() for task in self.tasks], 1)

    def _shown(self, view: DenseView) -> Tensor:
        """Says which channels belong to labelled tasks, bool (B, C, 1, 1)."""
        columns = [view.visible[task][:, None].expand(-1, count) for task, count in self.tasks.items()]
        return torch.cat(columns, 1)[:, :, None, None]

    def mask(self, view: DenseView) -> Tensor:
        """Finds the cells where every labelled task of the sample has a label.

        Args:
            view: one view.

        Returns:
            1 there and 0 elsewhere, float (B, 1, H, W); all ones in a sample without labels.
        """
        known = [view.valid[task] | ~view.visible[task][:, None, None, None] for task in self.tasks]
        return torch.stack(known).all(0).float()

    def predicted(self, view: DenseView, generator: torch.Generator | None) -> Stack:
        """Stacks the predictions of all tasks, masked; those of labelled tasks are detached.

        Args:
            view: one view.
            generator: source of the noise with which classes are drawn; None for their probabilities instead.

        Returns:
            The stack, with gradient to the predictions of unlabelled tasks only.
        """

        def draw(log_probs_BKHW: Tensor) -> Tensor:
            if generator is None:
                return log_probs_BKHW.softmax(1)
            return sample_classes(log_probs_BKHW, generator)

        raw_BCHW = self._joined(view.predictions)
        # A labelled task learns from its own loss.
        raw_BCHW = torch.where(self._shown(view), raw_BCHW.detach(), raw_BCHW)
        return self._assembled(raw_BCHW, self.mask(view), draw)

    def completed(self, view: DenseView, generator: torch.Generator) -> Stack:
        """Stacks the labels of labelled tasks and the predictions of the others.

        Args:
            view: one view.
            generator: source of the noise with which predicted classes are drawn.

        Returns:
            The stack, with gradient to the predictions of unlabelled tasks.
        """
        predicted = self.predicted(view, generator)
        raw_BCHW = self._joined(view.labels)
        labelled = self._assembled(raw_BCHW, raw_BCHW.new_ones(()), lambda one_hot_BKHW: one_hot_BKHW)
        shown_BC11 = self._shown(view)
        return Stack(
            torch.where(shown_BC11, labelled.channels_BCHW, predicted.channels_BCHW),
            torch.where(shown_BC11, labelled.values_BCHW, predicted.values_BCHW),
        )

    def _assembled(self, raw_BCHW: Tensor, mask_B1HW: Tensor, draw: Callable[[Tensor], Tensor]) -> Stack:
        channels, values = [], []
        for part in self._parts:
            x_BGHW = raw_BCHW[:, part.place]
            value_BGHW = (draw(x_BGHW) if part.group.kind == "classes" else x_BGHW) * mask_B1HW
            channel_BGHW = value_BGHW
            if part.group.kind in ("positive", "measure"):
                channel_BGHW = _normal_cdf(value_BGHW, part.group)
            elif part.group.kind in ("direction", "signed"):
                channel_BGHW = (value_BGHW + 1) / 2
            if part.group.kind in ("measure", "signed"):
                gate_B1HW = raw_BCHW[:, part.gates].amax(1, keepdim=True) * mask_B1HW
                channel_BGHW = value_BGHW = channel_BGHW * gate_B1HW
            channels.append(channel_BGHW)
            values.append(value_BGHW)
        return Stack(torch.cat(channels, 1), torch.cat(values, 1))

    def reconstruction_loss(self, output_BCHW: Tensor, values_BCHW: Tensor, mask_B1HW: Tensor) -> Tensor:
        """Measures how far a reconstruction is from the stack, summed over its groups.

        Each group's error is summed over the cells of the mask and divided by the number of its target's
        entries that are not zero; a target without any is averaged over the mask instead. "measure" and
        "signed" groups count only where their gate exceeds 0.1.

        Args:
            output_BCHW: what the joint network returns, without activation.
            values_BCHW: target, see `Stack`.
            mask_B1HW: see `mask`.

        Returns:
            Loss of each sample (B,).
        """
        terms = []
        for part in self._parts:
            target_BGHW, region_B1HW = values_BCHW[:, part.place], mask_B1HW
            error_BGHW = _reconstruction_error(output_BCHW[:, part.place], target_BGHW, part.group)
            if part.group.kind in ("measure", "signed"):
                inside_B1HW = values_BCHW[:, part.gates].amax(1, keepdim=True) > _GATE
                target_BGHW, region_B1HW = target_BGHW * inside_B1HW, mask_B1HW * inside_B1HW
            total_B = (error_BGHW * region_B1HW).sum((1, 2, 3))
            entries_B = (target_BGHW != 0).sum((1, 2, 3))
            cells_B = (region_B1HW.sum((1, 2, 3)) * error_BGHW.shape[1]).clamp(min=1)
            terms.append(total_B / torch.where(entries_B > 0, entries_B, cells_B))
        return torch.stack(terms).sum(0)
