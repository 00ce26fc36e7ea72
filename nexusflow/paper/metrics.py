"""Reading metrics.json files, with errors that name the file and the key."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, sha256_file

__all__ = [
    "COST_COLUMNS",
    "NUSCENES_METRICS",
    "REGIONS",
    "SUITE_REPORTS",
    "RunMetrics",
    "SuiteReport",
    "load_run",
    "read_metrics",
]

# Columns of Table 2 in the paper's order; contour is a part of "Lanes" that the paper does not print.
NUSCENES_METRICS = (
    "AMOTA",
    "AMOTP",
    "Recall",
    "IDS",
    "Lanes",
    "Drivable",
    "Divider",
    "Crossing",
    "Contour",
)
# Name in our tables → key in metrics.json.
REGIONS = {"all": "overall", "boston": "boston", "singapore": "singapore"}
NYUV2_METRICS = ("Seg IoU", "Depth aErr", "Norm mErr")
NYUV2_FURTHER = (
    "Pixel accuracy",
    "Depth RMSE",
    "Depth rel",
    "Norm RMSE",
    "Norm <11.25",
    "Norm <22.5",
    "Norm <30",
)
# Column in our tables → keys that may hold it, in metrics.json's "training" or in provenance.json.
COST_COLUMNS = {
    "train seconds": ("seconds", "train_seconds"),
    "steps": ("steps",),
    "peak memory MiB": ("peak_memory_mib",),
}


@dataclass(frozen=True)
class SuiteReport:
    """What the tables of a suite show.

    Args:
        title: name of the recorded data set.
        metrics: metrics of the main table, the paper's columns in its order.
        further: metrics that the paper does not print, in a grid of their own.
        selected: metrics of the best validation, which training records.
        regions: name in our tables → key in metrics.json.
    """

    title: str
    metrics: tuple[str, ...]
    further: tuple[str, ...] = ()
    selected: tuple[str, ...] = ()
    regions: Mapping[str, str] = field(default_factory=lambda: {"all": "overall"})


SUITE_REPORTS = {
    "nuscenes": SuiteReport("nuScenes", NUSCENES_METRICS, regions=REGIONS),
    "nyuv2": SuiteReport("NYUv2", NYUV2_METRICS, NYUV2_FURTHER, selected=NYUV2_METRICS),
}


@dataclass(frozen=True)
class RunMetrics:
    """What one metrics.json says.

    Args:
        path: the file.
        sha256: hash of its content.
        run: run name.
        suite: suite name, "nuscenes" or "nyuv2".
        seed: training seed.
        scale: scale name.
        values: region ("all", on nuScenes also "boston" and "singapore") → metric → value; a metric that is
            not there is absent.
        cost: "train seconds", "steps", "peak memory MiB" → value, where known.
        domain_gap: domain gap of the embedded world it was measured in, where the file says.
        best: "step" and metrics of the best validation during training, where they were recorded.
        initialisation: source of the weights before the first step; None for what was not trained.
    """

    path: Path
    sha256: str
    run: str
    suite: str
    seed: int
    scale: str
    values: Mapping[str, Mapping[str, float]]
    cost: Mapping[str, float] = field(default_factory=dict)
    domain_gap: float | None = None
    best: Mapping[str, float] = field(default_factory=dict)
    initialisation: str | None = None

    def value(self, region: str, metric: str) -> float | None:
        """Give one number.

        Args:
            region: one of the suite's regions.
            metric: metric name.

        Returns:
            The value, or None if the file has none.
        """
        return self.values[region].get(metric)


def _require(content: Any, key: str, kind: type, path: Path, parent: str = "") -> Any:
    """Take `content[key]`, checking that it exists and has the right type."""
    name = f"{parent}.{key}" if parent else key
    if not isinstance(content, dict) or key not in content:
        raise UserError(f"{path} has no key '{name}'; run the rule that evaluates this run again.")
    value = content[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UserError(f"{path}: key '{name}' must be of type {kind.__name__}, not {type(value).__name__}.")
    return value


def _number(value: Any, name: str, path: Path) -> float | None:
    """Accept a finite number or null, refuse anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{path}: key '{name}' must be a finite number or null, not {value!r}.")
    return float(value)


def _region_values(metrics: dict[str, Any], key: str, path: Path) -> dict[str, float]:
    region = _require(metrics, key, dict, path, "metrics")
    values = {name: _number(value, f"metrics.{key}.{name}", path) for name, value in region.items()}
    return {name: value for name, value in values.items() if value is not None}


def _provenance(path: Path) -> dict[str, Any]:
    """Read the provenance.json beside a metrics.json; empty where a reference was not trained."""
    provenance = path.with_name("provenance.json")
    content = read_json(provenance) if provenance.exists() else {}
    return content if isinstance(content, dict) else {}


def _best(provenance: dict[str, Any], path: Path) -> dict[str, float]:
    """Take the best validation of a run, if its provenance names one."""
    best = provenance.get("best_validation") or {}
    where = path.with_name("provenance.json")
    if not isinstance(best, dict):
        raise UserError(f"{where}: key 'best_validation' must be a table of numbers; train the run again.")
    numbers = {name: _number(value, f"best_validation.{name}", where) for name, value in best.items()}
    return {name: value for name, value in numbers.items() if value is not None}


def _initialisation(provenance: dict[str, Any], path: Path) -> str | None:
    """Take the source of a run's first weights; a run that names none has drawn them."""
    if not provenance:
        return None
    where = path.with_name("provenance.json")
    noted = provenance.get("initialisation", {"source": "none"})
    return str(_require(noted, "source", str, where, "initialisation"))


def _cost(content: dict[str, Any], provenance: dict[str, Any], path: Path) -> dict[str, float]:
    """Collect training cost from the file itself, else from its provenance."""
    sources = [content.get("training") or {}, provenance]
    cost: dict[str, float] = {}
    for column, keys in COST_COLUMNS.items():
        for source in sources:
            for key in keys:
                value = _number(source.get(key), key, path) if isinstance(source, dict) else None
                if value is not None:
                    cost.setdefault(column, value)
    return cost


def read_metrics(path: Path) -> RunMetrics:
    """Read one metrics.json.

    Args:
        path: the file.

    Returns:
        Its content; metrics that are null or absent are left out.

    Raises:
        UserError: naming the file and key if a key is missing or has the wrong type.
    """
    path = Path(path)
    content = read_json(path)
    metrics = _require(content, "metrics", dict, path)
    suite = _require(content, "suite", str, path)
    if suite not in SUITE_REPORTS:
        raise UserError(f"{path}: key 'suite' is {suite}; the suites are {', '.join(SUITE_REPORTS)}.")
    regions, provenance = SUITE_REPORTS[suite].regions, _provenance(path)
    return RunMetrics(
        path=path,
        sha256=sha256_file(path),
        run=_require(content, "run", str, path),
        suite=suite,
        seed=_require(content, "seed", int, path),
        scale=_require(content, "scale", str, path),
        values={region: _region_values(metrics, key, path) for region, key in regions.items()},
        cost=_cost(content, provenance, path),
        domain_gap=_number(content.get("domain_gap"), "domain_gap", path),
        best=_best(provenance, path),
        initialisation=_initialisation(provenance, path),
    )


def load_run(
    paths: Sequence[Path],
    run: str,
    scale: str | None = None,
    domain_gap: float | None = None,
    suite: str = "nuscenes",
) -> list[RunMetrics]:
    """Read the metrics of all seeds of one run and check that they belong together.

    Args:
        paths: one metrics.json per seed; may be empty.
        run: run name that every file must carry.
        scale: scale that every file must carry; None accepts any one scale.
        domain_gap: domain gap that every file must carry which names one; None accepts any.
        suite: suite that every file must carry.

    Returns:
        The files' content, sorted by seed.

    Raises:
        UserError: if a file is malformed, belongs to another run, suite, scale or domain gap, or repeats a
            seed.
    """
    files = [read_metrics(path) for path in paths]
    expected_scale = scale if scale is not None or not files else files[0].scale
    seen: dict[int, Path] = {}
    for item in files:
        if item.run != run:
            raise UserError(
                f"{item.path}: key 'run' is {item.run}, but the row needs {run}; check the paths."
            )
        if item.suite != suite:
            raise UserError(f"{item.path}: key 'suite' is {item.suite}, not {suite}; check the paths.")
        if item.scale != expected_scale:
            raise UserError(
                f"{item.path}: key 'scale' is {item.scale}, not {expected_scale}; scales are never mixed."
            )
        if domain_gap is not None and item.domain_gap not in (None, domain_gap):
            raise UserError(
                f"{item.path}: key 'domain_gap' is {item.domain_gap:g}, not {domain_gap:g}; "
                "check the run's world."
            )
        if item.seed in seen:
            raise UserError(f"{item.path}: key 'seed' repeats seed {item.seed} of {seen[item.seed]}.")
        seen[item.seed] = item.path
    return sorted(files, key=lambda item: item.seed)
