"""Calibration and images of a key frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.cameras import ImageFile, read_cameras, read_ego_pose, read_image, read_images
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.geometry import project
from nexusflow.data.nuscenes.tables import open_tables
from nexusflow.data.nuscenes.vocabulary import CAMERAS
from tests.data.nuscenes.conftest import Edit
from tests.data.nuscenes.tiny_root import VERSION, image_colour, write_tiny_root


def _frame(nusc: Any, config: NuScenesReaderConfig, index: int = 0) -> tuple[np.ndarray, list[ImageFile]]:
    sample = nusc.sample[index]
    return read_cameras(nusc, sample, read_ego_pose(nusc, sample), config)


@pytest.mark.parametrize("index", [0, 5])
def test_projection_by_hand(tiny_nusc: Any, tiny_config: NuScenesReaderConfig, index: int) -> None:
    ego2img, _ = _frame(tiny_nusc, tiny_config, index)
    # Front camera: mounted at x = 1.5, z = 1.5, fired 0.2 m later: depth = 11.7 - 1.5 - 0.2.
    pixel, depth = project(np.array([11.7, 2.0, 0.5]), ego2img[0])
    assert depth == pytest.approx(10.0)
    np.testing.assert_allclose(pixel, [56 - 50 * 0.2, 32 + 50 * 0.1], atol=1e-6)
    # Back camera: looks along -x from x = 1.5 and has moved forward; left is on its right side.
    pixel, depth = project(np.array([-8.3, 2.0, 0.5]), ego2img[CAMERAS.index("CAM_BACK")])
    assert depth == pytest.approx(8.3 + 1.5 + 0.2)
    np.testing.assert_allclose(pixel, [56 + 50 * 0.2, 32 + 50 * 0.1], atol=1e-6)


def test_ego_pose(tiny_nusc: Any) -> None:
    pose = read_ego_pose(tiny_nusc, tiny_nusc.sample[4])  # Singapore, second key frame, heading +y
    np.testing.assert_allclose(pose @ [1, 0, 0, 1], [300, 103, 0, 1], atol=1e-9)


def test_images_are_rgb_and_in_camera_order(tiny_nusc: Any, tiny_config: NuScenesReaderConfig) -> None:
    _, files = _frame(tiny_nusc, tiny_config, 4)
    pixels = read_images(files, tiny_config)
    assert pixels.shape == (6, 3, 64, 112)
    for camera in range(6):
        colour = np.array(image_colour(1, 1, camera))
        assert np.abs(pixels[camera].astype(int) - colour[:, None, None]).max() <= 3


def test_resized_images_keep_the_projection(tmp_path: Path, tiny_config: NuScenesReaderConfig) -> None:
    write_tiny_root(tmp_path, image_scale=2)
    nusc = open_tables(tmp_path, VERSION)
    ego2img, files = _frame(nusc, tiny_config)
    assert (files[0].width, files[0].height) == (224, 128)
    pixel, _ = project(np.array([11.7, 2.0, 0.5]), ego2img[0])
    np.testing.assert_allclose(pixel, [46, 37], atol=1e-6)
    assert read_images(files, tiny_config).shape == (6, 3, 64, 112)
    narrow = tiny_config.model_copy(update={"image_width": 56})
    pixel, _ = project(np.array([11.7, 2.0, 0.5]), _frame(nusc, narrow)[0][0])
    np.testing.assert_allclose(pixel, [23, 37], atol=1e-6)


def test_area_interpolation(tmp_path: Path, tiny_config: NuScenesReaderConfig) -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:2, :2] = 200
    picture[0, 0] = 0
    path = tmp_path / "a.png"
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    small = tiny_config.model_copy(update={"image_width": 2, "image_height": 2})
    assert read_images([ImageFile(str(path), 4, 4)], small)[0, 0].tolist() == [[150, 0], [0, 0]]


def _jpeg(path: Path) -> bytes:
    picture = np.random.Generator(np.random.PCG64(0)).integers(0, 255, (32, 48, 3), np.uint8)
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    path.write_bytes(data)
    return data


def test_broken_images(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    data = _jpeg(path)
    file = ImageFile(str(path), 48, 32)
    assert read_image(file).shape == (32, 48, 3)
    path.write_bytes(data + b"\0" * 16)  # padding after the end marker is harmless
    assert read_image(file).shape == (32, 48, 3)
    for damaged in (
        data[: len(data) // 2],
        data[:-2],
        data[: len(data) // 2] + b"\0" * 500,
        b"",
        b"not an image",
    ):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"a\.jpg is truncated or no image"):
            read_image(file)
    path.unlink()
    with pytest.raises(UserError, match=r"a\.jpg cannot be read"):
        read_image(file)


def test_image_of_another_size(tmp_path: Path) -> None:
    _jpeg(tmp_path / "a.jpg")
    with pytest.raises(UserError, match=r"48x32 pixels, but sample_data\.json says width 50"):
        read_image(ImageFile(str(tmp_path / "a.jpg"), 50, 32))


@pytest.mark.parametrize(
    ("table", "index", "change", "said"),
    [
        ("calibrated_sensor", 1, {"rotation": [0, 0, 0, 0]}, r"calibrated_sensor\.json: rotation"),
        (
            "calibrated_sensor",
            1,
            {"translation": [0, float("nan"), 0]},
            r"calibrated_sensor\.json: translation",
        ),
        ("calibrated_sensor", 1, {"camera_intrinsic": []}, r"calibrated_sensor\.json: camera_intrinsic"),
        (
            "calibrated_sensor",
            1,
            {"camera_intrinsic": [[0, 0, 1], [0, 1, 1], [0, 0, 1]]},
            "positive focal lengths",
        ),
        ("ego_pose", 1, {"translation": [float("inf"), 0, 0]}, r"ego_pose\.json: translation"),
        ("ego_pose", 0, {"rotation": [float("nan"), 0, 0, 1]}, r"ego_pose\.json: rotation"),
        ("sample_data", 1, {"ego_pose_token": "gone"}, r"ego_pose\.json: token 'gone'"),
        ("sample_data", 1, {"width": 0}, r"sample_data\.json: width and height"),
        ("sample_data", 1, {"is_key_frame": False}, "no key frame of CAM_FRONT"),
        ("sample_data", 0, {"is_key_frame": False}, "no key frame of LIDAR_TOP"),
    ],
)
def test_degenerate_records(
    broken_root: Path,
    edit: Edit,
    tiny_config: NuScenesReaderConfig,
    table: str,
    index: int,
    change: dict[str, Any],
    said: str,
) -> None:
    edit(table, lambda records: records[index].update(change))
    nusc = open_tables(broken_root, VERSION)
    with pytest.raises(UserError, match=said):
        _frame(nusc, tiny_config)
