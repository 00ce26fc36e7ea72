"""Hashes of results without what is measured anew in every run: seconds and memory."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

from nexusflow.core.files import sha256_file

__all__ = ["fingerprint"]

# Columns that hold it, or a hash of files that do; claims about it.
MEASURED_COLUMNS = {"train seconds", "peak memory MiB", "inputs sha256"}
MEASURED_CLAIMS = ("Training time", "GPU memory")


def fingerprint(path: Path) -> str:
    """Hash a file, a table without what was measured."""
    if path.suffix != ".csv":
        return sha256_file(path)
    with path.open(newline="") as file:
        rows = [
            [value for name, value in row.items() if name not in MEASURED_COLUMNS]
            for row in csv.DictReader(file)
            if not any(claim in value for value in row.values() for claim in MEASURED_CLAIMS)
        ]
    return hashlib.sha256(repr(rows).encode()).hexdigest()
