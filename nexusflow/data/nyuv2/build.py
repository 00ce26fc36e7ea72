"""Checks every file of a data set once and packs it into memory-mapped arrays."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from nexusflow.core.files import atomic_path, read_json, sha256_file, write_json
from nexusflow.core.progress import track
from nexusflow.data.nyuv2.cache import ARRAYS
from nexusflow.data.nyuv2.config import NYUv2ReaderConfig
from nexusflow.data.nyuv2.files import LabelledImage, count_images, read_image

__all__ = ["build_cache"]

_SPLITS = ("train", "val")


def _read(height: int, width: int, item: tuple[Path, int]) -> LabelledImage:
    return read_image(item[0], item[1], height, width)


def _read_all(
    config: NYUv2ReaderConfig, items: Sequence[tuple[Path, int]], workers: int
) -> Iterator[LabelledImage]:
    """Read images in order, a few of them ahead, so that memory does not depend on their number."""
    read = partial(_read, config.image_height, config.image_width)
    if workers <= 1:
        yield from map(read, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        ahead = deque(pool.submit(read, item) for item in items[: 2 * workers])
        for following in (*items[2 * workers :], *[None] * len(ahead)):
            content = ahead.popleft().result()
            if following is not None:
                ahead.append(pool.submit(read, following))
            yield content


def _allocate(path: Path, kind: type, shape: tuple[int, ...]) -> np.memmap:
    """Create a mapped array and reserve its space: a full disk shows now, not as a crash while writing."""
    array = np.lib.format.open_memmap(path, "w+", kind, shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return array


def _manifest_hash(root: Path) -> str | None:
    """Hash of the data set's manifest, where it has one."""
    path = root / "manifest.json"
    if not path.is_file():
        return None
    read_json(path)  # refuses a half-written manifest
    return sha256_file(path)


def _planes(content: LabelledImage) -> dict[str, np.ndarray]:
    return {
        "images": np.ascontiguousarray(content.image_HW3.transpose(2, 0, 1)),
        "labels": content.label_HW,
        "depth": np.ascontiguousarray(content.depth_HW1.transpose(2, 0, 1)),
        "normals": np.ascontiguousarray(content.normal_HW3.transpose(2, 0, 1)),
    }


def build_cache(config: NYUv2ReaderConfig, root: Path, cache_dir: Path, workers: int = 1) -> None:
    """Check all images of a data set and pack them; nothing is left behind if one of them is wrong.

    Args:
        config: expected image size.
        root: data root with train/ and val/ in the field's pre-processed layout.
        cache_dir: receives images.npy, labels.npy, depth.npy, normals.npy and index.json.
        workers: threads that read.

    Raises:
        UserError: naming the first file that is missing, damaged or out of range.
    """
    height, width = config.image_height, config.image_width
    counts = {split: count_images(root / split) for split in _SPLITS}
    source = _manifest_hash(root)
    items = [(root / split, index) for split in _SPLITS for index in range(counts[split])]
    total = len(items)
    shapes = {"images": (3, height, width), "labels": (height, width)}
    shapes |= {"depth": (1, height, width), "normals": (3, height, width)}
    digest = hashlib.sha256()
    with ExitStack() as stack:
        arrays = {}
        for name in ARRAYS:
            path = stack.enter_context(atomic_path(cache_dir / f"{name}.npy"))
            kind = np.int8 if name == "labels" else np.float32
            arrays[name] = _allocate(path, kind, (total, *shapes[name]))
        found = _read_all(config, items, workers)
        for row, content in enumerate(track(found, "decoding images", total=total)):
            for name, plane in _planes(content).items():
                arrays[name][row] = plane
                digest.update(plane.tobytes())
        for array in arrays.values():
            array.flush()
        (cache_dir / "index.json").unlink(missing_ok=True)  # no old index beside new arrays
    index = {"image_height": height, "image_width": width, "sha256": digest.hexdigest()}
    write_json(cache_dir / "index.json", {**counts, **index, "source": source})
