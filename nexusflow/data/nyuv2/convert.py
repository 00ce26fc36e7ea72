"""Converts the official NYUv2 files to the field's pre-processed layout.

Letters: H × W pixels.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from nexusflow.core.errors import UserError
from nexusflow.core.files import atomic_folder, write_json
from nexusflow.core.progress import track
from nexusflow.data.nyuv2.files import LabelledImage, write_image
from nexusflow.data.nyuv2.normals import KINECT, Intrinsics, normals_from_depth
from nexusflow.data.nyuv2.official import OfficialFiles, class_table, open_labelled, read_row, read_splits

__all__ = [
    "OfficialFiles",
    "class_table",
    "convert_image",
    "convert_official",
    "read_splits",
    "shrink_labels",
]

# Marks a folder as made here, so that nothing else is ever replaced.
_MARK = "converted.json"


@dataclass(frozen=True)
class _Job:
    """One image: its row in the labelled set, and where its arrays go."""

    row: int
    folder: Path
    index: int


def _nearest(count: int, length: int) -> np.ndarray:
    """Indices of the pixels whose centres lie nearest to those of `count` larger pixels."""
    return ((np.arange(count) + 0.5) * length / count).astype(int)


def shrink_labels(x_HW: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize labels or depth by the nearest pixel centre.

    Args:
        x_HW: the array.
        height: new height, pixels.
        width: new width, pixels.

    Returns:
        Array of the same type.
    """
    return x_HW[_nearest(height, x_HW.shape[0])[:, None], _nearest(width, x_HW.shape[1])]


def convert_image(
    rgb_HW3: np.ndarray, depth_HW: np.ndarray, label_HW: np.ndarray, height: int, width: int
) -> LabelledImage:
    """Convert one image; normals come from the depth at full size.

    The whole image is kept; the pre-processed set has its invalid borders cropped by an unpublished amount.

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
    rows, columns = _nearest(height, depth_HW.shape[0]), _nearest(width, depth_HW.shape[1])
    small = cv2.resize(rgb_HW3, (width, height), interpolation=cv2.INTER_AREA)
    return LabelledImage(
        small.astype(np.float32) / 255,
        shrink_labels(label_HW, height, width).astype(np.int8),
        shrink_labels(depth_HW, height, width).astype(np.float32)[..., None],
        normals_from_depth(depth_HW, camera, rows_R=rows, columns_C=columns),
    )


def _convert(files: OfficialFiles, table: np.ndarray, height: int, width: int, jobs: list[_Job]) -> int:
    """Convert some images and return how many; runs in a worker process too."""
    with open_labelled(files.labelled) as file:
        for job in jobs:
            rgb, depth, raw = read_row(file, job.row, files.labelled)
            if raw.max() >= len(table):
                raise UserError(
                    f"{files.labelled}: image {job.row + 1} has label {raw.max()}, but {files.mapping40} "
                    f"maps {len(table) - 1} classes only."
                )
            write_image(job.folder, job.index, convert_image(rgb, depth, table[raw], height, width))
    return len(jobs)


def _converted(work: Callable[[list[_Job]], int], jobs: list[_Job], workers: int) -> Iterator[int]:
    """Yield once for every converted image, in this process or in several."""
    if min(workers, len(jobs)) <= 1:
        yield from (work([job]) for job in jobs)
        return
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=cv2.setNumThreads,
        initargs=(1,),
    )
    try:
        yield from pool.map(work, ([job] for job in jobs))
    except BrokenProcessPool as error:
        raise UserError(
            "A worker process of the NYUv2 conversion was killed, probably for lack of memory; "
            "use fewer workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _refuse_foreign(folder: Path) -> None:
    """Refuse to replace a folder that was not made by the conversion."""
    if folder.exists() and not folder.is_symlink() and not (folder / _MARK).is_file():
        raise UserError(f"{folder} was not made by the conversion; move it away, so that it is not replaced.")


def convert_official(
    files: OfficialFiles, root: Path, height: int, width: int, workers: int = 1
) -> dict[str, int]:
    """Convert the whole labelled set; train/ and val/ appear when all of it is converted.

    Args:
        files: the official files.
        root: receives train/ and val/.
        height: height of the arrays, pixels.
        width: width of the arrays, pixels.
        workers: processes; the bytes do not depend on their number.

    Returns:
        Number of images of each split.

    Raises:
        UserError: naming the file, if one is missing, damaged or does not fit the others; root is then as
            it was.
    """
    table = class_table(files.mapping40, files.mapping13)
    splits = read_splits(files.splits)
    with open_labelled(files.labelled) as file:
        count = len(file["images"])
    if max(map(np.max, splits.values())) >= count:
        raise UserError(f"{files.splits} names images beyond the {count} of {files.labelled}.")
    for split in splits:
        _refuse_foreign(root / split)
    with ExitStack() as stack:
        folders = {split: stack.enter_context(atomic_folder(root / split)) for split in splits}
        jobs = [
            _Job(int(row), folders[split], index)
            for split, rows in splits.items()
            for index, row in enumerate(rows)
        ]
        work = partial(_convert, files, table, height, width)
        for _ in track(_converted(work, jobs, workers), "converting images", total=len(jobs)):
            pass
        for split, folder in folders.items():
            write_json(folder / _MARK, {"images": len(splits[split]), "height": height, "width": width})
            # A link leads to somebody's own data: the link goes, what it shows stays.
            if (root / split).is_symlink():
                (root / split).unlink()
    return {split: len(rows) for split, rows in splits.items()}
