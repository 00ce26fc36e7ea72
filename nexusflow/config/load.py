"""Reads the YAML files, with one clear sentence for every mistake in them."""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from nexusflow.config.checks import check_run, check_weights
from nexusflow.config.schema import (
    RESOLVED_RUNS,
    MainConfig,
    MethodHolder,
    NuScenesRun,
    NuScenesScaleConfig,
    NYUv2Run,
    NYUv2ScaleConfig,
    RunConfig,
    ScaleConfig,
)
from nexusflow.core.errors import UserError
from nexusflow.core.yaml_files import read_yaml
from nexusflow.data.worlds.rooms.config import RoomsWorldConfig
from nexusflow.data.worlds.street.config import StreetWorldConfig
from nexusflow.methods.section import MethodSection
from nexusflow.paper.config import PaperConfig

__all__ = ["Configuration", "load_configuration"]

Model = TypeVar("Model", bound=BaseModel)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = read_yaml(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; restore it from the repository.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); correct its rights.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A date or a number that looks like one but is none is a ValueError.
        place = getattr(error, "problem_mark", None)
        line = f" at line {place.line + 1}" if place else ""
        raise UserError(f"{path} is not valid YAML{line}; correct it.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} must be a mapping of keys to values; correct it.")
    return content


def _validate(model: type[Model], content: Any, path: Path, prefix: str = "") -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([prefix, *map(str, first["loc"])] if prefix else map(str, first["loc"]))
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        key, got = " ".join(key.split()), reprlib.repr(first["input"])
        raise UserError(f"{path}: key `{key}`: {first['msg']}, got {got}{more}.") from error


def _merge(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        # A section of another type shares no keys with the one it replaces.
        same_kind = (
            isinstance(value, dict)
            and isinstance(old, dict)
            and value.get("type", old.get("type")) == old.get("type")
        )
        merged[key] = _merge(old, value) if same_kind and isinstance(old, dict) else value
    return merged


def _at_scale(methods: dict[str, dict[str, Any]], own: dict[str, Any]) -> dict[str, Any]:
    """Put a method's settings, and those of its parts, over those of the scale."""
    merged = _merge(methods.get(str(own.get("name")), {}), own)
    parts = merged.get("parts")
    if isinstance(parts, list):
        merged["parts"] = [_at_scale(methods, x) if isinstance(x, dict) else x for x in parts]
    return merged


@dataclass(frozen=True)
class Configuration:
    """All of it, for one scale.

    Attributes:
        folder: where the files lie.
        scale_name: name of the scale.
        main: config.yaml.
        scale: the scale's file.
        runs: rows by suite and run.
        paper: paper.yaml.
    """

    folder: Path
    scale_name: str
    main: MainConfig
    scale: ScaleConfig
    runs: dict[str, dict[str, RunConfig]]
    paper: PaperConfig
    # The workflow asks once per job of a run.
    _resolved: dict[tuple[str, str], NuScenesRun | NYUv2Run] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def scale_path(self) -> Path:
        """The scale's file."""
        return self.folder / "scales" / f"{self.scale_name}.yaml"

    @property
    def runs_path(self) -> Path:
        """The table of runs."""
        return self.folder / "experiments.yaml"

    def row(self, suite: str, run: str) -> RunConfig:
        """Look up a row of the table of runs.

        Args:
            suite: suite name.
            run: row name.

        Returns:
            The row.

        Raises:
            UserError: if there is no such row.
        """
        try:
            return self.runs[suite][run]
        except KeyError as error:
            known = ", ".join(self.runs.get(suite, {}))
            raise UserError(f"{self.runs_path} has no run `{suite}.{run}`; it has {known}.") from error

    def weights_of(self, suite: str, run: str) -> str:
        """Name the run whose weights a run predicts with: itself, unless its row says another."""
        return self.row(suite, run).weights or run

    def suite(self, name: str) -> NuScenesScaleConfig | NYUv2ScaleConfig:
        """Look up a suite's section of the scale.

        Args:
            name: suite name.

        Returns:
            The section.

        Raises:
            UserError: if there is no such suite, or the scale does not have it.
        """
        if name not in RESOLVED_RUNS:
            raise UserError(f"There is no suite `{name}`; the suites are {', '.join(RESOLVED_RUNS)}.")
        section: NuScenesScaleConfig | NYUv2ScaleConfig | None = getattr(self.scale, name)
        if section is None:
            raise UserError(f"{self.scale_path} has no section `{name}`; choose a scale that has one.")
        return section

    @property
    def nuscenes(self) -> NuScenesScaleConfig:
        """The section of the tracking and map suite."""
        section = self.suite("nuscenes")
        assert isinstance(section, NuScenesScaleConfig)
        return section

    @property
    def nyuv2(self) -> NYUv2ScaleConfig:
        """The section of the suite of segmentation, depth and normals."""
        section = self.suite("nyuv2")
        assert isinstance(section, NYUv2ScaleConfig)
        return section

    def world(self, suite: str, name: str) -> Any:
        """Resolve a world of a suite.

        Args:
            suite: suite name.
            name: the suite's default world or a key of the scale's `worlds`.

        Returns:
            Its full configuration.

        Raises:
            UserError: if the scale has no such world or the world's keys are wrong.
        """
        section = self.suite(suite)
        if name == section.default_world:
            return section.world
        if name not in section.worlds:
            raise UserError(f"{self.scale_path}: key `{suite}.worlds` has no world `{name}`.")
        content = _merge(section.world.model_dump(), section.worlds[name])
        return _validate(type(section.world), content, self.scale_path, f"{suite}.worlds.{name}")

    def resolve(self, suite: str, run: str) -> NuScenesRun | NYUv2Run:
        """Put together everything that a run depends on, the first time it is asked for.

        Args:
            suite: suite name.
            run: row name.

        Returns:
            Method, training budget, model, world and partition of the run.

        Raises:
            UserError: if the row is only declared, names an unknown budget, world or initial run, or has a
                method that cannot act.
        """
        if (suite, run) not in self._resolved:
            self._resolved[suite, run] = self._resolve(suite, run)
        return self._resolved[suite, run]

    def _resolve(self, suite: str, run: str) -> NuScenesRun | NYUv2Run:
        row = self.row(suite, run)
        where = f"{suite}.{run}"
        if row.method is None:
            raise UserError(f"{self.runs_path}: run `{where}` is declared but its method does not exist yet.")
        section = self.suite(suite)
        if row.budget not in section.budgets:
            raise UserError(
                f"{self.runs_path}: key `{where}.budget`: {self.scale_path} has no budget `{row.budget}`."
            )
        world = row.world or section.default_world
        if row.init is not None and self.resolve(suite, row.init).world != world:
            raise UserError(
                f"{self.runs_path}: key `{where}.init`: `{row.init}` is trained in another world."
            )
        self.world(suite, world)
        content = {
            "suite": suite,
            "run": run,
            "world": world,
            "partition": row.partition or section.default_partition,
            "init": row.init,
            "method": _at_scale(section.methods, row.method),
            "training": _merge(section.budgets[row.budget].model_dump(), row.training),
            "model": _merge(section.model.model_dump(), row.model),
        }
        resolved = _validate(RESOLVED_RUNS[suite], content, self.runs_path, where)
        check_run(resolved, self.runs_path)
        source = self.weights_of(suite, run)
        if source != run or row.reestimate_normalisation:
            other = None if source == run or self.row(suite, source).weights else self.resolve(suite, source)
            check_weights(resolved, other, self.runs_path)
        return resolved

    def method(self, suite: str, name: str) -> MethodSection:
        """Put together a method as a run without settings of its own would have it.

        Args:
            suite: suite name.
            name: name of the method.

        Returns:
            The method's section.

        Raises:
            UserError: if the scale's settings of the method are wrong.
        """
        content = {"method": _merge(self.suite(suite).methods.get(name, {}), {"name": name})}
        return _validate(MethodHolder, content, self.scale_path, f"{suite}.methods.{name}").method

    def check(self) -> None:
        """Resolve every run once, so that mistakes show before anything is planned.

        Raises:
            UserError: for the first mistake found, also for a phase-2 run that starts from itself.
        """
        for suite, rows in self.runs.items():
            if getattr(self.scale, suite) is None:
                continue
            for run, row in rows.items():
                seen = [run]
                while row.init is not None:
                    if row.init in seen:
                        raise UserError(
                            f"{self.runs_path}: key `{suite}.{run}.init` leads back to `{row.init}`."
                        )
                    seen.append(row.init)
                    row = self.row(suite, row.init)
                if not rows[run].is_declared_only and not self._elsewhere(suite, rows[run]):
                    self.resolve(suite, run)

    def _elsewhere(self, suite: str, row: RunConfig) -> bool:
        """Whether a run lives in a generated world and the scale has the recorded data set instead."""
        section = self.suite(suite)
        generated = isinstance(section.world, StreetWorldConfig | RoomsWorldConfig)
        return not generated and row.world not in (None, section.default_world, *section.worlds)


def load_configuration(folder: Path, scale: str | None = None) -> Configuration:
    """Read and validate the whole configuration of a scale.

    Args:
        folder: the config/ folder.
        scale: name of the scale; default: the one that config.yaml names.

    Returns:
        The configuration.

    Raises:
        UserError: for a missing file, an unknown key, a wrong type or a value out of range.
    """
    main = _validate(MainConfig, _read_yaml(folder / "config.yaml"), folder / "config.yaml")
    name = scale or main.scale
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(
            f"{folder / 'scales'}: scale `{name}`: small letters, digits and _ are wanted; rename the file."
        )
    scale_path = folder / "scales" / f"{name}.yaml"
    if not scale_path.exists():
        known = ", ".join(sorted(path.stem for path in (folder / "scales").glob("*.yaml")))
        raise UserError(f"There is no scale `{name}` ({scale_path} is missing); choose one of {known}.")
    runs_path = folder / "experiments.yaml"
    tables = _read_yaml(runs_path)
    unknown = sorted(map(str, set(tables) - set(RESOLVED_RUNS)))
    if unknown:
        raise UserError(
            f"{runs_path}: key `{unknown[0]}` is no suite; the suites are {', '.join(RESOLVED_RUNS)}."
        )
    for suite, rows in tables.items():
        if not isinstance(rows, dict):
            raise UserError(
                f"{runs_path}: key `{suite}` must be a mapping of runs, got {reprlib.repr(rows)}."
            )
    runs = {
        suite: {run: _validate(RunConfig, row, runs_path, f"{suite}.{run}") for run, row in rows.items()}
        for suite, rows in tables.items()
    }
    return Configuration(
        folder=folder,
        scale_name=name,
        main=main,
        scale=_validate(ScaleConfig, _read_yaml(scale_path), scale_path),
        runs=runs,
        paper=_validate(PaperConfig, _read_yaml(folder / "paper.yaml"), folder / "paper.yaml"),
    )
