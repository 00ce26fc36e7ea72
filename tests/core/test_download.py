"""Fetching over HTTP, from a local server: resumed, checked, recorded."""

import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nexusflow.core import download as module
from nexusflow.core.download import download, open_url
from nexusflow.core.errors import UserError
from tests.core.archive_server import ArchiveServer, serve

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    monkeypatch.setattr(module, "_PAUSE_S", 0.0)
    with serve() as running:
        running.files = {"/file": CONTENT, "/page": b"<!DOCTYPE html><html></html>"}
        yield running


@pytest.mark.parametrize("there", [0, 3000])
def test_a_file_arrives_whole(server: ArchiveServer, tmp_path: Path, there: int) -> None:
    if there:
        (tmp_path / "file.mat.part").write_bytes(CONTENT[:there])
    download(server.url + "/file", tmp_path / "file.mat")
    assert (tmp_path / "file.mat").read_bytes() == CONTENT
    recorded = (tmp_path / "file.mat.sha256").read_text().split()[0]
    assert recorded == hashlib.sha256(CONTENT).hexdigest()
    assert server.asked == [("/file", f"bytes={there}-" if there else None)]
    assert not (tmp_path / "file.mat.part").exists()


def test_a_server_without_ranges_sends_all_again(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_part", lambda handler, path, start: server._send(handler, 200, CONTENT))
    (tmp_path / "file.mat.part").write_bytes(b"x" * 3000)
    download(server.url + "/file", tmp_path / "file.mat")
    assert (tmp_path / "file.mat").read_bytes() == CONTENT


def test_a_line_that_breaks_is_taken_up_again(server: ArchiveServer, tmp_path: Path) -> None:
    server.cut_after["/file"] = 4000
    download(server.url + "/file", tmp_path / "file.mat")
    assert (tmp_path / "file.mat").read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=4000-", "bytes=8000-"]


def test_a_line_that_brings_nothing_keeps_what_came(server: ArchiveServer, tmp_path: Path) -> None:
    (tmp_path / "file.mat.part").write_bytes(CONTENT[:3000])
    server.cut_after["/file"] = 0
    with pytest.raises(UserError, match=r"goes on where this stopped|cannot be fetched"):
        download(server.url + "/file", tmp_path / "file.mat")
    assert (tmp_path / "file.mat.part").read_bytes() == CONTENT[:3000]
    server.cut_after.clear()
    download(server.url + "/file", tmp_path / "file.mat")
    assert (tmp_path / "file.mat").read_bytes() == CONTENT


def test_a_partial_file_that_is_all_of_it_is_taken(server: ArchiveServer, tmp_path: Path) -> None:
    (tmp_path / "file.mat.part").write_bytes(CONTENT)
    download(server.url + "/file", tmp_path / "file.mat")
    assert (tmp_path / "file.mat").read_bytes() == CONTENT and len(server.asked) == 1


def test_a_partial_file_that_is_too_long_is_begun_anew(server: ArchiveServer, tmp_path: Path) -> None:
    (tmp_path / "file.mat.part").write_bytes(CONTENT + b"more")
    download(server.url + "/file", tmp_path / "file.mat")
    assert (tmp_path / "file.mat").read_bytes() == CONTENT


def test_what_is_there_is_not_fetched_again(server: ArchiveServer, tmp_path: Path) -> None:
    (tmp_path / "file.mat").write_bytes(b"mine")
    download(server.url + "/file", tmp_path / "file.mat")
    assert (tmp_path / "file.mat").read_bytes() == b"mine" and not server.asked


@pytest.mark.parametrize(("path", "message"), [("/page", "web page"), ("/nothing", "404")])
def test_what_does_not_arrive_is_one_sentence(
    server: ArchiveServer, tmp_path: Path, path: str, message: str
) -> None:
    (tmp_path / "file.mat.part").write_bytes(CONTENT[:10])
    with pytest.raises(UserError, match=message) as caught:
        download(server.url + path + "?signature=secret", tmp_path / "file.mat")
    assert server.url in str(caught.value) and "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "file.mat").exists()


def test_a_full_disk_is_seen_before_anything_is_written(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(UserError, match="free some space"):
        download(server.url + "/file", tmp_path / "file.mat")
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_keeps_what_came(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def limited(self: Path, mode: str = "r", *arguments: Any, **more: Any) -> Any:
        stream = real(self, mode, *arguments, **more)
        if mode not in ("ab", "wb"):
            return stream

        class Full:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *arguments: object) -> None:
                stream.close()

            def write(self, chunk: bytes) -> None:
                stream.write(chunk[:5000])
                raise OSError(errno.ENOSPC, "No space left on device")

        return Full()

    monkeypatch.setattr(Path, "open", limited)
    with pytest.raises(UserError, match="No space left on device; free some space"):
        download(server.url + "/file", tmp_path / "file.mat")
    monkeypatch.setattr(Path, "open", real)
    assert (tmp_path / "file.mat.part").stat().st_size == 5000
    download(server.url + "/file", tmp_path / "file.mat")
    assert (tmp_path / "file.mat").read_bytes() == CONTENT
    assert server.asked[-1] == ("/file", "bytes=5000-")


def test_a_server_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="by hand"):
        download("http://127.0.0.1:9/file", tmp_path / "file.mat")


def test_a_token_goes_with_the_request(server: ArchiveServer) -> None:
    server.token = "abc"
    with open_url(f"{server.url}/api/file", headers={"Authorization": "Bearer abc"}) as answer:
        assert b"/file" in answer.read()
    assert server.headers[-1]["Authorization"] == "Bearer abc"
