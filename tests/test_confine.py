from __future__ import annotations

import subprocess
import sys

import pytest

TRIAL = """
import os, resource, socket
from publisher.confine import confine
print("confined", confine())
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, getattr(socket, "AF_VSOCK", 40)):
    try:
        socket.socket(family, socket.SOCK_STREAM if family != socket.AF_NETLINK else socket.SOCK_RAW)
        print("open", family)
    except PermissionError:
        print("refused")
socket.socket(socket.AF_UNIX).close()
print("cores", resource.getrlimit(resource.RLIMIT_CORE))
print(open("/proc/self/status").read().split("NoNewPrivs:")[1].split()[0])
"""


@pytest.fixture(scope="module")
def trial() -> list[str]:
    """Return what a confined process found."""
    done = subprocess.run([sys.executable, "-c", TRIAL], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_confined_process_has_no_network(trial: list[str]) -> None:
    """Sockets of every kind but local ones are refused."""
    assert trial[:5] == ["confined True"] + ["refused"] * 4


def test_a_confined_process_leaves_no_core_and_gains_no_privilege(trial: list[str]) -> None:
    """No memory image with prompts reaches the disk, and set-user-id programs give nothing."""
    assert trial[5:] == ["cores (0, 0)", "1"]
