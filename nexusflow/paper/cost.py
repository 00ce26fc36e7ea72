"""Reading the measured cost of training steps, with errors that name the file and the key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, sha256_file

__all__ = ["CostReport", "StepCost", "read_cost"]


@dataclass(frozen=True)
class StepCost:
    """Cost of one training step of one run.

    Args:
        seconds: median over the measured steps.
        seconds_iqr: distance of their quartiles.
        images_per_second: images per second of training.
        peak_memory_mib: largest memory above the idle process, MiB.
        idle_memory_mib: memory of the idle process, MiB.
    """

    seconds: float
    seconds_iqr: float
    images_per_second: float
    peak_memory_mib: float
    idle_memory_mib: float


@dataclass(frozen=True)
class CostReport:
    """What one cost file says.

    Args:
        path: the file.
        sha256: hash of its content.
        scale: scale name, None where the file names none.
        device: name of the processor or GPU.
        memory: what was measured as memory.
        threads: threads of a training process.
        batch_size: images per step.
        image_height: pixels.
        image_width: pixels.
        rounds: turns in which the runs were measured.
        rows: run → cost.
    """

    path: Path
    sha256: str
    scale: str | None
    device: str
    memory: str
    threads: int
    batch_size: int
    image_height: int
    image_width: int
    rounds: int
    rows: Mapping[str, StepCost]


# Attribute → key in the file.
_KEYS = {
    "seconds": "seconds_per_step",
    "seconds_iqr": "seconds_per_step_iqr",
    "images_per_second": "images_per_second",
    "peak_memory_mib": "peak_memory_mib",
    "idle_memory_mib": "idle_memory_mib",
}
_COUNTS = ("threads", "batch_size", "image_height", "image_width", "rounds")


def _take(content: Any, key: str, path: Path, where: str = "") -> Any:
    if not isinstance(content, dict) or key not in content:
        raise UserError(f"{path} has no key '{where}{key}'; measure the cost again.")
    return content[key]


def _number(content: Any, key: str, path: Path, where: str) -> float:
    """Take a finite number that is not negative."""
    value = _take(content, key, path, where)
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or value < 0:
        raise UserError(
            f"{path}: key '{where}{key}' must be a number from 0, not {value!r}; measure the cost again."
        )
    return float(value)


def _count(content: Any, key: str, path: Path) -> int:
    value = _take(content, key, path)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(
            f"{path}: key '{key}' must be a whole number from 1, not {value!r}; measure the cost again."
        )
    return value


def read_cost(path: Path) -> CostReport:
    """Read a cost file.

    Args:
        path: the file that `nexusflow cost` writes.

    Returns:
        Its content.

    Raises:
        UserError: naming the file and key if something is missing or has the wrong type, or a run repeats.
    """
    path = Path(path)
    content = read_json(path)
    entries = _take(content, "rows", path)
    rows: dict[str, StepCost] = {}
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        where = f"rows[{number}]."
        run = str(_take(entry, "run", path, where))
        if run in rows:
            raise UserError(f"{path}: key '{where}run' repeats {run}; measure the cost again.")
        rows[run] = StepCost(**{name: _number(entry, key, path, where) for name, key in _KEYS.items()})
    if not rows:
        raise UserError(f"{path}: key 'rows' must list at least one run; measure the cost again.")
    scale = content.get("scale")
    return CostReport(
        path=path,
        sha256=sha256_file(path),
        scale=None if scale is None else str(scale),
        device=str(_take(content, "device", path)),
        memory=str(content.get("memory", "peak memory above the idle process")),
        rows=rows,
        **{key: _count(content, key, path) for key in _COUNTS},
    )
