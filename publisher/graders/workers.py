"""Processes that answer one question each at a time and can be killed: the parent's half; `worker` is the child's.

Nothing is started before the first question that needs it. A process gets no variable of our environment but the ones
that find the interpreter's modules, and no input but short questions. Two clocks watch it. Processor time belongs to
the question, so running out of it is an answer (`ExceededError`). Wall-clock time depends on what else the machine
does, so running out of that alone is nobody's answer (`LostError`).
"""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from publisher import confine
from publisher.graders.worker import OUT_OF_MEMORY

_START = 120.0
"""Seconds that a process may take to load its libraries on a busy machine."""
_ENDING = 5.0
"""Seconds that a process which has closed its pipe gets to end by itself, so that its exit code says why."""
_LONGEST = 64 << 20
"""Bytes of the longest answer that is believed."""
_OWN_FAULTS = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSYS}
"""Signals that a process earns by what it calculates; SIGKILL comes from outside."""


class LostError(Exception):
    """A process did not answer, through no fault of the question: out of wall-clock time, or killed from outside."""


class ExceededError(Exception):
    """A question took more processor time or memory than a process has, or broke it."""


class Pool:
    """At most `size` processes that run `python -m MODULE`, started when needed; threads may share a pool."""

    def __init__(self, module: str, size: int, *, seconds: float, patience: float) -> None:
        """Allow each question `seconds` of processor time, and `patience` seconds on the clock."""
        self._command = [sys.executable, "-P", "-m", module, repr(seconds)]
        self._seconds, self._patience = seconds, patience
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        self._live: set[_Worker] = set()
        self._closed = False
        for _ in range(size):
            self._idle.put(None)

    def ask(self, question: object) -> Any:
        """Return a process's answer to `question`, both plain JSON values; raises LostError or ExceededError."""
        worker = self._idle.get()
        try:
            worker = worker or self._start()
            return worker.ask(question, self._patience)
        except _EndedError as error:
            code = worker.exit_code() if worker else 0
            self._forget(worker)
            worker = None
            raise self._why(code) from error
        except LostError:
            if worker:
                worker.close()
            self._forget(worker)
            worker = None
            raise
        finally:
            if worker and self._closed:
                worker.close()
                self._forget(worker)
                worker = None
            self._idle.put(worker)

    def close(self) -> None:
        """Stop every process, also one that another thread waits for (which then gets LostError)."""
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
            raise LostError("grader_error: the run has ended")
        worker = _Worker(self._command)
        self._live.add(worker)
        try:
            worker.receive(_START)
        except (LostError, _EndedError) as error:
            worker.close()
            self._forget(worker)
            raise LostError("grader_error: the process did not start") from error
        return worker

    def _forget(self, worker: _Worker | None) -> None:
        if worker:
            self._live.discard(worker)

    def _why(self, code: int) -> ExceededError | LostError:
        """Return the error for a process that ended with `code` (negative: by that signal) instead of answering."""
        if code == -signal.SIGPROF:
            return ExceededError(f"takes more than {self._seconds:g} s of processor time")
        if code == OUT_OF_MEMORY:
            return ExceededError("takes more memory than a comparison has")
        if -code in _OWN_FAULTS:
            return ExceededError(f"breaks the process that calculates it ({signal.Signals(-code).name})")
        return LostError("grader_error: the process has ended")


class _EndedError(Exception):
    """A process has closed its pipe; its exit code says why."""


class _Worker:
    """One process and its two pipes; messages are lines of JSON."""

    def __init__(self, command: list[str]) -> None:
        confine.hide()
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONHASHSEED": "0", "PATH": os.defpath},
        )
        self._selector = selectors.DefaultSelector()
        self._selector.register(_pipe(self._process.stdout), selectors.EVENT_READ)
        self._pending = b""

    def ask(self, question: object, patience: float) -> Any:
        """Send one question and return its answer."""
        try:
            stream = self._process.stdin
            if stream:
                stream.write(msgspec.json.encode(question) + b"\n")
                stream.flush()
        except OSError as error:
            raise _EndedError from error
        return self.receive(patience)

    def receive(self, patience: float) -> Any:
        """Return the next answer; raises LostError after `patience` seconds, _EndedError where the process ended."""
        deadline = time.monotonic() + patience
        while b"\n" not in self._pending:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise LostError(f"grader_timeout: no answer within {patience:g} s")
            data = os.read(_pipe(self._process.stdout), 65_536)
            if not data:
                raise _EndedError
            self._pending += data
            if len(self._pending) > _LONGEST:
                raise LostError("grader_error: an endless answer")
        line, _, self._pending = self._pending.partition(b"\n")
        try:
            return msgspec.json.decode(line)
        except msgspec.MsgspecError as error:
            raise LostError("grader_error: an answer that cannot be read") from error

    def kill(self) -> None:
        """End the process now, whatever it is doing."""
        self._process.kill()

    def exit_code(self) -> int:
        """Wait for a process that has closed its pipe, and return its exit code (negative: a signal's number)."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING)
        return self.close()

    def close(self) -> int:
        """End the process, collect it, close its pipes and return its exit code."""
        self.kill()
        code = self._process.wait()
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        return code


def _pipe(stream: object) -> int:
    """Return the descriptor of a pipe that Popen made."""
    number = getattr(stream, "fileno", None)
    if number is None:
        raise LostError("grader_error: no pipe")
    return int(number())
