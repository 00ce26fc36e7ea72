"""Shows a plan: a table for people, a CSV file for everything else."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from nexusflow.config.plan import PlannedData, PlannedRun
from nexusflow.core.files import write_text

__all__ = ["print_plan", "summary", "write_plan"]


def _number(value: float | None, digits: int = 1) -> str:
    if value is None:
        return "?"
    return f"{value:,.{digits}f}" if value >= 10**-digits else f"{value:.2g}"


def _total(hours: Iterable[float | None]) -> float:
    return sum(value for value in hours if value is not None)


def summary(runs: Sequence[PlannedRun], data: Sequence[PlannedData]) -> list[str]:
    """Sum a plan up.

    Args:
        runs: the trainings.
        data: the data sets.

    Returns:
        A few lines; what was not measured is counted, never guessed.
    """
    lines = []
    for device in ("gpu", "cpu"):
        known = [run for run in runs if run.device == device]
        if known:
            left = _total(run.hours for run in known if not run.done)
            lines.append(
                f"{_number(_total(run.hours for run in known))} {device.upper()}-hours of training in "
                f"{len(known)} runs, {_number(left)} of them still to come"
            )
    unknown = [run for run in runs if run.hours is None]
    if unknown:
        lines.append(f"{len(unknown)} further runs were never measured; their hours come on top")
    published = sum(run.basis.startswith("published") for run in runs)
    if published:
        lines.append(f"{published} runs are estimated from numbers that others published for their own code")
    if data:
        lines.append(f"{_number(sum(item.gib for item in data))} GiB of disk for data, checkpoints apart")
    return lines


def print_plan(runs: Sequence[PlannedRun], data: Sequence[PlannedData], title: str) -> None:
    """Print a plan to standard output.

    Args:
        runs: the trainings.
        data: the data sets.
        title: line above the table.
    """
    from rich.console import Console
    from rich.table import Table

    bases = list(dict.fromkeys(run.basis for run in runs))
    table = Table(title=title, title_justify="left")
    for name in ("suite", "run", "seed"):
        table.add_column(name, overflow="fold")
    for name in ("steps", "GPU h", "CPU h", "score h", "memory MiB", "disk MiB", "state", "basis"):
        table.add_column(name, justify="right")
    for run in runs:
        hours = {run.device: _number(run.hours)} if run.device else {"gpu": "?", "cpu": "?"}
        table.add_row(
            *(run.suite, run.run, str(run.seed), f"{run.steps:,}"),
            *(hours.get("gpu", ""), hours.get("cpu", ""), _number(run.scoring_hours, 2)),
            *(_number(run.memory_mib, 0), _number(run.disk_mib, 0)),
            *("done" if run.done else "to do", str(bases.index(run.basis) + 1)),
        )
    console = Console()
    console.print(table)
    lines = [f"{number}: {basis}" for number, basis in enumerate(bases, start=1)]
    lines += [f"{item.suite}, {item.what}: {_number(item.gib)} GiB ({item.basis})" for item in data]
    for line in [*lines, "", *summary(runs, data)]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def write_plan(runs: Sequence[PlannedRun], path: Path) -> None:
    """Write the trainings of a plan as CSV, one row each, unknown values empty.

    Args:
        runs: the trainings.
        path: destination file.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [field.name for field in fields(PlannedRun)], lineterminator="\n")
    writer.writeheader()
    for run in runs:
        row = asdict(run)
        writer.writerow({key: f"{v:.6g}" if isinstance(v, float) else v for key, v in row.items()})
    write_text(path, buffer.getvalue())
