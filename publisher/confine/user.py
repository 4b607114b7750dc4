"""Ceasing to be root: another user, none of root's groups, and no capability.

One capability may have to stay. Where Python or the model can be read by root alone (an interpreter in /root, a file of
mode 0600), user 65534 keeps CAP_DAC_READ_SEARCH, which passes over permissions for reading; Landlock still confines it
to the paths that it allows.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOBODY = 65_534
"""The user and group "nobody", which own no files."""
_PR_SET_KEEPCAPS = 8
_CAPABILITY_VERSION = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1 << 1, 1 << 2
_OTHERS_READ, _OTHERS_SEARCH = stat.S_IROTH, stat.S_IXOTH


def drop(needed: Iterable[str], devices: Sequence[str], *, landlocked: bool) -> list[str]:
    """Become `NOBODY` if this is root, give up every capability, and return what could not be given up.

    `needed` are paths that must stay readable. Of the groups, those stay that own one of `devices`.
    """
    if os.geteuid() != 0:
        _set_capabilities(0)
        return []
    kept = 0
    if not all(readable_by_others(path) for path in needed):
        kept = _permitted() & (_DAC_READ_SEARCH | (_DAC_OVERRIDE if landlocked else 0))
        kept = kept & _DAC_READ_SEARCH or kept
        if not kept:
            _set_capabilities(0)
            return ["the process stays user 0, without capabilities: its libraries are closed to other users"]
    groups = sorted({group for path in devices if (group := _owning_group(path))})
    try:
        ctypes.CDLL(None).prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups(groups)
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError as error:
        _set_capabilities(0)
        return [f"the process stays user 0, without capabilities: it cannot become user {NOBODY} ({error.strerror})"]
    _set_capabilities(kept)
    missing = [f"{path} cannot be opened by user {NOBODY}" for path in devices if not os.access(path, os.R_OK)]
    if kept and not landlocked:
        missing.append(f"user {NOBODY} can read every file: its libraries are closed to other users than root")
    return missing


def readable_by_others(path: str) -> bool:
    """Return whether the permissions of a path and of all folders above it let any user read it."""
    status = Path(path).stat()
    folder = stat.S_ISDIR(status.st_mode)
    wanted = _OTHERS_READ | _OTHERS_SEARCH if folder else _OTHERS_READ
    if status.st_mode & wanted != wanted:
        return False
    if path.startswith("/proc/self/fd/"):
        return True  # an open file is opened again without a walk through its folders
    return all(parent.stat().st_mode & _OTHERS_SEARCH for parent in Path(path).resolve().parents)


def _owning_group(path: str) -> int:
    """Return the group that a device is reserved for; 0 where anybody may use it, or root alone."""
    status = Path(path).stat()
    reserved = status.st_mode & stat.S_IWGRP and not status.st_mode & stat.S_IWOTH
    return status.st_gid if reserved else 0


def _permitted() -> int:
    """Return the capabilities that this process could have in effect, as bits."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    data = ctypes.create_string_buffer(24)
    ctypes.CDLL(None).capget(header, data)
    low, high = struct.unpack_from("=4xI8xI", data.raw)
    return int(low | high << 32)


def _set_capabilities(bits: int) -> None:
    """Keep these of the first 32 capabilities, in effect and permitted, and give up all others for good."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    ctypes.CDLL(None).capset(header, struct.pack("=6I", bits, bits, 0, 0, 0, 0))
