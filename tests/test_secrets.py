"""Every way in which a command can fail, with planted secrets: none of them is anywhere afterwards.

`published` is a project with one published snapshot, whose host is gone. Each attack answers for the host, or for the
git remote, in another hostile way, and every command that talks to them is run.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from publisher.host import HostOptions, running
from tests.project import PUBLISHER, Project
from tests.scripted import Step, answer, scripted

HOOK, TOKEN, PUSH, PASSWORD = "ca0a41ca0a41ca0a41ca0a41", "canary-token-81f2", "canary-push-81f2", "canary-pass-81f2"
QUICK = f'[build]\ncommand = "{PUBLISHER} render --into dist"\npublish = "dist"\nignore = "exit 0"\n'
FORMS = [
    form
    for secret in (HOOK, TOKEN, PUSH, PASSWORD)
    for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("="), urllib.parse.quote(secret, safe=""))
]
COMMANDS = [
    ["publish"],
    ["reconcile"],
    ["rollback", "-1", "--why", "test"],
    ["rollback", "HEAD", "--why", "test"],
    ["pin", "HEAD", "exam"],
    ["live", "--unlock"],
    ["verify", "--repair", "HEAD"],
    ["prune", "--delete"],
    ["log", "--json"],
]
ECHO = json.dumps({"message": f"Bearer {TOKEN} for {HOOK} and {PUSH}\x1b[2J"}).encode()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with one published snapshot and one newer, measured commit, without its host."""
    patch = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith(("GIT_", "NETLIFY", "PUBLISHER_", "GITHUB_"))]:
        patch.delenv(name)
    patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    folder = tmp_path_factory.mktemp("published")
    project = Project.create(folder)
    project.folder.commit({"netlify.toml": QUICK})
    options = HostOptions(state=folder / "host", site="demo", repository=str(folder / "origin.git"), port=0)
    with running(options) as info:
        project.connect(info)
        done = project.run("publish")
        assert done.code == 0, done.err
    project.folder.commit({"note": "newer"})
    done = project.run("bench")
    assert done.code == 0, done.err
    patch.undo()
    return project


@contextmanager
def watched() -> Iterator[set[str]]:
    """Collect the arguments of every process on this machine that hold a secret, while the block runs."""
    found: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.02):
            # Not by a pattern: processes end while it is matched, which is an error then.
            for process in Path("/proc").iterdir():
                try:
                    arguments = (process / "cmdline").read_bytes().decode(errors="replace")
                except OSError:
                    continue
                # Git hands the remote's address, as its configuration has it, to its own transport.
                if "git-core/git" not in arguments:
                    found.update(arguments for form in FORMS if form in arguments)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def leaks(project: Project, before: float) -> list[str]:
    """Return the files that hold a secret: everything of the project but git's own configuration, if newly written."""
    found = []
    for folder in (project.folder.path, project.folder.path.parent / "origin.git"):
        for path in folder.rglob("*"):
            if path.is_file() and path.name != "config" and path.stat().st_mtime >= before:
                data = path.read_bytes().decode(errors="replace")
                found += [f"{path}: {form}" for form in FORMS if form in data]
    return found


def attack(project: Project, url: str) -> list[str]:
    """Run every command against the server at `url` and return where a secret showed."""
    project.environment = {
        "NETLIFY_API_URL": url,
        "NETLIFY_BUILD_HOOK": f"{url}/build_hooks/{HOOK}",
        "NETLIFY_AUTH_TOKEN": TOKEN,
        "PUBLISHER_GIT_TOKEN": PUSH,
        "GITHUB_SERVER_URL": url,
        "PUBLISHER_TRACEBACK": "1",
    }
    shown = []
    before = time.time() - 1
    with watched() as arguments:
        for command in COMMANDS:
            done = project.run(*command, traceback=True)
            assert done.code in {0, 2, 3}, (command, done.err)
            said = done.out + done.err
            shown += [f"publisher {' '.join(command)}: {form}" for form in FORMS if form in said]
    return shown + leaks(project, before) + sorted(arguments)


@pytest.mark.parametrize(
    "step",
    [
        answer(422, ECHO),
        pytest.param(answer(302, Location=f"https://me:{TOKEN}@evil.example/{HOOK}"), marks=pytest.mark.chaos),
        pytest.param(
            f"HTTP/1.1 200 {TOKEN}\r\nX {HOOK}\r\nContent-Length: x\r\n\r\n".encode(), marks=pytest.mark.chaos
        ),
    ],
    ids=["rejected", "redirect", "malformed"],
)
def test_no_failure_of_the_host_shows_a_secret(published: Project, step: Step) -> None:
    """Whatever the API and the hook answer, nothing that is printed, written or started holds a secret."""
    with scripted(step) as server:
        assert attack(published, server.url) == []
        assert server.asked


@pytest.mark.parametrize(
    "step",
    [
        answer(401, WWW_Authenticate='Basic realm="git"'),
        pytest.param(answer(200, ECHO), marks=pytest.mark.chaos),
    ],
    ids=["unauthorized", "nonsense"],
)
def test_no_failure_of_the_remote_shows_a_secret(published: Project, step: Step) -> None:
    """A remote whose address holds a password can fail as it likes: neither the password nor the token shows."""
    with scripted(step) as server:
        address = server.url.replace("http://", f"http://me:{PASSWORD}@")
        published.folder.git("remote", "set-url", "origin", f"{address}/a.git")
        try:
            assert attack(published, server.url) == []
        finally:
            published.folder.git("remote", "set-url", "origin", str(published.folder.path.parent / "origin.git"))
        assert server.asked
