"""Partitions of the images: equal clusters, one task each, and protocols at random."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.descriptors import brightness
from nexusflow.data.nyuv2.partition import (
    PARTITION_KINDS,
    build_image_partition,
    read_image_partition,
    write_image_partition,
)
from nexusflow.data.nyuv2.vocabulary import TASKS


def test_clusters_go_from_dark_to_bright_and_have_one_task(cache: NYUv2Cache) -> None:
    table = build_image_partition(cache, "clusters_nsd", seed=0)
    light = [brightness(image) for image in cache.images_N3HW[:7]]
    means = [np.mean([light[i] for i in table["image"][table["cluster"] == k]]) for k in range(3)]
    assert means == sorted(means)
    assert (table[list(TASKS)].sum(1) == 1).all()
    assert table["normal"][table["cluster"] == 0].all() and table["depth"][table["cluster"] == 2].all()


def test_all_six_assignments_differ(cache: NYUv2Cache) -> None:
    kinds = [kind for kind in PARTITION_KINDS if kind.startswith("clusters_")]
    tables = {build_image_partition(cache, kind, seed=0)[list(TASKS)].to_csv() for kind in kinds}
    assert len(kinds) == len(tables) == 6


def test_random_protocols_follow_their_definition() -> None:
    class Many:
        num_train = 795

    one = build_image_partition(Many(), "onelabel", seed=0)  # type: ignore[arg-type]
    assert one[list(TASKS)].sum().tolist() == [265, 265, 265]
    some = build_image_partition(Many(), "randomlabels", seed=0)  # type: ignore[arg-type]
    counts = Counter(map(tuple, some[list(TASKS)].to_numpy().tolist()))
    assert len(counts) == 6 and max(counts.values()) - min(counts.values()) <= 1
    assert {sum(labels) for labels in counts} == {1, 2}
    full = build_image_partition(Many(), "full", seed=0)  # type: ignore[arg-type]
    assert full[list(TASKS)].all(axis=None)


def test_a_table_is_read_as_it_was_written(cache: NYUv2Cache, tmp_path: Path) -> None:
    table = build_image_partition(cache, "clusters_sdn", seed=0)
    path = tmp_path / "clusters_sdn.csv"
    write_image_partition(table, path)
    shown = read_image_partition(path)
    assert all((shown[task] == (table[task] == 1)).all() for task in TASKS)
    path.write_text(path.read_text().replace("0,", "1,", 1))
    with pytest.raises(UserError, match="does not match its hash"):
        read_image_partition(path)


def test_an_unknown_kind_is_named(cache: NYUv2Cache) -> None:
    with pytest.raises(UserError, match="clusters_xyz"):
        build_image_partition(cache, "clusters_xyz", seed=0)
