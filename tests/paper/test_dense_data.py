"""Frames of Figure 7: round trip, and errors that name file and key."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, write_json
from nexusflow.data.nyuv2.vocabulary import CLASSES
from nexusflow.paper.dense_data import DENSE_CLASSES, load_dense_frame, save_dense_frame
from nexusflow.paper.metrics import NYUV2_METRICS
from tests.paper.fabricate_dense import make_dense_frame


def test_classes_are_those_of_the_data() -> None:
    assert DENSE_CLASSES == CLASSES


def test_round_trip(tmp_path: Path) -> None:
    frame = make_dense_frame()
    save_dense_frame(frame, tmp_path / "f.npz")
    back = load_dense_frame(tmp_path / "f.npz")
    assert back.info == frame.info
    assert [layer.label for layer in back.methods] == ["Full supervision", "Baseline", "Ours (centre)"]
    np.testing.assert_array_equal(back.image_HW3, frame.image_HW3)
    for ours, theirs in zip((back.truth, *back.methods), (frame.truth, *frame.methods), strict=True):
        assert ours.name == theirs.name and ours.scores == theirs.scores
        assert set(theirs.scores) <= set(NYUV2_METRICS)
        np.testing.assert_array_equal(ours.classes_HW, theirs.classes_HW)
        np.testing.assert_array_equal(ours.depth_HW, theirs.depth_HW)
        np.testing.assert_array_equal(ours.normal_HW3, theirs.normal_HW3)


def test_arrays_that_do_not_fit_are_named(tmp_path: Path) -> None:
    frame = make_dense_frame(methods=1)
    method = frame.methods[0]
    void = method.classes_HW.copy()
    void[0, 0] = -1
    hole = method.depth_HW.copy()
    hole[0, 0] = np.nan
    for broken, message in (
        (replace(method, classes_HW=void), "array 'full/classes_HW' must be between 0 and 12"),
        (replace(method, depth_HW=hole), "array 'full/depth_HW' must be finite"),
        (replace(method, depth_HW=hole[1:]), r"array 'full/depth_HW' must be of shape \(96, 128\)"),
        (
            replace(method, normal_HW3=method.normal_HW3[..., :2]),
            r"array 'full/normal_HW3' must be of shape \(96, 128, 3\)",
        ),
    ):
        with pytest.raises(UserError, match=message):
            save_dense_frame(replace(frame, methods=(broken,)), tmp_path / "f.npz")
    with pytest.raises(UserError, match=r"array 'image' must be of shape \(H, W, 3\) and type uint8"):
        save_dense_frame(replace(frame, image_HW3=frame.image_HW3.astype(float)), tmp_path / "f.npz")
    assert not (tmp_path / "f.npz").exists()


def test_layers_in_the_json_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    save_dense_frame(make_dense_frame(), tmp_path / "f.npz")
    content = read_json(path)
    write_json(path, content | {"layers": content["layers"][1:]})
    with pytest.raises(UserError, match="the first of 'layers' must be the truth"):
        load_dense_frame(tmp_path / "f.npz")
    write_json(path, content | {"layers": [{"name": "truth"}]})
    with pytest.raises(UserError, match="needs 'name', 'label' and 'scores'"):
        load_dense_frame(tmp_path / "f.npz")
    write_json(path, content | {"layers": [*content["layers"], {"name": "x", "label": "X", "scores": {}}]})
    with pytest.raises(UserError, match="has no array 'x/classes_HW'"):
        load_dense_frame(tmp_path / "f.npz")
