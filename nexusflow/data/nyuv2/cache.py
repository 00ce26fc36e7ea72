"""Decoded images and labels in memory-mapped files; training images first.

Letters: N images, H × W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json

__all__ = ["ARRAYS", "NYUv2Cache"]

ARRAYS = ("images", "labels", "depth", "normals")


def _expected(folder: Path) -> tuple[tuple[int, int], dict[str, tuple[int, ...]]]:
    """Numbers of training and validation images, and the shape of every array, by the index."""
    path = folder / "index.json"
    index = read_json(path)
    try:
        train, val = int(index["train"]), int(index["val"])
        height, width = int(index["image_height"]), int(index["image_width"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged; delete {folder} and build it again.") from error
    plane = (height, width)
    count = train + val
    shapes = {"images": (count, 3, *plane), "labels": (count, *plane)}
    return (train, val), shapes | {"depth": (count, 1, *plane), "normals": (count, 3, *plane)}


@dataclass(frozen=True)
class NYUv2Cache:
    """The data set, memory-mapped.

    Attributes:
        images_N3HW: RGB in [0, 1], float32.
        labels_NHW: class 0..12, -1 = void, int8.
        depth_N1HW: metres, 0 = invalid, float32.
        normals_N3HW: unit vectors, zero = invalid, float32.
        num_train: training images, which are rows 0..num_train - 1.
        num_val: validation images, the rows after them.
    """

    images_N3HW: np.ndarray
    labels_NHW: np.ndarray
    depth_N1HW: np.ndarray
    normals_N3HW: np.ndarray
    num_train: int
    num_val: int

    @classmethod
    def open(cls, folder: Path) -> NYUv2Cache:
        """Open a cache.

        Args:
            folder: folder of `build_cache`.

        Returns:
            The memory-mapped data set.

        Raises:
            UserError: if a file is missing, damaged or does not fit the index.
        """
        folder = Path(folder)
        counts, shapes = _expected(folder)
        arrays = {}
        for name in ARRAYS:
            path = folder / f"{name}.npy"
            try:
                arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
            except (FileNotFoundError, ValueError, OSError) as error:
                raise UserError(
                    f"{path} is missing or damaged; delete {folder} and build it again."
                ) from error
            kind = np.int8 if name == "labels" else np.float32
            if arrays[name].shape != shapes[name] or arrays[name].dtype != kind:
                raise UserError(f"{path} does not fit index.json; delete {folder} and build it again.")
        return cls(
            arrays["images"],
            arrays["labels"],
            arrays["depth"],
            arrays["normals"],
            *counts,
        )

    def rows(self, split: str) -> range:
        """Rows of a split.

        Args:
            split: "train" or "val".

        Returns:
            Their numbers.
        """
        assert split in ("train", "val"), split
        return (
            range(self.num_train)
            if split == "train"
            else range(self.num_train, self.num_train + self.num_val)
        )
