"""What every benchmark writes: a table with the versions, the threads and the load of the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tables import version_of, write_rows

__all__ = ["conditions", "load", "version_of", "write_table"]


def load() -> float:
    """Processes that ran or waited for a core over the last minute, this one included."""
    return round(os.getloadavg()[0], 2)


def conditions(libraries: Sequence[str], threads: int | None = None) -> str:
    """One line about the circumstances of a measurement: versions, cores, threads and load."""
    parts = [f"Python {platform.python_version()}", *(f"{name} {version_of(name)}" for name in libraries)]
    parts += [f"cores: {os.cpu_count()}", *([] if threads is None else [f"threads: {threads}"])]
    return ", ".join([*parts, f"load: {load()}"])


def write_table(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Print the rows in columns and write them as CSV."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    write_rows(path, [{name: row.get(name, "") for name in names} for row in rows])
