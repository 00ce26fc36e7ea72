"""Files behind a figure: `X.npz` with arrays, `X.json` with names, caption and their hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from nexusflow.core.errors import UserError
from nexusflow.core.files import atomic_path, read_json, sha256_file, write_json

__all__ = ["check_array", "read_archive", "read_entries", "write_archive"]


def check_array(condition: bool, path: Path, key: str, wanted: str) -> None:
    """Refuse an array that does not fit.

    Args:
        condition: whether it fits.
        path: the .npz file.
        key: name of the array in it.
        wanted: how the array must be, after "must be".

    Raises:
        UserError: if it does not.
    """
    if not condition:
        raise UserError(f"{path}: array '{key}' must be {wanted}; make it again.")


def write_archive(npz_path: Path, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
    """Write arrays and what belongs to them.

    Args:
        npz_path: destination of the arrays; the JSON gets the same stem.
        arrays: name → array.
        meta: plain data; the hash of the arrays is added to it.
    """
    with atomic_path(npz_path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    write_json(npz_path.with_suffix(".json"), {**meta, "npz_sha256": sha256_file(npz_path)})


def _read_arrays(npz_path: Path) -> dict[str, NDArray[Any]]:
    try:
        with npz_path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except FileNotFoundError as error:
        raise UserError(f"{npz_path} is missing; run the rule that makes it.") from error
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise UserError(f"{npz_path} is not a readable .npz file ({error}); make it again.") from error


def read_archive(
    npz_path: Path, number: int, keys: Sequence[str]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `write_archive` wrote.

    Args:
        npz_path: the arrays; the JSON lies beside them.
        number: value that the JSON's key "format" must have.
        keys: further keys that the JSON must have.

    Returns:
        Content of the JSON, and the arrays.

    Raises:
        UserError: naming file and key if something is missing or the two files do not belong together.
    """
    json_path = npz_path.with_suffix(".json")
    meta, arrays = read_json(json_path), _read_arrays(npz_path)
    for key in ("format", *keys, "npz_sha256"):
        if not isinstance(meta, dict) or key not in meta:
            raise UserError(f"{json_path} has no key '{key}'; make it again.")
    if meta["format"] != number:
        raise UserError(f"{json_path}: key 'format' is {meta['format']}, not {number}; make it again.")
    if meta["npz_sha256"] != sha256_file(npz_path):
        raise UserError(f"{json_path}: key 'npz_sha256' does not fit {npz_path.name}; make it again.")
    return meta, arrays


def read_entries(
    arrays: Mapping[str, NDArray[Any]], names: Sequence[str], npz_path: Path
) -> list[NDArray[Any]]:
    """Take arrays by name.

    Args:
        arrays: all arrays of the file.
        names: the wanted ones.
        npz_path: the file, for the error.

    Returns:
        The arrays in the order of `names`.

    Raises:
        UserError: naming the first that is missing.
    """
    for name in names:
        if name not in arrays:
            raise UserError(f"{npz_path} has no array '{name}'; make it again.")
    return [arrays[name] for name in names]
