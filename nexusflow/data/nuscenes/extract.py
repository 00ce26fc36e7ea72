"""Archives are read whole and hashed first, then extracted; nothing is written outside the root."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from nexusflow.core.download import refuse_html, require_space
from nexusflow.core.errors import UserError
from nexusflow.core.progress import track

__all__ = ["Listing", "extract_archive", "inspect_archive"]

Wanted = Callable[[str], bool]
_CHUNK = 1 << 20
_AGAIN = "delete it and fetch it again"


@dataclass(frozen=True)
class Listing:
    """What an archive is and what of it is wanted.

    Attributes:
        size: bytes of the archive.
        sha256: hash of the archive.
        md5: the hash that the field has for it.
        files: wanted files in it.
        extracted_bytes: their bytes when extracted.
    """

    size: int
    sha256: str
    md5: str
    files: int
    extracted_bytes: int


class _Hashing:
    """A stream that hashes what is read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.sha256 = stream, hashlib.sha256()
        self.md5 = hashlib.md5(usedforsecurity=False)

    def read(self, size: int = -1) -> bytes:
        chunk = self.stream.read(size)
        self.sha256.update(chunk)
        self.md5.update(chunk)
        return chunk


def _drain(stream: Any) -> None:
    """Read to the end."""
    while stream.read(_CHUNK):
        pass


def _unpacked(stream: Any, path: Path) -> Any:
    """The tar inside; unlike tarfile's own stream, gzip's checks the sum at the end."""
    with path.open("rb") as head:
        packed = head.read(2) == b"\x1f\x8b"
    return gzip.GzipFile(fileobj=stream) if packed else stream


def _place(name: str, folder: str, path: Path) -> PurePosixPath:
    """Where a member belongs below the root."""
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or "\\" in name or not place.parts:
        raise UserError(f"{path} holds {name!r}, which leads out of the data root; {_AGAIN}.")
    return place if not folder or place.parts[0] == folder else PurePosixPath(folder) / place


def _tar_members(tar: tarfile.TarFile, folder: str, path: Path, wanted: Wanted) -> Iterator[tarfile.TarInfo]:
    """Yield the wanted files of a tar archive, renamed to their place and stripped of what is not safe."""
    for member in tar:
        place = str(_place(member.name, folder, path))
        if member.isdir():
            continue
        # Links and devices are in no release of nuScenes.
        if not member.isfile():
            raise UserError(f"{path} holds {member.name!r}, which is no plain file; {_AGAIN}.")
        if wanted(place):
            yield tarfile.data_filter(member.replace(name=place, deep=False), ".")


def _zip_members(
    archive: zipfile.ZipFile, folder: str, path: Path, wanted: Wanted
) -> Iterator[tuple[zipfile.ZipInfo, str]]:
    """Yield the wanted files of a zip archive with their place."""
    for member in archive.infolist():
        place = str(_place(member.filename, folder, path))
        if not member.is_dir() and not member.filename.startswith("__MACOSX") and wanted(place):
            yield member, place


def _broken(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} is cut off or no archive ({error}); {_AGAIN}.")


_FAULTS = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)


def inspect_archive(path: Path, folder: str, wanted: Wanted) -> Listing:
    """Read an archive to its end, so that a damaged or dangerous one is refused before anything is written.

    Args:
        path: a .tgz or .zip file.
        folder: folder below the root that its members belong in, unless they name it themselves.
        wanted: tells of a place below the root whether the file is wanted.

    Returns:
        Its hashes and the size of what is wanted.

    Raises:
        UserError: if it is cut off, a web page, or holds names that lead out of the root.
    """
    refuse_html(path)
    files = size = 0
    try:
        with path.open("rb") as raw:
            stream = _Hashing(raw)
            if path.suffix == ".zip":
                _drain(stream)
                with zipfile.ZipFile(path) as archive:
                    for member, _ in _zip_members(archive, folder, path, wanted):
                        files, size = files + 1, size + member.file_size
            else:
                # As a stream: one pass reads, checks and hashes hundreds of gigabytes.
                unpacked = _unpacked(stream, path)
                with tarfile.open(fileobj=unpacked, mode="r|", bufsize=_CHUNK) as tar:
                    for info in track(_tar_members(tar, folder, path, wanted), f"reading {path.name}"):
                        files, size = files + 1, size + info.size
                _drain(unpacked)
                _drain(stream)
    except _FAULTS as error:
        raise _broken(path, error) from error
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror or error}.") from error
    return Listing(path.stat().st_size, stream.sha256.hexdigest(), stream.md5.hexdigest(), files, size)


def _copy(source: IO[bytes] | None, target: Path) -> None:
    assert source is not None, "a plain file has content"
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("wb") as out:
        shutil.copyfileobj(source, out, _CHUNK)


def _members(path: Path, folder: str, wanted: Wanted) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield place and opener of every wanted file."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for member, place in _zip_members(archive, folder, path, wanted):
                yield place, partial(archive.open, member)
        return
    with (
        path.open("rb") as raw,
        tarfile.open(fileobj=_unpacked(raw, path), mode="r|", bufsize=_CHUNK) as tar,
    ):
        for info in _tar_members(tar, folder, path, wanted):
            yield info.name, partial(tar.extractfile, info)


def extract_archive(path: Path, folder: str, wanted: Wanted, root: Path, listing: Listing) -> None:
    """Extract the wanted files of an archive that was inspected.

    Args:
        path: a .tgz or .zip file.
        folder: folder below the root that its members belong in, unless they name it themselves.
        wanted: tells of a place below the root whether the file is wanted.
        root: the data root.
        listing: what `inspect_archive` found.

    Raises:
        UserError: if the disk is too small, fills up, or the archive has changed.
    """
    require_space(root, listing.extracted_bytes, f"Extracting {path}")
    done = 0
    members = _members(path, folder, wanted)
    try:
        for place, opener in track(members, f"extracting {path.name}", total=listing.files):
            target = root / place
            if root.resolve() not in target.parent.resolve().parents and target.parent != root:
                raise UserError(f"{target} leads out of {root} by a link; remove the link.")
            _copy(opener(), target)
            done += 1
    except _FAULTS as error:
        raise _broken(path, error) from error
    except OSError as error:
        raise UserError(
            f"Cannot extract {path} to {root}: {error.strerror or error}; free some space and start again."
        ) from error
    if done != listing.files:
        raise UserError(f"{path} changed while it was read; start again.")
