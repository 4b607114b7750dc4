"""A small web server for one reader on this machine: files from memory, on 127.0.0.1 alone."""

from __future__ import annotations

import functools
import http.server
import mimetypes
import urllib.parse
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    Answers = Callable[[str], "Served"]

LOOPBACK = "127.0.0.1"
_PRIVATE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Served(NamedTuple):
    """What a path answers with: status, type, bytes, and headers beside those that every answer has."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answer GET and HEAD; a request that names another host comes from another site's page and is turned away."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def __init__(self, answer: Answers, *given: object) -> None:
        self._answer = answer
        super().__init__(*given)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Send what the path answers with."""
        self._send(with_body=True)

    def do_HEAD(self) -> None:
        """Send its headers alone."""
        self._send(with_body=False)

    def _send(self, *, with_body: bool) -> None:
        host = self.headers.get("Host", "").rpartition(":")[0]
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")
        served = (
            self._answer(path)
            if host in {LOOPBACK, "localhost"}
            else Served(HTTPStatus.MISDIRECTED_REQUEST, "text/plain; charset=utf-8", b"this server is for 127.0.0.1\n")
        )
        self.send_response(served.status)
        for name, value in {**_PRIVATE, "Content-Type": served.content_type, **dict(served.headers)}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(served.body)))
        self.end_headers()
        if with_body:
            self.wfile.write(served.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the reader is the one who asks."""


class LocalServer(http.server.ThreadingHTTPServer):
    """Serve what `answer` returns for a path without its first slash; port 0 takes any free one. OSError if taken."""

    daemon_threads = True

    def __init__(self, answer: Answers, port: int) -> None:
        super().__init__((LOOPBACK, port), functools.partial(_Handler, answer))

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self.server_address[1]}/"


def content_type(path: str) -> str:
    """Return the type that a file is served with, by its name."""
    kind = {".js": "text/javascript", ".svg": "image/svg+xml", ".xml": "application/xml", ".md": "text/plain"}
    suffix = path[path.rfind(".") :] if "." in path else ""
    found = kind.get(suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") or found.endswith(("json", "xml")) else found
