"""Landlock: the files, ports and processes that a process can still reach, in the kernel's own words.

A rule names a file or a folder and what may be done beneath it; what no rule names is denied. Each version of the
interface ("ABI") can deny more, and a bit that the kernel does not know is an error, so its version is asked first.
Source: https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_ASK_VERSION, _PATH_BENEATH = 1, 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV = 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
_MAKE_REG, _REMOVE_FILE = 1 << 8, 1 << 5
_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Version -> everything that can be done to files and that it can deny."""
_PORTS = {4: 0b11}
"""The same for binding and connecting TCP ports."""
_SCOPES = {6: 0b11}
"""The same for connecting to abstract sockets, and sending signals, outside of the process's own domain."""
_NEWEST = 7


def version() -> int:
    """Return the version of the kernel's interface; 0 where there is none."""
    return max(0, int(ctypes.CDLL(None, use_errno=True).syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)))


def restrict(reads: Iterable[str], writes: Iterable[str], devices: Iterable[str]) -> int:
    """Deny this thread all files but those beneath these paths, and return the version in use; 0 for no Landlock.

    Paths that do not exist are left out. Nothing may be executed, `reads` included; shared libraries still load.
    """
    found = min(version(), _NEWEST)
    if found == 0:
        return 0
    library = ctypes.CDLL(None, use_errno=True)
    files = _bits(_FILES, found)
    attributes = struct.pack("=QQQ", files, _bits(_PORTS, found), _bits(_SCOPES, found))
    ruleset = library.syscall(_CREATE_RULESET, attributes, _size(found), 0)
    if ruleset < 0:
        return 0
    try:
        for paths, access in (
            (reads, _READ_FILE | _READ_DIR),
            (writes, _READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE | _MAKE_REG | _REMOVE_FILE),
            (devices, _READ_FILE | _READ_DIR | _WRITE_FILE | _IOCTL_DEV),
        ):
            for path in paths:
                _allow(library, ruleset, path, access & files)
        return found if library.syscall(_RESTRICT_SELF, ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)


def missing(found: int) -> list[str]:
    """Return what a version of Landlock (0: none) leaves open, one sentence each."""
    if found == 0:
        open_still = f"what user {os.getuid()} may read or write, the environments of that user's processes included"
        return [f"files are not confined, because this kernel has no Landlock: open is {open_still}"]
    gaps = [
        (3, "files that are already writable can be truncated"),
        (5, "ioctl on devices is not restricted"),
        (6, "abstract local sockets and signals are restricted by the system call filter alone"),
    ]
    return [f"{what}: that needs Landlock {needed}, this kernel has {found}" for needed, what in gaps if found < needed]


def _bits(table: dict[int, int], found: int) -> int:
    """Return the bits of the newest entry that version `found` knows."""
    return max((bits for known, bits in table.items() if known <= found), default=0)


def _size(found: int) -> int:
    """Return how many bytes of the attributes version `found` knows; older kernels reject longer ones."""
    return 24 if found >= 6 else 16 if found >= 4 else 8


def _allow(library: ctypes.CDLL, ruleset: int, path: str, access: int) -> None:
    """Allow `access` beneath a path, as far as it applies to what the path names."""
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.EACCES}:
            return
        raise
    try:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            access &= _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV
        library.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", access, beneath), 0)
    finally:
        os.close(beneath)
