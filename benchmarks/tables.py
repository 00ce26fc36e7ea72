"""Tables of benchmarks: written as CSV, with the versions of what was compared."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nexusflow.core.files import write_text

__all__ = ["read_rows", "version_of", "write_rows"]


def version_of(library: str) -> str:
    """The installed version; 'source' where there is none."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "source"


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes rows of equal columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_rows(path: Path) -> list[dict[str, str]]:
    """Reads what `write_rows` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
