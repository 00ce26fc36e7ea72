"""Clips of key frames as tensors.

Shape letters: B clips, T frames of a clip, N cameras, C colours, H and W rows and columns, G boxes of the
fullest frame, K map classes, 44 a homogeneous matrix, 9 the box vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nexusflow.core.parts import BatchPart
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.data.nuscenes.vocabulary import TASKS

__all__ = ["ClipBatch", "collate_clips"]


@dataclass(frozen=True)
class ClipBatch:
    """A batch of clips with the labels of both tasks and a mask that says which may be used.

    Args:
        images_BTNCHW: uint8, RGB.
        ego2img_BTN44: float32.
        ego2global_BT44: float64.
        timestamps_BT: float64, seconds.
        boxes_BTG9: float32, ego frame of each key frame, padded with zeros.
        labels_BTG: int64, -1 = padding.
        instances_BTG: int64, -1 = padding.
        map_BTKHW: uint8, 0 or 1.
        visible: task ("track", "map") → bool (B,), whether the clip's labels of the task may be used.
        frames_BT: int64, indices into the cache.
        part: which clips of the step's batch these are; None for all.
        least_boxes: G at least, so that parts of a batch are padded like the whole of it.
        map_instances_BTKHW: int16, number of the instance of a map class in a cell, 0 = none; None if the
            cache holds none.
    """

    images_BTNCHW: Tensor
    ego2img_BTN44: Tensor
    ego2global_BT44: Tensor
    timestamps_BT: Tensor
    boxes_BTG9: Tensor
    labels_BTG: Tensor
    instances_BTG: Tensor
    map_BTKHW: Tensor
    visible: dict[str, Tensor]
    frames_BT: Tensor
    part: BatchPart | None = None
    least_boxes: int = 1
    map_instances_BTKHW: Tensor | None = None

    def hide_labels(self) -> ClipBatch:
        """Replace the labels that may not be used by padding, so that no later code can peek.

        Hidden boxes are unknown, not absent: losses must still be masked by `visible`.

        Returns:
            A batch whose hidden boxes and maps are zero and whose hidden ids are -1; the rest is shared.
        """
        track_B, map_B = self.visible["track"], self.visible["map"]
        pieces, shown = self.map_instances_BTKHW, map_B[:, None, None, None, None]
        return replace(
            self,
            boxes_BTG9=self.boxes_BTG9 * track_B[:, None, None, None],
            labels_BTG=self.labels_BTG.masked_fill(~track_B[:, None, None], -1),
            instances_BTG=self.instances_BTG.masked_fill(~track_B[:, None, None], -1),
            map_BTKHW=self.map_BTKHW * shown,
            map_instances_BTKHW=None if pieces is None else pieces * shown,
        )


def collate_clips(
    cache: NuScenesCache,
    clips: Sequence[Sequence[int]],
    visible: Mapping[str, Sequence[bool]],
    part: BatchPart | None = None,
    least_boxes: int = 1,
) -> ClipBatch:
    """Gather clips from the cache.

    Args:
        cache: the decoded frames.
        clips: B sequences of T frame indices.
        visible: task ("track", "map") → B booleans.
        part: which clips of a step's batch these are; None for all.
        least_boxes: boxes to which frames are padded at least.

    Returns:
        The batch with all labels; `ClipBatch.hide_labels` removes those that may not be used.
    """
    frames_BT = np.array(clips, dtype=np.int64)
    assert frames_BT.ndim == 2, "clips must be of one length"
    assert set(visible) == set(TASKS), f"visible must name exactly {TASKS}"
    assert all(len(visible[task]) == len(frames_BT) for task in TASKS), "one flag for each clip"
    first_BT = cache.offsets_F1[frames_BT]
    count_BT = cache.offsets_F1[frames_BT + 1] - first_BT
    slots_G = np.arange(max(least_boxes, int(count_BT.max(initial=0))))
    filled_BTG = slots_G < count_BT[..., None]
    rows_R = (first_BT[..., None] + slots_G)[filled_BTG]
    boxes_BTG9 = np.zeros((*filled_BTG.shape, 9), np.float32)
    labels_BTG = np.full(filled_BTG.shape, -1, np.int64)
    instances_BTG = np.full(filled_BTG.shape, -1, np.int64)
    boxes_BTG9[filled_BTG] = cache.boxes_M9[rows_R]
    labels_BTG[filled_BTG] = cache.labels_M[rows_R]
    instances_BTG[filled_BTG] = cache.instances_M[rows_R]
    pieces = cache.map_instances_FKHW
    return ClipBatch(
        images_BTNCHW=torch.from_numpy(np.asarray(cache.images_FNCHW[frames_BT])),
        ego2img_BTN44=torch.from_numpy(cache.ego2img_FN44[frames_BT]),
        ego2global_BT44=torch.from_numpy(cache.ego2global_F44[frames_BT]),
        timestamps_BT=torch.from_numpy(cache.timestamps_F[frames_BT]),
        boxes_BTG9=torch.from_numpy(boxes_BTG9),
        labels_BTG=torch.from_numpy(labels_BTG),
        instances_BTG=torch.from_numpy(instances_BTG),
        map_BTKHW=torch.from_numpy(np.asarray(cache.map_FKHW[frames_BT])),
        visible={task: torch.tensor([bool(flag) for flag in visible[task]]) for task in TASKS},
        frames_BT=torch.from_numpy(frames_BT),
        part=part,
        least_boxes=least_boxes,
        map_instances_BTKHW=None if pieces is None else torch.from_numpy(np.asarray(pieces[frames_BT])),
    )
