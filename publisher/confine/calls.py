"""The system calls that a confined process has no use for, denied by a seccomp filter.

The filter is a short program that the kernel runs at every system call. It allows what it does not name: a list of what
CUDA, ROCm, Mesa, OpenMP and CPython may call would be long, and wrong after the next driver. What it names was chosen
by what it gives an attacker: another program or process, another process's memory, a connection, a mount, a change to a
file's owner or permissions (Landlock does not cover those), or a large piece of the kernel that is seldom used.
Source: https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct
from dataclasses import dataclass

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _MODE_FILTER = 1, 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_DENY, _ABSENT = 0x00050000 | 1, 0x00050000 | 38  # EPERM; ENOSYS
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32 = 0x40000000
_CLONE_THREAD = 0x00010000
_SOCKET_TYPE = 0xF

# name -> its numbers on x86_64 and aarch64; None where an architecture lacks it. From the kernel's unistd.h.
DENIED: dict[str, tuple[int | None, int | None]] = {
    # other programs and processes
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    # other processes' memory and descriptors
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "kcmp": (312, 272),
    "migrate_pages": (256, 238),
    # ways out other than files
    "connect": (42, 203),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "semget": (64, 190),
    "shmget": (29, 194),
    "open_by_handle_at": (304, 265),
    # large, seldom used parts of the kernel
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "fanotify_init": (300, 262),
    "modify_ldt": (154, None),
    "personality": (135, 92),
    # the system itself
    "mount": (165, 40),
    "umount2": (166, 39),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "vhangup": (153, 58),
    # what Landlock does not cover of files
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
}


@dataclass(frozen=True, slots=True)
class _Architecture:
    """An architecture's audit number, which column of `DENIED` is its own, and calls that depend on their arguments."""

    audit: int
    column: int
    clone: int
    socket: int
    socketpair: int
    sendto: int
    kill: int
    tgkill: int
    prlimit: int
    prctl: int


_ARCHITECTURES = {
    "x86_64": _Architecture(
        0xC000003E, 0, clone=56, socket=41, socketpair=53, sendto=44, kill=62, tgkill=234, prlimit=302, prctl=157
    ),
    "aarch64": _Architecture(
        0xC00000B7, 1, clone=220, socket=198, socketpair=199, sendto=206, kill=129, tgkill=131, prlimit=261, prctl=167
    ),
}
_CLONE3 = 435
_CLONE_NAMESPACES = 0x7E020000
_PROGRAMS_MAY = frozenset(
    {"execve", "execveat", "fork", "vfork", "tkill", "connect", "chmod", "fchmod", "fchmodat", "fchmodat2"}
    | {"utime", "utimes", "futimesat", "utimensat"}
)
"""What of `DENIED` a program may do in a sandbox that has namespaces of its own: start others, and change its files."""

_PROGRAMS_MAY_NOT = ((141, 140), (142, 118), (144, 119), (203, 122), (251, 30), (314, 274))
"""setpriority, sched_setparam, sched_setscheduler, sched_setaffinity, ioprio_set and sched_setattr, as in `DENIED`.

A program that chose to run last could wait for ever on a busy machine, and would be taken for one that was starved.
"""

Step = tuple[int, int, int, int]
"""An instruction: its code, how many steps to skip if true and if false, and its operand."""


def install() -> bool:
    """Filter the calls of this thread and those it starts; return false where that is not possible.

    The process must have set PR_SET_NO_NEW_PRIVS.
    """
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        return False
    filter_program = b"".join(struct.pack("=HBBI", *step) for step in program(machine, os.getpid()))
    buffer = ctypes.create_string_buffer(filter_program, len(filter_program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(filter_program) // 8, ctypes.addressof(buffer)))
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_SECCOMP, _MODE_FILTER, header, 0, 0) == 0)


def program(machine: str, pid: int) -> list[Step]:
    """Return the filter for an architecture; process `pid` may send signals to itself.

    Calls of another architecture kill the process: their numbers mean something else here.
    """
    known = _ARCHITECTURES[machine]
    steps = _own_calls_only(known)
    for numbers in DENIED.values():
        number = numbers[known.column]
        if number is not None:
            steps += _on(number, [(_RETURN, 0, 0, _DENY)])
    # The C library falls back to clone, whose flags can be looked at here; clone3 has them behind a pointer.
    steps += _on(_CLONE3, [(_RETURN, 0, 0, _ABSENT)])
    steps += _on(known.clone, [*_argument(0), (_ANY_BIT, 1, 0, _CLONE_THREAD), (_RETURN, 0, 0, _DENY), *_allow()])
    for call in (known.socket, known.socketpair):
        steps += _on(call, _local_streams())
    # An address would make a connection of its own; datagram sockets, whose sendmsg could, are not to be had.
    steps += _on(known.sendto, [*_none(4), *_allow()])
    for call in (known.kill, known.tgkill):
        steps += _on(call, [*_argument(0), (_EQUAL, 1, 0, pid), (_RETURN, 0, 0, _DENY), *_allow()])
    own = [*_argument(0), (_EQUAL, 2, 0, 0), (_EQUAL, 1, 0, pid), (_RETURN, 0, 0, _DENY), *_allow()]
    return [*steps, *_on(known.prlimit, own), *_allow()]


def supported() -> bool:
    """Return whether there is a filter for this machine's processor."""
    return platform.machine() in _ARCHITECTURES


def for_programs() -> list[Step]:
    """Return the filter for programs in a sandbox: they may start others and have threads, but no namespaces.

    Sockets are local ones only. A network namespace does not cover vsock, netlink and kernel crypto sockets.
    """
    known = _ARCHITECTURES[platform.machine()]
    steps = _own_calls_only(known)
    for name, numbers in DENIED.items():
        number = numbers[known.column]
        if number is not None and name not in _PROGRAMS_MAY:
            steps += _on(number, [(_RETURN, 0, 0, _DENY)])
    for pair in _PROGRAMS_MAY_NOT:
        steps += _on(pair[known.column], [(_RETURN, 0, 0, _DENY)])
    # Its wish to die with its parent is what ends a program whose publisher was killed.
    death = [*_argument(0), (_EQUAL, 0, 1, _PR_SET_PDEATHSIG), (_RETURN, 0, 0, _DENY), *_allow()]
    steps += _on(known.prctl, death)
    steps += _on(_CLONE3, [(_RETURN, 0, 0, _ABSENT)])
    steps += _on(known.clone, [*_argument(0), (_ANY_BIT, 0, 1, _CLONE_NAMESPACES), (_RETURN, 0, 0, _DENY), *_allow()])
    for call in (known.socket, known.socketpair):
        steps += _on(call, _local_streams())
    return [*steps, *_allow()]


def _own_calls_only(known: _Architecture) -> list[Step]:
    """Return steps that kill at a call of another architecture, deny those of x32, and leave the number loaded."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, known.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _DENY),
    ]


def _on(number: int, then: list[Step]) -> list[Step]:
    """Return steps that do `then`, which must return, for the call with this number; others skip it."""
    return [(_EQUAL, 0, len(then), number), *then]


def _argument(index: int) -> list[Step]:
    """Return the step that loads the low half of an argument."""
    return [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)]


def _none(index: int) -> list[Step]:
    """Return steps that deny the call unless both halves of an argument are zero."""
    low = _ARGUMENTS_AT + 8 * index
    return [
        *((_LOAD, 0, 0, low), (_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _DENY)),
        *((_LOAD, 0, 0, low + 4), (_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _DENY)),
    ]


def _local_streams() -> list[Step]:
    """Return steps that allow local stream and sequenced-packet sockets only; CUDA makes such to itself."""
    return [
        *(*_argument(0), (_EQUAL, 1, 0, socket.AF_UNIX), (_RETURN, 0, 0, _DENY)),
        *(*_argument(1), (_AND, 0, 0, _SOCKET_TYPE)),
        *((_EQUAL, 2, 0, socket.SOCK_STREAM), (_EQUAL, 1, 0, socket.SOCK_SEQPACKET), (_RETURN, 0, 0, _DENY)),
        *_allow(),
    ]


def _allow() -> list[Step]:
    """Return the step that lets a call through."""
    return [(_RETURN, 0, 0, _ALLOW)]
