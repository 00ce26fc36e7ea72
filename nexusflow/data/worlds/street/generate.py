"""Writes a whole street world as a nuScenes data set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2

from nexusflow.core.errors import UserError
from nexusflow.core.files import atomic_folder, sha256_file, sha256_json, write_json
from nexusflow.core.progress import track
from nexusflow.data.worlds.street.config import StreetWorldConfig
from nexusflow.data.worlds.street.expansion import vector_map, write_base_mask
from nexusflow.data.worlds.street.layout import LocationPlan, ScenePlan, WorldPlan, plan_world
from nexusflow.data.worlds.street.rig import CHANNELS, LIDAR_CHANNEL, build_rig
from nexusflow.data.worlds.street.scene import SceneResult, make_scene, style_of
from nexusflow.data.worlds.street.streets import build_street
from nexusflow.data.worlds.street.surfaces import build_surfaces
from nexusflow.data.worlds.street.tables import TABLES, base_mask_name, fixed_tables

__all__ = ["VERSION", "generate_street_world", "official_scene_names"]

VERSION = "v1.0-trainval"
_FORMAT = 1  # raised whenever equal configs give other bytes than before
_OWN_ENTRIES = {VERSION, "samples", "maps", "manifest.json"}

Task = tuple[StreetWorldConfig, tuple[ScenePlan, ...] | LocationPlan, Path]


def official_scene_names() -> dict[str, list[str]]:
    """The devkit's scene names of the splits train and val."""
    from nuscenes.utils.splits import train, val

    return {"train": list(train), "val": list(val)}


def _quiet_worker() -> None:
    """Keep OpenCV to one thread in each worker process."""
    cv2.setNumThreads(1)


def _make_maps(config: StreetWorldConfig, plan: LocationPlan, root: Path) -> dict[str, str]:
    """Write the vector map and the base mask of one location; returns the files' hashes."""
    streets = [
        build_surfaces(build_street(street, style_of(config, street), config.seed)) for street in plan.streets
    ]
    names = (f"maps/expansion/{plan.location}.json", base_mask_name(config.seed, plan.location))
    (root / names[0]).write_text(_json(vector_map(plan, streets, config.seed)), encoding="utf-8")
    write_base_mask(plan, streets, root / names[1])
    return {name: sha256_file(root / name) for name in names}


def _run_task(task: Task) -> tuple[list[SceneResult], dict[str, str]]:
    """Do one unit of work: the scenes of one street, or the maps of one location."""
    config, work, root = task
    if isinstance(work, LocationPlan):
        return [], _make_maps(config, work, root)
    return [make_scene(config, plan, root) for plan in work], {}


def _tasks(config: StreetWorldConfig, plan: WorldPlan, root: Path) -> list[Task]:
    """Units of work; the maps, which take longest, come first."""
    by_street: dict[str, list[ScenePlan]] = {}
    for scene in plan.scenes:
        by_street.setdefault(scene.street.name, []).append(scene)
    return [(config, location, root) for location in plan.locations] + [
        (config, tuple(scenes), root) for scenes in by_street.values()
    ]


def _results(tasks: list[Task], workers: int) -> Iterator[tuple[list[SceneResult], dict[str, str]]]:
    """Run the tasks, in order, in this process or in several spawned ones."""
    if workers == 1:
        threads = cv2.getNumThreads()
        _quiet_worker()
        try:
            yield from map(_run_task, tasks)
        finally:
            cv2.setNumThreads(threads)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_quiet_worker) as pool:
        try:
            yield from pool.map(_run_task, tasks)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _json(content: Any) -> str:
    """One record per line where `content` is a table, compact otherwise; equal content gives equal text."""
    if isinstance(content, list):
        return "[\n" + ",\n".join(json.dumps(r, sort_keys=True, allow_nan=False) for r in content) + "\n]\n"
    return json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":")) + "\n"


def _check_target(root: Path) -> None:
    """Refuse to replace a folder that holds anything but a world."""
    if not root.exists():
        return
    strangers = (
        sorted({entry.name for entry in root.iterdir()} - _OWN_ENTRIES) if root.is_dir() else [root.name]
    )
    if strangers:
        raise UserError(
            f"{root} holds {strangers[0]}, which is no part of a street world; choose an empty folder."
        )


def _write_tables(
    config: StreetWorldConfig, plan: WorldPlan, results: list[SceneResult], root: Path
) -> dict[str, str]:
    """Join the scenes' records and write the 13 tables; returns their hashes."""
    rig = build_rig(config.image_height, config.image_width)
    tables = fixed_tables(config.seed, rig, plan.locations, plan.scenes)
    for result in sorted(results, key=lambda r: r.number):
        for name, records in result.tables.items():
            tables.setdefault(name, []).extend(records)
    assert set(tables) == set(TABLES)
    hashes = {}
    for name in TABLES:
        text = _json(tables[name]).encode()
        (root / VERSION / f"{name}.json").write_bytes(text)
        hashes[f"{VERSION}/{name}.json"] = hashlib.sha256(text).hexdigest()
    return hashes


def generate_street_world(config: StreetWorldConfig, root: Path, workers: int) -> None:
    """Generate a world.

    Everything is written to a temporary folder beside `root`, which takes its place at the very end.

    Args:
        config: what to generate; equal configs give equal bytes, whatever `workers`.
        root: the data set's folder. It may exist if it is empty or holds nothing but an earlier world.
        workers: processes, at least 1.

    Raises:
        UserError: if the config asks for more scenes than have official names, if `workers` is below 1, or
            if `root` holds something else or cannot be written.
    """
    root = Path(root)
    if workers < 1:
        raise UserError(f"workers = {workers}: generating a street world needs at least one process.")
    _check_target(root)
    plan = plan_world(config, official_scene_names())
    with atomic_folder(root) as temporary:
        for name in (VERSION, "maps/expansion", *(f"samples/{c}" for c in (*CHANNELS, LIDAR_CHANNEL))):
            (temporary / name).mkdir(parents=True)
        tasks = _tasks(config, plan, temporary)
        results: list[SceneResult] = []
        files: dict[str, str] = {}
        for scenes, maps in track(_results(tasks, workers), "generating streets", total=len(tasks)):
            results += scenes
            files |= maps
            for scene in scenes:
                files |= scene.files
        tables = _write_tables(config, plan, results, temporary)
        files |= tables
        manifest = {
            "format": _FORMAT,
            "config": config.model_dump(),
            "tables": tables,
            "files": len(files),
            "sha256": sha256_json(files),
        }
        write_json(temporary / "manifest.json", manifest)
