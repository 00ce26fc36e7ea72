"""Calibration, poses and images of one key frame.

Shape letters: N the six cameras, C colour channels (RGB), H and W image height and width, 44 a matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.geometry import camera_motion, projection_matrix, rigid, scale_intrinsics
from nexusflow.data.nuscenes.tables import get_record, numbers, table_error
from nexusflow.data.nuscenes.vocabulary import CAMERAS

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

__all__ = ["ImageFile", "read_cameras", "read_ego_pose", "read_image", "read_images"]


@dataclass(frozen=True)
class ImageFile:
    """An image on disk and the size that its calibration was made for, pixels."""

    path: str
    width: int
    height: int


def read_ego_pose(nusc: NuScenes, sample: dict[str, Any]) -> np.ndarray:
    """Read the ego pose of a key frame, which is that of its lidar sweep; no point cloud is opened.

    Args:
        nusc: the database.
        sample: a sample record.

    Returns:
        (4, 4) float64 ego → global.

    Raises:
        UserError: if the lidar record or its pose is missing or degenerate.
    """
    return _pose(nusc, _key_record(nusc, sample, "LIDAR_TOP"))


def read_cameras(
    nusc: NuScenes, sample: dict[str, Any], ego2global_44: np.ndarray, config: NuScenesReaderConfig
) -> tuple[np.ndarray, list[ImageFile]]:
    """Read the projections of the six cameras of a key frame and find their images.

    Args:
        nusc: the database.
        sample: a sample record.
        ego2global_44: ego pose of the key frame (lidar time).
        config: gives the size of the resized images.

    Returns:
        `ego2img_N44` float64 for the resized images, including the ego motion between lidar and camera; and
        the six image files.

    Raises:
        UserError: if a camera, its calibration or its pose is missing or degenerate.
    """
    ego2img_N44 = np.empty((len(CAMERAS), 4, 4))
    images = []
    for index, channel in enumerate(CAMERAS):
        shot = _key_record(nusc, sample, channel)
        sensor = get_record(
            nusc, "calibrated_sensor", shot["calibrated_sensor_token"], f"sample_data {shot['token']!r}"
        )
        camera2ego_44 = rigid(
            numbers(nusc, "calibrated_sensor", sensor, "rotation", (4,), unit=True),
            numbers(nusc, "calibrated_sensor", sensor, "translation", (3,)),
        )
        image = _image_file(nusc, shot)
        intrinsics_33 = scale_intrinsics(
            _intrinsics(nusc, sensor), config.image_width / image.width, config.image_height / image.height
        )
        motion_44 = camera_motion(camera2ego_44, _pose(nusc, shot), ego2global_44)
        ego2img_N44[index] = projection_matrix(intrinsics_33, motion_44)
        images.append(image)
    return ego2img_N44, images


def read_images(images: Sequence[ImageFile], config: NuScenesReaderConfig) -> np.ndarray:
    """Decode and resize the images of one key frame.

    Args:
        images: the six files.
        config: gives the wanted size.

    Returns:
        (N, 3, H, W) uint8, RGB.

    Raises:
        UserError: if an image cannot be read whole.
    """
    size = (config.image_width, config.image_height)
    out_NCHW = np.empty((len(images), 3, config.image_height, config.image_width), np.uint8)
    for index, image in enumerate(images):
        picture_HWC = read_image(image)
        if (image.width, image.height) != size:
            picture_HWC = cv2.resize(picture_HWC, size, interpolation=cv2.INTER_AREA)
        out_NCHW[index] = picture_HWC[:, :, ::-1].transpose(2, 0, 1)
    return out_NCHW


def read_image(image: ImageFile) -> np.ndarray:
    """Decode one image and make sure that it is whole.

    OpenCV paints the missing part of a cut JPEG grey without complaint, so the end marker is looked for:
    it must come after the last start-of-scan marker (neither can occur inside compressed data).

    Args:
        image: the file and the size its record promises.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        UserError: if the file is missing, cut, no image, or of another size.
    """
    try:
        data = Path(image.path).read_bytes()
    except OSError as error:
        raise UserError(
            f"{image.path} cannot be read ({error.strerror}); extract the camera archives again."
        ) from error
    cut = data[:2] == b"\xff\xd8" and data.rfind(b"\xff\xd9") <= data.rfind(b"\xff\xda")
    picture_HWC = None
    if data and not cut:
        picture_HWC = cv2.imdecode(
            np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
    if picture_HWC is None:
        raise UserError(f"{image.path} is truncated or no image; extract the camera archives again.")
    height, width = picture_HWC.shape[:2]
    if (width, height) != (image.width, image.height):
        raise UserError(
            f"{image.path} has {width}x{height} pixels, but sample_data.json says width {image.width} and "
            f"height {image.height}; extract images and tables of the same release."
        )
    return picture_HWC


def _key_record(nusc: NuScenes, sample: dict[str, Any], channel: str) -> dict[str, Any]:
    """The key-frame sample_data of a sensor."""
    token = sample["data"].get(channel)
    if token is None:
        complaint = f"no key frame of {channel} for sample {sample['token']!r}"
        raise table_error(nusc, "sample_data", complaint)
    return get_record(nusc, "sample_data", token, f"sample {sample['token']!r}")


def _pose(nusc: NuScenes, shot: dict[str, Any]) -> np.ndarray:
    """Ego pose at the time of a sensor record."""
    pose = get_record(nusc, "ego_pose", shot["ego_pose_token"], f"sample_data {shot['token']!r}")
    return rigid(
        numbers(nusc, "ego_pose", pose, "rotation", (4,), unit=True),
        numbers(nusc, "ego_pose", pose, "translation", (3,)),
    )


def _intrinsics(nusc: NuScenes, sensor: dict[str, Any]) -> np.ndarray:
    """Pinhole matrix of a camera."""
    intrinsics_33 = numbers(nusc, "calibrated_sensor", sensor, "camera_intrinsic", (3, 3))
    if (
        intrinsics_33[0, 0] <= 0
        or intrinsics_33[1, 1] <= 0
        or not np.array_equal(intrinsics_33[2], [0, 0, 1])
    ):
        complaint = (
            f"camera_intrinsic of token {sensor['token']!r} is no pinhole matrix with positive focal lengths"
        )
        raise table_error(nusc, "calibrated_sensor", complaint)
    return intrinsics_33


def _image_file(nusc: NuScenes, shot: dict[str, Any]) -> ImageFile:
    """The image of a camera record."""
    width, height = shot.get("width"), shot.get("height")
    if not (isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0):
        complaint = f"width and height of token {shot['token']!r} are {width!r} and {height!r}, not positive"
        raise table_error(nusc, "sample_data", complaint)
    return ImageFile(str(Path(nusc.dataroot) / shot["filename"]), width, height)
