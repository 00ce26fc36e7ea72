"""Fetching over HTTP, from a local server: resumed, checked, recorded."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2 import download as module
from nexusflow.data.nyuv2.config import NYUv2SourceConfig
from nexusflow.data.nyuv2.download import download
from nexusflow.data.nyuv2.source import fetch_nyuv2
from tests.data.nyuv2.conftest import READER

CONTENT = bytes(range(256)) * 40


class Handler(BaseHTTPRequestHandler):
    asked: list[str | None] = []  # noqa: RUF012

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        if self.path == "/page":
            self.reply(200, b"<!DOCTYPE html><html></html>")
        elif self.path == "/nothing":
            self.send_error(404)
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:1000])
        elif wanted and self.path == "/resumable":
            self.reply(206, CONTENT[int(wanted.removeprefix("bytes=").rstrip("-")) :])
        else:
            self.reply(200, CONTENT)

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked = []
    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{service.server_port}"
    service.shutdown()
    service.server_close()
    thread.join()


@pytest.mark.parametrize("path", ["/resumable", "/plain"])
@pytest.mark.parametrize("there", [0, 3000])
def test_a_file_arrives_whole(server: str, tmp_path: Path, path: str, there: int) -> None:
    if there:
        (tmp_path / "file.mat.part").write_bytes(CONTENT[:there])
    download(server + path, tmp_path / "file.mat")
    assert (tmp_path / "file.mat").read_bytes() == CONTENT
    recorded = (tmp_path / "file.mat.sha256").read_text().split()[0]
    assert recorded == hashlib.sha256(CONTENT).hexdigest()
    assert Handler.asked == [f"bytes={there}-" if there else None]
    assert not (tmp_path / "file.mat.part").exists()


def test_what_is_there_is_not_fetched_again(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.mat").write_bytes(b"mine")
    download(server + "/plain", tmp_path / "file.mat")
    assert (tmp_path / "file.mat").read_bytes() == b"mine" and not Handler.asked


@pytest.mark.parametrize(
    ("path", "message"),
    [("/page", "web page"), ("/nothing", "404"), ("/short", "1000 of 10240 bytes|cannot be fetched")],
)
def test_what_does_not_arrive_is_one_sentence(server: str, tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        download(server + path, tmp_path / "file.mat")
    assert server in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "file.mat").exists()


def test_a_full_disk_is_seen_before_anything_is_written(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(UserError, match="free some space"):
        download(server + "/plain", tmp_path / "file.mat")
    assert not (tmp_path / "file.mat").exists()


def test_a_server_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="by hand"):
        download("http://127.0.0.1:9/file", tmp_path / "file.mat")


def test_a_preprocessed_folder_is_linked(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "data"
    fetch_nyuv2(NYUv2SourceConfig(preprocessed=str(root)), READER, target)
    assert (target / "train/image/0.npy").read_bytes() == (root / "train/image/0.npy").read_bytes()
    assert '"train": 7' in (target / "manifest.json").read_text()


def test_a_wrong_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="train/image is missing"):
        fetch_nyuv2(NYUv2SourceConfig(preprocessed=str(tmp_path / "none")), READER, tmp_path / "data")
