"""Starting git, through GitPython, in a clean room and with a deadline."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import git as gitpython

from publisher.errors import GitError
from publisher.git import credentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.quotePath": "false",
    "core.warnAmbiguousRefs": "false",
    "protocol.ext.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "push.gpgSign": "false",
    "log.showSignature": "false",
    "advice.detachedHead": "false",
}
_SAFE = tuple(part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}"))
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
_GRACE = 5.0
"""Seconds that a git which has used up its time gets to remove its own locks."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long git is waited for, in seconds."""

    network: float = 600.0
    """One command that talks to a remote."""
    lock: float = 30.0
    """A lock that a living process holds."""
    stale: float = 10.0
    """The age from which a lock that no process holds counts as left behind by a killed one."""


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Output:
    """What a finished git command left: its exit code, and what it wrote."""

    arguments: tuple[str, ...]
    folder: Path
    code: int
    stdout: bytes
    stderr: str
    timed_out: bool = False

    @property
    def said(self) -> str:
        """Everything it wrote, as text."""
        return self.stdout[-4000:].decode(errors="replace") + "\n" + self.stderr[-8000:]

    def shown(self) -> str:
        """Return the failed command in full: what ran, where, its exit code and what it wrote."""
        ended = "stopped for taking too long" if self.timed_out else f"exit code {self.code}"
        said = "\n".join(part.strip() for part in self.said.splitlines() if part.strip())
        return f"$ git {shlex.join(self.arguments)}\n(in {self.folder}, {ended})\n{said}"


def start(
    arguments: Sequence[str],
    folder: Path,
    settings: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start git in `folder` with pipes for its input and output, and more `settings` (NAME=VALUE) and `environment`.

    Raises GitError when git is not installed.
    """
    inherited = sorted(name for name in os.environ if name.startswith("GIT_") and not name.startswith("GIT_SSH"))
    inherited += credentials.withheld(arguments, os.environ)
    # GitPython merges os.environ into the child's environment, so what must be absent is removed by env(1).
    unset = [part for name in inherited if name not in _ENVIRONMENT for part in ("-u", name)]
    more = [part for setting in (*settings, *credentials.settings(arguments, os.environ)) for part in ("-c", setting)]
    command = [*(["env", *unset] if unset else []), "git", *_SAFE, *more, *arguments]
    runner = gitpython.Git(str(folder))
    variables = {**_ENVIRONMENT, **(environment or {})}
    try:
        started = runner.execute(command, istream=cast("Any", subprocess.PIPE), env=variables, as_process=True)
    except gitpython.GitCommandNotFound as error:
        raise GitError("git is not installed, or not on PATH", hint="git --version") from error
    process, started.proc = started.proc, None  # from here on it is ended by us, not when GitPython's wrapper goes
    return cast("subprocess.Popen[bytes]", process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process: ask it to, so that it removes its own locks, kill it where it does not, and close its pipes."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def execute(
    arguments: Sequence[str],
    folder: Path,
    *,
    stdin: bytes = b"",
    settings: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Output:
    """Run git in `folder` to its end, set up as in `start`; one that takes more than `timeout` seconds is stopped."""
    process = start(arguments, folder, settings, environment)
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        stop(process)
        return Output(tuple(arguments), folder, process.returncode or 1, b"", "", timed_out=True)
    except BaseException:
        stop(process)
        raise
    return Output(tuple(arguments), folder, process.returncode, stdout, stderr.decode(errors="replace"))
