"""Processes that do symbolic algebra and can be killed: one question each at a time, a hard wall-clock limit.

Nothing is started before the first question that needs it. A process gets no variable of our environment but the ones
that find the interpreter's modules, no input but two short strings, and two gigabytes of address space.
"""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import msgspec

from publisher.graders.comparison import RIGHT, Match

_START = 120.0
"""Seconds that a process may take to load sympy on a busy machine."""


class Reply(msgspec.Struct, frozen=True):
    """A process's answer: `equal`, `different`, `unreadable` (the given side) or `failed`."""

    said: str
    reason: str = ""


class Pool:
    """At most `size` worker processes, started when needed; threads may share a pool."""

    def __init__(self, size: int, timeout: float) -> None:
        """Allow `size` processes and `timeout` seconds a question."""
        self._timeout = timeout
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        self._live: set[_Worker] = set()
        self._closed = False
        for _ in range(size):
            self._idle.put(None)

    def ask(self, gold: str, given: str) -> Match:
        """Return whether both expressions have the same value; a failure of the machinery is an `error`."""
        worker = self._idle.get()
        try:
            worker = worker or self._start()
            reply = worker.ask(gold, given, self._timeout)
        except _Lost as error:
            if worker:
                self._live.discard(worker)
                worker.close()
            worker = None
            return Match("error", str(error))
        finally:
            if worker and self._closed:
                worker.close()
                worker = None
            self._idle.put(worker)
        if reply.said == "failed":
            return Match("error", f"grader_error: {reply.reason}")
        return RIGHT if reply.said == "equal" else Match("wrong", reply.reason)

    def close(self) -> None:
        """Stop every process, also one that another thread is waiting for (its verdict is then an `error`)."""
        self._closed = True
        for worker in list(self._live):
            worker.kill()
        places = []
        while not self._idle.empty():
            places.append(self._idle.get())
        for idle in places:
            if idle:
                idle.close()
            self._idle.put(None)

    def _start(self) -> _Worker:
        if self._closed:
            raise _Lost("grader_error: the run has ended")
        worker = _Worker.start()
        self._live.add(worker)
        return worker


class _Lost(Exception):  # noqa: N818 - the process is lost, which the caller turns into a verdict
    """A worker process did not answer."""


class _Worker:
    """One process and its two pipes; messages are lines of JSON."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._selector = selectors.DefaultSelector()
        self._selector.register(_pipe(process.stdout), selectors.EVENT_READ)
        self._pending = b""

    @classmethod
    def start(cls) -> Self:
        """Start a process and wait until it has loaded its libraries."""
        command = [sys.executable, "-P", "-m", "publisher.graders.math.symbolic"]
        paths = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONHASHSEED": "0", "PATH": os.defpath},
        )
        worker = cls(process)
        try:
            worker.receive(_START)
        except _Lost:
            worker.close()
            raise
        return worker

    def ask(self, gold: str, given: str, timeout: float) -> Reply:
        """Send one question and wait for its answer."""
        try:
            stream = self._process.stdin
            if stream:
                stream.write(msgspec.json.encode([gold, given]) + b"\n")
                stream.flush()
        except OSError as error:
            raise _Lost("grader_error: the process has ended") from error
        return self.receive(timeout)

    def receive(self, timeout: float) -> Reply:
        """Return the next line from the process; raises _Lost at its end or after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._pending:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise _Lost(f"grader_timeout: no answer within {timeout:g} s")
            data = os.read(_pipe(self._process.stdout), 65_536)
            if not data:
                raise _Lost("grader_error: the process has ended")
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return msgspec.json.decode(line, type=Reply)

    def kill(self) -> None:
        """End the process now, whatever it is doing."""
        self._process.kill()

    def close(self) -> None:
        """End the process, collect it and close its pipes."""
        self.kill()
        self._process.wait()
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()


def _pipe(stream: object) -> int:
    """Return the descriptor of a pipe that Popen made."""
    number = getattr(stream, "fileno", None)
    if number is None:
        raise _Lost("grader_error: no pipe")
    return int(number())
