"""Fetches one file over HTTP: resumed where it stopped, checked for size and kind, its hash recorded."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_file, write_text
from nexusflow.core.progress import track

__all__ = ["download", "refuse_html"]

_CHUNK = 1 << 20
_TIMEOUT_S = 60
_SPARE_BYTES = 1 << 28


def refuse_html(path: Path) -> None:
    """Refuse a web page that stands in place of a data file.

    Args:
        path: the file.

    Raises:
        UserError: if it begins like HTML.
    """
    with path.open("rb") as stream:
        start = stream.read(512).lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        raise UserError(f"{path} is a web page, not data; delete it and fetch the file again.")


def _request(url: str, offset: int) -> urllib.request.Request:
    headers = {"User-Agent": "nexusflow"} | ({"Range": f"bytes={offset}-"} if offset else {})
    return urllib.request.Request(url, headers=headers)


def _receive(url: str, part: Path) -> None:
    """Append what is missing to the partial file, or start anew where the server cannot resume."""
    offset = part.stat().st_size if part.exists() else 0
    with urllib.request.urlopen(_request(url, offset), timeout=_TIMEOUT_S) as answer:
        resumed = answer.status == 206
        length = answer.headers.get("Content-Length")
        expected = None if length is None else int(length) + (offset if resumed else 0)
        missing = 0 if length is None else int(length)
        free = shutil.disk_usage(part.parent).free
        if free < missing + _SPARE_BYTES:
            raise UserError(
                f"{part.parent} has {free / 2**30:.1f} GiB free, but {url} needs "
                f"{missing / 2**30:.1f} GiB more; free some space."
            )
        with part.open("ab" if resumed else "wb") as stream:
            chunks = iter(lambda: answer.read(_CHUNK), b"")
            for chunk in track(chunks, f"fetching {part.stem}", total=missing // _CHUNK + 1):
                stream.write(chunk)
    size = part.stat().st_size
    if expected is not None and size != expected:
        raise UserError(
            f"{url}: {size} of {expected} bytes arrived; the same command goes on where this stopped."
        )


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
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        _receive(url, part)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # the partial file is complete already
            raise UserError(f"{url} cannot be fetched ({error}); place it at {path} by hand.") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise UserError(f"{url} cannot be fetched ({error}); place it at {path} by hand.") from error
    except OSError as error:
        raise UserError(f"Cannot write {part}: {error.strerror or error}; free some space.") from error
    try:
        refuse_html(part)
    except UserError:
        part.unlink()
        raise UserError(f"{url} sent a web page instead of data; place the file at {path} by hand.") from None
    part.replace(path)
    write_text(path.with_name(path.name + ".sha256"), f"{sha256_file(path)}  {path.name}\n")
