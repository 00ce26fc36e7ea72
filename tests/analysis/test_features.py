"""Features on disk: damage is one sentence that names file and key."""

from pathlib import Path

import numpy as np
import pytest

from nexusflow.analysis.features import FeatureSet, read_features, write_features
from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, write_json
from tests.analysis.toy_features import toy_features


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_features(tmp_path / "seed0.npz", toy_features())
    return tmp_path / "seed0.npz"


def test_features_come_back_as_they_were(path: Path) -> None:
    made, read = toy_features(), read_features(path)
    for kind, by_task in made.features.items():
        for task, table_NX in by_task.items():
            np.testing.assert_array_equal(read.features[kind][task], table_NX)
    np.testing.assert_array_equal(read.of("h", "map", "singapore"), made.features["h"]["map"][12:])
    assert (read.frames_N == made.frames_N).all() and (read.groups_N == made.groups_N).all()
    assert read.tasks == ["track", "map"] and read.meta["groups"] == 12


def test_widths_are_told_apart() -> None:
    uneven = toy_features(h_widths=(3, 5))
    assert not uneven.has_one_width("h") and uneven.has_one_width("latent")


def test_missing_files_are_named(path: Path) -> None:
    with pytest.raises(UserError, match=r"seed1\.json is missing"):
        read_features(path.with_name("seed1.npz"))
    path.unlink()
    with pytest.raises(UserError, match=r"seed0\.npz is missing"):
        read_features(path)


@pytest.mark.parametrize("key", ["scale", "tasks", "post_hoc", "labelled_in", "npz_sha256", "format"])
def test_missing_keys_are_named(path: Path, key: str) -> None:
    content = read_json(path.with_suffix(".json"))
    del content[key]
    write_json(path.with_suffix(".json"), content)
    with pytest.raises(UserError, match=rf"seed0\.json has no key '{key}'") as caught:
        read_features(path)
    assert "\n" not in str(caught.value)


def test_a_task_without_features_is_named(path: Path) -> None:
    content = read_json(path.with_suffix(".json"))
    write_json(path.with_suffix(".json"), content | {"tasks": ["track", "planning"]})
    with pytest.raises(UserError, match="no array 'h/planning'"):
        read_features(path)


def test_features_must_be_tables(path: Path) -> None:
    made = toy_features()
    flat = {kind: dict(by_task) for kind, by_task in made.features.items()}
    flat["latent"]["map"] = np.zeros(24, np.float32)
    write_features(path, FeatureSet(flat, made.frames_N, made.domains_N, made.groups_N, made.meta))
    with pytest.raises(UserError, match=r"array 'latent/map' has shape \(24,\)"):
        read_features(path)
