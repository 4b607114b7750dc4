"""Git hooks by real commits and pushes: measured in the background, gated before a push, others' scripts left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.project import Project, config

ENVIRONMENT = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}


def git(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git as a user does, whose PATH has publisher."""
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(project.folder.path), *name, *arguments]
    return subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)


def records(project: Project) -> list[str]:
    """Return the pending runs."""
    return sorted(path.name for path in (project.folder.path / ".git" / "publisher" / "runs").glob("*.run"))


@pytest.mark.model
def test_a_commit_is_measured_in_the_background(tmp_path: Path) -> None:
    """`git commit` returns at once; of two commits in a row the newest is measured in the end."""
    project = Project.create(tmp_path)
    assert project.run("hooks", "install").code == 0
    for number in range(2):
        (project.folder.path / "README.md").write_text(str(number))
        git(project, "add", ".")
        done = git(project, "commit", "-m", f"Change {number}")
        assert "publisher measures this commit in the background" in done.stderr
    head = project.folder.git("rev-parse", "--short=12", "HEAD")
    deadline = time.monotonic() + 120
    while not any(head in name for name in records(project)) and time.monotonic() < deadline:
        time.sleep(0.2)
    log = project.folder.path / ".git" / "publisher" / "hooks" / "log"
    assert any(head in name for name in records(project)), log.read_text()


@pytest.mark.model
def test_a_push_waits_for_the_gate(tmp_path: Path) -> None:
    """A worse commit does not leave this machine unless somebody insists; deletions and our own refs are not gated."""
    project = Project.create(tmp_path)
    assert project.run("hooks", "install").code == 0
    assert git(project, "push", "-q", "origin", "main").returncode == 0
    project.folder.commit({"publisher.toml": config(source="builtin:abacus@early")}, "Worse")
    done = git(project, "push", "-q", "origin", "main:worse")
    assert done.returncode != 0
    assert "✗ threshold" in done.stdout + done.stderr
    assert git(project, "push", "-q", "origin", "main:snapshot-0123456789ab").returncode == 0
    assert git(project, "push", "-q", "--no-verify", "origin", "main:worse").returncode == 0
    assert git(project, "push", "-q", "origin", ":worse").returncode == 0


def test_a_branch_without_a_model_is_pushed(tmp_path: Path) -> None:
    """A branch of pages has no publisher.toml, so no gate can say anything about it."""
    project = Project.create(tmp_path)
    assert project.run("hooks", "install").code == 0
    git(project, "checkout", "-q", "--orphan", "pages")
    git(project, "rm", "-rqf", ".")
    project.folder.commit({"index.html": "hi"}, "Pages")
    done = git(project, "push", "origin", "pages")
    assert done.returncode == 0, done.stderr
    assert "nothing to measure" in done.stderr


def test_hooks_of_others_are_left_alone(tmp_path: Path) -> None:
    """Somebody else's script, husky and pre-commit are named with what to add; nothing is half installed."""
    project = Project.create(tmp_path)
    folder = project.folder.path / ".git" / "hooks"
    folder.mkdir(exist_ok=True)
    (folder / "pre-push").write_text("#!/bin/sh\necho mine\n")
    done = project.run("hooks", "install")
    assert (done.code, "publisher hooks before-push" in done.err) == (2, True)
    assert not (folder / "post-commit").exists()
    assert project.run("hooks", "remove").code == 0
    assert (folder / "pre-push").read_text() == "#!/bin/sh\necho mine\n"
    (project.folder.path / ".pre-commit-config.yaml").write_text("repos: []\n")
    assert "publisher-gate" in project.run("hooks", "install").err
    project.folder.git("config", "core.hooksPath", ".husky/_")
    assert ".husky/pre-push" in project.run("hooks", "install").err


def test_hooks_go_where_git_looks(tmp_path: Path) -> None:
    """`core.hooksPath` is respected; what was installed is removed again."""
    project = Project.create(tmp_path)
    project.folder.git("config", "core.hooksPath", "tools/hooks")
    assert project.run("hooks", "install").code == 0
    place = project.folder.path / "tools" / "hooks"
    assert sorted(path.name for path in place.iterdir()) == ["post-commit", "pre-push"]
    assert all(os.access(path, os.X_OK) for path in place.iterdir())
    assert project.run("hooks", "status").out.count("installed") == 2
    assert project.run("hooks", "remove").out.count("absent") == 2
    assert list(place.iterdir()) == []


def test_a_script_of_others_that_calls_publisher_stays(tmp_path: Path) -> None:
    """Who followed the advice to add a line to their own script keeps that script, whatever is installed or removed."""
    project = Project.create(tmp_path)
    script = project.folder.path / ".git" / "hooks" / "pre-push"
    script.parent.mkdir(exist_ok=True)
    script.write_text("#!/bin/sh\nmake lint || exit 1\npublisher hooks before-push\n")
    before = script.read_text()
    assert "shared" in project.run("hooks", "install").out
    assert script.read_text() == before
    assert project.run("hooks", "remove").code == 0
    assert script.read_text() == before
    assert not script.with_name("post-commit").exists()


def test_hooks_go_to_a_folder_of_the_home(tmp_path: Path) -> None:
    """Git reads `~` in `core.hooksPath` as the home folder, and so do we."""
    project = Project.create(tmp_path)
    project.folder.git("config", "core.hooksPath", "~/my hooks")
    done = project.run("hooks", "install", HOME=str(tmp_path))
    assert done.code == 0, done.err
    assert (tmp_path / "my hooks" / "pre-push").is_file()
