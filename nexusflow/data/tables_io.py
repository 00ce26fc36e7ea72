"""Tables beside their hashes, so that an edited table is refused."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pandas as pd

from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_file, write_text

__all__ = ["read_hashed_table", "write_hashed_table"]


def _sidecar(csv_path: Path) -> Path:
    """Path of the hash beside a table."""
    return csv_path.with_name(csv_path.name + ".sha256")


def write_hashed_table(table: pd.DataFrame, csv_path: Path) -> None:
    """Write a table and, beside it, its hash in the format of sha256sum (`{csv_path}.sha256`).

    Args:
        table: the table, without its index.
        csv_path: destination.
    """
    csv_path = Path(csv_path)
    text = table.to_csv(index=False, lineterminator="\n")
    digest = hashlib.sha256(text.encode()).hexdigest()
    write_text(csv_path, text)
    write_text(_sidecar(csv_path), f"{digest}  {csv_path.name}\n")


def read_hashed_table(csv_path: Path) -> pd.DataFrame:
    """Read a table and verify its hash.

    Args:
        csv_path: file of `write_hashed_table`.

    Returns:
        The table.

    Raises:
        UserError: if the file or its hash is missing, or the two disagree.
    """
    csv_path = Path(csv_path)
    sidecar = _sidecar(csv_path)
    for path in (csv_path, sidecar):
        if not path.is_file():
            raise UserError(f"{path} is missing; make the partition again.")
    expected = sidecar.read_text(encoding="utf-8").split(maxsplit=1)
    if not expected or expected[0] != sha256_file(csv_path):
        raise UserError(
            f"{csv_path} does not match its hash in {sidecar}; make the partition again, never edit it."
        )
    return pd.read_csv(io.StringIO(csv_path.read_text(encoding="utf-8")))
