"""Images with their clusters, and taps of the network as it is."""

import numpy as np
import pytest
import torch

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.vocabulary import TASKS
from nexusflow.dense.config import DenseModelConfig
from nexusflow.dense.model import build_dense_model
from nexusflow.suites.nyuv2.features import NYUv2Taps

CONFIG = DenseModelConfig(widths=(4, 4, 4, 4, 4), extra_blocks=(0, 0, 0, 0, 0), tap_cells=2)


def clusters(count: int = 6) -> dict[str, np.ndarray]:
    """Cluster n % 3 of each image, which shows the labels of one task: depth those of cluster 0."""
    cluster_N = np.arange(count) % 3
    shown = dict(zip(("depth", "normal", "segmentation"), range(3), strict=True))
    return {"cluster": cluster_N, **{task: cluster_N == number for task, number in shown.items()}}


def reader(cache: NYUv2Cache) -> NYUv2Taps:
    torch.manual_seed(0)
    return NYUv2Taps(cache, build_dense_model(CONFIG), clusters())


def test_training_images_have_their_own_clusters(toned_cache: NYUv2Cache) -> None:
    frames = reader(toned_cache).frames("train")
    assert frames.rows_N.tolist() == list(range(6))
    assert frames.domains_N.tolist() == ["cluster0", "cluster1", "cluster2"] * 2
    assert frames.groups_N.tolist() == frames.names_N.tolist() and frames.names_N[1] == "train00001"


def test_validation_images_belong_where_they_look_like(toned_cache: NYUv2Cache) -> None:
    frames = reader(toned_cache).frames("val")
    assert frames.rows_N.tolist() == list(range(6, 11))
    assert frames.domains_N.tolist() == ["cluster0", "cluster1", "cluster2", "cluster0", "cluster1"]
    assert frames.names_N[0] == "val00000"


def test_each_task_is_labelled_in_its_cluster(toned_cache: NYUv2Cache) -> None:
    found = reader(toned_cache).labelled_in
    assert found == {"depth": "cluster0", "normal": "cluster1", "segmentation": "cluster2"}


def test_taps_are_the_networks_own_and_without_gradient(toned_cache: NYUv2Cache) -> None:
    found = reader(toned_cache)
    taps = found.taps([7, 2])
    assert list(taps) == list(TASKS)
    torch.manual_seed(0)
    model = build_dense_model(CONFIG).eval()
    with torch.no_grad():
        wanted = model(torch.from_numpy(np.asarray(toned_cache.images_N3HW)[[7, 2]])).taps
    for task, tap in taps.items():
        assert tap["features"].shape == (2, found.tap_channels[task], 2, 2)
        assert not tap["features"].requires_grad
        torch.testing.assert_close(tap["features"], wanted[task], rtol=1e-4, atol=1e-5)


def test_clusters_of_other_data_are_refused(toned_cache: NYUv2Cache) -> None:
    with pytest.raises(UserError, match="has 9 images, the data have 6 training images"):
        NYUv2Taps(toned_cache, build_dense_model(CONFIG), clusters(9))
