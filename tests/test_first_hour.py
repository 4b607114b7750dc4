"""The first hour of a new user: from an installed publisher to a page of one's own, in at most five typed commands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from publisher.bench.inputs.builtin_files import BUILTIN
from publisher.web import Web
from tests.project import PUBLISHER
from tests.readme import adoption

pytestmark = pytest.mark.model
IDENTITY = "[user]\n    name = Ada\n    email = ada@example.org\n"


@dataclass
class Newcomer:
    """Somebody with a configured git, a publisher, a GGUF, and a folder with a suite of their own."""

    path: Path

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in the folder, as a shell would."""
        return subprocess.run(
            shlex.split(command),
            cwd=self.path / "work",
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def serve(self, command: str) -> subprocess.Popen[str]:
        """Start a host in the background and return once it says that it serves."""
        words = shlex.split(command)
        host = subprocess.Popen(
            words,
            cwd=self.path / "work",
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert host.stdout is not None
        assert host.stdout.readline().startswith("serving http://my-site.localhost:")
        return host

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a terminal of theirs: a home of its own, and the publisher on PATH."""
        home = {"HOME": str(self.path / "home"), "GIT_CONFIG_GLOBAL": str(self.path / "home" / ".gitconfig")}
        return {**os.environ, **home, "PATH": f"{PUBLISHER.parent}:{os.environ['PATH']}"}


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    """Return a new user whose folder holds nothing but a suite; the model lies outside it."""
    (tmp_path / "work").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text(IDENTITY, encoding="utf-8")
    shutil.copyfile(BUILTIN / "abacus-final-q8_0.gguf", tmp_path / "model-q8_0.gguf")
    lines = (BUILTIN / "abacus.jsonl").read_text(encoding="utf-8").splitlines()[:12]
    text = "\n".join(lines).replace('"id": "', '"id": "mine-') + "\n"
    (tmp_path / "work" / "problems.jsonl").write_text(text, encoding="utf-8")
    return Newcomer(tmp_path)


@pytest.fixture
def hosts() -> Iterator[list[subprocess.Popen[str]]]:
    """Return a list whose processes are ended after the test."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for host in started:
        if host.poll() is None:
            host.kill()
        host.communicate()


def test_a_page_of_ones_own_takes_at_most_five_commands(newcomer: Newcomer, hosts: list[subprocess.Popen[str]]) -> None:
    """What README says, `git init` included, makes a page of a GGUF outside the repository and a suite of one's own."""
    commands = ["git init --quiet", *adoption()]
    assert len(commands) <= 5
    for command in commands:
        if command.startswith("pip install"):
            continue  # it is what these tests run
        if command.endswith("&"):
            hosts.append(newcomer.serve(f"{command.removesuffix('&')} --port 0"))  # other tests' hosts are here, too
            continue
        done = newcomer.run(command.replace("YOUR-SITE", "my-site"))
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    address = re.search(r"published: (http://\S+)", done.stdout)
    assert address is not None, done.stdout
    page = Web().request("GET", f"{address[1]}/samples/problems/", what="the page").body.decode()
    assert "mine-" in page
    assert newcomer.run("git status --porcelain").stdout == ""
    hosts[0].send_signal(signal.SIGINT)
    _, err = hosts[0].communicate(timeout=120)
    assert (hosts[0].returncode, "error" in err) == (0, False), err


def test_without_a_host_local_says_what_to_start(newcomer: Newcomer) -> None:
    """`--local` where nothing is served is the user's to mend, and names the command."""
    assert newcomer.run("git init --quiet").returncode == 0
    done = newcomer.run("publisher --local log")
    assert (done.returncode, "hint: publisher serve" in done.stderr) == (2, True), done.stderr


def test_a_missing_identity_of_git_has_a_hint(newcomer: Newcomer) -> None:
    """`init --commit` writes its files, and says which two settings git lacks."""
    (newcomer.path / "home" / ".gitconfig").write_text("[user]\n    useConfigOnly = true\n", encoding="utf-8")
    assert newcomer.run("git init --quiet").returncode == 0
    done = newcomer.run(
        "publisher init --site my-site --suite problems.jsonl --requirement snapshot-publisher --commit"
    )
    assert (done.returncode, "hint: git config user.name" in done.stderr) == (2, True), done.stderr
    assert (newcomer.path / "work" / "publisher.toml").is_file()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_stops_with_exit_code_0(
    newcomer: Newcomer, hosts: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM are how a host is ended, so neither is an error; its connection file goes with it."""
    assert newcomer.run("git init --quiet").returncode == 0
    hosts.append(newcomer.serve("publisher serve --site my-site --port 0"))
    connection = newcomer.path / "work" / ".git" / "publisher" / "host" / "connection.json"
    assert connection.is_file()
    hosts[0].send_signal(number)
    _, err = hosts[0].communicate(timeout=120)
    assert (hosts[0].returncode, "error" in err) == (0, False), err
    assert not connection.exists()


def test_a_port_that_is_taken_is_the_users_to_choose(newcomer: Newcomer) -> None:
    """Another host on the usual port is no failure of the machinery; the message names the option."""
    assert newcomer.run("git init --quiet").returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = newcomer.run(f"publisher serve --site my-site --port {taken.getsockname()[1]}")
    assert (done.returncode, "hint: --port 0" in done.stderr) == (2, True), done.stderr
