from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from publisher.confine import calls, gpu_devices, library_folders
from tests import attacker

ROOT, OTHER = 0, 65_534
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
FILES = {
    "list a folder",
    "read a file of root",
    "read a file that all may read",
    "write a file",
    "write to a device",
    "write to a file that all may write to",
}
"""What only Landlock can deny."""
ALLOW, DENY = 0x7FFF0000, 0x00050001


def attacked(tmp_path: Path, user: int, landlock: str) -> dict[str, Any]:
    """Return what a confined process found that `user` started."""
    folder = tmp_path / "attacked"
    folder.mkdir()
    folder.chmod(0o777)
    for one in [tmp_path, *tmp_path.parents[:3]]:
        if one.stat().st_uid == os.getuid() and one != Path("/"):
            one.chmod(one.stat().st_mode | 0o011)
    done = subprocess.run(
        [sys.executable, "-m", "tests.attacker", str(folder), str(user), landlock],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SECRET": "canary"},
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def gained(found: dict[str, Any]) -> set[str]:
    """Return the attempts that were not denied."""
    return {name for name, result in found["attempts"].items() if result != "denied"}


@pytest.mark.parametrize("user", [pytest.param(ROOT, marks=AS_ROOT), os.getuid() or OTHER])
def test_a_confined_process_reaches_nothing(tmp_path: Path, user: int) -> None:
    """It cannot see its parent's secret, another file, a socket or a program, whoever started it."""
    found = attacked(tmp_path, user, "with")
    if not found["landlock"]:
        pytest.skip("this kernel has no Landlock")
    assert gained(found) == set()
    assert found["confinement"] == {"user": user or OTHER, "calls": True, "missing": []}


@pytest.mark.parametrize("user", [pytest.param(ROOT, marks=AS_ROOT), os.getuid() or OTHER])
def test_what_an_older_kernel_cannot_deny_is_listed(tmp_path: Path, user: int) -> None:
    """Without Landlock other files stay open, and the confinement says so; the parent's secret stays closed."""
    found = attacked(tmp_path, user, "without")
    assert gained(found) <= FILES
    assert found["landlock"] == 0
    assert any("no Landlock" in reason for reason in found["confinement"]["missing"])


@AS_ROOT
def test_root_becomes_nobody(tmp_path: Path) -> None:
    """Root's process runs as another user without groups; at most it can read what Landlock lets it."""
    found = attacked(tmp_path, ROOT, "with")
    assert (found["user"], found["groups"]) == (OTHER, [])
    assert found["capabilities"] in {0, 1 << 1, 1 << 2}


def test_a_confined_process_can_do_its_work(tmp_path: Path) -> None:
    """It reads its model and libraries, writes its target and starts threads."""
    found = attacked(tmp_path, os.getuid(), "with")
    assert found["needs"] == {
        "read the model": "weights",
        "write the target": 4,
        "start a thread": "done",
        "import a module": "colorsys",
        "import a library": "jinja2",
        "read /proc": True,
        "make a pair of sockets": 2,
        "limit itself": 0,
    }


def test_what_lies_beside_the_package_stays_closed() -> None:
    """Of a checkout only the package is readable, not its `.git` folder."""
    checkout = Path(__file__).parents[1]
    assert str(checkout) not in library_folders()
    assert str(checkout / "publisher") in library_folders()


def test_devices_are_those_of_graphics() -> None:
    """No disk, terminal or memory device is among those that an engine may write to."""
    assert all(re.match(r"/dev/(nvidia|dri/|kfd|dxg)", path) for path in gpu_devices())


def decision(machine: str, audit: int, number: int, *arguments: int) -> int:
    """Return what the filter of an architecture answers a system call, as the kernel runs it."""
    words = [number, audit, 0, 0]
    for value in (*arguments, *[0] * (6 - len(arguments))):
        words += [value & 0xFFFFFFFF, value >> 32]
    steps, at, value = calls.program(machine, 1234), 0, 0
    while True:
        code, yes, no, operand = steps[at]
        at += 1
        if code == 0x06:
            return operand
        if code == 0x20:
            value = words[operand // 4]
        elif code == 0x54:
            value &= operand
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: value & operand != 0}[code]
            at += yes if holds else no


@pytest.mark.parametrize(("machine", "audit", "column"), [("x86_64", 0xC000003E, 0), ("aarch64", 0xC00000B7, 1)])
def test_the_filter_denies_on_every_architecture(machine: str, audit: int, column: int) -> None:
    """Every listed call is denied by its number there; reading, writing and threads are not."""
    numbers = [pair[column] for pair in calls.DENIED.values() if pair[column] is not None]
    assert {decision(machine, audit, number) for number in numbers if number is not None} == {DENY}
    read, clone, socket, sendto, tgkill = {"x86_64": (0, 56, 41, 44, 234), "aarch64": (63, 220, 198, 206, 131)}[machine]
    assert decision(machine, audit, read) == ALLOW
    assert decision(machine, audit, clone, 0x3D0F00) == ALLOW
    assert decision(machine, audit, clone, 17) == DENY
    assert [decision(machine, audit, socket, 1, kind) for kind in (1, 2, 5, 0x80001)] == [ALLOW, DENY, ALLOW, ALLOW]
    assert decision(machine, audit, socket, 2, 1) == DENY
    assert decision(machine, audit, sendto, 3, 0, 0, 0, 1 << 40) == DENY
    assert decision(machine, audit, sendto, 3) == ALLOW
    assert [decision(machine, audit, tgkill, pid) for pid in (1234, 1)] == [ALLOW, DENY]


def test_calls_of_another_architecture_kill() -> None:
    """A number means something else there, so 32-bit calls cannot get around the filter."""
    assert decision("x86_64", 0x40000003, 11) == 0x80000000
    assert decision("x86_64", 0xC000003E, 0x40000000 + 41) == DENY


@pytest.mark.parametrize(
    ("header", "column"),
    [("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 0), ("/usr/include/asm-generic/unistd.h", 1)],
)
def test_the_numbers_are_the_kernels(header: str, column: int) -> None:
    """Each call's number is the one in the kernel's header, where that is installed and knows the call."""
    if not Path(header).exists():
        pytest.skip("the kernel's headers are not installed")
    text = Path(header).read_text(encoding="utf-8")
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    numbers = {name: pair[column] for name, pair in calls.DENIED.items() if name in known}
    assert len(numbers) > 60
    assert numbers == {name: known[name] for name in numbers}


def test_the_attacker_makes_the_calls_it_means() -> None:
    """The numbers that the attacker calls are those that the filter denies."""
    short = {"perf": "perf_event_open", "io_uring": "io_uring_setup"}
    assert all(calls.DENIED[short.get(name, name)] == pair for name, pair in attacker.RAW.items())
