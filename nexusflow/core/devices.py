"""Which GPU a job may use: jobs on one machine take turns at the devices, each alone on its own."""

from __future__ import annotations

import fcntl
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from nexusflow.core.errors import UserError

__all__ = ["DEVICES_VARIABLE", "claim_devices", "listed_devices"]

DEVICES_VARIABLE = "NEXUSFLOW_DEVICES"
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_POLL_S = 1.0

# Open lock files of this process; the system frees them when it ends, however it ends.
_held: list[IO[str]] = []


def listed_devices(environment: Mapping[str, str], nodes: Path = Path("/dev")) -> list[str]:
    """List the devices that jobs of this machine share.

    Args:
        environment: the process's environment; `NEXUSFLOW_DEVICES` (e.g. "0,1,2,3") comes before
            `CUDA_VISIBLE_DEVICES`, and that before the machine's device files.
        nodes: folder of the device files.

    Returns:
        Their names as CUDA_VISIBLE_DEVICES takes them.
    """
    for name in (DEVICES_VARIABLE, _VISIBLE):
        if name in environment:
            named = [part.strip() for part in environment[name].split(",")]
            return [part for part in named if part and part != "-1"]
    numbers = (re.fullmatch(r"nvidia(\d+)", path.name) for path in nodes.glob("nvidia*"))
    return sorted((match[1] for match in numbers if match), key=int)


def _folder() -> Path:
    """Folder of the lock files, one for every user of the machine."""
    folder = Path(tempfile.gettempdir()) / f"nexusflow-devices-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make {folder}: {error.strerror}; set TMPDIR to another folder.") from error
    return folder


def _lock(device: str) -> IO[str] | None:
    """The lock of a device, or None where another job has it."""
    stream = (_folder() / f"{re.sub(r'[^A-Za-z0-9-]', '_', device)}.lock").open("w")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return None
    return stream


def _claim(devices: list[str], count: int) -> list[str]:
    """Lock so many free devices, or none if there are fewer."""
    locks: dict[str, IO[str]] = {}
    for device in devices:
        stream = _lock(device) if len(locks) < count else None
        if stream is not None:
            locks[device] = stream
    if len(locks) < count:
        # Two jobs that each held half of what they need would wait for ever.
        for stream in locks.values():
            stream.close()
        return []
    _held.extend(locks.values())
    return list(locks)


def claim_devices(count: int = 1) -> list[str]:
    """Take devices that no other job has, wait for them if need be, and keep them until this process ends.

    Must be called before CUDA is touched. Nothing is done where there is none, nor where one is wanted and
    is there: a cluster has handed the job its own, or there is nothing to share.

    Args:
        count: how many devices are wanted.

    Returns:
        The devices, which are then the only visible ones; none where nothing was done.

    Raises:
        UserError: if lock files cannot be made, or there are fewer devices.
    """
    devices = listed_devices(os.environ)
    if not devices or (len(devices) < 2 and count == 1 and DEVICES_VARIABLE not in os.environ):
        return []
    if len(devices) < count:
        raise UserError(f"training.devices is {count}, but this machine offers {', '.join(devices)} only.")
    start, told = time.monotonic(), False
    while True:
        claimed = _claim(devices, count)
        if claimed:
            os.environ[_VISIBLE] = ",".join(claimed)
            # What this process starts shares its devices.
            os.environ.pop(DEVICES_VARIABLE, None)
            return claimed
        if not told and time.monotonic() - start > 10 * _POLL_S:
            told = True
            print(f"waiting for a free device of {', '.join(devices)}", file=sys.stderr, flush=True)
        time.sleep(_POLL_S)
