"""A server with the shape of Hugging Face's hub: files of datasets by repository and revision, on loopback."""

from __future__ import annotations

import hashlib
import http.server
import threading
import urllib.parse
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = "c" * 40
"""The commit that every revision stands for."""


@dataclass
class Hub:
    """The files that the server has, by OWNER/REPO/FILE, and every path that it was asked for."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    token: str = ""
    """What opens every file; "" for files that are public."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point the real client here."""
        return {
            "HF_ENDPOINT": self.address,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
        }


@contextmanager
def hub() -> Iterator[Hub]:
    """Serve a hub that has no files yet."""
    state = Hub()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            path = urllib.parse.unquote(self.path)
            state.asked.append(path)
            parts = path.removeprefix("/datasets/").split("/")
            data = state.files.get("/".join([*parts[:2], *parts[4:]])) if parts[2:3] == ["resolve"] else None
            if state.token and self.headers["Authorization"] != f"Bearer {state.token}":
                data = None  # a private repository is one that is not there
            self.send_response(200 if data is not None else 404)
            self.send_header("Content-Length", str(len(data or b"")))
            if data is None:
                self.send_header("X-Error-Code", "EntryNotFound")
            else:
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.end_headers()
            if with_body and data:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        state.address = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
