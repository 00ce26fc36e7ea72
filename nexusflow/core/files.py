"""Atomic writes and content hashes: a reader never sees half a file, not even after a kill."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nexusflow.core.errors import UserError

__all__ = [
    "atomic_folder",
    "atomic_path",
    "read_json",
    "sha256_file",
    "sha256_json",
    "write_json",
    "write_text",
]


def _sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it only when the block succeeds.

    Args:
        path: the file to create or replace; missing parent folders are made.

    Yields:
        A path in the same folder, with the same suffix, to write to.

    Raises:
        UserError: if the folder cannot be written or the disk is full; `path` is then as it was.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise UserError(
            f"Cannot write {path}: {error.strerror or error}; free some space or choose another folder."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(root: Path) -> Iterator[Path]:
    """Yield a folder beside `root` that takes its place only when the block succeeds.

    Args:
        root: the folder to create or replace as a whole.

    Yields:
        An empty temporary folder to write to.

    Raises:
        UserError: if the folder cannot be written or the disk is full; `root` is then as it was.
    """
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    except OSError as error:
        raise UserError(f"Cannot write beside {root}: {error.strerror}; choose another folder.") from error
    try:
        temporary.chmod(0o755)
        yield temporary
        if root.exists():
            shutil.rmtree(root)
        temporary.rename(root)
    except OSError as error:
        raise UserError(
            f"Cannot write {root}: {error.strerror}; free some space or choose another folder."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically.

    Args:
        path: destination file.
        text: its whole content.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically with sorted keys, so that equal content gives equal bytes.

    Args:
        path: destination file.
        content: plain data; NaN and infinity are refused with a ValueError.
    """
    write_text(path, json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Args:
        path: the file.

    Returns:
        The decoded content.

    Raises:
        UserError: if the file is missing or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run the rule that makes it.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); delete it and make it again.") from error


def sha256_file(path: Path) -> str:
    """Hash a file's content.

    Args:
        path: the file.

    Returns:
        Hexadecimal SHA-256.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_json(content: Any) -> str:
    """Hash plain data by its canonical JSON form.

    Args:
        content: plain data without NaN.

    Returns:
        Hexadecimal SHA-256.
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
