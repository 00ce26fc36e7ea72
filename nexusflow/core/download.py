"""Fetches one file over HTTP: resumed where it stopped, checked for size and kind, its hash recorded."""

from __future__ import annotations

import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_file, write_text
from nexusflow.core.progress import track

__all__ = ["SPARE_BYTES", "download", "open_url", "refuse_html", "require_space"]

# Left free on a disk whatever is written to it.
SPARE_BYTES = 1 << 28
_CHUNK = 1 << 20
_TIMEOUT_S = 60
_PAUSE_S = 1.0


class _BrokenOff(UserError):
    """The line broke; what has come is kept."""


def refuse_html(path: Path) -> None:
    """Refuse a web page that stands in place of a data file.

    Args:
        path: the file.

    Raises:
        UserError: if it begins like HTML.
    """
    with path.open("rb") as stream:
        start = stream.read(512).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")):
        raise UserError(f"{path} is a web page, not data; delete it and fetch the file again.")


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Refuse to begin what the disk cannot hold.

    Args:
        folder: an existing folder on the disk.
        needed: bytes that will be written.
        purpose: what needs them, the start of the sentence that is shown.

    Raises:
        UserError: if less is free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise UserError(
            f"{purpose} needs {needed / 2**30:.1f} GiB more, but {folder} has {free / 2**30:.1f} GiB free; "
            "free some space."
        )


def open_url(url: str, offset: int = 0, headers: Mapping[str, str] | None = None) -> Any:
    """Ask for a file.

    Args:
        url: where it lies.
        offset: first byte wanted.
        headers: further headers; not sent on to where a redirection leads, for they may hold a token.

    Returns:
        The answer, a stream and a context manager.

    Raises:
        OSError: if the server cannot be reached or refuses.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "nexusflow"})
    if offset:
        request.add_header("Range", f"bytes={offset}-")
    for name, value in (headers or {}).items():
        request.add_unredirected_header(name, value)
    return urllib.request.urlopen(request, timeout=_TIMEOUT_S)


def _shown(url: str) -> str:
    """The address without its query, which may hold a signature."""
    return url.split("?", 1)[0]


def _chunks(answer: Any, url: str) -> Iterator[bytes]:
    """Yield what comes; a broken line keeps what has come."""
    try:
        while chunk := answer.read(_CHUNK):
            yield chunk
    except (HTTPException, OSError) as error:
        raise _BrokenOff(
            f"{url} broke off ({error}); the same command goes on where this stopped."
        ) from error


def _receive(answer: Any, url: str, part: Path, offset: int) -> None:
    """Append what is missing to the partial file, or start anew where the server cannot resume."""
    # Before the partial file is touched: a login page must not replace what has come so far.
    if answer.headers.get_content_type() == "text/html":
        raise UserError(
            f"{url} sent a web page instead of data; place the file at {part.with_suffix('')} by hand."
        )
    resumed = answer.status == 206
    place = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or f"bytes {offset}-")
    if resumed and (place is None or int(place[1]) != offset):
        raise UserError(f"{url} sent another part than asked for; delete {part} and start again.")
    length = answer.headers.get("Content-Length")
    missing = int(length or 0)
    require_space(part.parent, missing, url)
    try:
        with part.open("ab" if resumed else "wb") as stream:
            for chunk in track(_chunks(answer, url), f"fetching {part.stem}", total=missing // _CHUNK + 1):
                stream.write(chunk)
    except OSError as error:
        raise UserError(f"Cannot write {part}: {error.strerror or error}; free some space.") from error
    expected = missing + (offset if resumed else 0)
    size = part.stat().st_size
    if length is not None and size != expected:
        raise _BrokenOff(
            f"{url}: {size} of {expected} bytes arrived; the same command goes on where this stopped."
        )


def _complete(url: str, part: Path, path: Path) -> None:
    """Fetch what the partial file lacks; one that is longer than the file, or not of it, is begun anew.

    A line that breaks is taken up again as long as every attempt brings something.
    """
    shown = _shown(url)
    while True:
        offset = part.stat().st_size if part.exists() else 0
        try:
            with open_url(url, offset) as answer:
                _receive(answer, shown, part, offset)
            return
        except _BrokenOff:
            if part.stat().st_size <= offset:
                raise
            time.sleep(_PAUSE_S)
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 416 or not offset:
                    raise UserError(
                        f"{shown} cannot be fetched ({error}); place it at {path} by hand."
                    ) from error
                if error.headers.get("Content-Range") == f"bytes */{offset}":
                    return  # all of it is there already
            part.unlink()
        except (HTTPException, OSError, ValueError) as error:
            raise UserError(f"{shown} cannot be fetched ({error}); place it at {path} by hand.") from error


def download(url: str, path: Path) -> None:
    """Fetch a file once; what is there already is left alone, what is half there is completed.

    Args:
        url: where the file lies.
        path: destination; beside it `{path}.sha256` records the hash of what came.

    Raises:
        UserError: if the file cannot be had, saying where to place it by hand.
    """
    path = Path(path)
    if path.exists():
        return
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot write {path.parent}: {error.strerror}; choose another folder.") from error
    _complete(url, part, path)
    try:
        refuse_html(part)
    except UserError:
        part.unlink()
        raise UserError(
            f"{_shown(url)} sent a web page instead of data; place the file at {path} by hand."
        ) from None
    part.replace(path)
    write_text(path.with_name(path.name + ".sha256"), f"{sha256_file(path)}  {path.name}\n")
