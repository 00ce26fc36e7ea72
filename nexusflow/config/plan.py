"""What a scale costs before it is run: hours, memory and disk of every run, from measurements only."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexusflow.config.layout import CHECKPOINT_FILES, Layout
from nexusflow.config.load import Configuration
from nexusflow.config.measurements import Measurements, read_measurements
from nexusflow.config.outputs import FIGURES, TABLES, VIDEOS, is_on_request
from nexusflow.config.paper_runs import runs_behind
from nexusflow.config.schema import NuScenesScaleConfig, ResolvedRun
from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json
from nexusflow.data.nuscenes.source_config import NuScenesSourceConfig
from nexusflow.data.nuscenes.vocabulary import CAMERAS, MAP_CLASSES

__all__ = ["PlannedData", "PlannedRun", "plan_data", "plan_runs"]


@dataclass(frozen=True)
class PlannedRun:
    """One training.

    Attributes:
        suite: suite name.
        run: row of config/experiments.yaml.
        seed: training seed.
        steps: optimiser steps.
        samples: clips or images in all steps.
        done: whether its results are there.
        device: "gpu" or "cpu"; None where nothing was measured.
        hours: hours times devices of training; None where nothing was measured.
        scoring_hours: hours of prediction and scoring where a benchmark of this run is there.
        memory_mib: peak memory of one device, MiB.
        disk_mib: size of what training left, MiB, where it is there.
        basis: where hours and memory come from.
    """

    suite: str
    run: str
    seed: int
    steps: int
    samples: int
    done: bool
    device: str | None
    hours: float | None
    scoring_hours: float | None
    memory_mib: float | None
    disk_mib: float | None
    basis: str


@dataclass(frozen=True)
class PlannedData:
    """Disk that a data set takes.

    Attributes:
        suite: suite name.
        what: archives, or decoded data.
        gib: size, GiB.
        basis: how it was worked out.
    """

    suite: str
    what: str
    gib: float
    basis: str


@dataclass(frozen=True)
class _Cost:
    device: str | None = None
    hours: float | None = None
    memory_mib: float | None = None
    basis: str = "not measured"


def _with_origins(configuration: Configuration, suite: str, run: str) -> list[str]:
    """A run after those whose weights it needs."""
    source = configuration.weights_of(suite, run)
    if source != run:
        return _with_origins(configuration, suite, source)
    start = configuration.row(suite, run).init
    return [*(_with_origins(configuration, suite, start) if start else []), run]


def _trainings(
    configuration: Configuration, outputs: Sequence[str], seeds: Sequence[int]
) -> list[tuple[str, str, int]]:
    """Suite, run and seed of every training behind some outputs, each once, origins first."""
    known = {*TABLES, *FIGURES, *VIDEOS}
    if unknown := sorted(set(outputs) - known):
        raise UserError(f"There is no output `{unknown[0]}`; the outputs are {', '.join(sorted(known))}.")
    chosen = list(outputs) or [name for name in (*TABLES, *FIGURES, *VIDEOS) if not is_on_request(name)]
    found: dict[tuple[str, str, int], None] = {}
    for item in (item for output in chosen for item in runs_behind(configuration.paper, output)):
        absent = getattr(configuration.scale, item.suite) is None
        if absent or item.run == "trivial" or configuration.row(item.suite, item.run).is_declared_only:
            continue
        for run in _with_origins(configuration, item.suite, item.run):
            found |= dict.fromkeys((item.suite, run, seed) for seed in item.seeds or seeds)
    return list(found)


def _from_training(layout: Layout, run: ResolvedRun, seed: int) -> _Cost | None:
    """Cost by a finished training of this run, with its own seed if there is one."""
    own = layout.checkpoint(run.suite, run.run, seed) / "provenance.json"
    for path in (own, *sorted(own.parent.parent.glob("seed*/provenance.json"))):
        if not path.is_file():
            continue
        record: dict[str, Any] = read_json(path)
        try:
            if record["steps"] == run.training.steps:
                # Trainings that name no device are older than those on a GPU.
                device = "gpu" if record["machine"].get("device", "cpu").startswith("gpu") else "cpu"
                return _Cost(device, record["train_seconds"] / 3600, record["peak_memory_mib"], str(path))
        except (KeyError, AttributeError, TypeError) as error:
            raise UserError(f"{path} is no provenance of a training ({error!r}); train again.") from error
    return None


def _from_cost_file(layout: Layout, run: ResolvedRun, samples: int) -> _Cost | None:
    """Cost by the measurement of steps behind Table 5."""
    path = layout.cost(run.suite)
    if not path.is_file():
        return None
    content: dict[str, Any] = read_json(path)
    for row in content["rows"]:
        if row["run"] == run.run:
            device = "cpu" if content["device"].endswith("CPU") else "gpu"
            hours = row["seconds_per_step"] / content["batch_size"] * samples / 3600
            return _Cost(device, hours, row["peak_memory_mib"], str(path))
    return None


def _from_table(table: Measurements, scale: str, run: ResolvedRun, samples: int) -> _Cost | None:
    """Cost by config/measurements.yaml."""
    phase = 2 if run.training.freeze_encoder else 1
    found = table.find(scale, run.suite, run.method.name, phase)
    if found is None:
        return None
    hours = found.device_hours / found.samples * samples
    return _Cost(
        found.device,
        hours,
        found.memory_mib,
        f"{'published' if found.published else 'measured'}: {found.where}",
    )


def _seconds(path: Path) -> float | None:
    """Wall-clock seconds of a rule by its benchmark file."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return float(rows[-1]["s"]) if rows else None


def _scoring_hours(layout: Layout, suite: str, run: str, seed: int) -> float | None:
    parts = [
        _seconds(layout.base / "benchmarks" / verb / f"{suite}_{run}_seed{seed}.tsv")
        for verb in ("predict", "evaluate")
    ]
    known = [part for part in parts if part is not None]
    return sum(known) / 3600 if len(known) == len(parts) else None


def plan_runs(
    configuration: Configuration, layout: Layout, outputs: Sequence[str], seeds: Sequence[int]
) -> list[PlannedRun]:
    """List every training behind some outputs with what it costs.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        outputs: tables, figures and videos; none: all that are made without being asked for by name.
        seeds: training seeds of outputs that name none.

    Returns:
        The trainings, those that others start from first. Hours come from a finished training of the same
        run, else from the file of measured steps, else from config/measurements.yaml, else they are None.

    Raises:
        UserError: for an unknown output, or a broken result file.
    """
    table = read_measurements(configuration.folder)
    planned = []
    for suite, name, seed in _trainings(configuration, outputs, seeds):
        run = configuration.resolve(suite, name)
        samples = run.training.steps * run.training.batch_size
        cost = (
            _from_training(layout, run, seed)
            or _from_cost_file(layout, run, samples)
            or _from_table(table, configuration.scale_name, run, samples)
            or _Cost()
        )
        folder = layout.checkpoint(suite, name, seed)
        files = [folder / file for file in CHECKPOINT_FILES]
        done = all(file.is_file() for file in files)
        planned.append(
            PlannedRun(
                suite=suite,
                run=name,
                seed=seed,
                steps=run.training.steps,
                samples=samples,
                done=done,
                device=cost.device,
                hours=cost.hours,
                scoring_hours=_scoring_hours(layout, suite, name, seed),
                memory_mib=cost.memory_mib,
                disk_mib=sum(file.stat().st_size for file in files) / 2**20 if done else None,
                basis=cost.basis,
            )
        )
    return planned


def _nuscenes_data(section: NuScenesScaleConfig, table: Measurements) -> list[PlannedData]:
    planned = []
    if isinstance(section.world, NuScenesSourceConfig):
        release = table.releases.get(section.version)
        if release is None:
            return []
        frames, basis = release.key_frames, f"{release.key_frames} key frames"
        planned.append(PlannedData("nuscenes", "archives", release.archives_gb * 1e9 / 2**30, release.where))
    else:
        frames = (section.world.train_scenes + section.world.val_scenes) * section.world.key_frames
        basis = f"{frames} generated key frames"
    reader = section.reader
    pixels = len(CAMERAS) * 3 * reader.image_height * reader.image_width
    cell_bytes = 3 if section.model.map.queries == "instance" else 1  # masks, and numbers of instances
    size = frames * (pixels + cell_bytes * len(MAP_CLASSES) * reader.map_cells**2)
    sizes = (
        f"{len(CAMERAS)} images of {reader.image_height} × {reader.image_width}, maps of {reader.map_cells}²"
    )
    return [
        *planned,
        PlannedData("nuscenes", "decoded data", size / 2**30, f"{basis}, {sizes}, by arithmetic"),
    ]


def plan_data(configuration: Configuration) -> list[PlannedData]:
    """Work out the disk that the nuScenes suite's data take; those of NYUv2 are small.

    Args:
        configuration: configuration of the scale.

    Returns:
        One row for the archives, if any, and one for the decoded data.

    Raises:
        UserError: if config/measurements.yaml is broken.
    """
    if configuration.scale.nuscenes is None:
        return []
    return _nuscenes_data(configuration.nuscenes, read_measurements(configuration.folder))
