"""Brings the recorded nuScenes to the data root: linked, extracted from archives, or fetched with a token."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nexusflow.core.download import download, open_url
from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, sha256_file, write_json
from nexusflow.data.nuscenes.archives import COMMUNITY_MD5, Archive, archives_of, published_sums
from nexusflow.data.nuscenes.extract import Listing, extract_archive, inspect_archive
from nexusflow.data.nuscenes.source_config import NuScenesSourceConfig
from nexusflow.data.nuscenes.tables import TABLES
from nexusflow.data.nuscenes.vocabulary import LOCATIONS

__all__ = ["TOKEN_VARIABLE", "fetch_nuscenes"]

TOKEN_VARIABLE = "NUSCENES_TOKEN"
_RECORDS = ".archives"
_LINKED = ("samples", "maps", "can_bus", "sweeps")


def _wanted(sensors: str, place: str) -> bool:
    """Whether a file below the root is extracted."""
    if sensors == "all":
        return True
    return place.startswith("samples/CAM_") or not place.startswith(("samples/", "sweeps/"))


def _instructions(missing: Sequence[Archive], archives: Path, version: str) -> str:
    """One screen: what to get and where to put it."""
    width = max(len(archive.names[0]) for archive in missing)
    lines = [f"  {archive.names[0]:<{width}}  {archive.content}" for archive in missing]
    return "\n".join(
        [
            f"nuScenes {version} is not here; it needs a free account and its licence, so it cannot come by "
            "itself.",
            "Missing:",
            *lines,
            "Do one of these, then call the same command again:",
            f"  * put the archives from https://www.nuscenes.org/nuscenes#download into {archives.resolve()}",
            "    (for trainval the parts ending in _keyframes, _blobs or _blobs_camera all serve;",
            "    hashes from that page in a file MD5SUMS beside them are checked);",
            "  * name another folder: --archives DIR, or `world: { source: nuscenes, archives: DIR }` in the "
            "scale's file;",
            "  * name an extracted data set: `world: { source: nuscenes, root: DIR }` in the scale's file;",
            f"  * export {TOKEN_VARIABLE}=… : the token that your browser sends to the download page after "
            "you logged in.",
        ]
    )


def _fetch(config: NuScenesSourceConfig, name: str, token: str) -> None:
    """Fetch one archive: a short-lived address is asked for with the token, then read with resume."""
    place = Path(config.archives).expanduser() / name
    question = f"{config.api}/{name}?region={config.region}&project=nuScenes"
    try:
        with open_url(question, headers={"Authorization": f"Bearer {token}"}) as answer:
            url = json.loads(answer.read())["url"]
    except urllib.error.HTTPError as error:
        with error:
            why = (
                f"{TOKEN_VARIABLE} is refused, perhaps expired; log in again and copy a new one"
                if error.code in (401, 403)
                else f"the server says {error.code}; place it at {place} by hand"
            )
        raise UserError(f"{name} cannot be fetched: {why}.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{name} cannot be fetched: {config.api} gave no address ({error!r}); "
            f"place it at {place} by hand."
        ) from error
    download(url, place)


def _gather(config: NuScenesSourceConfig, version: str, root: Path) -> list[tuple[Archive, str]]:
    """Make sure that every archive is there or was extracted already; returns them with file names."""
    folder, token = Path(config.archives).expanduser(), os.environ.get(TOKEN_VARIABLE)
    known = archives_of(version, config.blobs)

    def present(archive: Archive) -> str | None:
        found = archive.found_in(folder)
        done = [name for name in archive.names if (root / _RECORDS / f"{name}.json").is_file()]
        return found.name if found else next(iter(done), None)

    absent = [archive for archive in known if present(archive) is None]
    if token:
        for archive in absent:
            try:
                _fetch(config, archive.names[0], token)
            except UserError as error:
                if archive.required:
                    raise
                print(f"warning: {error} It is left out.", file=sys.stderr)
    elif missing := [archive for archive in absent if archive.required]:
        raise UserError(_instructions(missing, folder, version))
    names = [(archive, present(archive)) for archive in known]
    return [(archive, name) for archive, name in names if name is not None]


def _judge(name: str, listing: Listing, sums: dict[str, tuple[str, str]], folder: Path) -> dict[str, Any]:
    """Compare an archive with what is known of it; only what the user vouches for can refuse it."""
    if name in sums:
        algorithm, expected = sums[name]
        if getattr(listing, algorithm) != expected:
            raise UserError(
                f"{folder / name} has {algorithm} {getattr(listing, algorithm)}, but the list beside it says "
                f"{expected}; delete the archive and fetch it again."
            )
        return {"published_hash": "agrees"}
    community = COMMUNITY_MD5.get(name)
    if community is None:
        return {"published_hash": "unknown"}
    agrees = community == listing.md5
    if not agrees:
        print(
            f"warning: {folder / name} has md5 {listing.md5}, not {community}, which a community of users "
            "reports; compare it with the download page's.",
            file=sys.stderr,
        )
    return {"published_hash": "unknown", "community_md5": "agrees" if agrees else "differs"}


def _extract(
    config: NuScenesSourceConfig, archive: Archive, name: str, root: Path, sums: dict[str, tuple[str, str]]
) -> dict[str, Any]:
    """Extract one archive unless its record says that this was done; returns the record."""
    folder = Path(config.archives).expanduser()
    path, record_path = folder / name, root / _RECORDS / f"{name}.json"
    if record_path.is_file():
        record: dict[str, Any] = read_json(record_path)
        unchanged = not path.is_file() or path.stat().st_size == record["bytes"]
        if unchanged and config.sensors in (record["sensors"], "cameras"):
            return record

    def wanted(place: str) -> bool:
        return _wanted(config.sensors, place)

    listing = inspect_archive(path, archive.folder, wanted)
    record = {
        "bytes": listing.size,
        "sha256": listing.sha256,
        "md5": listing.md5,
        **_judge(name, listing, sums, folder),
        "sensors": config.sensors,
        "files": listing.files,
        "extracted_bytes": listing.extracted_bytes,
    }
    record_path.unlink(missing_ok=True)
    extract_archive(path, archive.folder, wanted, root, listing)
    write_json(record_path, record)
    return record


def _check(root: Path, version: str) -> dict[str, dict[str, Any]]:
    """Make sure that tables and vector maps are there; returns size and hash of each."""
    places = [f"{version}/{table}.json" for table in TABLES]
    places += [f"maps/expansion/{location}.json" for location in LOCATIONS]
    for place in places:
        if not (root / place).is_file():
            raise UserError(
                f"{root / place} is missing; the archives or the folder hold another release than {version}, "
                "or no map expansion."
            )
    return {p: {"bytes": (root / p).stat().st_size, "sha256": sha256_file(root / p)} for p in places}


def _link(source: Path, version: str, root: Path) -> None:
    """Make an extracted data set appear below the data root."""
    if not (source / version).is_dir():
        raise UserError(f"{source / version} is missing; name the folder that holds {version}/ and samples/.")
    root.mkdir(parents=True, exist_ok=True)
    for name in (version, *_LINKED):
        target = root / name
        if target.exists() and not target.is_symlink():
            raise UserError(f"{target} exists and is no link; move it away, so that {source} can be used.")
        if (source / name).is_dir():
            target.unlink(missing_ok=True)
            target.symlink_to((source / name).resolve(), target_is_directory=True)


def fetch_nuscenes(config: NuScenesSourceConfig, version: str, root: Path) -> None:
    """Put the recorded data set and manifest.json under the data root; what is done is not done again.

    Args:
        config: where the data set comes from.
        version: v1.0-mini or v1.0-trainval.
        root: data root.

    Raises:
        UserError: if anything is missing (then with one screen of what to get and where to put it), damaged,
            or does not fit on the disk.
    """
    manifest: dict[str, Any] = {"source": "nuScenes, recorded", "version": version}
    if config.root is not None:
        _link(Path(config.root).expanduser(), version, root)
    else:
        chosen = _gather(config, version, root)
        sums = published_sums(Path(config.archives).expanduser())
        root.mkdir(parents=True, exist_ok=True)
        manifest["archives"] = {name: _extract(config, archive, name, root, sums) for archive, name in chosen}
    write_json(root / "manifest.json", {**manifest, "files": _check(root, version)})
