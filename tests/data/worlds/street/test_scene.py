"""What the records of a generated world say about its pictures and points."""

from __future__ import annotations

import numpy as np
import pytest
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import points_in_box

from nexusflow.data.worlds.street.tables import yaw_quaternion


def test_point_counts_are_those_of_the_sweep(nusc) -> None:
    total = 0
    for sample in nusc.sample[::5]:
        path, boxes, _ = nusc.get_sample_data(sample["data"]["LIDAR_TOP"])
        cloud = LidarPointCloud.from_file(path)
        assert 100 < cloud.nbr_points() < 2000
        for box in boxes:
            count = int(points_in_box(box, cloud.points[:3]).sum())
            assert count == nusc.get("sample_annotation", box.token)["num_lidar_pts"]
            total += count
    assert total > 100


def test_hidden_boxes_have_no_points_and_visible_near_ones_do(nusc) -> None:
    levels = {level: [] for level in "1234"}
    for record in nusc.sample_annotation:
        levels[record["visibility_token"]].append(record["num_lidar_pts"])
    assert 0 in levels["1"]
    assert np.mean(np.array(levels["4"]) > 0) > 0.8


def test_identities_move_with_their_velocities(nusc) -> None:
    moved = 0
    for record in nusc.sample_annotation:
        if not record["next"]:
            continue
        following = nusc.get("sample_annotation", record["next"])
        gap = nusc.get("sample", following["sample_token"])["timestamp"]
        gap = (gap - nusc.get("sample", record["sample_token"])["timestamp"]) / 1e6
        if gap > 0.6:
            continue
        step = np.array(following["translation"]) - np.array(record["translation"])
        assert np.linalg.norm(step) < 14 * gap
        assert following["size"] == record["size"]
        if record["prev"]:
            velocity = nusc.box_velocity(record["token"])
            assert np.linalg.norm(velocity * gap - step) < 1.0
            moved += np.linalg.norm(velocity) > 1
    assert moved > 20


def test_attributes_match_motion(nusc) -> None:
    for record in nusc.sample_annotation:
        (token,) = record["attribute_tokens"]
        name = nusc.get("attribute", token)["name"]
        group = {"human": "pedestrian"}.get(record["category_name"].split(".")[0], "vehicle")
        if record["category_name"] in ("vehicle.bicycle", "vehicle.motorcycle"):
            group = "cycle"
        assert name.split(".")[0] == group
        if name in ("vehicle.parked", "cycle.without_rider") and record["prev"]:
            before = nusc.get("sample_annotation", record["prev"])
            assert before["translation"] == record["translation"]


@pytest.mark.parametrize("yaw", [-3.1, -1.0, 0.0, 2.0, 3.1, 7.0])
def test_yaw_quaternion(yaw: float) -> None:
    from pyquaternion import Quaternion

    turned = Quaternion(yaw_quaternion(yaw)).rotate([1.0, 0.0, 0.0])
    assert np.allclose(turned, [np.cos(yaw), np.sin(yaw), 0.0])
