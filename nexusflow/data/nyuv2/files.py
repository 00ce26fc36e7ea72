"""One image of the field's pre-processed layout: four npy files, each checked on reading.

Letters: H × W pixels.
"""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from nexusflow.core.errors import UserError
from nexusflow.core.files import atomic_path
from nexusflow.data.nyuv2.vocabulary import NUM_CLASSES, VOID

__all__ = ["FOLDERS", "LabelledImage", "count_images", "read_image", "write_image"]

FOLDERS = ("image", "label", "depth", "normal")
_UNIT_TOLERANCE = 0.01


class LabelledImage(NamedTuple):
    """One image with all labels.

    Attributes:
        image_HW3: RGB in [0, 1], float32.
        label_HW: class 0..12, -1 = void, int8.
        depth_HW1: metres, 0 = invalid, float32.
        normal_HW3: unit vectors, zero = invalid, float32; x right, y up, z towards the camera. Resizing may
            have shortened them at edges.
    """

    image_HW3: np.ndarray
    label_HW: np.ndarray
    depth_HW1: np.ndarray
    normal_HW3: np.ndarray


def count_images(split_root: Path) -> int:
    """Count the images of a split and check that none of the four folders has gaps.

    Args:
        split_root: folder with image/, label/, depth/ and normal/.

    Returns:
        Number of images.

    Raises:
        UserError: naming the first missing file or folder.
    """
    names = {}
    for folder in FOLDERS:
        path = split_root / folder
        if not path.is_dir():
            raise UserError(f"{path} is missing; the data set needs image/, label/, depth/ and normal/.")
        # Hidden files are what a killed writer or another operating system left.
        names[folder] = {file.name for file in path.glob("*.npy") if not file.name.startswith(".")}
    everything = set().union(*names.values())
    expected = {f"{index}.npy" for index in range(len(everything))}
    for folder in FOLDERS:
        missing = sorted((everything | expected) - names[folder], key=lambda name: (len(name), name))
        if missing:
            raise UserError(
                f"{split_root / folder / missing[0]} is missing; make or copy the data set again."
            )
    if not everything:
        raise UserError(f"{split_root / 'image'} has no npy file; make or copy the data set again.")
    return len(everything)


def _load(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; make or copy the data set again.") from error
    except (ValueError, OSError, EOFError, MemoryError, SyntaxError, TokenError, BadZipFile) as error:
        # A damaged header is parsed as Python, and may promise more than fits into memory.
        raise UserError(
            f"{path} is no readable npy array (truncated or of another format); copy it again."
        ) from error
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path} is an archive of arrays, not one; copy it again.")
    if array.dtype.kind not in "fiu":
        raise UserError(f"{path} holds {array.dtype}, not numbers; copy it again.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(f"{path} holds NaN or infinite values; copy it again.")
    return array


def _shaped(array: np.ndarray, path: Path, shape: tuple[int, ...]) -> np.ndarray:
    # Some copies of the data set keep or drop the last axis of one.
    if array.shape != shape and array.squeeze().shape == tuple(n for n in shape if n != 1):
        array = array.reshape(shape)
    if array.shape != shape:
        raise UserError(
            f"{path} has shape {array.shape}, not {shape}; "
            "check `reader.image_height` and `reader.image_width`."
        )
    return array


def _refuse(wrong: np.ndarray, path: Path, what: str) -> None:
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise UserError(f"{path} holds {what} (first at pixel {place}); copy it again.")


def _check_normals(normal_HW3: np.ndarray, path: Path) -> None:
    length = np.linalg.norm(normal_HW3, axis=-1)
    _refuse(length > 1 + _UNIT_TOLERANCE, path, "normals not of unit length")
    # Sets that were resized by interpolation hold shorter ones at edges; most must be of unit length still.
    short = (length > 0) & (length < 1 - _UNIT_TOLERANCE)
    if 2 * short.sum() > (length > 0).sum():
        _refuse(short, path, "normals of which most are not of unit length")


def read_image(split_root: Path, index: int, height: int, width: int) -> LabelledImage:
    """Read and check the four arrays of an image.

    Args:
        split_root: folder with image/, label/, depth/ and normal/.
        index: number of the image.
        height: expected height, pixels.
        width: expected width, pixels.

    Returns:
        The arrays.

    Raises:
        UserError: naming the file, if it is missing, damaged, of another shape or out of range.
    """
    paths = {folder: split_root / folder / f"{index}.npy" for folder in FOLDERS}
    sizes = {"image": (3,), "label": (), "depth": (1,), "normal": (3,)}
    raw = {
        folder: _shaped(_load(path), path, (height, width, *sizes[folder])) for folder, path in paths.items()
    }
    _refuse((raw["image"] < 0) | (raw["image"] > 1), paths["image"], "colours outside [0, 1]")
    label = raw["label"]
    wrong = (label < VOID) | (label >= NUM_CLASSES) | (label != np.round(label))
    _refuse(wrong, paths["label"], f"labels other than {VOID}..{NUM_CLASSES - 1}")
    _refuse(raw["depth"] < 0, paths["depth"], "negative depth")
    normal = raw["normal"].astype(np.float32)
    _check_normals(normal, paths["normal"])
    return LabelledImage(
        raw["image"].astype(np.float32), label.astype(np.int8), raw["depth"].astype(np.float32), normal
    )


def write_image(split_root: Path, index: int, content: LabelledImage) -> None:
    """Write the four arrays of an image, each atomically.

    Args:
        split_root: folder that receives image/, label/, depth/ and normal/.
        index: number of the image.
        content: the arrays.
    """
    arrays = dict(zip(FOLDERS, content, strict=True))
    for folder, array in arrays.items():
        with atomic_path(split_root / folder / f"{index}.npy") as temporary:
            np.save(temporary, array, allow_pickle=False)
