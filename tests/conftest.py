"""Fixtures for every test, and traps: no test reads the user's home or secrets, or leaves this machine."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from publisher.errors import GraderError
from publisher.graders.code.sandbox import Sandbox
from tests.chromium import Browser, chromium
from tests.made import GitFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

# A shell starts background jobs with SIGINT ignored, and children inherit that: tests of Ctrl-C need it to work.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).parents[2] / "shared"
"""Public problem sets and grading cases, where they lie beside the checkout."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with a model or a browser first: one that began last would end alone, on one of the processors."""
    slow = {item.path for item in items if item.get_closest_marker("model") or item.get_closest_marker("browser")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def clean_room(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an empty home, no git settings and no secrets, and refuse connections to other machines."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith(("GIT_", "NETLIFY", "PUBLISHER_", "GITHUB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            pytest.fail(f"a test tried to reach {address[0]}: tests stay on this machine")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def repository(tmp_path: Path) -> GitFolder:
    """Return a new git repository with one commit on `main`."""
    folder = GitFolder.create(tmp_path / "work")
    folder.commit({"README.md": "a model\n"}, "First")
    return folder


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Return a sandbox for programs, or skip where this machine has none."""
    try:
        opened = Sandbox.open()
    except GraderError as error:
        pytest.skip(error.message)
    with opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser for all tests of a file."""
    with chromium() as running:
        yield running


@pytest.fixture
def shared() -> Path:
    """Return the folder of public problem sets, or skip where it is not at hand."""
    if not SHARED.is_dir():
        pytest.skip("the public problem sets are not beside this checkout")
    return SHARED
