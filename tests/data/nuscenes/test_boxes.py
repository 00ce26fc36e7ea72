"""Boxes of the tiny root, known by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.boxes import read_boxes, tracking_labels
from nexusflow.data.nuscenes.cameras import read_ego_pose
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.tables import open_tables
from nexusflow.data.nuscenes.vocabulary import TRACKING_CLASSES
from tests.data.nuscenes.conftest import Edit
from tests.data.nuscenes.tiny_root import VERSION

Boxes = tuple[np.ndarray, np.ndarray, np.ndarray]
CAR, BUS, PEDESTRIAN = (TRACKING_CLASSES.index(name) for name in ("car", "bus", "pedestrian"))


def _read(nusc: Any, index: int, config: NuScenesReaderConfig) -> Boxes:
    sample = nusc.sample[index]
    return read_boxes(nusc, sample, read_ego_pose(nusc, sample), tracking_labels(nusc), config)


@pytest.mark.parametrize("scene", [0, 1])
def test_boxes_by_hand(tiny_nusc: Any, tiny_config: NuScenesReaderConfig, scene: int) -> None:
    """Second key frame, ego at s = 102: equal in both cities; barrier, unseen and far cars are left out."""
    boxes, labels, instances = _read(tiny_nusc, 3 * scene + 1, tiny_config)
    assert boxes.dtype == np.float32
    assert labels.tolist() == [CAR, BUS, PEDESTRIAN]
    names = [tiny_nusc.instance[i]["token"].split("/")[1] for i in instances]
    assert names == ["parked_car", "bus", "lone_pedestrian"]
    expected = [
        [7.0, 3.0, 0.75, 4.0, 2.0, 1.5, 0.5, 0.0, 0.0],
        [-5.5, -2.0, 1.5, 10.0, 2.5, 3.0, 0.0, 3.0, 0.0],
        [-1.0, 4.0, 0.9, 0.7, 0.6, 1.8, 0.0, 0.0, 0.0],  # one annotation: its velocity cannot be told
    ]
    np.testing.assert_allclose(boxes, expected, atol=1e-5)


def test_frame_without_boxes(tiny_nusc: Any, tiny_config: NuScenesReaderConfig) -> None:
    boxes, labels, instances = _read(tiny_nusc, 5, tiny_config)
    assert boxes.shape == (0, 9)
    assert labels.shape == instances.shape == (0,)


def test_options(tiny_nusc: Any, tiny_config: NuScenesReaderConfig) -> None:
    everything = tiny_config.model_copy(update={"crop_boxes": False, "min_points": 0})
    boxes, labels, _ = _read(tiny_nusc, 0, everything)
    assert labels.tolist() == [CAR, BUS, CAR, CAR]
    assert boxes[:, 0].tolist() == [9.0, -5.0, 3.0, 40.0]
    strict = tiny_config.model_copy(update={"min_points": 4})
    assert _read(tiny_nusc, 1, strict)[1].tolist() == [CAR]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": [2.0, 0.0, 1.5]}, "size of token 'scene-0001/parked_car/0'"),
        ({"translation": [float("nan"), 0, 0]}, "translation of token"),
        ({"rotation": [0.0, 0.0, 0.0, 0.0]}, "rotation of token"),
        ({"num_lidar_pts": float("nan")}, "num_lidar_pts and num_radar_pts of token"),
        ({"next": "gone"}, "prev or next of token"),
        ({"instance_token": "scene-0001/bus"}, "instance_token twice"),
    ],
)
def test_degenerate_annotations(
    broken_root: Path, edit: Edit, tiny_config: NuScenesReaderConfig, change: dict[str, Any], said: str
) -> None:
    edit("sample_annotation", lambda records: records[0].update(change))
    nusc = open_tables(broken_root, VERSION)
    with pytest.raises(UserError, match=rf"sample_annotation\.json: .*{said}|{said}"):
        _read(nusc, 0, tiny_config)
