from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from publisher.errors import GraderError
from publisher.graders.code.sandbox import Finished, Limits, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary-2b7e151628aed2a6"
DEAF = """
import signal, time
for number in range(1, 32):
    try: signal.signal(number, signal.SIG_IGN)
    except OSError: pass
while True: time.sleep(1)
"""
QUICK = Limits(seconds=3.0, memory=128 << 20, output=65_536)


def run(
    sandbox: Sandbox, source: str, stdin: bytes = b"", limits: Limits = QUICK, name: str = "program.py"
) -> Finished:
    """Run a program."""
    return sandbox.run({name: source.encode()}, name, stdin=stdin, limits=limits)


def says(sandbox: Sandbox, source: str) -> str:
    """Return what a program prints."""
    return run(sandbox, source).output.decode().strip()


def test_a_program_reads_its_input_and_prints(sandbox: Sandbox) -> None:
    """The plain case, with its exit code."""
    done = run(sandbox, "import sys; print(sys.stdin.read()[::-1]); sys.exit(3)", b"hello")
    assert (done.output, done.code, done.limit) == (b"olleh\n", 3, "")


def test_threads_and_other_programs_work(sandbox: Sandbox) -> None:
    """A solution may use what a solution on a contest's judge may use."""
    source = """
import subprocess, sys, threading, asyncio
thread = threading.Thread(target=lambda: print("thread", flush=True)); thread.start(); thread.join()
print(subprocess.run([sys.executable, "-c", "print('child')"], capture_output=True, text=True).stdout.strip())
asyncio.run(asyncio.sleep(0)); print("asyncio")
"""
    assert says(sandbox, source).split() == ["thread", "child", "asyncio"]


def test_the_environment_and_its_secrets_are_not_there(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the program's own environment nor in that of any process it can see."""
    monkeypatch.setenv("NETLIFY_AUTH_TOKEN", CANARY)
    source = """
import os, glob
print(dict(os.environ))
for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline"):
    try: print(open(path).read())
    except OSError: pass
"""
    done = run(sandbox, source)
    assert b"HOME" in done.output
    assert CANARY.encode() not in done.output


@pytest.mark.parametrize("path", ["/etc/passwd", "/root", "/home", "/var", "/sys", str(Path.cwd()), "/proc/1/root/etc"])
def test_files_of_this_machine_are_not_there(sandbox: Sandbox, path: str) -> None:
    """Only `/usr` is, to be read."""
    assert says(sandbox, f"import os; print(os.path.exists({path!r}))") == "False"


@pytest.mark.parametrize("path", ["/x", "/usr/x", "/job/x", "/dev/x", "/proc/x", "/bin/x", "/dev/" + "shm/x"])
def test_only_the_scratch_folder_can_be_written(sandbox: Sandbox, path: str) -> None:
    """Nothing else, the program's own file included."""
    source = f"try: open({path!r}, 'w'); print('open')\nexcept OSError: print('closed')\nopen('/tmp/x', 'w').write('y')"
    assert says(sandbox, source) == "closed"


def test_symlinks_lead_nowhere(sandbox: Sandbox) -> None:
    """A link to a file outside points to what is not there."""
    source = "import os\nos.symlink('/etc/passwd', 'x')\ntry: print(open('x').read())\nexcept OSError: print('nowhere')"
    assert says(sandbox, source) == "nowhere"


def test_there_is_no_network(sandbox: Sandbox) -> None:
    """No family of sockets but local ones can be opened, and no server of this machine reached."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = f"""
import socket
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK, 38):
    try: socket.socket(family, socket.SOCK_RAW if family == 17 else socket.SOCK_STREAM); print("open", family)
    except OSError: pass
try: socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 1); print("reached")
except OSError: print("closed")
"""
        assert says(sandbox, source) == "closed"


@pytest.mark.parametrize(
    "call",
    [
        "ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "ctypes.CDLL(None).unshare(0x10000000)",
        "ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)",
        "ctypes.CDLL(None).syscall(425, 8, 0)",
        "ctypes.CDLL(None).syscall(321, 0, 0, 0)",
        "ctypes.CDLL(None).syscall(248, b'user', b'x', b'y', 1, -3)",
        "ctypes.CDLL(None).setuid(0)",
        "ctypes.CDLL(None).chroot(b'/tmp')",
        "ctypes.CDLL(None).syscall(298, 0, 0, -1, -1, 0)",
    ],
)
def test_dangerous_system_calls_fail(sandbox: Sandbox, call: str) -> None:
    """Mounts, namespaces, ptrace, io_uring, bpf, keyrings, root, chroot and perf."""
    assert says(sandbox, f"import ctypes, os\nprint({call})") == "-1"


@pytest.mark.parametrize(
    ("source", "limit"),
    [
        ("while True: pass", "time"),
        ("import time; time.sleep(60)", "time"),
        ("while True: print('x' * 1000)", "output"),
        ("import sys\nwhile True: sys.stderr.write('x' * 1000)", "time"),
        ("x = [b'x' * 1_000_000 for _ in range(10_000)]\nwhile True: pass", "memory"),
        (DEAF, "time"),
    ],
)
def test_every_excess_ends_at_its_limit(sandbox: Sandbox, source: str, limit: str) -> None:
    """Spinning, sleeping, floods of output, memory, and a program that ignores signals."""
    limits = Limits(seconds=1.5 if limit == "time" else 20.0, memory=96 << 20, output=65_536)
    done = run(sandbox, source, limits=limits)
    assert done.limit == limit
    assert len(done.output) <= 65_536


def test_memory_counts_over_all_processes(sandbox: Sandbox) -> None:
    """Each stays below the limit, and all of them together do not."""
    source = """
import os, time
for _ in range(4):
    if os.fork() == 0: break
x = bytearray(os.urandom(1 << 20)) * 60
time.sleep(30)
"""
    assert run(sandbox, source, limits=Limits(seconds=20.0, memory=160 << 20)).limit == "memory"


def test_a_long_input_costs_no_more_than_its_length(sandbox: Sandbox) -> None:
    """It is handed over piece by piece; copying what is left each time took the square."""
    source = "import sys; print(len(sys.stdin.buffer.read()))"
    before = time.process_time()
    done = run(sandbox, source, b"1 2\n" * (10 << 20), limits=Limits(seconds=60.0))
    assert (done.output, time.process_time() - before < 1.5) == (b"41943040\n", True)


@pytest.mark.parametrize(
    "path", ["/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory"]
)
def test_proc_gives_no_power(sandbox: Sandbox, path: str) -> None:
    """What it shows of the kernel and of the sandbox's own process cannot be written."""
    assert (
        says(sandbox, f"try: open({path!r}, 'r+b').write(b'1'); print('open')\nexcept OSError: print('closed')")
        == "closed"
    )


def test_a_program_sees_no_process_but_its_own(sandbox: Sandbox) -> None:
    """Had it the sandbox's process in reach, it could write to its memory and make it fail, which is an error."""
    assert says(sandbox, "import os\nprint([name for name in os.listdir('/proc') if name.isdigit()])") == "['1']"


def test_a_fork_bomb_stops_and_leaves_nothing(sandbox: Sandbox) -> None:
    """It meets the limit of processes, and all of them end with the program."""
    source = """
import os, time
count = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(600)
        count += 1
except OSError:
    print(count)
"""
    done = run(sandbox, source, limits=Limits(seconds=5.0, memory=1 << 30), name=f"bomb-{os.getpid()}.py")
    assert 10 < int(done.output) < 64
    assert not left_running(f"bomb-{os.getpid()}.py")


def test_a_daemon_ends_with_the_program(sandbox: Sandbox) -> None:
    """Also one with a session of its own that was forked twice and ignores signals."""
    source = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)
        for descriptor in (0, 1, 2): os.close(descriptor)
        time.sleep(600)
    os._exit(0)
print("done")
"""
    assert run(sandbox, source, name=f"daemon-{os.getpid()}.py").output == b"done\n"
    assert not left_running(f"daemon-{os.getpid()}.py")


def test_the_disk_and_its_inodes_are_bounded(sandbox: Sandbox) -> None:
    """A file ends at its limit, the scratch folder at its own, and so do folders without end."""
    source = """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with open("x", "wb") as stream:
    try:
        while True: stream.write(b"x" * 1_000_000)
    except OSError: print("full")
"""
    assert says(sandbox, source) == "full"
    folders = "import os\nn = 0\nwhile True: os.mkdir(f'd{n}'); n += 1"
    assert run(sandbox, folders, limits=Limits(seconds=20.0)).limit == "files"


def test_what_a_program_leaves_is_not_there_for_the_next(sandbox: Sandbox) -> None:
    """Each has a scratch folder of its own."""
    run(sandbox, "open('/tmp/note', 'w').write('x')")
    assert says(sandbox, "import os; print(os.listdir('/tmp'))") == "[]"


def test_signals_reach_nothing_outside(sandbox: Sandbox) -> None:
    """Neither the sandbox's own process, nor this one, nor all at once."""
    source = f"""
import os, signal
for target in (1, {os.getpid()}, {os.getppid()}):
    try: os.kill(target, signal.SIGKILL)
    except OSError: pass
print("sent", flush=True)
os.kill(-1, signal.SIGKILL)
"""
    done = run(sandbox, source)
    assert (done.output, done.limit, os.getpid() > 0) == (b"sent\n", "", True)


def test_nothing_is_left_when_the_publisher_is_killed(sandbox: Sandbox, tmp_path: Path) -> None:
    """A program ends with the process that runs it, whatever that one dies of and however little it wants to."""
    name = f"orphan-{os.getpid()}.py"
    code = f"""
import pathlib
from publisher.graders.code.sandbox import Limits, Sandbox
deaf = b"import ctypes; ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)"
files = {{"{name}": deaf + b"\\nprint(1, flush=True)\\nwhile True: pass"}}
with Sandbox.open() as sandbox, sandbox.start(files, "{name}") as running:
    running.line(60)
    pathlib.Path("{tmp_path}/ready").touch()
    running.line(60)
"""
    # The publisher cannot remove its folder any more, so the test does; pytest's own folders are closed to other users.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": folder}) as publisher:
            end = time.monotonic() + 60
            while not (tmp_path / "ready").exists() and time.monotonic() < end:
                time.sleep(0.05)
            assert any(name.encode() in line for line in commands())
            publisher.kill()
    assert not left_running(name)


@pytest.mark.parametrize(
    "call",
    [
        "os.nice(5)",
        "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))",
        "os.sched_setaffinity(0, {0})",
        "os.setpriority(os.PRIO_PROCESS, 0, 19)",
    ],
)
def test_a_program_cannot_choose_to_run_last(sandbox: Sandbox, call: str) -> None:
    """It could then wait on a busy machine until it counts as starved, which is an error instead of a wrong answer."""
    assert says(sandbox, f"import os\ntry: {call}; print('done')\nexcept PermissionError: print('denied')") == "denied"


BUSY = "while True: pass"


def test_a_program_that_waits_for_a_processor_keeps_its_time(sandbox: Sandbox) -> None:
    """What is right on an idle machine is right on a busy one: five others share the program's core."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(mine)})
    others = [subprocess.Popen([sys.executable, "-S", "-c", BUSY]) for _ in range(5)]
    try:
        source = "import time\nwhile time.process_time() < 0.4: pass\nprint('done')"
        done = run(sandbox, source, limits=Limits(seconds=1.2))
    finally:
        os.sched_setaffinity(0, mine)
        for other in others:
            other.kill()
            other.wait()
    assert (done.output, done.limit) == (b"done\n", "")


def test_a_program_gains_no_time_by_keeping_itself_waiting(sandbox: Sandbox) -> None:
    """Its own processes' time counts, however many there are."""
    source = "import os\nfor _ in range(20):\n    if os.fork() == 0: break\nwhile True: pass"
    began = time.monotonic()
    assert run(sandbox, source, limits=Limits(seconds=0.5)).limit == "time"
    assert time.monotonic() - began < 8


class Broken(Sandbox):
    """A sandbox that cannot be set up: what it binds is not there."""

    def _command(self, folder: Path, program: str, limits: Limits) -> list[str]:
        words = super()._command(folder, program, limits)
        return [*words[: words.index("--")], "--ro-bind", "/no/such/folder", "/x", *words[words.index("--") :]]


def test_a_sandbox_that_fails_is_an_error_and_no_wrong_answer(sandbox: Sandbox) -> None:
    """It ends with exit code 1, as a program might."""
    with Broken(sandbox.python) as broken:
        with pytest.raises(GraderError, match=r"the sandbox failed: bwrap: .*/no/such/folder"):
            run(broken, "print(1)")
        with pytest.raises(GraderError), broken.start({"p.py": b"print(1)"}, "p.py") as running:
            running.line(5)


def test_without_bubblewrap_there_is_no_grading(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails closed, with what to install."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(GraderError, match="bwrap is not installed") as caught:
        Sandbox.open()
    assert "apt-get install bubblewrap" in caught.value.hint


def left_running(program: str) -> bool:
    """Return whether a process of a program still runs after a while; the kernel takes its time."""
    word, end = f"/job/{program}".encode(), time.monotonic() + 20.0
    while any(word in line for line in commands()):
        if time.monotonic() > end:
            return True
        time.sleep(0.02)
    return False


def commands() -> Iterator[bytes]:
    """Yield the command lines of this machine's processes."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes()
