"""A rendered site on this machine, with the headers that its `_headers` has, for tests that open it."""

from __future__ import annotations

import functools
import http.server
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from publisher.host.rules.matching import headers_for
from publisher.host.rules.routing import parse_headers

if TYPE_CHECKING:
    from collections.abc import Iterator


class Host(http.server.SimpleHTTPRequestHandler):
    """Serve a folder with the headers that its `_headers` has for each path."""

    def end_headers(self) -> None:
        """Add the headers of every rule of `_headers` that fits."""
        rules, _ = parse_headers((Path(self.directory) / "_headers").read_text())
        for name, value in headers_for(tuple(rules), self.path.partition("?")[0]).items():
            self.send_header(name, value.removesuffix("; upgrade-insecure-requests"))
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    """A server that a browser's many connections at once do not overflow on a busy machine."""

    request_queue_size = 128


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a rendered site on this machine and yield its address."""
    with _Server(("127.0.0.1", 0), functools.partial(Host, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()
