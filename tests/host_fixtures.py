"""A running host, the git repository that it builds, and a visitor who talks to it over real HTTP."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from publisher.host import HostInfo, HostOptions, running
from tests.conformance.openapi import problems
from tests.made import GitFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

SITE = "bench"
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
TOML = '[build]\ncommand = "bash build.sh"\npublish = "dist"\n'
BUILD = 'mkdir dist; cp -r pages/. dist/; env -0 | sort -z > dist/env.txt; echo "built $BRANCH"\n'


@dataclass(frozen=True)
class Visitor:
    """Somebody with the token, the hook and a browser."""

    info: HostInfo
    folder: Path

    @property
    def origin(self) -> str:
        """Where the API is."""
        return self.info.api_url

    def api(self, method: str, path: str, *, token: str | None = None, **more: Any) -> requests.Response:
        """Call an operation of the API and hold its answer against Netlify's own description."""
        headers = {"Authorization": f"Bearer {self.info.token if token is None else token}", **more.pop("headers", {})}
        answer = requests.request(method, f"{self.origin}/api/v1{path}", headers=headers, timeout=20, **more)
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        assert problems(method, path, answer.status_code, answer.json() if is_json else None) == []
        return answer

    def control(self, method: str, path: str, **more: Any) -> Any:
        """Call one of the host's own operations and return its answer."""
        headers = {"Authorization": f"Bearer {self.info.token}"}
        answer = requests.request(method, f"{self.origin}/__host__/{path}", headers=headers, timeout=20, **more)
        answer.raise_for_status()
        return answer.json()

    def visit(self, label: str, path: str = "/", *, method: str = "GET", **headers: str) -> requests.Response:
        """Ask for a page of `<label>--bench.localhost`, or of the main address where the label is empty."""
        host = f"{label}--{SITE}.localhost" if label else f"{SITE}.localhost"
        own = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"Host": f"{host}:{self.info.port}", **own}
        return requests.request(method, f"{self.origin}{path}", headers=sent, timeout=20, allow_redirects=False)

    def hook(self, branch: str = "", body: str = "{}", **query: str) -> requests.Response:
        """Call the build hook."""
        parameters = {**({"trigger_branch": branch} if branch else {}), **query}
        return requests.post(self.info.hook_url, params=parameters, data=body.encode(), timeout=20)

    def deploys(self, **query: str) -> list[dict[str, Any]]:
        """List deploys, the newest first."""
        found: list[dict[str, Any]] = self.api("GET", f"/sites/{SITE}/deploys", params=query).json()
        return found

    def deploy(self, deploy_id: str) -> dict[str, Any]:
        """Return one deploy."""
        found: dict[str, Any] = self.api("GET", f"/deploys/{deploy_id}").json()
        return found

    def log(self, deploy_id: str) -> str:
        """Return a build's output."""
        return "".join(f"{line['log']}\n" for line in self.api("GET", f"/deploys/{deploy_id}/log").json())

    def published(self) -> str:
        """Return the id of the published deploy, empty where there is none."""
        shown = self.api("GET", f"/sites/{SITE}").json()["published_deploy"]
        return str(shown["id"]) if shown else ""

    def wait(self, deploy_id: str, *states: str) -> dict[str, Any]:
        """Wait until a deploy is ready or failed, or in one of the given states."""
        wanted = states or ("ready", "error")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            found = self.deploy(deploy_id)
            if found["state"] in wanted:
                return found
            time.sleep(0.02)
        pytest.fail(f"the deploy stayed {found['state']}")

    def build(self, branch: str, body: str = "{}", **query: str) -> dict[str, Any]:
        """Call the build hook for a branch and wait for the deploy."""
        assert self.hook(branch, body, **query).status_code == 200
        return self.wait(self.deploys(branch=branch)[0]["id"])


@contextmanager
def visiting(folder: Path, repository: GitFolder | str, **options: Any) -> Iterator[Visitor]:
    """Run a host that keeps its state in `folder` and builds a repository, given as it is or by its address."""
    address = repository if isinstance(repository, str) else str(repository.path)
    given = {"port": 0, "site": SITE, **options}
    with running(HostOptions(state=folder, repository=address, **given)) as info:
        yield Visitor(info, folder)


def make_repository(path: Path) -> GitFolder:
    """Make a repository with a page and a build, on the branches `main`, `live` and `snapshot-1`."""
    folder = GitFolder.create(path)
    folder.commit({"netlify.toml": TOML, "build.sh": BUILD, "pages/index.html": "<h1>one</h1>"}, "First")
    folder.git("branch", "live")
    folder.git("branch", "snapshot-1")
    return folder


def change(folder: GitFolder, branch: str, files: dict[str, str]) -> str:
    """Commit files on a branch, made where it is missing, and return the commit."""
    folder.git("checkout", "--quiet", "-B", branch)
    commit = folder.commit(files)
    folder.git("checkout", "--quiet", "main")
    return commit


@pytest.fixture(name="tmp_path")
def memory_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder in memory where there is one: the host waits for the disk at every step, the tests need not."""
    if not os.access(_MEMORY, os.W_OK):
        yield tmp_path_factory.mktemp("host")
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(name="source")
def source_fixture(tmp_path: Path) -> GitFolder:
    """Return a repository that a host can build."""
    return make_repository(tmp_path / "source")


@pytest.fixture(name="idle", scope="module")
def idle_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Return a visitor of a host that a whole file of tests shares, for requests that change nothing."""
    folder = tmp_path_factory.mktemp("idle")
    with visiting(folder / "state", make_repository(folder / "source")) as visitor:
        yield visitor


@pytest.fixture(name="visitor")
def visitor_fixture(tmp_path: Path, source: GitFolder) -> Iterator[Visitor]:
    """Return a visitor of a fresh host."""
    with visiting(tmp_path / "state", source) as visitor:
        yield visitor
