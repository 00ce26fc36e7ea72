"""Converts the official NYUv2 files to the field's pre-processed layout.

Letters: H × W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
from scipy.io import loadmat

from nexusflow.core.errors import UserError
from nexusflow.core.progress import track
from nexusflow.data.nyuv2.download import refuse_html
from nexusflow.data.nyuv2.files import LabelledImage, write_image
from nexusflow.data.nyuv2.normals import KINECT, Intrinsics, normals_from_depth
from nexusflow.data.nyuv2.vocabulary import NUM_CLASSES

__all__ = [
    "OfficialFiles",
    "class_table",
    "convert_image",
    "convert_official",
    "read_splits",
    "shrink_labels",
]


@dataclass(frozen=True)
class OfficialFiles:
    """Where the official files lie.

    Attributes:
        labelled: nyu_depth_v2_labeled.mat.
        splits: splits.mat.
        mapping40: classMapping40.mat.
        mapping13: class13Mapping.mat.
    """

    labelled: Path
    splits: Path
    mapping40: Path
    mapping13: Path


def _read_mat(path: Path, key: str) -> Any:
    if not path.is_file():
        raise UserError(f"{path} is missing; place the file there.")
    refuse_html(path)
    try:
        content: Mapping[str, Any] = loadmat(path)
    except Exception as error:  # scipy raises many kinds for damaged files
        raise UserError(f"{path} is no readable MATLAB file; fetch it again.") from error
    if key not in content:
        raise UserError(f"{path} has no variable `{key}`; fetch it again.")
    return content[key]


def read_splits(path: Path) -> dict[str, np.ndarray]:
    """Read the official split.

    Args:
        path: splits.mat.

    Returns:
        "train" and "val" (the official test split) → rows of the labelled set, from 0, in order.

    Raises:
        UserError: if the file is missing, damaged, or the two parts overlap.
    """
    rows = {
        split: np.sort(np.asarray(_read_mat(path, key), np.int64).ravel()) - 1
        for split, key in (("train", "trainNdxs"), ("val", "testNdxs"))
    }
    if set(rows["train"]) & set(rows["val"]) or min(map(np.min, rows.values())) < 0:
        raise UserError(f"{path}: trainNdxs and testNdxs must hold different numbers from 1; fetch it again.")
    return rows


def class_table(mapping40: Path, mapping13: Path) -> np.ndarray:
    """Chain the published mappings 894 → 40 → 13.

    Args:
        mapping40: classMapping40.mat.
        mapping13: class13Mapping.mat.

    Returns:
        Class 0..12 or -1 (void) of every raw label 0..894, int8 (895,).

    Raises:
        UserError: if a file is missing, damaged or has numbers out of range.
    """
    to40 = np.asarray(_read_mat(mapping40, "mapClass"), np.int64).ravel()
    to13 = np.asarray(_read_mat(mapping13, "classMapping13")["labels13"][0, 0], np.int64).ravel()
    if to40.min() < 0 or to40.max() > len(to13):
        raise UserError(f"{mapping40}: mapClass must hold numbers up to {len(to13)}; fetch it again.")
    if to13.min() < 0 or to13.max() > NUM_CLASSES:
        raise UserError(f"{mapping13}: labels13 must hold numbers up to {NUM_CLASSES}; fetch it again.")
    # Number 0 stands for "no label" on every stage.
    stage13 = np.concatenate([[0], to13])
    stage40 = np.concatenate([[0], to40])
    return (stage13[stage40] - 1).astype(np.int8)


def shrink_labels(x_HW: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize labels or depth by the nearest pixel centre.

    Args:
        x_HW: the array.
        height: new height, pixels.
        width: new width, pixels.

    Returns:
        Array of the same type.
    """
    rows = ((np.arange(height) + 0.5) * x_HW.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * x_HW.shape[1] / width).astype(int)
    return x_HW[rows[:, None], columns]


def convert_image(
    rgb_HW3: np.ndarray, depth_HW: np.ndarray, label_HW: np.ndarray, height: int, width: int
) -> LabelledImage:
    """Convert one image; normals come from the depth at full size.

    Args:
        rgb_HW3: uint8.
        depth_HW: metres, 0 = invalid.
        label_HW: class 0..12, -1 = void.
        height: new height, pixels.
        width: new width, pixels.

    Returns:
        The four arrays.
    """
    scale = depth_HW.shape[0] / 480
    camera = Intrinsics(*(value * scale for value in KINECT))
    normal = normals_from_depth(depth_HW, camera)
    small = cv2.resize(rgb_HW3, (width, height), interpolation=cv2.INTER_AREA)
    planes = [shrink_labels(normal[..., axis], height, width) for axis in range(3)]
    return LabelledImage(
        small.astype(np.float32) / 255,
        shrink_labels(label_HW, height, width).astype(np.int8),
        shrink_labels(depth_HW, height, width).astype(np.float32)[..., None],
        np.stack(planes, -1),
    )


def _open_labelled(path: Path) -> h5py.File:
    if not path.is_file():
        raise UserError(f"{path} is missing; place nyu_depth_v2_labeled.mat there.")
    refuse_html(path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path} is truncated or no HDF5 file; fetch it again.") from error
    for key in ("images", "depths", "labels"):
        if key not in file:
            file.close()
            raise UserError(f"{path} has no variable `{key}`; fetch it again.")
    return file


def _read_row(file: h5py.File, row: int, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours, depth and raw labels of an image; MATLAB stores the last axis first."""
    try:
        rgb = np.ascontiguousarray(file["images"][row].transpose(2, 1, 0))
        return rgb, file["depths"][row].T.astype(np.float64), file["labels"][row].T.astype(np.int64)
    except OSError as error:
        raise UserError(f"{path} is truncated at image {row + 1}; fetch it again.") from error


def convert_official(files: OfficialFiles, root: Path, height: int, width: int) -> dict[str, int]:
    """Convert the whole labelled set.

    Args:
        files: the official files.
        root: receives train/ and val/.
        height: height of the arrays, pixels.
        width: width of the arrays, pixels.

    Returns:
        Number of images of each split.

    Raises:
        UserError: naming the file, if one is missing, damaged or does not fit the others.
    """
    table = class_table(files.mapping40, files.mapping13)
    splits = read_splits(files.splits)
    with _open_labelled(files.labelled) as file:
        count = len(file["images"])
        if max(map(np.max, splits.values())) >= count:
            raise UserError(f"{files.splits} names images beyond the {count} of {files.labelled}.")
        for split, rows in splits.items():
            for index, row in enumerate(track(rows, f"converting {split}", total=len(rows))):
                rgb, depth, raw = _read_row(file, int(row), files.labelled)
                if raw.max() >= len(table):
                    raise UserError(
                        f"{files.labelled}: image {row + 1} has label {raw.max()}, but {files.mapping40} "
                        f"maps {len(table) - 1} classes only."
                    )
                write_image(root / split, index, convert_image(rgb, depth, table[raw], height, width))
    return {split: len(rows) for split, rows in splits.items()}
