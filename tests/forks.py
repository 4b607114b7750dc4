"""A publisher that each test process imports once, and that forks for each command.

Importing the package costs most commands more time than what they do. A fork is a process of its own with the
arguments, environment, folder and streams of a command that somebody typed; it begins where the program begins.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from publisher import cli
from publisher.bench.plan import engine_build

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STARTING = ("PATH", "PYTHON", "LC_", "LANG", "LD_", "TZ", "GIT_PYTHON_")
"""The beginnings of the names of variables that Python or a library reads when it starts."""
_ROOT = Path(__file__).parents[1]
_LONGEST = 1 << 17
"""Bytes of a command with its environment; the kernel lets about as much through a socket at once."""


def starting(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the part of an environment that is read when Python starts."""
    return {name: value for name, value in environment.items() if name.startswith(STARTING)}


_OURS = starting(os.environ)
_STARTING = threading.Lock()


def run(
    command: Sequence[str], environment: Mapping[str, str], seconds: float, *, happens: Mapping[str, Any] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command line of `publisher` and kill it after `seconds`; `happens` is what else `killing` does to it.

    It is started anew where a fork could behave differently.
    """
    if happens is None and starting(environment) != _OURS:
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=seconds)
    ours, theirs = socket.socketpair()
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    with ours, theirs, ours.makefile() as answer, os.fdopen(out) as out_stream, os.fdopen(err) as err_stream:
        order = json.dumps([str(Path.cwd()), dict(environment), happens, *command]).encode()
        assert len(order) < _LONGEST, "a long command"
        with _STARTING:
            server = _server()
        socket.send_fds(server, [order], [out_end, err_end, theirs.fileno()])
        for end in (out_end, err_end, theirs.detach()):
            os.close(end)
        late = threading.Timer(seconds, os.kill, (int(answer.readline()), signal.SIGKILL))
        late.daemon = True
        late.start()
        with ThreadPoolExecutor(2) as pool:
            said = list(pool.map(lambda stream: stream.read(), (out_stream, err_stream)))
        code = int(answer.readline())
        if late.finished.is_set():
            raise subprocess.TimeoutExpired(command, seconds)
        late.cancel()
    return subprocess.CompletedProcess(command, code, *said)


@functools.cache
def _server() -> socket.socket:
    """Start the server and return the socket that takes orders; it ends when the socket is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", f"from tests.forks import serve; serve({theirs.fileno()})"],
            cwd=_ROOT,
            env=_OURS,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # so that Python makes its streams as it does for commands; nothing is read
            stderr=subprocess.PIPE,
        )
    atexit.register(process.communicate)
    atexit.register(ours.close)
    return ours


def serve(number: int) -> None:
    """Fork for each order that comes through a socket, whose descriptor is `number`, until its other end is closed.

    An order is JSON, with descriptors for stdout, stderr and the answer: a line with the process, one with its code.
    """
    importlib.import_module("tests.killing")  # which runs its own commands here
    sys.path.remove("")  # the folder that a command runs in offers it no modules
    for name in cli.COMMANDS:
        importlib.import_module(f"publisher.cli.{name.replace('-', '_')}")
    engine_build()  # reads all of the engine's libraries
    gc.collect()
    gc.freeze()  # collecting would copy what the forks share
    forks: dict[int, tuple[int, socket.socket]] = {}
    with socket.socket(fileno=number) as orders, selectors.DefaultSelector() as selector:
        selector.register(orders, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd in forks:
                    selector.unregister(key.fd)
                    _tell(key.fd, *forks.pop(key.fd))
                    continue
                order, descriptors, _, _ = socket.recv_fds(orders, _LONGEST, 3)
                if not order:
                    return
                child = os.fork()
                if not child:
                    selector.close()
                    orders.close()
                    for process, (_, answer) in forks.items():
                        os.close(process)
                        answer.close()
                    _obey(json.loads(order), descriptors)
                process = os.pidfd_open(child)
                selector.register(process, selectors.EVENT_READ)
                forks[process] = child, _told(child, descriptors)


def _told(child: int, descriptors: list[int]) -> socket.socket:
    """Say which process obeys an order, and return the socket on which its exit code is awaited."""
    for stream in descriptors[:2]:
        os.close(stream)
    answer = socket.socket(fileno=descriptors[2])
    with suppress(OSError):
        answer.sendall(b"%d\n" % child)
    return answer


def _tell(ended: int, child: int, answer: socket.socket) -> None:
    """Say with which code a process has ended; minus the signal where one killed it."""
    os.close(ended)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with answer, suppress(OSError):  # a test that was interrupted does not listen any more
        answer.sendall(b"%d\n" % code)


def _obey(order: list[Any], descriptors: list[int]) -> NoReturn:
    """Become the command that was ordered."""
    folder, environment, happens, *sys.argv = order
    for number, stream in enumerate(descriptors[:2], 1):
        os.dup2(stream, number)
    for descriptor in descriptors:
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # the folder may be another one in this environment
    if happens is not None:
        killing = importlib.import_module("tests.killing")
        killing.install(killing.Order(sys.argv[1:], environment, **happens))
    cli.main()
