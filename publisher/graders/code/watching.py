"""What a program and all that it started use, and whether its time is up, however busy the machine is.

A limit of clock time alone would make outcomes depend on what else runs: a right program that waits for a processor
would be wrong. So a program's own time is the clock's, less what it spent ready to run without a processor
(`/proc/PID/schedstat`). A program cannot gain time by it: what keeps its processes waiting is either other work, or
their own, and their own is counted as processor time.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from publisher.errors import GraderError

_EVERY = 0.1
"""Seconds between two looks at the processes: listing them takes some milliseconds."""
_PATIENCE = 20
"""How many times its own time a program may take on the clock before the machine counts as too busy to grade."""


class Usage(NamedTuple):
    """Resident bytes, seconds of processor time and of waiting for a processor, and files in the scratch folder."""

    memory: int = 0
    processor: float = 0.0
    waited: float = 0.0
    files: int = 0


class Watch:
    """Looks at the processes of a sandbox, at most ten times a second."""

    def __init__(self, pid: int, scratch: int = 0) -> None:
        """Watch the process `pid` (the sandbox's own) and everything below it; its scratch folder has so many bytes."""
        self._pid, self._scratch = pid, scratch
        self._seen, self._at = Usage(), 0.0

    def usage(self) -> Usage:
        """Return what the processes use, as of a tenth of a second ago at most."""
        now = time.monotonic()
        if now - self._at >= _EVERY:
            self._seen, self._at = _usage(self._pid, self._scratch, self._seen), now
        return self._seen


class Clock:
    """The time that programs have for something together, in seconds of their own time."""

    def __init__(self, seconds: float, *watches: Watch) -> None:
        """Begin now."""
        self._seconds, self._watches = seconds, watches
        self._began = time.monotonic()
        self._base: Usage | None = None

    def left(self) -> float:
        """Return how many seconds may pass before `over` has to be asked."""
        return max(0.0, self._began + self._seconds - time.monotonic()) or _EVERY

    def over(self) -> bool:
        """Return whether the time is up; GraderError where the machine never let the programs have it."""
        elapsed = time.monotonic() - self._began
        if elapsed < self._seconds / 5:  # most answers come at once, and looking takes longer than they do
            return False
        if self._base is None:
            self._base = self._usage()
        if elapsed < self._seconds:
            return False
        used = self._usage()
        if elapsed - (used.waited - self._base.waited) >= self._seconds:
            return True
        if used.processor - self._base.processor >= self._seconds:
            return True
        if elapsed > _PATIENCE * self._seconds + 1:
            raise GraderError(f"the machine is too busy: a program waited {used.waited:.0f} s for a processor")
        return False

    def _usage(self) -> Usage:
        parts = [watch.usage() for watch in self._watches]
        return Usage(*(sum(column) for column in zip(*parts, strict=True)))


def _usage(pid: int, scratch: int, before: Usage) -> Usage:
    """Return what a process and all below it use; what has ended keeps its share of the time."""
    memory, processor, waits, files = 0, 0.0, [], 0
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        for process in [top, *top.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, OSError, ValueError, IndexError):
                memory += process.memory_info().rss
                processor += sum(process.cpu_times()[:4])  # its own, and those of its children that have ended
                waits.append(int(Path(f"/proc/{process.pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9)
                files = files or _files(process.pid, scratch)
    # Processes wait at the same time, so the longest wait counts, and time never runs backwards.
    return Usage(memory, max(processor, before.processor), max([*waits, before.waited]), files)


def _files(pid: int, scratch: int) -> int:
    """Return how many files are in the scratch folder that a process sees; 0 where it sees another one yet.

    An empty file takes a kilobyte of the kernel's memory that counts towards no limit of a process.
    """
    seen = os.statvfs(f"/proc/{pid}/root/tmp")
    return seen.f_files - seen.f_ffree if seen.f_blocks * seen.f_frsize == scratch else 0
