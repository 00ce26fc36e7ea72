"""Clips as tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nexusflow.data.nuscenes.batch import collate_clips
from nexusflow.data.nuscenes.cache import NuScenesCache

BOTH = {"track": [True, True], "map": [True, True]}


def test_shapes_types_and_values(tiny_cache: NuScenesCache) -> None:
    batch = collate_clips(tiny_cache, [[0, 1], [4, 5]], BOTH)
    assert batch.images_BTNCHW.shape == (2, 2, 6, 3, 64, 112)
    assert batch.images_BTNCHW.dtype == batch.map_BTKHW.dtype == torch.uint8
    assert batch.ego2global_BT44.dtype == batch.timestamps_BT.dtype == torch.float64
    assert batch.boxes_BTG9.shape == (2, 2, 3, 9)
    assert batch.boxes_BTG9.dtype == batch.ego2img_BTN44.dtype == torch.float32
    assert batch.frames_BT.tolist() == [[0, 1], [4, 5]]
    for clip, frames in enumerate([[0, 1], [4, 5]]):
        for step, frame in enumerate(frames):
            rows = tiny_cache.boxes_of(frame)
            count = rows.stop - rows.start
            np.testing.assert_array_equal(batch.boxes_BTG9[clip, step, :count], tiny_cache.boxes_M9[rows])
            np.testing.assert_array_equal(batch.labels_BTG[clip, step, :count], tiny_cache.labels_M[rows])
            np.testing.assert_array_equal(
                batch.instances_BTG[clip, step, :count], tiny_cache.instances_M[rows]
            )
            assert (batch.labels_BTG[clip, step, count:] == -1).all()
            assert (batch.instances_BTG[clip, step, count:] == -1).all()
            assert (batch.boxes_BTG9[clip, step, count:] == 0).all()
            np.testing.assert_array_equal(batch.images_BTNCHW[clip, step], tiny_cache.images_FNCHW[frame])
            np.testing.assert_array_equal(batch.map_BTKHW[clip, step], tiny_cache.map_FKHW[frame])


def test_frame_without_boxes_has_one_padded_slot(tiny_cache: NuScenesCache) -> None:
    batch = collate_clips(tiny_cache, [[5]], {"track": [True], "map": [True]})
    assert batch.labels_BTG.tolist() == [[[-1]]]


def test_batches_own_their_memory(tiny_cache: NuScenesCache) -> None:
    batch = collate_clips(tiny_cache, [[0, 1]], {"track": [True], "map": [True]})
    before = tiny_cache.boxes_M9.copy()
    for tensor in (batch.images_BTNCHW, batch.boxes_BTG9, batch.ego2img_BTN44):
        tensor.fill_(7)
    np.testing.assert_array_equal(tiny_cache.boxes_M9, before)
    assert tiny_cache.images_FNCHW[0].max() != 7


def test_hidden_labels_cannot_be_seen(tiny_cache: NuScenesCache) -> None:
    clips = [[0, 1], [3, 4]]
    shown = collate_clips(tiny_cache, clips, {"track": [True, False], "map": [False, True]})
    hidden = shown.hide_labels()
    assert not hidden.boxes_BTG9[1].any()
    assert (hidden.labels_BTG[1] == -1).all() and (hidden.instances_BTG[1] == -1).all()
    assert not hidden.map_BTKHW[0].any()
    assert torch.equal(hidden.boxes_BTG9[0], shown.boxes_BTG9[0])
    assert torch.equal(hidden.labels_BTG[0], shown.labels_BTG[0])
    assert torch.equal(hidden.map_BTKHW[1], shown.map_BTKHW[1])
    assert shown.boxes_BTG9[1].any() and shown.map_BTKHW[0].any()  # the original is untouched
    assert hidden.visible["track"].tolist() == [True, False]
    assert hidden.images_BTNCHW is shown.images_BTNCHW


@pytest.mark.parametrize(
    ("clips", "visible"),
    [
        ([[0, 1], [2]], BOTH),
        ([[0, 1], [3, 4]], {"track": [True, True]}),
        ([[0, 1]], BOTH),
    ],
)
def test_misuse(tiny_cache: NuScenesCache, clips: list[list[int]], visible: dict[str, list[bool]]) -> None:
    with pytest.raises((AssertionError, ValueError)):
        collate_clips(tiny_cache, clips, visible)


def test_instances_of_the_map_are_carried_and_hidden(tiny_cache: NuScenesCache) -> None:
    assert collate_clips(tiny_cache, [[0, 1]], {"track": [True], "map": [True]}).map_instances_BTKHW is None
    pieces = np.arange(tiny_cache.map_FKHW.size).reshape(tiny_cache.map_FKHW.shape) % 300
    cache = replace(tiny_cache, map_instances_FKHW=pieces.astype(np.int16))
    shown = collate_clips(cache, [[0, 1], [3, 4]], {"track": [True, False], "map": [False, True]})
    assert shown.map_instances_BTKHW is not None
    np.testing.assert_array_equal(shown.map_instances_BTKHW[1, 1], pieces[4])
    hidden = shown.hide_labels().map_instances_BTKHW
    assert hidden is not None and hidden.dtype == torch.int16
    assert not hidden[0].any() and torch.equal(hidden[1], shown.map_instances_BTKHW[1])
