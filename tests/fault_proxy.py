"""A proxy in front of the local host that spoils chosen requests: before their effect, or after it."""

from __future__ import annotations

import http.client
import http.server
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FAULTS = (
    "429",
    "500",
    "503",
    "reset-before",
    "reset-after",
    "500-after",
    "hang",
    "truncated",
    "wrong-length",
    "redirect",
)
"""What can be done to a request; those with `-after`, `truncated` and `wrong-length` let it have its effect first.

Three more take seconds: `wait 3` answers 429 and asks for a pause, `late 2` answers 200 now and has its effect later,
`lost 2` breaks the connection now and has its effect later.
"""


@dataclass
class Proxy:
    """The proxy's address, the faults still to come as (part of the request line, fault), and what was asked."""

    port: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    stale: float = 0.0
    """By how many seconds lists of deploys are older than the moment in which they are asked for."""
    lists: dict[str, list[tuple[float, bytes]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """The proxy's address."""
        return f"http://127.0.0.1:{self.port}"

    def take(self, request: str) -> str:
        """Return the fault for a request, if one is due, and use it up."""
        with self.lock:
            self.asked.append(request)
            for number, (part, fault) in enumerate(self.faults):
                if part in request:
                    del self.faults[number]
                    return fault
        return ""

    def outdated(self, path: str, data: bytes) -> bytes:
        """Keep a list of deploys, and return the one that was true `stale` seconds ago."""
        now = time.monotonic()
        with self.lock:
            known = self.lists.setdefault(path, [(0.0, b"[]")])
            known.append((now, data))
            return next(old for at, old in reversed(known) if at <= now - self.stale or at == 0.0)


@contextmanager
def fault_proxy(target_port: int) -> Iterator[Proxy]:  # noqa: C901 - one handler class, whole
    """Forward everything to 127.0.0.1:`target_port`, but for the faults that the test puts into the proxy."""
    proxy = Proxy()

    class Handler(http.server.BaseHTTPRequestHandler):
        def relay(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            fault = proxy.take(self.requestline)
            if fault in {"422", "429", "500", "503"}:
                self.reply(int(fault), {"Retry-After": "0"}, b"")
            elif fault == "redirect":
                self.reply(302, {"Location": "http://127.0.0.1:9/elsewhere"}, b"")
            elif fault == "reset-before":
                self.reset()
            elif fault == "hang":
                time.sleep(1.5)
                self.reset()
            elif fault.startswith("wait "):
                self.reply(429, {"Retry-After": fault.split()[1]}, b"")
            elif fault.startswith(("late ", "lost ")):
                self.reply(200, {}, b"") if fault.startswith("late ") else self.reset()
                time.sleep(float(fault.split()[1]))
                self.fetch(body)
            else:
                self.forward(body, fault)

        def fetch(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
            link = http.client.HTTPConnection("127.0.0.1", target_port, timeout=120)
            headers = {key: value for key, value in self.headers.items() if key.lower() != "connection"}
            link.request(self.command, self.path, body, headers)
            response = link.getresponse()
            data = response.read()
            link.close()
            return response, data

        def forward(self, body: bytes, fault: str) -> None:
            response, data = self.fetch(body)
            if proxy.stale and self.command == "GET" and "/deploys?" in self.path:
                data = proxy.outdated(self.path, data)
            own = {"content-length", "transfer-encoding", "connection"}
            kept = {key: value for key, value in response.getheaders() if key.lower() not in own}
            if fault == "reset-after":
                self.reset()
            elif fault == "500-after":
                self.reply(500, {}, b"")
            elif fault == "truncated":
                self.reply(response.status, kept, data[: len(data) // 2])
            elif fault == "wrong-length":
                self.reply(response.status, kept, data, extra=7)
            else:
                self.reply(response.status, kept, data)

        def reply(self, status: int, headers: dict[str, str], data: bytes, extra: int = 0) -> None:
            self.send_response_only(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data) + extra))
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)
            self.close_connection = True

        def reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            self.close_connection = True
            self.connection.close()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = relay  # noqa: N815

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """Broken connections are what this proxy is for."""

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
