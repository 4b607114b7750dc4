"""A site on loopback whose files, and whose pace, a test chooses."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from publisher.files import sha256_hex

RECORD = "a" * 64


@dataclass
class Pages:
    """A site: its files, and the paths whose bodies come a byte at a time."""

    files: dict[str, bytes] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    url: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """The SHA-256 of the manifest."""
        return sha256_hex(self.files["manifest.json"])

    def list(self, **more: object) -> None:
        """Write the manifest of the files that are there."""
        identity = {"schema": 1, "run_id": "r", "branch": "b", "snapshot": "s", "commit": "c", "record_sha256": RECORD}
        self.files.setdefault("snapshot.json", json.dumps(identity).encode())
        listed = {
            name: {"sha256": sha256_hex(data), "size": len(data)}
            for name, data in self.files.items()
            if name != "manifest.json"
        }
        self.files["manifest.json"] = json.dumps({"schema": 1, "files": listed} | more).encode()


@pytest.fixture(name="site")
def site_fixture() -> Iterator[Pages]:
    """Serve a site on loopback."""
    pages = Pages()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/")
            pages.asked.append(name)
            data = pages.files.get(name)
            self.send_response(200 if data is not None else 404)
            self.send_header("Content-Type", "application/json" if name.endswith(".json") else "text/html")
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            try:
                for byte in data or b"" if name in pages.slow else ():
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(0.03)
                if name not in pages.slow:
                    self.wfile.write(data or b"")
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        # The usual 5 drops the connections of 8 threads at once, which then wait a second for TCP to try again.
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        pages.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield pages
        server.shutdown()
        thread.join()
