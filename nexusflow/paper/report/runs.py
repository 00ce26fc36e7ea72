"""Runs behind the report: what they were trained with, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, sha256_json
from nexusflow.paper.claims_values import RunKey
from nexusflow.paper.config import PaperConfig, TableConfig
from nexusflow.paper.metrics import SUITE_REPORTS
from nexusflow.paper.report.grid import Cell, Grid, column_grid, number_of, read_cells, text_cell

__all__ = ["jobs_grid", "read_runs", "run_labels", "runs_grid", "seeds_of", "versions_of"]

_WANTED = ("suite", "run", "seed", "steps", "code", "data", "train_seconds")
_MAIN_TABLES = ("table2", "table4")
# Column of the page → key of provenance.json, number of letters of a hash.
_HASHES = {"Code": "code", "Configuration": "configuration", "Data": "data"}
_NUMBERS = {
    "Steps": "steps",
    "Training (s)": "train_seconds",
    "Validation (s)": "validation_seconds",
    "Waiting for data (s)": "data_seconds",
    "Peak memory (MiB)": "peak_memory_mib",
}


def run_labels(paper: PaperConfig) -> dict[RunKey, str]:
    """Find the name that each run goes by.

    Args:
        paper: content of config/paper.yaml.

    Returns:
        Suite and run → label of its row in the main table, else in the first table that has it.
    """
    found: dict[RunKey, str] = {}
    for name in (*_MAIN_TABLES, *type(paper).model_fields):
        section = getattr(paper, name)
        if isinstance(section, TableConfig):
            for row in section.rows:
                found.setdefault((row.suite, row.run), row.label)
    return found


def read_runs(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Read what training recorded.

    Args:
        paths: one provenance.json per run and seed.

    Returns:
        The records, sorted by suite, run and seed; "configuration" is the hash of the run's settings.

    Raises:
        UserError: if a file is not JSON or lacks a key.
    """
    records = []
    for path in paths:
        record = read_json(path)
        if not isinstance(record, dict) or (lacking := [key for key in _WANTED if key not in record]):
            key = lacking[0] if isinstance(record, dict) else _WANTED[0]
            raise UserError(f"{path} has no key '{key}'; train this run again.")
        settings = record.get("settings")
        records.append(record | {"configuration": sha256_json(settings) if settings is not None else ""})
    return sorted(records, key=lambda item: (item["suite"], item["run"], item["seed"]))


def _amount(value: Any) -> Cell:
    number = number_of(str(value))
    if number is None:
        return text_cell("")
    decimals = int(number < 100 and number != round(number))
    return Cell(f"{number:,.{decimals}f}".replace(",", "\u202f"), number)


def runs_grid(records: Sequence[Mapping[str, Any]], labels: Mapping[RunKey, str]) -> Grid:
    """Lay out what training recorded.

    Args:
        records: result of `read_runs`.
        labels: suite and run → the name it goes by.

    Returns:
        One row per run and seed.
    """

    def texts(key: str, mark: str = "", length: int | None = None) -> list[Cell]:
        return [text_cell(str(record.get(key) or "")[:length], mark) for record in records]

    names = [labels.get((record["suite"], record["run"]), record["run"]) for record in records]
    suites = [SUITE_REPORTS[s].title if (s := record["suite"]) in SUITE_REPORTS else s for record in records]
    columns = [
        ("Method", [text_cell(name) for name in names]),
        ("Suite", [text_cell(suite) for suite in suites]),
        ("Run", texts("run", "code")),
        ("Seed", [Cell(str(record["seed"]), float(record["seed"])) for record in records]),
        *((label, [_amount(record.get(key)) for record in records]) for label, key in _NUMBERS.items()),
        ("Precision", texts("precision")),
        *((label, texts(key, "code", 12)) for label, key in _HASHES.items()),
        ("Finished", texts("finished", length=10)),
    ]
    return column_grid("Runs", columns)


def seeds_of(records: Sequence[Mapping[str, Any]]) -> list[int]:
    """List the seeds that runs were trained with.

    Args:
        records: result of `read_runs`.

    Returns:
        Seeds in rising order.
    """
    return sorted({int(record["seed"]) for record in records})


def versions_of(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the software that runs were trained with.

    Args:
        records: result of `read_runs`.

    Returns:
        One text per set of versions, with processor and threads.
    """
    found = set()
    for record in records:
        parts = [f"{name} {number}" for name, number in sorted(record.get("versions", {}).items())]
        machine = record.get("machine", {})
        if machine:
            parts.append(f"{machine.get('processor', '')}, {machine.get('threads', '?')} thread(s)")
        if parts:
            found.add(", ".join(parts))
    return sorted(found)


def _duration(seconds: float) -> Cell:
    """Write a time in the largest unit that it fills."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return Cell(f"{seconds / size:.1f} {unit}", seconds)
    return Cell(f"{seconds:.1f} s", seconds)


def jobs_grid(paths: Sequence[Path]) -> Grid:
    """Sum up time and memory of the workflow's jobs by rule.

    Args:
        paths: benchmark files, in a folder of the rule's name.

    Returns:
        One row per rule: jobs, wall and processor time, largest resident memory (MB).

    Raises:
        UserError: if a file is not a benchmark.
    """
    jobs: dict[str, list[dict[str, str]]] = {}
    for path in paths:
        frame = read_cells(path, "\t")
        if "s" not in frame.columns:
            raise UserError(f"{path} has no column 's'; delete it and run the job again.")
        jobs.setdefault(path.parent.name, []).extend(frame.astype(str).to_dict("records"))  # type: ignore[arg-type]

    def numbers(rule: str, key: str) -> list[float]:
        return [value for job in jobs[rule] if (value := number_of(job.get(key, ""))) is not None]

    def times(key: str, total: bool) -> list[Cell]:
        found = [numbers(rule, key) for rule in jobs]
        return [_duration(sum(n) if total else max(n)) if n else text_cell("") for n in found]

    memory = [numbers(rule, "max_rss") for rule in jobs]
    columns = [
        ("Rule", [text_cell(rule, "code") for rule in jobs]),
        ("Jobs", [Cell(str(len(jobs[rule])), float(len(jobs[rule]))) for rule in jobs]),
        ("Wall time, all jobs", times("s", total=True)),
        ("Longest job", times("s", total=False)),
        ("Processor time, all jobs", times("cpu_time", total=True)),
        ("Largest memory of a job (MB)", [_amount(max(n)) if n else text_cell("") for n in memory]),
    ]
    return column_grid("Jobs of the workflow", columns)
