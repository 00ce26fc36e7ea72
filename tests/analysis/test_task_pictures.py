"""One picture per kind of features, with numbers that tell mixed tasks from separate ones."""

import numpy as np
import pytest

from nexusflow.analysis.config import AnalysisConfig
from nexusflow.analysis.task_pictures import task_pictures
from nexusflow.core.errors import UserError
from tests.analysis.toy_features import TASKS, toy_features

CONFIG = AnalysisConfig(neighbours=5, folds=3)


def test_every_kind_has_a_picture_of_all_tasks() -> None:
    arrays, content = task_pictures(toy_features(), CONFIG)
    assert set(arrays) == {f"{kind}/{task}" for kind in ("h", "embedding", "latent") for task in TASKS}
    assert all(points_N2.shape == (24, 2) and np.isfinite(points_N2).all() for points_N2 in arrays.values())
    assert (content["perplexity"], content["neighbours"]) == (30.0, 5)
    assert {kind: numbers["chance"] for kind, numbers in content["pictures"].items()} == dict.fromkeys(
        ("h", "embedding", "latent"), 0.5
    )


def test_separate_tasks_are_told_from_mixed_ones() -> None:
    mixed = task_pictures(toy_features(), CONFIG)[1]["pictures"]["latent"]
    apart = task_pictures(toy_features(apart=50.0), CONFIG)[1]["pictures"]["latent"]
    assert (apart["mixing"], apart["accuracy"]) == (0.0, 1.0)
    assert 0.7 < mixed["mixing"] < 1.3 and mixed["accuracy"] < 0.75


def test_frames_of_a_scene_stay_in_one_fold() -> None:
    """Two frames of each of twelve scenes make twelve folds at most; one scene is refused."""
    features = toy_features()
    scores = [task_pictures(features, AnalysisConfig(folds=folds))[1]["pictures"]["h"] for folds in (12, 24)]
    assert scores[0] == scores[1]
    features.groups_N[:] = "scene0"
    with pytest.raises(UserError, match="two folds and two frames"):
        task_pictures(features, CONFIG)


def test_a_kind_of_different_widths_is_left_out() -> None:
    arrays, content = task_pictures(toy_features(h_widths=(3, 5)), CONFIG)
    assert set(content["pictures"]) == {"embedding", "latent"}
    assert not any(name.startswith("h/") for name in arrays)


def test_equal_seeds_give_equal_pictures() -> None:
    first, second = (task_pictures(toy_features(), CONFIG)[0] for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_nan_is_one_sentence() -> None:
    features = toy_features()
    features.features["latent"]["map"][3, 1] = np.nan
    with pytest.raises(UserError, match="1 of 48 points hold NaN or infinity"):
        task_pictures(features, CONFIG)
