"""Resampled scores against scoring the resampled sets themselves."""

from __future__ import annotations

import numpy as np
import pytest

from nexusflow.evaluation.dense import compare_images
from nexusflow.evaluation.dense_predictions import DensePredictions
from nexusflow.evaluation.mapping import count_overlap
from nexusflow.evaluation.resampling import RESAMPLES, draw_groups, resample_dense, resample_scenes
from tests.evaluation.test_dense import make_cache, make_predictions, score


def test_draws_depend_on_the_number_of_groups_alone_and_keep_it() -> None:
    drawn_BG = draw_groups(7)
    assert drawn_BG.shape == (RESAMPLES, 7) and (drawn_BG.sum(1) == 7).all()
    np.testing.assert_array_equal(drawn_BG, draw_groups(7))
    assert len(np.unique(drawn_BG, axis=0)) > RESAMPLES / 2


def test_images_are_scored_as_often_as_they_were_drawn() -> None:
    cache, predictions = make_cache(), make_predictions()
    found = resample_dense(compare_images(predictions, cache))
    assert found["unit"] == "image" and found["groups"] == 4
    rows = np.arange(len(cache.labels_NHW))[cache.rows("val")]
    for place in (0, 5, RESAMPLES - 1):
        chosen = np.repeat(np.arange(4), draw_groups(4)[place])
        again = DensePredictions(
            predictions.folder,
            predictions.classes_NHW[chosen],
            predictions.depth_N1HW[chosen],
            predictions.normal_N3HW[chosen],
        )
        order = np.concatenate([np.arange(3), rows[chosen]])
        same = make_cache()
        for name in ("labels_NHW", "depth_N1HW", "normals_N3HW", "images_N3HW"):
            object.__setattr__(same, name, getattr(cache, name)[order])
        expected = score(again, same)
        for metric, values in found["values"].items():
            assert len(values) == RESAMPLES and values[place] == pytest.approx(expected[metric], abs=1e-5)


def test_frames_of_a_scene_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    predicted, truth = (rng.random((6, 4, 5, 5)) < p for p in (0.3, 0.5))
    counts = count_overlap(predicted, truth)
    scene_F = np.array(["b", "a", "b", "c", "c", "c"])
    found = resample_scenes(counts, scene_F)
    assert found["unit"] == "scene" and found["groups"] == 3
    frames = {name: np.flatnonzero(scene_F == name) for name in "abc"}
    for place in (0, 3, RESAMPLES - 1):
        drawn = draw_groups(3)[place]
        chosen = np.concatenate([np.tile(frames[name], n) for name, n in zip("abc", drawn, strict=True)])
        expected = counts.percent(chosen.astype(int))
        for metric, values in found["values"].items():
            assert values[place] == pytest.approx(expected[metric], abs=1e-5)


def test_a_region_without_a_cell_is_left_out() -> None:
    truth = np.zeros((2, 4, 3, 3), bool)
    truth[:, 3] = True
    assert set(resample_scenes(count_overlap(truth, truth), np.array(["a", "b"]))["values"]) == {"Drivable"}
