"""Images and map targets, scene by scene, into mapped files; a killed build goes on where it was.

Shape letters: F frames, N cameras, C colours, H and W rows and columns, K map classes, 44 a matrix.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nexusflow.core.errors import UserError
from nexusflow.core.files import write_text
from nexusflow.core.progress import track
from nexusflow.data.nuscenes.cameras import ImageFile, read_images
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.raster import MapRasteriser
from nexusflow.data.nuscenes.vector_map import LocationMap
from nexusflow.data.nuscenes.vocabulary import CAMERAS, MAP_CLASSES

__all__ = ["FEW_PIXELS", "PaintJob", "PaintPlan", "paint"]

# Starting worker processes takes longer than decoding this many source pixels in one process.
FEW_PIXELS = 200_000_000
_KEY, _JOURNAL = "key", "painted.txt"


@dataclass(frozen=True)
class PaintJob:
    """Pixels of one scene: where they go and what they are made of.

    Attributes:
        first_frame: index of its first frame.
        location: whose map is drawn.
        poses_F44: ego poses of its frames.
        images: image files of each frame.
    """

    first_frame: int
    location: str
    poses_F44: np.ndarray
    images: list[list[ImageFile]]

    @property
    def frames(self) -> slice:
        """Its place in the mapped files."""
        return slice(self.first_frame, self.first_frame + len(self.images))


@dataclass(frozen=True)
class PaintPlan:
    """What every process needs to know.

    Attributes:
        config: what to read and how to draw.
        images: mapped file of images.
        maps: mapped file of map targets.
        layers: location → its vector map.
        instances: mapped file of the map's instances, if they are wanted.
    """

    config: NuScenesReaderConfig
    images: Path
    maps: Path
    layers: dict[str, LocationMap]
    instances: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The mapped files."""
        return [self.images, self.maps, *([self.instances] if self.instances else [])]


class _Painter:
    """Writes scenes into the mapped files."""

    def __init__(self, plan: PaintPlan) -> None:
        self.config, self.layers = plan.config, plan.layers
        self.arrays = [np.load(path, mmap_mode="r+") for path in plan.files]
        self.rasterisers: dict[str, MapRasteriser] = {}

    def paint(self, job: PaintJob) -> tuple[int, int]:
        """Fill in the frames of a scene; returns its first frame and the sum of what was written."""
        if job.location not in self.rasterisers:
            self.rasterisers[job.location] = MapRasteriser(self.layers[job.location], self.config)
        rasteriser = self.rasterisers[job.location]
        for step, (pose_44, files) in enumerate(zip(job.poses_F44, job.images, strict=True)):
            frame = job.first_frame + step
            images_FNCHW, map_FKHW, *further = self.arrays
            images_FNCHW[frame] = read_images(files, self.config)
            if further:
                further[0][frame] = rasteriser.draw_instances(pose_44)
                map_FKHW[frame] = further[0][frame] > 0
            else:
                map_FKHW[frame] = rasteriser.draw(pose_44)
        # On disk before the journal says so.
        for array in self.arrays:
            array.flush()
        return job.first_frame, _sum(self.arrays, job)


_painter: _Painter | None = None  # of a worker process


def _start_worker(plan: PaintPlan) -> None:
    """Prepare a worker process; it must not start threads of its own."""
    import cv2

    global _painter
    cv2.setNumThreads(1)
    _painter = _Painter(plan)


def _work(job: PaintJob) -> tuple[int, int]:
    """Paint one scene in a worker process."""
    assert _painter is not None
    return _painter.paint(job)


def _sum(arrays: list[np.ndarray], job: PaintJob) -> int:
    """Check sum of a scene's pixels."""
    total = 0
    for array in arrays:
        total = zlib.crc32(array[job.frames].data, total)
    return total


def _allocate(path: Path, shape: tuple[int, ...], kind: type = np.uint8) -> None:
    """Create a mapped file and reserve its space: a full disk shows now, not while pixels are written."""
    np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape).flush()
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)


def _prepare(plan: PaintPlan, work: Path, count: int, key: str) -> None:
    """Make the work folder, or keep that of an earlier attempt at the very same files."""
    mark = work / _KEY
    complete = all(path.is_file() for path in (mark, *plan.files))
    if complete and mark.read_text(encoding="utf-8") == key:
        return
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    cells = plan.config.map_cells
    _allocate(plan.images, (count, len(CAMERAS), 3, plan.config.image_height, plan.config.image_width))
    _allocate(plan.maps, (count, len(MAP_CLASSES), cells, cells))
    if plan.instances:
        _allocate(plan.instances, (count, len(MAP_CLASSES), cells, cells), np.int16)
    write_text(mark, key)


def _still_to_paint(jobs: list[PaintJob], plan: PaintPlan, journal: Path) -> list[PaintJob]:
    """Leave out the scenes that the journal lists and whose pixels add up to what it says."""
    sums: dict[str, str] = {}
    if journal.is_file():
        # A line without its end was being written when the process died.
        for line in journal.read_text(encoding="utf-8").splitlines(keepends=True):
            first, _, total = line.rstrip("\n").partition(" ")
            if line.endswith("\n"):
                sums[first] = total
    if not sums:
        return jobs
    arrays = [np.load(path, mmap_mode="r") for path in plan.files]

    def painted(job: PaintJob) -> bool:
        said = sums.get(str(job.first_frame))
        return said is not None and said == str(_sum(arrays, job))

    return [job for job in track(jobs, "checking what an earlier attempt left") if not painted(job)]


def paint(plan: PaintPlan, jobs: list[PaintJob], work: Path, key: str, workers: int) -> None:
    """Paint all scenes, in this process or in several.

    Args:
        plan: files and settings; the files lie in `work`.
        jobs: the scenes.
        work: folder that survives a kill.
        key: fingerprint of what is built; the work of another one is thrown away.
        workers: most processes.

    Raises:
        UserError: if an image is broken, the disk is full, or a process was killed.
    """
    try:
        _prepare(plan, work, sum(len(job.images) for job in jobs), key)
        left = _still_to_paint(jobs, plan, work / _JOURNAL)
        with (work / _JOURNAL).open("a", encoding="utf-8") as journal:
            if journal.tell():
                journal.write("\n")  # ends a line that was cut
            for first, total in track(_painted(left, plan, workers), "images and maps", total=len(left)):
                journal.write(f"{first} {total}\n")
                journal.flush()
                os.fsync(journal.fileno())
    except OSError as error:
        raise UserError(
            f"Cannot write {work}: {error.strerror or error}; free some space or choose another folder."
        ) from error


def _painted(jobs: list[PaintJob], plan: PaintPlan, workers: int) -> Iterator[tuple[int, int]]:
    """Yield first frame and sum of every scene that was painted."""
    pixels = sum(file.width * file.height for job in jobs for files in job.images for file in files)
    if min(workers, len(jobs)) <= 1 or pixels < FEW_PIXELS:
        painter = _Painter(plan)
        yield from map(painter.paint, jobs)
        return
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(plan,),
    )
    try:
        for future in as_completed([pool.submit(_work, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "A worker process of the nuScenes reader was killed, probably for lack of memory; "
            "use fewer workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
