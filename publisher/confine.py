"""Taking away from a process what the engine never needs: the network, core dumps, new privileges.

A model file is somebody else's data read by a C++ parser. Should it take over the process, a seccomp filter keeps it
from opening any socket but local ones (which GPU drivers use), and from io_uring, which could open one unseen.
"""

from __future__ import annotations

import ctypes
import platform
import resource
import signal
import socket
import struct

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050001  # the last one answers EPERM
_NUMBER_AT, _ARCHITECTURE_AT, _FAMILY_AT = 0, 4, 16
_X32 = 0x40000000

# machine -> (its audit number, socket, io_uring_setup)
_SYSTEM_CALLS = {"x86_64": (0xC000003E, 41, 425), "aarch64": (0xC00000B7, 198, 425)}


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def confine() -> bool:
    """Give up core dumps, privileges and the network for good; return whether the network really is out of reach."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    library = ctypes.CDLL(None, use_errno=True)
    calls = _SYSTEM_CALLS.get(platform.machine())
    if library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or calls is None:
        return False
    program = _program(*calls)
    buffer = ctypes.create_string_buffer(program)
    address = ctypes.addressof(buffer)
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, address))
    return bool(library.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) == 0)


def _program(architecture: int, socket_call: int, ring_call: int) -> bytes:
    """Return the filter: another architecture's calls kill, sockets beyond AF_UNIX and io_uring are refused."""
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 5, 0, _X32),
        (_EQUAL, 4, 0, ring_call),
        (_EQUAL, 0, 2, socket_call),
        (_LOAD, 0, 0, _FAMILY_AT),
        (_EQUAL, 0, 1, socket.AF_UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
