"""One build's command: run under a supervisor, its output kept within bounds, ended to the last process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from publisher.errors import DeployError
from publisher.host.build.confinement import options, program
from publisher.host.build.supervisor import KILL_SECONDS, NOT_ENDED, Job

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOADER = ("LD_LIBRARY_PATH",)
"""The host's own variables that its Python may need to start at all."""
_SUPERVISOR = Path(__file__).with_name("supervisor.py")

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_TAIL_LINES = 20
_TAIL_BYTES = 8 * 1024
CANCELED = "Canceled build"
"""What Netlify says of a build that somebody cancelled."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a confined build may touch besides the system: folders that it writes, paths that it reads."""

    writable: tuple[Path, ...]
    readable: tuple[Path, ...] = ()


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
    confinement: Confinement | None = None,
) -> None:
    """Run `command` in bash and wait for it. Raises DeployError when it fails, takes too long or is cancelled.

    Every process that it started is killed with it, also when it succeeds and whatever session it is in: nothing may
    write to what is being published. With `confinement` it sees only what that allows.
    """
    log.note(f"$ {command}")
    job = _job(command, folder, environment, confinement)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SUPERVISOR)],
            env={name: os.environ[name] for name in _LOADER if name in os.environ},
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise DeployError(f"Build command could not be started: {error}") from error
    assert process.stdin is not None  # noqa: S101 - it was asked for above
    assert process.stdout is not None  # noqa: S101 - the same
    reader = threading.Thread(target=_pump, args=(process.stdout, log), daemon=True)
    reader.start()
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.flush()
    stopped = _wait(process.pid, time.monotonic() + seconds, cancelled)
    with suppress(BrokenPipeError):
        process.stdin.close()  # the supervisor's lifeline: it kills the build and ends
    code = _end(process)
    reader.join(timeout=2)
    if stopped:
        raise DeployError(stopped if stopped == CANCELED else f"{stopped} after {seconds:g} seconds")
    if code == NOT_ENDED:
        raise DeployError("Processes of the build could not be ended")
    if code != 0:
        raise DeployError(f"Build script returned non-zero exit code: {code}\n{log.last_lines()}")


def _job(command: str, folder: Path, environment: Mapping[str, str], confinement: Confinement | None) -> Job:
    """Return what the supervisor is told. Raises DeployError where the folder is missing."""
    if not folder.is_dir():
        raise DeployError(f"Build command could not be started: there is no folder {folder.name!r}")
    shell = ["bash", "-c", command]
    limits: list[str] = []
    if confinement is not None:
        shell = [program(), *shell]
        limits = options(folder, environment, writable=confinement.writable, readable=confinement.readable)
    return Job(command=shell, folder=str(folder), environment=dict(environment), options=limits)


def _end(process: subprocess.Popen[bytes]) -> int:
    """Wait for the supervisor and return its exit code; it is killed where it hangs, with what is in its group."""
    try:
        return process.wait(2 * KILL_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return NOT_ENDED


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
