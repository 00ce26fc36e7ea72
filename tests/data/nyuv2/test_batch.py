"""Batches, and what hiding does to their labels."""

import torch

from nexusflow.data.nyuv2.batch import collate_images
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.vocabulary import TASKS

ALL = dict.fromkeys(TASKS, [True] * 3)


def test_hidden_labels_are_gone_and_others_stay(cache: NYUv2Cache) -> None:
    visible = ALL | {"depth": [True, False, True], "segmentation": [False, True, True]}
    whole = collate_images(cache, [0, 3, 5], visible)
    hidden = whole.hide_labels()
    assert (hidden.labels_BHW[0] == -1).all() and not hidden.depth_B1HW[1].any()
    assert torch.equal(hidden.labels_BHW[1:], whole.labels_BHW[1:])
    assert torch.equal(hidden.normals_B3HW, whole.normals_B3HW)


def test_a_batch_holds_the_rows_it_names(cache: NYUv2Cache) -> None:
    batch = collate_images(cache, [5, 2, 8], ALL)
    assert batch.indices_B.tolist() == [5, 2, 8] and batch.labels_BHW.dtype == torch.int64
    for place, row in enumerate((5, 2, 8)):
        assert torch.equal(batch.images_B3HW[place], torch.tensor(cache.images_N3HW[row]))
        assert torch.equal(batch.depth_B1HW[place], torch.tensor(cache.depth_N1HW[row]))
        assert torch.equal(batch.labels_BHW[place], torch.tensor(cache.labels_NHW[row]).long())
