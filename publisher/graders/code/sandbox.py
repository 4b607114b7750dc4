"""A sandbox for programs that a model wrote: no network, no files of ours, no secrets, bounded in everything.

bubblewrap gives a program namespaces of its own, an empty root with `/usr` to read and a small `/tmp` to write, and
takes away every capability; a seccomp filter closes what namespaces leave open (vsock, keyrings, io_uring, perf,
bpf); limits bound processor time, memory, processes, files and output. As root we first become user 65534: the kernel
does not enforce the limit of processes for root. Without a working sandbox there is no grading: `Sandbox.open` says
why.

Traps (each has a test): bubblewrap's own process would be in reach inside, with our environment in `/proc/1/environ`
and its memory open for writing, so it starts with an empty environment and the program itself is process 1; `/dev`
would be a writable file system without a limit, so it is remounted read-only; limits of address space are per process,
so the memory of all processes together is watched from outside; a sandbox that could not be set up ends like a program
with exit code 1, so bubblewrap's own report is read, and its failure is an error.
"""

from __future__ import annotations

import contextlib
import functools
import os
import selectors
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from publisher.confine import calls
from publisher.errors import GraderError
from publisher.graders.code.watching import Clock, Watch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

NOBODY = 65534
INSTALL = "apt-get install bubblewrap   (on Ubuntu 24.04 also allow it user namespaces: see docs/graders.md)"
_JOB, _SCRATCH = "/job", "/tmp"  # noqa: S108 - a file system of the sandbox's own
_PROBE = b"print(6 * 7)"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use; seconds are its own time (`watching`) from start to end, bytes of memory resident."""

    seconds: float = 10.0
    memory: int = 1 << 30
    output: int = 1 << 20
    processes: int = 64
    file: int = 32 << 20
    scratch: int = 64 << 20
    files: int = 20_000
    """Files and folders in the scratch folder."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program did: its output (cut at the limit), its exit code, and which limit ended it, "" for none."""

    output: bytes
    errors: str
    code: int
    limit: str = ""
    seconds: float = 0.0


class Sandbox:
    """Runs programs; `with Sandbox.open() as sandbox: …`. Threads may share it."""

    def __init__(self, python: str) -> None:
        """Use this interpreter, which lies below `/usr`."""
        self.python = python
        self._folder = tempfile.TemporaryDirectory(prefix="publisher-programs-")
        Path(self._folder.name).chmod(0o755)

    @classmethod
    def open(cls) -> Self:
        """Return a sandbox that has been seen to work here; GraderError, with what to install, where none does."""
        why = _missing()
        if why:
            raise GraderError(f"programs cannot be graded here: {why}", hint=INSTALL)
        tried = ""
        for python in _interpreters():
            sandbox = cls(python)
            done = sandbox.run({"probe.py": _PROBE}, "probe.py")
            if done.output == b"42\n":
                return sandbox
            tried = done.errors.strip().splitlines()[-1] if done.errors.strip() else f"exit code {done.code}"
            sandbox.close()
        raise GraderError(f"programs cannot be graded here: the sandbox does not work ({tried[:200]})", hint=INSTALL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the sandbox's folder."""
        self.close()

    def close(self) -> None:
        """Remove the sandbox's folder."""
        self._folder.cleanup()

    def run(
        self, files: Mapping[str, bytes], program: str, *, stdin: bytes = b"", limits: Limits = Limits()
    ) -> Finished:
        """Run one of `files` with `stdin` to its end, or to a limit."""
        with self.start(files, program, limits=limits) as running:
            return running.finish(stdin)

    def start(self, files: Mapping[str, bytes], program: str, *, limits: Limits = Limits()) -> Running:
        """Start one of `files`, which all lie read-only in `/job`, and return it running."""
        folder = Path(tempfile.mkdtemp(dir=self._folder.name))
        for name, data in files.items():
            (folder / name).write_bytes(data)
            (folder / name).chmod(0o644)
        folder.chmod(0o755)
        return Running(self._command(folder, program, limits), folder, limits)

    def _command(self, folder: Path, program: str, limits: Limits) -> list[str]:
        bounds = [
            f"--nproc={limits.processes}",
            f"--as={4 * limits.memory}",
            f"--fsize={limits.file}",
            "--nofile=64",
            f"--cpu={max(1, int(limits.seconds) + 1)}",
            "--core=0",
        ]
        return [
            *("bwrap", "--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)),
            *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),
            *("--hostname", "sandbox", "--ro-bind", "/usr", "/usr"),
            *("--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
            *("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"),
            *("--size", str(limits.scratch), "--tmpfs", _SCRATCH, "--ro-bind", str(folder), _JOB, "--remount-ro", "/"),
            *("--chdir", _SCRATCH, "--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", _SCRATCH),
            *("--setenv", "PYTHONHASHSEED", "0", "--setenv", "LC_ALL", "C.UTF-8"),
            *("--cap-drop", "ALL", "--die-with-parent", "--as-pid-1", "--new-session", "--disable-userns"),
            *("--seccomp", "{filter}", "--json-status-fd", "{status}"),
            *(
                "--",
                "/usr/bin/prlimit",
                *bounds,
                "--",
                self.python,
                "-I",
                "-S",
                "-B",
                "-X",
                "utf8",
                f"{_JOB}/{program}",
            ),
        ]


class Running:
    """A program that runs; a context manager that ends it, whatever it started."""

    def __init__(self, command: list[str], folder: Path, limits: Limits) -> None:
        """Start it."""
        self._limits, self._folder = limits, folder
        self._began = time.monotonic()
        self._process, self._status = _started(command)
        self.watch = Watch(self._process.pid, limits.scratch)
        self._clock = Clock(limits.seconds, self.watch)
        self._out, self._errors, self._stdin = bytearray(), bytearray(), b""
        self._fed = 0
        self._selector = selectors.DefaultSelector()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None  # noqa: S101 - asked for above
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe.fileno(), selectors.EVENT_READ)
        self._open = 2

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it and remove its files."""
        self.end()

    def finish(self, stdin: bytes = b"") -> Finished:
        """Feed the program, wait for its end or a limit, and return what it did."""
        self.feed(stdin, close=True)
        limit = ""
        while self._open and not limit:
            limit = self._over(self._clock)
            if not limit:
                self._pump(min(0.05, self._clock.left()))
        if not limit:
            self._require_sandbox()
        self._kill()
        code = self._process.wait()
        out = bytes(self._out[: self._limits.output])
        errors = self._errors.decode("utf-8", "replace")[-4000:]
        return Finished(out, errors, code, limit, time.monotonic() - self._began)

    def feed(self, data: bytes, *, close: bool = False) -> None:
        """Give the program something to read; a program that has ended does not mind."""
        self._stdin, self._fed = self._stdin[self._fed :] + data, 0
        stream = self._process.stdin
        if stream is None or stream.closed:
            return
        os.set_blocking(stream.fileno(), False)
        self._closing = close
        if stream.fileno() not in self._selector.get_map():
            self._selector.register(stream.fileno(), selectors.EVENT_WRITE)

    def line(self, seconds: float | Clock) -> bytes | None:
        """Return the next line of output within so much of its own time; None for none, or where a limit was reached.

        Raises GraderError where it was the sandbox that failed.
        """
        clock = seconds if isinstance(seconds, Clock) else Clock(seconds, self.watch)
        while b"\n" not in self._out:
            if not self._open:
                self._require_sandbox()
                return None
            if self._over(clock):
                return None
            self._pump(min(0.05, clock.left()))
        line, _, rest = bytes(self._out).partition(b"\n")
        self._out = bytearray(rest)
        return line

    @property
    def errors(self) -> str:
        """What the program wrote to its standard error so far."""
        return self._errors.decode("utf-8", "replace")[-4000:]

    def end(self) -> None:
        """End the program with all that it started, and remove its files; more than once does no harm."""
        self._kill()
        self._process.wait()
        self._selector.close()
        pipes: list[IO[bytes] | None] = [self._process.stdin, self._process.stdout, self._process.stderr]
        for pipe in pipes:
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if self._status >= 0:
            os.close(self._status)
            self._status = -1
        shutil.rmtree(self._folder, ignore_errors=True)

    def _require_sandbox(self) -> None:
        """Raise GraderError where bubblewrap has ended without having run the program: that is not the program's fault.

        Its report names an exit code only for a program that ran. No program can write to it or close it.
        """
        self._process.wait()
        report, said = b"", b"begin"
        while said:
            said = os.read(self._status, 4096)
            report += said
        if b'"exit-code"' not in report:
            why = (self.errors.strip().splitlines() or [f"exit code {self._process.returncode}"])[-1]
            raise GraderError(f"the sandbox failed: {why[:200]}")

    def _kill(self) -> None:
        """Kill bubblewrap, and with it process 1 of the namespace, and with that every process in it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _over(self, clock: Clock) -> str:
        """Return which limit has been reached, "" for none."""
        if clock.over() or self._clock.over():
            return "time"
        if len(self._out) > self._limits.output:
            return "output"
        # Starting takes a few hundredths of a second, and no program fills the memory in that time.
        if time.monotonic() - self._began > 0.1:
            used = self.watch.usage()
            return "memory" if used.memory > self._limits.memory else "files" if used.files > self._limits.files else ""
        return ""

    def _pump(self, seconds: float) -> None:
        """Move bytes between us and the program."""
        for key, _ in self._selector.select(seconds):
            if key.events & selectors.EVENT_WRITE:
                self._write(key.fd)
            else:
                self._read(key.fd)

    def _write(self, descriptor: int) -> None:
        try:
            self._fed += os.write(descriptor, memoryview(self._stdin)[self._fed : self._fed + (1 << 16)])
        except BlockingIOError:
            return
        except OSError:
            self._fed = len(self._stdin)  # it reads no more
        if self._fed == len(self._stdin):
            self._stdin, self._fed = b"", 0
            self._selector.unregister(descriptor)
            if self._closing and self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()

    def _read(self, descriptor: int) -> None:
        assert self._process.stdout is not None  # noqa: S101 - asked for when it was started
        data = os.read(descriptor, 1 << 16)
        if not data:
            self._selector.unregister(descriptor)
            self._open -= 1
        elif descriptor == self._process.stdout.fileno():
            self._out += data
        else:
            self._errors = (self._errors + data)[-8192:]


def _started(command: list[str]) -> tuple[subprocess.Popen[bytes], int]:
    """Return bubblewrap's process, as a user without rights, and the descriptor of its report."""
    root = os.geteuid() == 0
    program, report, status = _filter_pipe(), *os.pipe()
    try:
        words = {"{filter}": str(program), "{status}": str(status)}
        process = subprocess.Popen(
            [words.get(word, word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[program, status],
            env={"PATH": os.defpath},
            cwd="/",
            start_new_session=True,
            user=NOBODY if root else None,
            group=NOBODY if root else None,
            extra_groups=[] if root else None,
        )
    except BaseException:
        os.close(report)
        raise
    finally:
        os.close(program)
        os.close(status)
    return process, report


def _filter_pipe() -> int:
    """Return a pipe that holds the system-call filter."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as stream:
        stream.write(_filter())
    return reader


def _missing() -> str:
    """Return what this machine lacks for a sandbox, "" for nothing."""
    if sys.platform != "linux":
        return "sandboxing needs Linux"
    if not calls.supported():
        return "there is no system-call filter for this processor"
    for program in ("bwrap", "prlimit"):
        if shutil.which(program, path="/usr/bin:/bin:/usr/local/bin") is None:
            return f"{program} is not installed"
    return ""


def _interpreters() -> list[str]:
    """Return the interpreters below `/usr` that a program could run on, this process's own version first."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    own = os.path.realpath(sys.executable)
    names = [own, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}", "/usr/bin/python3"]
    return [name for name in dict.fromkeys(names) if name.startswith("/usr/") and os.access(name, os.X_OK)]


@functools.cache
def _filter() -> bytes:
    """Return the seccomp program that bubblewrap installs."""
    return b"".join(struct.pack("=HBBI", *step) for step in calls.for_programs())
