"""Prediction files of the NYUv2 suite: three npy arrays, written image by image and read memory-mapped.

Letters: N images, H × W pixels.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from nexusflow.core.errors import UserError
from nexusflow.core.files import atomic_path
from nexusflow.data.nyuv2.vocabulary import NUM_CLASSES

__all__ = ["FILES", "DensePredictionWriter", "DensePredictions"]

FILES = ("segmentation.npy", "depth.npy", "normal.npy")


class DensePredictionWriter:
    """Writes predictions in order; the files appear together when all images were added.

    Args:
        folder: the prediction folder.
        count: number of images N.
        height: pixels.
        width: pixels.
    """

    def __init__(self, folder: Path, count: int, height: int, width: int) -> None:
        self.folder = Path(folder)
        self.shapes = ((count, height, width), (count, 1, height, width), (count, 3, height, width))
        self._stack = ExitStack()
        self._arrays: list[np.ndarray] = []
        self._done = 0

    def __enter__(self) -> DensePredictionWriter:
        for name, shape in zip(FILES, self.shapes, strict=True):
            path = self._stack.enter_context(atomic_path(self.folder / name))
            kind = np.uint8 if name == FILES[0] else np.float32
            self._arrays.append(np.lib.format.open_memmap(path, "w+", kind, shape))
        return self

    def add(self, classes_HW: np.ndarray, depth_1HW: np.ndarray, normal_3HW: np.ndarray) -> None:
        """Write the next image.

        Args:
            classes_HW: class 0..12.
            depth_1HW: metres.
            normal_3HW: unit normals.
        """
        for array, plane in zip(self._arrays, (classes_HW, depth_1HW, normal_3HW), strict=True):
            array[self._done] = plane
        self._done += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            assert self._done == self.shapes[0][0], "every image is predicted"
            for array in self._arrays:
                array.flush()  # type: ignore[attr-defined]
        self._stack.__exit__(kind, error, trace)


@dataclass(frozen=True)
class DensePredictions:
    """Predictions of a split, memory-mapped.

    Attributes:
        folder: where they lie.
        classes_NHW: class 0..12, uint8.
        depth_N1HW: metres, float32.
        normal_N3HW: unit normals, float32.
    """

    folder: Path
    classes_NHW: np.ndarray
    depth_N1HW: np.ndarray
    normal_N3HW: np.ndarray

    @classmethod
    def open(cls, folder: Path) -> DensePredictions:
        """Open and check prediction files.

        Args:
            folder: the prediction folder.

        Returns:
            The predictions.

        Raises:
            UserError: naming the file, if it is missing, damaged, of a wrong shape, or holds NaN or unknown
                classes.
        """
        arrays = []
        for name in FILES:
            path = Path(folder) / name
            try:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
            except (FileNotFoundError, ValueError, OSError) as error:
                raise UserError(f"{path} is missing or no readable npy array; predict again.") from error
            channels = {FILES[1]: (1,), FILES[2]: (3,)}.get(name, ())
            if array.ndim != 3 + bool(channels) or array.shape[1:-2] != channels:
                raise UserError(f"{path} has shape {array.shape}, which is none of {name}; predict again.")
            if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
                raise UserError(f"{path} holds NaN, infinity or no numbers; predict again.")
            arrays.append(array)
        if not arrays[0].size or arrays[0].min() < 0 or arrays[0].max() >= NUM_CLASSES:
            raise UserError(
                f"{Path(folder) / FILES[0]} must hold classes 0..{NUM_CLASSES - 1}; predict again."
            )
        return cls(Path(folder), *arrays)

    def check_size(self, count: int, height: int, width: int) -> None:
        """Check that the predictions belong to a split.

        Args:
            count: images of the split.
            height: pixels.
            width: pixels.

        Raises:
            UserError: naming the first file that does not fit.
        """
        for name, array in zip(FILES, (self.classes_NHW, self.depth_N1HW, self.normal_N3HW), strict=True):
            size = (len(array), *array.shape[-2:])
            if size != (count, height, width):
                raise UserError(
                    f"{self.folder / name} has {size[0]} images of {size[1]} × {size[2]} pixels, the split "
                    f"has {count} of {height} × {width}; predict again."
                )
