"""A local HTTP server that hands out files with ranges, cuts lines, asks for a token, and shows web pages."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ArchiveServer:
    """What the server holds and how it behaves.

    Attributes:
        files: path → content.
        cut_after: path → bytes after which every answer breaks off.
        token: what `/api/NAME` asks for before it names the address of `/NAME`; None: anything goes.
        asked: path and range of every request, in order.
        headers: headers of every request.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut_after: dict[str, int] = {}
        self.token: str | None = None
        self.asked: list[tuple[str, str | None]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        path, wanted = handler.path.split("?")[0], handler.headers.get("Range")
        self.asked.append((path, wanted))
        self.headers.append(dict(handler.headers))
        if path.startswith("/api/"):
            if self.token is not None and handler.headers.get("Authorization") != f"Bearer {self.token}":
                handler.send_error(401)
                return
            name = path.removeprefix("/api")
            if name not in self.files:
                handler.send_error(404)
                return
            self._send(handler, 200, json.dumps({"url": f"{self.url}{name}?signature=secret"}).encode())
        elif path not in self.files:
            handler.send_error(404)
        elif wanted:
            self._part(handler, path, int(wanted.removeprefix("bytes=").rstrip("-")))
        else:
            self._send(handler, 200, self.files[path], path)

    def _part(self, handler: BaseHTTPRequestHandler, path: str, start: int) -> None:
        content = self.files[path]
        if start >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        self._send(handler, 206, content[start:], path, f"bytes {start}-{len(content) - 1}/{len(content)}")

    def _send(
        self, handler: BaseHTTPRequestHandler, status: int, body: bytes, path: str = "", place: str = ""
    ) -> None:
        handler.send_response(status)
        page = self.files.get(path, b"").startswith(b"<!DOCTYPE")
        handler.send_header("Content-Type", "text/html" if page else "application/octet-stream")
        handler.send_header("Content-Length", str(len(body)))
        if place:
            handler.send_header("Content-Range", place)
        handler.end_headers()
        handler.wfile.write(body[: self.cut_after.get(path)])


@contextmanager
def serve() -> Iterator[ArchiveServer]:
    """Run a server on this machine while the block runs."""
    server = ArchiveServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, *arguments: object) -> None:
            pass

    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{service.server_port}"
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        service.shutdown()
        service.server_close()
        thread.join()
