"""A real HTTP server on loopback that answers as a test tells it to, fault by fault."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a whole HTTP answer; header names are given with underscores."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


Step = bytes | str | tuple[bytes, ...]


def drip(data: bytes) -> tuple[bytes, ...]:
    """Return the step that sends `data` byte by byte."""
    return tuple(data[index : index + 1] for index in range(len(data)))


@dataclass
class Scripted:
    """The server's script (one step a request; the last repeats) and what it was asked."""

    script: list[Step]
    port: int = 0
    asked: list[str] = field(default_factory=list)
    """The first line of each request."""
    heads: list[str] = field(default_factory=list)
    """The whole head of each request."""

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def scripted(*script: Step) -> Iterator[Scripted]:
    """Serve `script`: bytes are sent as they are, "reset" breaks the connection, "hang" never answers.

    A tuple of bytes is sent piece by piece, a twentieth of a second apart, so that a whole head or body drips.
    """
    state = Scripted(list(script))

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data = b""
            while b"\r\n\r\n" not in data:
                piece = self.request.recv(65536)
                if not piece:
                    return
                data += piece
            head = data.split(b"\r\n\r\n", 1)[0].decode()
            state.asked.append(head.split("\r\n", 1)[0])
            state.heads.append(head)
            step = state.script.pop(0) if len(state.script) > 1 else state.script[0]
            if step == "hang":
                time.sleep(3)
            elif step == "reset":
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            elif isinstance(step, tuple):
                with contextlib.suppress(OSError):
                    for piece in step:
                        self.request.sendall(piece)
                        time.sleep(0.05)
            elif isinstance(step, bytes):
                with contextlib.suppress(OSError):
                    self.request.sendall(step)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
