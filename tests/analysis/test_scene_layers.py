"""Layers of a key frame: boxes back in the ego frame, numbers of tracks, tails over earlier key frames."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nexusflow.analysis.scene_layers import RunPredictions, boxes_in_ego, predicted_layer, true_layer
from nexusflow.core.errors import UserError
from nexusflow.evaluation.predictions import TrackedFrame, submission_boxes, write_map, write_tracking
from nexusflow.paper.config_base import RunLabel

LABEL = RunLabel(run="baseline", label="Baseline")


def pose(metres: float, angle: float = 0.0) -> np.ndarray:
    """Ego pose after some metres along the global x axis."""
    ego2global_44 = np.eye(4)
    ego2global_44[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    ego2global_44[0, 3] = metres
    return ego2global_44


def cache() -> Any:
    """Two key frames, three metres apart, with one standing box that comes three metres nearer."""
    boxes_M9 = np.zeros((3, 9), np.float32)
    boxes_M9[:, 0] = [9.0, 6.0, -4.0]
    boxes_M9[:, 3:6] = 1.0
    offsets = np.array([0, 1, 3])
    return SimpleNamespace(
        sample_tokens=["first", "second"],
        ego2global_F44=np.stack([pose(0.0), pose(3.0)]),
        boxes_M9=boxes_M9,
        labels_M=np.array([2, 2, 4]),
        instances_M=np.array([70, 70, 71]),
        offsets_F1=offsets,
        boxes_of=lambda frame: slice(offsets[frame], offsets[frame + 1]),
        map_FKHW=np.zeros((2, 4, 10, 10), np.uint8),
    )


def predictions(folder: Path) -> RunPredictions:
    """Predictions of the same boxes: track 12 in both key frames, track 3 in the second."""
    world, frames = cache(), []
    for index, ids in ((0, [12]), (1, [12, 3])):
        rows = world.boxes_of(index)
        boxes_K9, labels_K = world.boxes_M9[rows], world.labels_M[rows]
        token, ego = world.sample_tokens[index], world.ego2global_F44[index]
        frames.append(TrackedFrame(token, boxes_K9, labels_K, np.full(len(ids), 0.5), ids, ego))
    write_tracking(folder / "tracking.json", frames)
    masks = np.zeros((2, 4, 10, 10), bool)
    masks[1, 3] = True
    write_map(folder / "map.npz", masks, world.sample_tokens, 25.0)
    return RunPredictions.read(folder)


def test_boxes_come_back_from_the_global_frame() -> None:
    rng = np.random.default_rng(0)
    boxes_K9 = rng.uniform(1, 5, (6, 9))
    boxes_K9[:, 6] = rng.uniform(-3, 3, 6)
    ego2global_44 = pose(100.0, 0.7)
    ego2global_44[1:3, 3] = [-40.0, 2.0]
    frame = TrackedFrame("token", boxes_K9, np.arange(6), np.full(6, 0.5), np.arange(6), ego2global_44)
    back_K9, labels_K, scores_K = boxes_in_ego(submission_boxes(frame), ego2global_44)
    np.testing.assert_allclose(back_K9, boxes_K9, atol=1e-3)
    assert labels_K.tolist() == list(range(6))
    np.testing.assert_allclose(scores_K, 0.5)


def test_predictions_carry_tails_and_numbers(tmp_path: Path) -> None:
    run = predictions(tmp_path)
    layer = predicted_layer(run, LABEL, cache(), [1, 0])
    # Numbers of one key frame alone follow the names.
    assert layer.ids_K.tolist() == [1, 0] and layer.label == "Baseline"
    np.testing.assert_allclose(layer.boxes_K9[:, 0], [6.0, -4.0], atol=1e-3)
    # The tail's point lies where the box stood, seen from the later pose: on the box itself.
    np.testing.assert_allclose(layer.tail_xy_P2, [[6.0, 0.0]], atol=1e-3)
    assert (layer.tail_ids_P.tolist(), layer.tail_ages_P.tolist()) == ([1], [1])
    assert layer.map_CRR[3].all() and not layer.map_CRR[:3].any()
    fixed = predicted_layer(run, LABEL, cache(), [1, 0], {"12": 8, "3": 5})
    assert fixed.ids_K.tolist() == [8, 5] and fixed.tail_ids_P.tolist() == [8]


def test_truth_carries_tails_and_numbers() -> None:
    layer = true_layer(cache(), [1, 0])
    assert layer.ids_K.tolist() == [0, 1]
    np.testing.assert_allclose(layer.tail_xy_P2, [[6.0, 0.0]], atol=1e-3)
    assert true_layer(cache(), [1, 0], {"70": 4, "71": 9}).ids_K.tolist() == [4, 9]


def test_a_missing_prediction_is_named(tmp_path: Path) -> None:
    world = cache()
    world.sample_tokens = ["first", "third"]
    run = predictions(tmp_path)
    with pytest.raises(UserError, match="has no prediction of sample third"):
        predicted_layer(run, LABEL, world, [1, 0])
