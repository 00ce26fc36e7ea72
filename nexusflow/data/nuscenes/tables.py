"""Opening the tables of a nuScenes-format root, with one clear sentence for every way they can be broken."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

__all__ = ["TABLES", "get_record", "numbers", "open_tables", "table_error", "table_path"]

# Table → keys the reader or the devkit needs; a key ending in "_token" refers to the table of that name.
TABLES: Mapping[str, tuple[str, ...]] = {
    "category": ("name",),
    "attribute": (),
    "visibility": (),
    "instance": ("category_token",),
    "sensor": ("channel", "modality"),
    "calibrated_sensor": ("sensor_token", "translation", "rotation", "camera_intrinsic"),
    "ego_pose": ("translation", "rotation"),
    "log": ("location",),
    "scene": ("name", "log_token"),
    "sample": ("scene_token", "timestamp"),
    "sample_data": (
        "sample_token",
        "ego_pose_token",
        "calibrated_sensor_token",
        "is_key_frame",
        "filename",
        "width",
        "height",
    ),
    "sample_annotation": (
        *("sample_token", "instance_token", "translation", "size", "rotation"),
        *("num_lidar_pts", "num_radar_pts", "prev", "next"),
    ),
    "map": ("filename", "log_tokens"),
}
# Keys that hold text, beside tokens.
_TEXTS = {"token", "name", "channel", "modality", "location", "filename", "prev", "next"}
_REPAIR = "extract the metadata archive again"


def open_tables(data_root: Path, version: str) -> NuScenes:
    """Load the 13 tables with the official devkit.

    Args:
        data_root: folder that holds `{version}/`, `samples/` and `maps/`.
        version: name of the folder of tables, e.g. "v1.0-trainval" or "v1.0-mini".

    Returns:
        The devkit's database.

    Raises:
        UserError: if a table is missing, no JSON, or refers to a record that does not exist.
    """
    folder = Path(data_root) / version
    if not folder.is_dir():
        raise UserError(
            f"{folder} is missing; point the data root and version at a folder in the nuScenes format."
        )
    for table in TABLES:
        if not (folder / f"{table}.json").is_file():
            raise UserError(f"{folder / table}.json is missing; {_REPAIR}.")
    from nuscenes.nuscenes import NuScenes  # slow to import (plotting libraries)

    try:
        nusc = NuScenes(version=version, dataroot=str(data_root), verbose=False)
    except Exception as error:
        _find_fault(Path(data_root), folder)
        raise UserError(f"The devkit cannot read the tables in {folder} ({error!r}); {_REPAIR}.") from error
    for table in TABLES:
        _check_keys(getattr(nusc, table), table, folder)
    return nusc


def table_path(nusc: NuScenes, table: str) -> str:
    """Return the path of a table, for messages."""
    return str(Path(nusc.dataroot) / nusc.version / f"{table}.json")


def table_error(nusc: NuScenes, table: str, complaint: str) -> UserError:
    """Word an error about a table's content.

    Args:
        nusc: the database.
        table: table at fault.
        complaint: key, token and what is wrong, without a full stop.

    Returns:
        The error, to be raised.
    """
    return UserError(f"{table_path(nusc, table)}: {complaint}; {_REPAIR}.")


def get_record(nusc: NuScenes, table: str, token: str, source: str) -> dict[str, Any]:
    """Look a record up.

    Args:
        nusc: the database.
        table: table to look in.
        token: token of the record.
        source: what refers to it, for the message.

    Returns:
        The record.

    Raises:
        UserError: if the token is not there.
    """
    try:
        return nusc.get(table, token)
    except (KeyError, TypeError):
        raise table_error(nusc, table, f"token {token!r}, referred to by {source}, is missing") from None


def numbers(
    nusc: NuScenes,
    table: str,
    record: Mapping[str, Any],
    key: str,
    shape: tuple[int, ...],
    unit: bool = False,
) -> np.ndarray:
    """Read a numeric field of a record and check it.

    Args:
        nusc: the database, for messages.
        table: table of the record.
        record: the record.
        key: field to read.
        shape: expected shape.
        unit: whether the values must form a unit quaternion (within one percent).

    Returns:
        float64 array of the given shape, all finite.

    Raises:
        UserError: if the field is missing, misshapen, not finite, or no unit quaternion.
    """
    try:
        values = np.asarray(record[key], dtype=np.float64)
        fine = values.shape == shape and bool(np.isfinite(values).all())
    except (KeyError, TypeError, ValueError):
        fine = False
    if fine and unit:
        fine = abs(float(np.linalg.norm(values)) - 1.0) < 0.01
    if not fine:
        wanted = "a unit quaternion" if unit else f"{'x'.join(map(str, shape))} finite numbers"
        complaint = f"{key} of token {record.get('token')!r} is {record.get(key)!r}, not {wanted}"
        raise table_error(nusc, table, complaint)
    return values


def _check_keys(records: list[dict[str, Any]], table: str, folder: Path) -> None:
    """Refuse records that lack a key, or hold anything but text where text belongs."""
    wanted = {"token", *TABLES[table]}
    texts = sorted(key for key in wanted if key in _TEXTS or key.endswith("_token"))
    for record in records:
        for key in wanted if not wanted <= record.keys() else ():
            if key not in record:
                raise UserError(
                    f"{folder / table}.json: token {record.get('token')!r} has no key {key!r}; {_REPAIR}."
                )
        for key in texts:
            if not isinstance(record[key], str):
                raise UserError(
                    f"{folder / table}.json: {key} of token {record['token']!r} is {record[key]!r}, "
                    f"not text; {_REPAIR}."
                )


def _find_fault(data_root: Path, folder: Path) -> None:
    """Raise the UserError that explains why the devkit failed; return if nothing wrong is found."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for table in TABLES:
        content = read_json(folder / f"{table}.json")
        if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
            raise UserError(f"{folder / table}.json is no list of records; {_REPAIR}.")
        _check_keys(content, table, folder)
        tables[table] = content
    tokens = {table: {record["token"] for record in records} for table, records in tables.items()}
    for table, records in tables.items():
        for key in (key for key in TABLES[table] if key.endswith("_token")):
            known = tokens[key.removesuffix("_token")]
            for record in records:
                if record[key] not in known:
                    raise UserError(
                        f"{folder / table}.json: {key} {record[key]!r} of token {record['token']!r} "
                        f"refers to no record of {key.removesuffix('_token')}.json; {_REPAIR}."
                    )
    for record in tables["map"]:
        if not isinstance(record["log_tokens"], list):
            raise UserError(
                f"{folder / 'map.json'}: log_tokens of token {record['token']!r} are no list; {_REPAIR}."
            )
    mapped = {str(token) for record in tables["map"] for token in record["log_tokens"]}
    for record in tables["log"]:
        if record["token"] not in mapped:
            raise UserError(f"{folder / 'map.json'}: no log_tokens hold log {record['token']!r}; {_REPAIR}.")
    for record in tables["map"]:
        if not (data_root / record["filename"]).exists():
            raise UserError(
                f"{data_root / record['filename']}, named by {folder / 'map.json'}, is missing; "
                "extract the maps archive."
            )
