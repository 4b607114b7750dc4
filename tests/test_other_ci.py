"""The examples for other CI, run as scripts: GitLab's two jobs, and a crontab's line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from publisher.host import HostInfo, HostOptions, running
from tests.project import QUICK, Project
from tests.runner import ROOT, load

pytestmark = pytest.mark.model
EXAMPLES = ROOT / "hooks" / "examples"
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
SECRETS = ("NETLIFY_BUILD_HOOK", "NETLIFY_AUTH_TOKEN")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[tuple[Project, HostInfo]]:
    """Return a project whose main is pushed, and a running host."""
    project = Project.create(tmp_path)
    project.folder.commit({"netlify.toml": QUICK}, "First")
    project.folder.git("push", "-q", "origin", "main")
    options = HostOptions(
        state=tmp_path / "host",
        site="demo",
        repository=str(tmp_path / "origin.git"),
        port=0,
        environment={"PATH": PATH},
    )
    with running(options) as info:
        yield project, info


def test_gitlab_measures_and_publishes(stage: tuple[Project, HostInfo], tmp_path: Path) -> None:
    """Both jobs' own lines publish the commit; the first has no secret."""
    project, info = stage
    flow = load(EXAMPLES / "gitlab-ci.yml")
    commit = project.folder.git("rev-parse", "HEAD")
    for name in ("bench", "publish"):
        lines = [line for line in flow[name]["script"] if "venv" not in line.split() and "install" not in line.split()]
        lines = [line for line in lines if not line.startswith("git remote")]
        environment = {**os.environ, "PATH": PATH, "VENV": sys.prefix, "CI_PROJECT_DIR": str(project.folder.path)}
        environment |= {"CI_COMMIT_SHA": commit, "PUBLISHER_POLICY_REF": "main", "NETLIFY_API_URL": info.api_url}
        if name == "publish":
            environment |= dict(zip(SECRETS, (info.hook_url, info.token), strict=True))
        done = subprocess.run(
            ["/bin/bash", "-e"],
            input="\n".join(lines),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    (run,) = project.log()
    assert (run["commit"], bool(run["address"])) == (commit, True)


def test_cron_publishes_the_newest_commit_once(stage: tuple[Project, HostInfo], tmp_path: Path) -> None:
    """The script's second call does nothing more; the secrets come from a file."""
    project, info = stage
    secrets = tmp_path / "secrets"
    values = zip((*SECRETS, "NETLIFY_API_URL"), (info.hook_url, info.token, info.api_url), strict=True)
    secrets.write_text("".join(f"{name}={value}\n" for name, value in values))
    command = [str(EXAMPLES / "cron.sh"), str(project.folder.path), str(secrets)]
    for _ in range(2):
        done = subprocess.run(command, env={**os.environ, "PATH": PATH}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    (run,) = project.log()
    assert run["address"]
