"""Confining a build with bubblewrap: a private /tmp, a read-only system, and no folder of the user's.

A build may write its own clone and its cache, and reach the network, since it installs packages. It sees no other
process, no home folder, and nothing of the host's state: not its token, not other builds.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PROGRAM = "bwrap"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt")
_SETTINGS = (
    "alternatives",
    "ca-certificates",
    "gai.conf",
    "group",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "pip.conf",
    "pki",
    "protocols",
    "resolv.conf",
    "services",
    "ssl",
)
"""What programs need of /etc; the rest may hold secrets of the machine."""
_TMP_BYTES = 2 << 30
_PROBE_SECONDS = 10


def works() -> bool:
    """Return whether bubblewrap is installed and may make its namespaces here; containers often forbid them."""
    program = shutil.which(_PROGRAM)
    if program is None:
        return False
    command = [program, *_walls(), "/usr/bin/env", "true"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_PROBE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def options(
    folder: Path, environment: Mapping[str, str], *, writable: Iterable[Path], readable: Iterable[Path]
) -> list[str]:
    """Return bubblewrap's options for a command in `folder`, for `--args`: an argument vector is no place for secrets.

    `environment` is all that the command sees; `writable` folders must exist, `readable` paths may be missing.
    """
    chosen = _walls()
    for path in (*_interpreters(), *readable):
        chosen += ["--ro-bind-try", str(path), str(path)]
    for path in writable:
        chosen += ["--bind", str(path), str(path)]
    chosen += ["--clearenv"]
    for name, value in environment.items():
        chosen += ["--setenv", name, value]
    # Last, because every mount needs its place: the root is a file system in memory that has no other bound.
    return [*chosen, "--remount-ro", "/", "--chdir", str(folder)]


def program() -> str:
    """Return the path of bubblewrap; its bare name where it is missing, so that starting it says so."""
    return shutil.which(_PROGRAM) or _PROGRAM


def _walls() -> list[str]:
    """Return the options that every build has in common."""
    chosen = ["--unshare-user-try", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]
    chosen += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    for folder in map(Path, _SYSTEM):
        if folder.is_symlink():
            chosen += ["--symlink", str(folder.readlink()), str(folder)]
        else:
            chosen += ["--ro-bind-try", str(folder), str(folder)]
    for name in _SETTINGS:
        chosen += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    chosen += ["--proc", "/proc", "--dev", "/dev", "--size", str(_TMP_BYTES), "--tmpfs", "/tmp"]  # noqa: S108 - the build's own
    return [*chosen, "--size", str(_TMP_BYTES), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108 - as above


def _interpreters() -> list[Path]:
    """Return where the Python that runs the host is: a build finds it on PATH where a virtual environment is active."""
    return sorted({Path(sys.prefix), Path(sys.base_prefix)} - {Path("/usr"), Path("/")})
