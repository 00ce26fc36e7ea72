"""One process at a time trains a run: a job that outlived its Snakemake must not meet its successor."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from nexusflow.core.errors import UserError

__all__ = ["claimed"]

_OWNER = "owner.lock"


def _open(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / _OWNER, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(
            f"Cannot write to {folder}: {error.strerror}; correct its rights or choose another folder."
        ) from error


def _lock(descriptor: int) -> bool:
    """Take the lock, after waiting if need be; tells whether it was taken by another process before."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 20, 0).decode() or "another"
        print(f"waiting for process {owner}, which trains the same run", file=sys.stderr, flush=True)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    except OSError:
        pass  # Some network file systems have no such locks; the workflow's own must do there.
    return False


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether the file is still the one of that name: its owner removes it when the run is finished."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Be the only process that trains a run; the system ends the claim with the process, however it ends.

    Args:
        folder: working folder of the run; made if it is missing.

    Yields:
        Whether another process had to be waited for, which may have finished the run.

    Raises:
        UserError: if the folder cannot be written.
    """
    waited = False
    while True:
        descriptor = _open(folder)
        try:
            waited = _lock(descriptor) or waited
            if _is_current(descriptor, folder / _OWNER):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                yield waited
                return
        finally:
            os.close(descriptor)
