"""What stands between readers and a host on the web: a server that packs text with gzip, as Netlify's does."""

from __future__ import annotations

import gzip
import http.server
import threading
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWN = {"content-length", "content-encoding", "transfer-encoding", "connection", "date", "server"}
"""Headers that this server writes itself."""
_TEXT = ("text/", "application/json", "image/svg", "application/xml", "application/javascript")


def given_port(address: str) -> int:
    """Return the port of an address."""
    return urlsplit(address).port or 80


@contextmanager
def packed(port: int) -> Iterator[int]:
    """Serve what the host on `port` serves, text packed, and yield the port to ask."""

    class Front(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Ask the host for the same name's page and pass it on."""
            name = self.headers.get("Host", "").partition(":")[0]
            asked = {"Host": f"{name}:{port}", "Accept-Encoding": "identity"}
            there = f"http://127.0.0.1:{port}{self.path}"
            answer = requests.get(there, headers=asked, timeout=60, allow_redirects=False)
            body = answer.content
            self.send_response(HTTPStatus(answer.status_code))
            for key, value in answer.headers.items():
                if key.lower() not in _OWN:
                    self.send_header(key, value)
            if answer.headers.get("Content-Type", "").startswith(_TEXT):
                body = gzip.compress(body, 6)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()
