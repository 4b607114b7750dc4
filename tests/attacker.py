"""A program that confines a child process and lets it try to get out: `python attacker.py FOLDER USER LANDLOCK`.

The parent has a secret in its environment, becomes USER first where that is not its own, and emulates a kernel without
Landlock where LANDLOCK is "without". It prints what each attempt came to: "denied", or what was reached.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from publisher import confine
from publisher.schema import Confinement

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"
RAW = {
    "perf": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "io_uring": (425, 425),
    "mount": (165, 40),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_by_handle_at": (304, 265),
}
"""Calls that are denied whatever their arguments: their numbers on x86_64 and aarch64."""


def call(number: int, *arguments: object) -> int:
    """Make a system call; raises OSError."""
    result: int = LIBC.syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def raw(name: str) -> int:
    """Make one of the calls in RAW with senseless arguments."""
    return call(RAW[name][0 if X86 else 1], 0, 0, 0, 0, 0)


def parent_memory() -> int:
    """Read one byte of the parent."""
    place = ctypes.create_string_buffer(1)
    span = struct.pack("QQ", ctypes.addressof(place), 1)  # it is a copy of this process: the same place is there
    return call(310 if X86 else 270, os.getppid(), span, 1, span, 1, 0)


def program() -> None:
    """Start a program in this process."""
    os.execv("/bin/true", ["/bin/true"])  # noqa: S606 - it must not start


def connected(address: str, kind: int) -> None:
    """Connect to a local socket."""
    with socket.socket(socket.AF_UNIX, kind) as one:
        one.connect(address)


def sent_by_pair(address: str) -> int:
    """Send to a local socket from one end of a pair of sockets."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", address)


def attempts(folder: Path, abstract: str) -> dict[str, Callable[[], Any]]:
    """Return what to try, by name."""
    parent = os.getppid()
    return {
        "read the parent's environment": lambda: b"canary" in Path(f"/proc/{parent}/environ").read_bytes(),
        "read the parent's memory through /proc": lambda: Path(f"/proc/{parent}/mem").open("rb"),
        "open a file of the parent": lambda: Path(f"/proc/{parent}/fd/0").open("rb"),
        "see the parent's folder": lambda: Path(f"/proc/{parent}/cwd").readlink(),
        "read the parent's memory": parent_memory,
        "attach to the parent": lambda: call(101 if X86 else 117, 16, parent, 0, 0),
        "open the parent's pidfd": lambda: os.pidfd_open(parent),
        "take the parent's descriptor": lambda: call(438, 3, 0, 0),
        "signal the parent": lambda: os.kill(parent, 0),
        "limit the parent": lambda: call(302 if X86 else 261, parent, 7, 0, 0),
        "start a program": program,
        "fork": os.fork,
        "open a TCP socket": lambda: socket.socket(socket.AF_INET),
        "open a UDP socket": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
        "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "open a vsock socket": lambda: socket.socket(getattr(socket, "AF_VSOCK", 40), socket.SOCK_STREAM),
        "connect to a local socket": lambda: connected(str(folder / "socket"), socket.SOCK_STREAM),
        "connect to an abstract socket": lambda: connected(abstract, socket.SOCK_STREAM),
        "send a local datagram": lambda: sent_by_pair(str(folder / "datagrams")),
        "change permissions": lambda: (folder / "public").chmod(0o777),
        "read a file of root": (folder / "private").read_text,
        "read a file that all may read": (folder / "public").read_text,
        "list a folder": lambda: list(folder.iterdir()),
        "write a file": lambda: (folder / "new").write_text("x"),
        "write to a file that all may write to": lambda: (folder / "public").write_text("x"),
        "write to a device": lambda: Path("/dev/full").open("wb"),
        **{f"call {name}": lambda name=name: raw(name) for name in RAW},  # type: ignore[misc]
    }


def thread() -> None:
    """Start a thread and wait for it."""
    one = threading.Thread(target=int)
    one.start()
    one.join()


def needs(model: int, target: int) -> dict[str, Callable[[], Any]]:
    """Return what must still work."""
    return {
        "read the model": lambda: Path(f"/proc/self/fd/{model}").read_text(),
        "write the target": lambda: Path(f"/proc/self/fd/{target}").write_text("done"),
        "start a thread": thread,
        "import a module": lambda: __import__("colorsys").__name__,
        "import a library": lambda: __import__("jinja2.meta").__name__,
        "read /proc": lambda: len(Path("/proc/meminfo").read_text()) > 0,
        "make a pair of sockets": lambda: len(socket.socketpair()),
        "limit itself": lambda: call(302 if X86 else 261, 0, 7, 0, 0),
    }


def outcome(attempt: Callable[[], Any]) -> object:
    """Return what an attempt came to."""
    try:
        result = attempt()
    except PermissionError:
        return "denied"
    except Exception as error:  # noqa: BLE001 - said to the test
        return f"{type(error).__name__}: {error}"
    return result if isinstance(result, bool | int | str) else "done"


def become(user: int) -> None:
    """Become a user like any other, whose processes may be traced."""
    if os.getuid() != user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        LIBC.prctl(4, 1, 0, 0, 0)


def without_landlock() -> None:
    """Let this process's kernel answer as one without Landlock does: ENOSYS."""
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps), 32)
    LIBC.prctl(38, 1, 0, 0, 0)
    LIBC.prctl(22, 2, ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 4, ctypes.addressof(code))), 0, 0)


def prepare(folder: Path) -> tuple[str, list[socket.socket]]:
    """Make the files and sockets that are attacked; return the abstract address and what must stay open."""
    (folder / "private").write_text("secret")
    (folder / "private").chmod(0o600)
    (folder / "public").write_text("public")
    (folder / "public").chmod(0o666)
    (folder / "model").write_text("weights")
    (folder / "model").chmod(0o600)
    abstract = f"\0publisher-{os.getpid()}"
    listening = []
    for address, kind in (
        (str(folder / "socket"), socket.SOCK_STREAM),
        (abstract, socket.SOCK_STREAM),
        (str(folder / "datagrams"), socket.SOCK_DGRAM),
    ):
        one = socket.socket(socket.AF_UNIX, kind)
        one.bind(address)
        if kind == socket.SOCK_STREAM:
            one.listen()
        listening.append(one)
    for name in ("socket", "datagrams"):
        (folder / name).chmod(0o666)
    return abstract, listening


def inside(folder: Path, abstract: str, model: int, target: int) -> dict[str, object]:
    """Confine this process and return what it is and what it could do."""
    found: Confinement = confine.confine(confine.Profile(reads=(model,), writes=(target,)))
    capabilities = Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0]
    return {
        "confinement": {"user": found.user, "calls": found.calls, "missing": found.missing},
        "landlock": found.landlock,
        "user": os.getuid(),
        "groups": os.getgroups(),
        "capabilities": int(capabilities, 16),
        "needs": {name: outcome(attempt) for name, attempt in needs(model, target).items()},
        "attempts": {name: outcome(attempt) for name, attempt in attempts(folder, abstract).items()},
    }


def main() -> None:
    """Run the attempts in a confined child and print their outcomes."""
    folder, user = Path(sys.argv[1]), int(sys.argv[2])
    abstract, listening = prepare(folder)
    model = os.open(folder / "model", os.O_RDONLY)
    target = os.open(folder / "target", os.O_RDWR | os.O_CREAT, 0o666)
    os.fchmod(target, 0o666)
    become(user)
    if sys.argv[3] == "without":
        without_landlock()
    confine.hide()
    child = os.fork()
    if child == 0:
        sys.stdout.write(json.dumps(inside(folder, abstract, model, target)))
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
    for one in listening:
        one.close()


if __name__ == "__main__":
    main()
