"""The parent of one build's processes, run as a program of its own: when it ends, every one of them has ended.

It is a "subreaper": the kernel hands it the orphans of the build, those that left their session with setsid included. A
host with several builds could not do this itself, since it could not tell whose orphan it was given.

Standard input is one line of JSON, and then the lifeline: when its other end closes, because the host cancels the build
or dies, the build is killed. Only the standard library is used, and nothing of the build's environment reaches this
process: a variable such as LD_PRELOAD would run the commit's code outside its confinement.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TypedDict

PR_SET_CHILD_SUBREAPER = 36
KILL_SECONDS = 10.0
"""How long processes may take to die; one in an uninterruptible wait cannot be killed at all."""
NOT_ENDED = 125
"""The exit code where some could not be ended."""
NOT_FOUND = 127
"""The exit code where the command could not be started, as shells have it."""


class Job(TypedDict):
    """What standard input describes."""

    command: list[str]
    folder: str
    environment: dict[str, str]
    options: list[str]
    """Bubblewrap's, where the command is confined by it."""


def main() -> int:
    """Run the build that standard input describes and return its exit code; 128 and the signal where one killed it."""
    with open(0, "rb", buffering=0, closefd=False) as stream:  # unbuffered: the lifeline itself must stay unread
        job: Job = json.loads(stream.readline())
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    waking, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler is what makes the wake-up pipe ring
    signal.set_wakeup_fd(woken)
    try:
        child = _start(job)
    except OSError as error:
        sys.stdout.write(f"{job['command'][0]} cannot be started: {error.strerror}\n")
        return NOT_FOUND
    code = _wait(child, waking)
    return code if _end_all() else NOT_ENDED


def _start(job: Job) -> int:
    """Start the command and return its process id. The options of its confinement go through a file descriptor."""
    command, environment, passed = job["command"], job["environment"], []
    if job["options"]:
        handle = os.memfd_create("options", 0)
        with os.fdopen(os.dup(handle), "wb") as stream:
            stream.write(b"".join(os.fsencode(option) + b"\0" for option in job["options"]))
        os.lseek(handle, 0, os.SEEK_SET)
        command, environment, passed = [command[0], "--args", str(handle), *command[1:]], {}, [handle]
    process = subprocess.Popen(
        command,
        cwd=job["folder"],
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=passed,
    )
    process.returncode = 0  # it is reaped below, together with the orphans
    return process.pid


def _wait(child: int, waking: int) -> int:
    """Return the exit code of `child` when it ends; what is left of it when the lifeline closes is killed later."""
    while True:
        ready, _, _ = select.select([sys.stdin.fileno(), waking], [], [])
        if waking in ready:
            os.read(waking, 4096)
            code = _reap(child)
            if code is not None:
                return code
        if sys.stdin.fileno() in ready:
            return 128 + signal.SIGKILL


def _reap(child: int = 0) -> int | None:
    """Collect every process that has ended; return the exit code of `child` where it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            found = code if code >= 0 else 128 - code


def _end_all() -> bool:
    """Kill all that is left of the build and wait for it; return whether nothing is left."""
    deadline = time.monotonic() + KILL_SECONDS
    while descendants := _descendants(os.getpid()):
        for pid in descendants:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        # What they leave behind becomes our child at once, so no process can slip away between two rounds.
        _reap()
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def _descendants(ancestor: int) -> list[int]:
    """Return the children of a process, their children, and so on."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue  # it has just ended
        children.setdefault(int(fields[1]), []).append(int(folder.name))
    found = list(children.get(ancestor, []))
    for pid in found:
        found += children.get(pid, [])
    return found


if __name__ == "__main__":
    sys.exit(main())
