"""Writes a whole rooms world in the layout of the pre-processed NYUv2."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from nexusflow.core.errors import UserError
from nexusflow.core.files import atomic_folder, sha256_json, write_json
from nexusflow.core.progress import track
from nexusflow.data.nyuv2.files import FOLDERS, write_image
from nexusflow.data.worlds.rooms.camera import choose_camera
from nexusflow.data.worlds.rooms.config import RoomsWorldConfig
from nexusflow.data.worlds.rooms.layout import plan_room
from nexusflow.data.worlds.rooms.render import render_view
from nexusflow.data.worlds.rooms.style import STYLES, style_of
from nexusflow.data.worlds.seeds import generator

__all__ = ["RoomTask", "generate_rooms_world", "plan_tasks"]

_FORMAT = 2  # raised whenever equal configs give other bytes than before


class RoomTask(NamedTuple):
    """The pictures of one room.

    Attributes:
        split: "train" or "val".
        room: number of the room in its split.
        style: key of `STYLES`.
        images: numbers of its pictures in the split.
    """

    split: str
    room: int
    style: str
    images: tuple[int, ...]


def plan_tasks(config: RoomsWorldConfig) -> list[RoomTask]:
    """Spread the pictures of both splits over rooms of all styles in turn.

    Args:
        config: sizes.

    Returns:
        One task per room; no room is in two splits.
    """
    tasks, styles = [], list(STYLES)
    for split, count in (("train", config.train_images), ("val", config.val_images)):
        # Smaller groups where few pictures are asked for, so that every style has its share.
        size = max(1, min(config.images_per_room, count // len(styles)))
        for room, first in enumerate(range(0, count, size)):
            images = tuple(range(first, min(first + size, count)))
            tasks.append(RoomTask(split, room, styles[room % len(styles)], images))
    return tasks


def _make_room(task: tuple[RoomsWorldConfig, RoomTask, Path]) -> dict[str, str]:
    """Render and write the pictures of a room; returns hashes by file."""
    config, work, root = task
    style = style_of(work.style, config.style_gap)
    room = plan_room(style, generator(config.seed, "room", work.split, work.room))
    size, hashes = (config.image_height, config.image_width), {}
    for image in work.images:
        rng = generator(config.seed, "picture", work.split, image)
        camera = choose_camera(room, style, rng)
        content = render_view(room, style, camera, size, config.supersample, rng)
        write_image(root / work.split, image, content)
        for folder, array in zip(FOLDERS, content, strict=True):
            name = f"{work.split}/{folder}/{image}.npy"
            hashes[name] = hashlib.sha256(array.tobytes()).hexdigest()
    return hashes


def _results(tasks: list[tuple[RoomsWorldConfig, RoomTask, Path]], workers: int) -> Iterator[dict[str, str]]:
    if workers == 1:
        yield from map(_make_room, tasks)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(_make_room, tasks)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _styles(plan: list[RoomTask]) -> dict[str, dict[str, int]]:
    """Pictures of each style in each split."""
    counts: dict[str, dict[str, int]] = {}
    for task in plan:
        part = counts.setdefault(task.split, dict.fromkeys(STYLES, 0))
        part[task.style] += len(task.images)
    return counts


def generate_rooms_world(config: RoomsWorldConfig, root: Path, workers: int) -> None:
    """Generate a world.

    Everything is written to a temporary folder beside `root`, which takes its place at the very end.

    Args:
        config: what to generate; equal configs give equal arrays, whatever `workers`.
        root: the data set's folder. It may exist if it is empty or holds nothing but an earlier world.
        workers: processes, at least 1.

    Raises:
        UserError: if `workers` is below 1, or `root` holds something else or cannot be written.
    """
    root = Path(root)
    if workers < 1:
        raise UserError(f"workers = {workers}: generating rooms needs at least one process.")
    strangers = (
        sorted({x.name for x in root.iterdir()} - {"train", "val", "manifest.json"}) if root.is_dir() else []
    )
    if strangers:
        raise UserError(
            f"{root} holds {strangers[0]}, which is no part of a rooms world; choose an empty folder."
        )
    plan = plan_tasks(config)
    with atomic_folder(root) as temporary:
        files: dict[str, str] = {}
        work = [(config, task, temporary) for task in plan]
        for hashes in track(_results(work, workers), "generating rooms", total=len(plan)):
            files |= hashes
        manifest = {
            "format": _FORMAT,
            "config": config.model_dump(),
            "files": len(files),
            "images_per_style": _styles(plan),
            "sha256": sha256_json(files),
        }
        write_json(temporary / "manifest.json", manifest)
