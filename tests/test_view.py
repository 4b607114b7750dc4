from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.project import PUBLISHER, Project, config

pytestmark = pytest.mark.model
UNTIL = 30
"""Seconds that a server may take to answer on a busy machine."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with a kept run that is not in the ledger, and after it a rejected one, pending too."""
    made = Project.create(tmp_path_factory.mktemp("view"), remote=False)
    assert made.run("bench").code == 0
    made.folder.commit({"publisher.toml": config("builtin:abacus@early")}, "Take the early \x1b[2J checkpoint")
    assert made.run("bench").code == 0
    return made


@contextmanager
def viewing(project: Project, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `publisher view` and yield where it answers."""
    command = [str(PUBLISHER), "--repo", str(project.folder.path), "view", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert process.stdout is not None
        first = process.stdout.readline().strip()
        assert first.startswith("http://127.0.0.1:"), first or (process.stderr and process.stderr.read())
        yield first, process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def get(address: str, **headers: str) -> tuple[int, str]:
    """Return the status and the text of an answer."""
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - the server that the test has started
    try:
        with urllib.request.urlopen(request, timeout=UNTIL) as answer:  # noqa: S310 - as above
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_rejected_run_without_a_verdict_has_pages(project: Project) -> None:
    """The pages of a pending run show its verdict as of now; links and folders work, and Ctrl-C ends with 0."""
    with viewing(project) as (address, process):
        status, home = get(address)
        assert status == 200
        assert "rejected" in home
        assert "\x1b" not in home
        assert get(f"{address}samples")[0] == 200
        assert get(f"{address}samples/small/")[0] == 200
        assert get(f"{address}../../etc/passwd")[0] == 404
        assert "There is no such page here" in get(f"{address}nothing/")[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(UNTIL) == 0


def test_pages_of_a_run_are_for_this_machines_reader_alone(project: Project) -> None:
    """A page of another site that names its own host, as DNS rebinding does, gets nothing."""
    with viewing(project, "HEAD~1") as (address, _):
        status, body = get(address, Host="evil.example")
        assert (status, "small" in body) == (421, False)


def test_pages_reload_when_the_verdict_is_another(project: Project, tmp_path: Path) -> None:
    """The state that pages ask for changes once the run has another verdict, and so does the page."""
    own = Project.create(tmp_path, remote=False)
    assert own.run("bench").code == 0
    with viewing(own) as (address, _):
        home = get(address)[1]
        script = re.search(r'src="/(__view/[a-z.]+)"', home)
        assert script is not None
        assert "location.reload" in get(address + script[1])[1]
        state = get(f"{address}__view/state")[1]
        assert get(f"{address}__view/state")[1] == state
        own.run("bench", "--fresh")
        until = time.monotonic() + UNTIL
        while get(f"{address}__view/state")[1] == state:
            assert time.monotonic() < until
            time.sleep(0.2)
        assert get(address)[1] != home


def test_a_word_that_names_no_run_is_an_error(project: Project) -> None:
    """Nothing is served for a commit without a run."""
    done = project.run("view", "nothing")
    assert (done.code, "names no run" in done.err) == (2, True)


BARE = """
import sys
from publisher.cli import EXTRAS
from publisher.__main__ import main
extras = {name for names in EXTRAS.values() for name in names}
class Finder:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in extras:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Finder())
sys.argv[0] = "publisher"
main()
"""
"""The command line of an installation without extras, as a program for python -c."""


def bare(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command where no extra's package can be imported."""
    command = [sys.executable, "-c", BARE, "--repo", str(project.folder.path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_looking_needs_no_extra(project: Project) -> None:
    """Without any extra's packages the runs are listed, shown, compared and viewed."""
    for arguments in (["log"], ["show"], ["diff", "HEAD~1", "HEAD"], ["snapshots"], ["schema", "log"]):
        done = bare(project, *arguments)
        assert done.returncode == 0, done.stderr
    program = [sys.executable, "-c", BARE, "--repo", str(project.folder.path), "view"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert get(process.stdout.readline().strip())[0] == 200
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [(["bench"], "bench"), (["regrade"], "grade"), (["serve"], "host"), (["bench", "--limit", "1"], "")],
)
def test_what_needs_an_extra_names_it(project: Project, arguments: list[str], extra: str) -> None:
    """A package that is missing is no failure that somebody would report: the message says what to install."""
    done = bare(project, *arguments, *(["--fresh"] if arguments == ["bench"] else []))
    assert (done.returncode, "pip install 'snapshot-publisher[" + extra in done.stderr) == (2, True), done.stderr
