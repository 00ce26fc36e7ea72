"""Prediction folders: geometry of submissions, round trips, equal bytes, and clear errors."""

import copy
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.evaluation.predictions import (
    TrackedFrame,
    read_map,
    read_tracking,
    submission_boxes,
    write_map,
    write_tracking,
)
from tests.evaluation.world import prediction, write_submission


def _frame(boxes_K9: np.ndarray, ego2global_44: np.ndarray | None = None, token: str = "s") -> TrackedFrame:
    count = len(boxes_K9)
    turned = np.eye(4) if ego2global_44 is None else ego2global_44
    return TrackedFrame(
        token, boxes_K9, np.arange(count) % 7, np.linspace(0.1, 0.9, count), np.arange(count), turned
    )


def test_boxes_are_moved_to_the_global_frame() -> None:
    quarter_turn = np.array([[0, -1, 0, 100], [1, 0, 0, 200], [0, 0, 1, 5], [0, 0, 0, 1]], dtype=float)
    box = np.array([[10, 2, 1, 4.5, 1.9, 1.6, np.pi / 4, 3, 1]], dtype=np.float32)
    (entry,) = submission_boxes(_frame(box, quarter_turn))
    assert entry["translation"] == pytest.approx([98, 210, 6])
    assert entry["size"] == pytest.approx([1.9, 4.5, 1.6])  # width, length, height
    assert entry["velocity"] == pytest.approx([-1, 3])
    half = 3 * np.pi / 8  # half of 45° + 90°
    assert entry["rotation"] == pytest.approx([np.cos(half), 0, 0, np.sin(half)], abs=1e-6)
    assert (entry["tracking_id"], entry["tracking_name"], entry["tracking_score"]) == ("0", "bicycle", 0.1)


def test_heading_agrees_with_the_devkit_on_a_tilted_ego() -> None:
    from pyquaternion import Quaternion

    ego = Quaternion(axis=[0.05, -0.1, 1.0], angle=2.0)
    pose = ego.transformation_matrix
    (entry,) = submission_boxes(_frame(np.array([[1, 2, 3, 4, 2, 1, -2.5, 0, 0]], dtype=float), pose))
    expected = ego * Quaternion(axis=[0, 0, 1], angle=-2.5)
    assert np.abs(np.dot(expected.elements, entry["rotation"])) == pytest.approx(1, abs=1e-6)


def test_only_the_best_500_boxes_stay() -> None:
    entries = submission_boxes(_frame(np.ones((510, 9))))
    assert len(entries) == 500
    assert min(entry["tracking_score"] for entry in entries) == pytest.approx(0.1 + 0.8 * 10 / 509, abs=1e-6)


def test_tracking_round_trip_and_equal_bytes(tmp_path: Path) -> None:
    frames = [
        _frame(np.random.default_rng(0).normal(size=(3, 9)), token="b"),
        _frame(np.empty((0, 9)), token="a"),
    ]
    for name in ("one.json", "two.json"):
        write_tracking(tmp_path / name, frames)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    results = read_tracking(tmp_path / "one.json", ["a", "b"])
    assert list(results) == ["a", "b"] and results["a"] == [] and results["b"] == submission_boxes(frames[0])


def test_predictions_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    boxes = np.ones((1, 9))
    boxes[0, 2] = np.nan
    with pytest.raises(UserError, match="not finite"):
        write_tracking(tmp_path / "t.json", [_frame(boxes)])
    assert not (tmp_path / "t.json").exists()


def test_an_identity_occurs_once_in_a_frame(tmp_path: Path) -> None:
    frame = TrackedFrame("s", np.ones((2, 9)), np.zeros(2), np.ones(2), np.array([4, 4]), np.eye(4))
    with pytest.raises(UserError, match="twice"):
        write_tracking(tmp_path / "t.json", [frame])


def _broken(change: str) -> dict[str, Any]:
    box = prediction("s", [1, 2, 3], "7", "car", 0.5)
    changes: dict[str, dict[str, Any]] = {
        "tracking_name": {"tracking_name": "tram"},
        "translation": {"translation": [1.0, float("nan"), 0.0]},
        "size": {"size": [1.0, 2.0]},
        "rotation": {"rotation": "none"},
        "tracking_score": {"tracking_score": float("inf")},
        "tracking_id": {"tracking_id": 7},
        "sample_token": {"sample_token": "other"},
    }
    return {**box, **changes[change]}


@pytest.mark.parametrize(
    "key",
    ["tracking_name", "translation", "size", "rotation", "tracking_score", "tracking_id", "sample_token"],
)
def test_a_malformed_box_is_named(tmp_path: Path, key: str) -> None:
    path = write_submission(tmp_path / "t.json", {"s": [_broken(key)]})
    with pytest.raises(UserError, match=rf"t\.json.*sample s.*{key}"):
        read_tracking(path)


def test_malformed_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    with pytest.raises(UserError, match="missing"):
        read_tracking(path)
    path.write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        read_tracking(path)
    path.write_text(json.dumps({"results": {}}))
    with pytest.raises(UserError, match="'meta'"):
        read_tracking(path)
    box = prediction("s", [1, 2, 3], "7", "car", 0.5)
    write_submission(path, {"s": [box]})
    with pytest.raises(UserError, match="lacks 1 of 2 samples, first t"):
        read_tracking(path, ["s", "t"])
    write_submission(path, {"s": [box, copy.deepcopy(box)]})
    with pytest.raises(UserError, match="'tracking_id' twice"):
        read_tracking(path)
    write_submission(path, {"s": [{**box, "tracking_id": str(k)} for k in range(501)]})
    with pytest.raises(UserError, match="501 boxes"):
        read_tracking(path)


def _masks(frames: int = 3, cells: int = 9) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2, (frames, 4, cells, cells)).astype(np.uint8)


def test_map_round_trip_and_equal_bytes(tmp_path: Path) -> None:
    masks = _masks()
    for name in ("one.npz", "two.npz"):
        write_map(tmp_path / name, masks, ["a", "b", "c"], 25.0)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.npz") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    read = read_map(tmp_path / "one.npz")
    np.testing.assert_array_equal(read.masks_FKHW, masks)
    np.testing.assert_array_equal(read.masks(np.array([2, 0])), masks[[2, 0]])
    assert (read.sample_tokens, read.map_half_m, read.map_cells) == (["a", "b", "c"], 25.0, 9)


@pytest.mark.parametrize("value", [np.nan, 0.5, 2.0])
def test_masks_are_binary(tmp_path: Path, value: float) -> None:
    masks = _masks().astype(float)
    masks[0, 0, 0, 0] = value
    with pytest.raises(UserError, match="other than 0 and 1"):
        write_map(tmp_path / "m.npz", masks, ["a", "b", "c"], 25.0)


def test_mask_shapes_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="shape"):
        write_map(tmp_path / "m.npz", _masks()[:, :3], ["a", "b", "c"], 25.0)
    with pytest.raises(UserError, match="each once"):
        write_map(tmp_path / "m.npz", _masks(), ["a", "b", "b"], 25.0)


def test_malformed_map_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    with pytest.raises(UserError, match="missing"):
        read_map(path)
    path.write_bytes(b"no archive")
    with pytest.raises(UserError, match="no readable npz"):
        read_map(path)
    np.savez(path, masks_FKHW=np.zeros((1, 4, 2), np.uint8))
    with pytest.raises(UserError, match="sample_tokens"):
        read_map(path)
    good = {"sample_tokens": np.array(["a"]), "map_half_m": np.float64(25), "map_cells": np.int64(4)}
    np.savez(path, masks_FKHW=np.zeros((1, 4, 3), np.uint8), **good)
    with pytest.raises(UserError, match="does not fit"):
        read_map(path)
    np.savez(path, masks_FKHW=np.zeros((1, 4, 2), np.uint8), **{**good, "map_half_m": np.float64("nan")})
    with pytest.raises(UserError, match="map_half_m"):
        read_map(path)
