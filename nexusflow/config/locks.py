"""Locks that a killed Snakemake left behind: removed at the next start, and never those of a live one.

Snakemake's own locks are plain files, so that they outlive `kill -9` and a power cut. Beside them every
Snakemake process of this project holds a shared lock of the operating system, which ends with the process
whatever ends it. Whoever can have that lock alone knows that no other process is alive.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

__all__ = ["release_stale_locks", "stale_locks"]

_OWNERS = "owners.lock"
# Descriptors that stay open as long as this process lives.
_held: list[int] = []


def _open_owners(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(folder / _OWNERS, os.O_RDWR | os.O_CREAT, 0o644)


def _is_alone(descriptor: int) -> bool:
    """Try to take the owners' lock alone; False as well where the file system has no such locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock_files(folder: Path) -> list[Path]:
    return sorted((folder / "locks").glob("*.lock"))


def stale_locks(folder: Path = Path(".snakemake")) -> list[Path]:
    """List the locks of Snakemake that no live process owns.

    Args:
        folder: Snakemake's folder of the project.

    Returns:
        Lock files; none while another Snakemake of this project runs.
    """
    locks = _lock_files(folder)
    if not locks:
        return []
    descriptor = _open_owners(folder)
    try:
        return locks if _is_alone(descriptor) else []
    finally:
        os.close(descriptor)


def release_stale_locks(folder: Path = Path(".snakemake")) -> list[Path]:
    """Remove locks that no live process owns, and be an owner from now on; called once by the Snakefile.

    Args:
        folder: Snakemake's folder of the project.

    Returns:
        The lock files that were removed.
    """
    removed: list[Path] = []
    try:
        descriptor = _open_owners(folder)
    except OSError:
        # A folder that cannot be written cannot be locked either; Snakemake says so itself.
        return removed
    _held.append(descriptor)
    if _is_alone(descriptor):
        for path in _lock_files(folder):
            path.unlink(missing_ok=True)
            removed.append(path)
    # Some network file systems have no such locks: nothing is removed there, and nothing owned.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return removed
