"""The reader on real nuScenes samples: one key frame with images, ten frames of annotations.

The samples are read where they lie and never copied into the project; without them the tests are skipped.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from nuscenes.utils.data_classes import Box
from nuscenes.utils.geometry_utils import view_points
from pyquaternion import Quaternion
from scipy.spatial.transform import Rotation

from nexusflow.data.nuscenes.boxes import read_boxes, tracking_labels
from nexusflow.data.nuscenes.cameras import read_cameras, read_ego_pose, read_images
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.geometry import (
    box_corners,
    boxes_to_frame,
    invert_rigid,
    project,
    projection_matrix,
    scale_intrinsics,
    yaw_of,
)
from nexusflow.data.nuscenes.scenes import list_scenes
from nexusflow.data.nuscenes.tables import TABLES, open_tables
from nexusflow.data.nuscenes.vocabulary import CAMERAS

SIZE = (1600, 900)


@pytest.fixture(scope="module")
def real_nusc(real_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The real key frame with the four missing tables completed in a temporary folder."""
    root = tmp_path_factory.mktemp("real")
    (root / "samples").symlink_to(real_folder / "samples", target_is_directory=True)
    (root / "v1.0-mini").mkdir()
    tables = {path.stem: json.loads(path.read_text()) for path in (real_folder / "v1.0-test").glob("*.json")}
    log = tables["scene"][0]["log_token"]
    (root / "mask.png").write_bytes(cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1].tobytes())
    tables["log"] = [{"token": log, "location": "singapore-onenorth"}]
    tables["map"] = [{"token": "map", "filename": "mask.png", "log_tokens": [log]}]
    tables["instance"] = tables["sample_annotation"] = []
    for table in TABLES:
        (root / "v1.0-mini" / f"{table}.json").write_text(json.dumps(tables[table]))
    return open_tables(root, "v1.0-mini")


def test_key_frame_is_in_the_mini_split(real_nusc: Any) -> None:
    scenes, frames = list_scenes(real_nusc, ("train",))
    assert [(scene.name, scene.city, scene.num_frames) for scene in scenes] == [
        ("scene-0061", "singapore", 1)
    ]
    assert [frame["token"] for frame in frames] == ["ca9a282c9e77460f8360f564131a8af5"]


@pytest.mark.parametrize("shrink", [1, 4])
def test_projection_equals_the_devkits(real_nusc: Any, shrink: int) -> None:
    config = NuScenesReaderConfig(image_height=SIZE[1] // shrink, image_width=SIZE[0] // shrink)
    sample = real_nusc.sample[0]
    pose = read_ego_pose(real_nusc, sample)
    ego2img, files = read_cameras(real_nusc, sample, pose, config)
    points = np.random.Generator(np.random.PCG64(0)).uniform([-40, -40, -1], [40, 40, 3], (200, 3))
    seen = 0
    for camera, channel in enumerate(CAMERAS):
        assert f"__{channel}__" in files[camera].path
        shot = real_nusc.get("sample_data", sample["data"][channel])
        mount = real_nusc.get("calibrated_sensor", shot["calibrated_sensor_token"])
        moment = real_nusc.get("ego_pose", shot["ego_pose_token"])
        for point in points:
            box = Box((pose @ [*point, 1])[:3], [1, 1, 1], Quaternion())
            for frame in (moment, mount):
                box.translate(-np.array(frame["translation"]))
                box.rotate(Quaternion(frame["rotation"]).inverse)
            if box.center[2] > 1:
                expected = view_points(
                    box.center[:, None], np.array(mount["camera_intrinsic"]), normalize=True
                )
                pixel, depth = project(point, ego2img[camera])
                np.testing.assert_allclose(pixel * shrink, expected[:2, 0], rtol=1e-6)
                assert depth == pytest.approx(box.center[2])
                seen += 1
    assert seen > 200


def test_ego_motion_between_lidar_and_cameras_is_that_of_a_car(real_nusc: Any) -> None:
    """Poses of the seven sensors within 0.05 s: the vehicle moves forward, by less than 20 m/s."""
    sample = real_nusc.sample[0]
    pose = read_ego_pose(real_nusc, sample)
    lidar = real_nusc.get("sample_data", sample["data"]["LIDAR_TOP"])
    for channel in CAMERAS:
        shot = real_nusc.get("sample_data", sample["data"][channel])
        moment = real_nusc.get("ego_pose", shot["ego_pose_token"])
        moved = (invert_rigid(pose) @ [*moment["translation"], 1])[:3]
        seconds = (shot["timestamp"] - lidar["timestamp"]) * 1e-6
        assert 0 < abs(seconds) < 0.06
        assert 0 <= moved[0] / seconds < 20
        assert abs(moved[1]) <= 0.1 * abs(moved[0]) + 0.01


def test_real_images_decode_and_shrink(real_nusc: Any) -> None:
    sample = real_nusc.sample[0]
    config = NuScenesReaderConfig()
    _, files = read_cameras(real_nusc, sample, read_ego_pose(real_nusc, sample), config)
    pixels = read_images(files, config)
    assert pixels.shape == (6, 3, 64, 112)
    for camera, file in enumerate(files):
        source = cv2.cvtColor(cv2.imread(file.path), cv2.COLOR_BGR2RGB)
        np.testing.assert_allclose(pixels[camera].mean((1, 2)), source.mean((0, 1)), atol=1.0)
        # A region of the small image is the mean of the same region of the source.
        region = source[: 900 // 4, : 1600 // 4].mean((0, 1))
        np.testing.assert_allclose(pixels[camera, :, :16, :28].mean((1, 2)), region, atol=2.0)


def test_key_frame_without_annotations(real_nusc: Any) -> None:
    sample = real_nusc.sample[0]
    boxes, _, _ = read_boxes(
        real_nusc,
        sample,
        read_ego_pose(real_nusc, sample),
        tracking_labels(real_nusc),
        NuScenesReaderConfig(),
    )
    assert boxes.shape == (0, 9)
    assert len(tracking_labels(real_nusc)) == 11  # real categories that count as one of the seven classes


@pytest.fixture(scope="module")
def infos(real_folder: Path) -> list[dict[str, Any]]:
    """Ten consecutive key frames of scene-0003 in mmdet3d's format: lidar-frame boxes, l, w, h, plain yaw."""
    content = json.loads((real_folder / "scene-0003_first10_infos.json").read_text())
    return list(content["data_list"])


def _ego_boxes(info: dict[str, Any]) -> np.ndarray:
    """Boxes of a frame in the ego frame (M, 9), through the global frame and our functions."""
    ego2global = np.array(info["ego2global"])
    lidar2global = ego2global @ np.array(info["lidar_points"]["lidar2ego"])
    lidar = np.array([instance["bbox_3d"] for instance in info["instances"]])
    velocity = np.array([[*instance["velocity"], 0.0] for instance in info["instances"]])
    rotations = Rotation.from_matrix(lidar2global[:3, :3]) * Rotation.from_euler("z", lidar[:, 6:])
    return boxes_to_frame(
        lidar[:, :3] @ lidar2global[:3, :3].T + lidar2global[:3, 3],
        lidar[:, [4, 3, 5]],
        rotations.as_quat(scalar_first=True),
        np.nan_to_num(velocity) @ lidar2global[:3, :3].T,
        ego2global,
    )


def _ego2img(info: dict[str, Any], channel: str) -> np.ndarray:
    """Projection of a camera, from the frame's own calibration (which holds the ego motion)."""
    image = info["images"][channel]
    ego2camera = np.array(image["lidar2cam"]) @ invert_rigid(np.array(info["lidar_points"]["lidar2ego"]))
    return projection_matrix(np.array(image["cam2img"]), ego2camera)


def test_every_annotation_lies_where_its_camera_saw_it(infos: list[dict[str, Any]]) -> None:
    """The files list, for each camera, centre and depth of the boxes it sees: ours must be the same."""
    listed = boxes_in_all = 0
    for info in infos:
        boxes = _ego_boxes(info)
        boxes_in_all += len(boxes)
        for channel in CAMERAS:
            pixels, depth = project(boxes[:, :3], _ego2img(info, channel))
            for instance in info["cam_instances"][channel]:
                error = np.abs(np.nan_to_num(pixels, nan=1e9) - instance["center_2d"]).max(axis=1)
                best = int(error.argmin())
                assert error[best] < 0.05
                assert depth[best] == pytest.approx(instance["depth"], abs=1e-3)
                np.testing.assert_allclose(
                    boxes[best, 3:6], np.array(instance["bbox_3d"])[[3, 5, 4]], atol=1e-6
                )
                listed += 1
    assert boxes_in_all == 413
    assert listed > 400


def test_every_box_is_seen_by_the_camera_that_faces_it(infos: list[dict[str, Any]]) -> None:
    """Six cameras look all around: a box beyond 4 m falls into the image of the camera that faces it."""
    for info in infos:
        boxes = _ego_boxes(info)
        azimuth = np.arctan2(boxes[:, 1], boxes[:, 0])
        inside, facing = [], []
        for channel in CAMERAS:
            cam2ego = np.array(info["images"][channel]["cam2ego"])
            facing.append(np.abs(np.angle(np.exp(1j * (azimuth - np.arctan2(cam2ego[1, 2], cam2ego[0, 2]))))))
            small = scale_intrinsics(np.array(info["images"][channel]["cam2img"]), 112 / 1600, 64 / 900)
            image = dict(info["images"][channel], cam2img=small)
            points = np.concatenate([boxes[:, None, :3], box_corners(boxes)], axis=1)  # centre, then corners
            pixels, depth = project(points, _ego2img({**info, "images": {channel: image}}, channel))
            inside.append((depth > 0) & ((pixels >= 0) & (pixels < [112, 64])).all(axis=-1))
        nearest = np.argmin(facing, axis=0)
        distant = np.linalg.norm(boxes[:, :2], axis=1) > 4
        assert np.any(inside, axis=(0, 2))[distant].all()
        clear = distant & (np.min(facing, axis=0) < np.radians(25))
        assert clear.sum() > 10
        assert np.array(inside)[nearest, np.arange(len(boxes)), 0][clear].all()


def test_objects_move_in_the_world_as_their_velocities_say(infos: list[dict[str, Any]]) -> None:
    """Instances, told apart by class and exact size, stay where they stand or move by velocity times time."""
    standing = moving = 0
    for before, after in pairwise(infos):
        poses = [np.array(info["ego2global"]) for info in (before, after)]
        frames = [_ego_boxes(info) for info in (before, after)]
        labels = [np.array([i["bbox_label_3d"] for i in info["instances"]]) for info in (before, after)]
        places = [b[:, :3] @ pose[:3, :3].T + pose[:3, 3] for b, pose in zip(frames, poses, strict=True)]
        yaws = [b[:, 6] + yaw_of(pose) for b, pose in zip(frames, poses, strict=True)]
        seconds = after["timestamp"] - before["timestamp"]
        for row, box in enumerate(frames[0]):
            same = (labels[1] == labels[0][row]) & np.isclose(frames[1][:, 3:6], box[3:6], atol=1e-4).all(
                axis=1
            )
            if not same.any():
                continue  # left the annotated area
            velocity = poses[0][:2, :2] @ box[7:]
            speed = float(np.linalg.norm(velocity))
            expected = places[0][row, :2] + velocity * seconds
            distance = np.where(same, np.linalg.norm(places[1][:, :2] - expected, axis=1), np.inf)
            match = int(distance.argmin())
            if speed < 0.1:
                assert np.linalg.norm(places[1][match] - places[0][row]) < 0.15
                assert abs(np.sin(yaws[1][match] - yaws[0][row])) < 0.02
                standing += 1
            elif speed > 2:
                assert distance[match] < 0.4 * speed * seconds  # some speed up
                moving += 1
    assert standing > 100
    assert moving > 10
