"""One build's command: run in a process group of its own, its output kept within bounds, killed whole."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from publisher.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_TAIL_LINES = 20
_TAIL_BYTES = 8 * 1024
CANCELED = "Canceled build"
"""What Netlify says of a build that somebody cancelled."""


class BuildLog:
    """A build's output: its first three quarters and its last quarter, where it is longer than the bound."""

    def __init__(self, bound: int) -> None:
        """Keep at most about `bound` bytes."""
        self._head = bytearray()
        self._tail = bytearray()
        self._head_bound = bound * 3 // 4
        self._tail_bound = bound - self._head_bound
        self._dropped = 0
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Append output, from any thread."""
        with self._lock:
            room = self._head_bound - len(self._head)
            self._head += data[:room]
            self._tail += data[room:] if room < len(data) else b""
            excess = len(self._tail) - self._tail_bound
            if excess > 0:
                del self._tail[:excess]
                self._dropped += excess

    def note(self, line: str) -> None:
        """Append a line of the host's own."""
        self.write(line.encode() + b"\n")

    def data(self) -> bytes:
        """Return what was kept, saying how much was not."""
        with self._lock:
            gap = f"\n[{self._dropped} bytes left out]\n".encode() if self._dropped else b""
            return bytes(self._head) + gap + bytes(self._tail)

    def last_lines(self) -> str:
        """Return the end of the output as plain text, without colours."""
        text = self.data()[-_TAIL_BYTES:].decode("utf-8", "replace")
        return "\n".join(_ANSI.sub("", text).splitlines()[-_TAIL_LINES:])


def run_command(
    command: str,
    folder: Path,
    environment: Mapping[str, str],
    log: BuildLog,
    *,
    seconds: float,
    cancelled: threading.Event,
) -> None:
    """Run `command` in bash and wait for it. Raises DeployError when it fails, takes too long or is cancelled.

    Whatever it started is killed with it, also when it succeeds: nothing may write to what is being published.
    """
    log.note(f"$ {command}")
    try:
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise DeployError(f"Build command could not be started: {error}") from error
    assert process.stdout is not None  # noqa: S101 - it was asked for above
    reader = threading.Thread(target=_pump, args=(process.stdout, log), daemon=True)
    reader.start()
    stopped = _wait(process.pid, time.monotonic() + seconds, cancelled)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    reader.join(timeout=2)
    if stopped:
        raise DeployError(stopped if stopped == CANCELED else f"{stopped} after {seconds:g} seconds")
    if code != 0:
        raise DeployError(f"Build script returned non-zero exit code: {code}\n{log.last_lines()}")


def _pump(stream: IO[bytes], log: BuildLog) -> None:
    with stream, suppress(OSError, ValueError):
        while data := os.read(stream.fileno(), 65536):
            log.write(data)


def _wait(pid: int, deadline: float, cancelled: threading.Event) -> str:
    """Wait until the process has ended, without reaping it, so that its group's number stays its own.

    Returns why it has to be stopped, or nothing.
    """
    pause = 0.002
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if cancelled.wait(pause):
            return CANCELED
        if time.monotonic() > deadline:
            return "Build exceeded maximum allowed runtime"
        pause = min(pause * 1.5, 0.05)
    return ""
