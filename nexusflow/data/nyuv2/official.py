"""Reads the official NYUv2 files: the labelled set (HDF5), the split, and the published class mappings.

Letters: H × W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import loadmat

from nexusflow.core.download import refuse_html
from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.vocabulary import NUM_CLASSES

__all__ = ["OfficialFiles", "class_table", "open_labelled", "read_row", "read_splits"]

_AGAIN = "delete it and fetch it again"


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
        raise UserError(f"{path} is no readable MATLAB file; {_AGAIN}.") from error
    if key not in content:
        raise UserError(f"{path} has no variable `{key}`; {_AGAIN}.")
    return content[key]


def _whole_numbers(value: Any, path: Path, key: str) -> np.ndarray:
    try:
        numbers = np.asarray(value, np.int64).ravel()
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: `{key}` does not hold numbers; {_AGAIN}.") from error
    if not len(numbers):
        raise UserError(f"{path}: `{key}` is empty; {_AGAIN}.")
    return numbers


def read_splits(path: Path) -> dict[str, np.ndarray]:
    """Read the official split.

    Args:
        path: splits.mat.

    Returns:
        "train" and "val" (the official test split) → rows of the labelled set, from 0, in order.

    Raises:
        UserError: if the file is missing, damaged, or a number comes twice.
    """
    keys = {"train": "trainNdxs", "val": "testNdxs"}
    rows = {
        split: np.sort(_whole_numbers(_read_mat(path, key), path, key)) - 1 for split, key in keys.items()
    }
    everything = np.concatenate(list(rows.values()))
    if len(np.unique(everything)) != len(everything) or everything.min() < 0:
        raise UserError(f"{path}: trainNdxs and testNdxs must hold different numbers from 1; {_AGAIN}.")
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
    to40 = _whole_numbers(_read_mat(mapping40, "mapClass"), mapping40, "mapClass")
    content = _read_mat(mapping13, "classMapping13")
    if content.dtype.names is None or "labels13" not in content.dtype.names or content.size != 1:
        raise UserError(f"{mapping13}: `classMapping13` has no field `labels13`; {_AGAIN}.")
    to13 = _whole_numbers(content["labels13"].ravel()[0], mapping13, "labels13")
    if to40.min() < 0 or to40.max() > len(to13):
        raise UserError(f"{mapping40}: mapClass must hold numbers up to {len(to13)}; {_AGAIN}.")
    if to13.min() < 0 or to13.max() > NUM_CLASSES:
        raise UserError(f"{mapping13}: labels13 must hold numbers up to {NUM_CLASSES}; {_AGAIN}.")
    # Number 0 stands for "no label" on every stage.
    stage13 = np.concatenate([[0], to13])
    stage40 = np.concatenate([[0], to40])
    return (stage13[stage40] - 1).astype(np.int8)


@contextmanager
def open_labelled(path: Path) -> Iterator[h5py.File]:
    """Open the labelled set and check what can be checked without reading it.

    Args:
        path: nyu_depth_v2_labeled.mat, MATLAB 7.3.

    Yields:
        The open HDF5 file; MATLAB stores the last axis first: images (N, 3, W, H), depths and labels
        (N, W, H).

    Raises:
        UserError: if the file is missing, truncated, a web page, or its variables do not fit each other.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing; place nyu_depth_v2_labeled.mat there.")
    refuse_html(path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path} is truncated or no HDF5 file; {_AGAIN}.") from error
    with file:
        kinds = {"images": "u", "depths": "f", "labels": "u"}
        for key, kind in kinds.items():
            if not isinstance(file.get(key), h5py.Dataset):
                raise UserError(f"{path} has no variable `{key}`; {_AGAIN}.")
            if file[key].dtype.kind != kind:
                raise UserError(f"{path}: `{key}` holds {file[key].dtype}; {_AGAIN}.")
        shape = file["images"].shape
        plane = (*shape[:1], *shape[2:])
        fits = len(shape) == 4 and shape[1] == 3 and file["images"].dtype == np.uint8
        if not fits or file["depths"].shape != plane or file["labels"].shape != plane:
            shapes = ", ".join(f"`{key}` {file[key].shape}" for key in kinds)
            raise UserError(
                f"{path}: {shapes} do not fit; expected (N, 3, W, H) in uint8 and twice (N, W, H); {_AGAIN}."
            )
        yield file


def read_row(file: h5py.File, row: int, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read one image of the labelled set.

    Args:
        file: file of `open_labelled`.
        row: number of the image, from 0.
        path: where the file lies, for messages.

    Returns:
        Colours (H, W, 3) uint8, depth (H, W) in metres float64, raw labels (H, W) int64.

    Raises:
        UserError: if the row cannot be read or holds impossible depth.
    """
    try:
        rgb = np.ascontiguousarray(file["images"][row].transpose(2, 1, 0))
        depth, raw = file["depths"][row].T.astype(np.float64), file["labels"][row].T.astype(np.int64)
    except OSError as error:
        raise UserError(f"{path} is truncated at image {row + 1}; {_AGAIN}.") from error
    if not np.isfinite(depth).all() or depth.min() < 0:
        raise UserError(f"{path}: depth of image {row + 1} holds NaN, infinite or negative values; {_AGAIN}.")
    return rgb, depth, raw
