"""A shelf of published snapshots that cost no inference: records made by hand, a site of four small files.

Everything else is real: git with a remote, a host, the build hook, deploys, verification and the command line.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import requests

from publisher.files import canonical_json
from publisher.host import HostInfo, HostOptions, running
from publisher.ledger import canaries, history
from publisher.ledger.store import author
from publisher.netlify.client import Netlify, Settings
from publisher.publishing import deliver, live
from publisher.publishing import project as opened
from publisher.publishing.canary import course
from publisher.publishing.turns import Patience
from publisher.web import Web
from tests.made import GitFolder, record, verdict
from tests.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from publisher.schema import Receipt

CONFIG = """
[model]
name = "m"
source = "builtin:abacus"
[suites.s]
source = "s.jsonl"
[netlify]
site = "{site}"
timeout = {timeout}
builds_per_minute = 0
{more}
"""
NETLIFY = '[build]\ncommand = "bash build.sh"\npublish = "dist"\nignore = "exit 0"\n'
BUILD = """
set -e
mkdir dist
digest() { sha256sum "$1" | cut -d' ' -f1; }
shown=$(git rev-parse --verify --quiet HEAD^2 || git rev-parse HEAD)
run=$(git log -1 '--format=%(trailers:key=Run,valueonly)' "$shown" | head -1)
name=$(git log -1 '--format=%(trailers:key=Benchmarked-commit,valueonly)' "$shown" | head -c 12)
echo "<h1>$name</h1>" > dist/index.html
printf '{"schema":1,"run_id":"%s","branch":"snapshot-%s","snapshot":"%s","commit":"%s","record_sha256":"%s"}' \\
  "$run" "$name" "$shown" "$(git rev-parse "$shown^")" "$(digest ledger/record.json)" > dist/snapshot.json
printf '{"schema":1,"files":{"index.html":{"sha256":"%s","size":%s},"snapshot.json":{"sha256":"%s","size":%s}}}' \\
  "$(digest dist/index.html)" "$(stat -c %s dist/index.html)" \\
  "$(digest dist/snapshot.json)" "$(stat -c %s dist/snapshot.json)" > dist/manifest.json
if [ -f ledger/split.json ]; then cp ledger/split.json dist/split.json; fi
if grep -qs '"over": *true' ledger/canary.json; then
  rm dist/index.html
  printf '{"schema":1,"files":{"snapshot.json":{"sha256":"%s","size":%s}}}' \\
    "$(digest dist/snapshot.json)" "$(stat -c %s dist/snapshot.json)" > dist/manifest.json
  other=$(grep -o '"other": *"[^"]*"' ledger/canary.json | cut -d'"' -f4)
  echo "/* $other/:splat 302" > dist/_redirects
elif [ -f ledger/canary.json ]; then
  echo '<form name="feedback" data-netlify="true"><input name="rating"></form>' > dist/feedback.html
fi
printf '{"schema":1,"deploy_id":"%s"}' "$DEPLOY_ID" > dist/deploy.json
"""


@dataclass
class Shelf:
    """A project with published snapshots, and the host that serves them."""

    user: Project
    info: HostInfo
    notes: list[str] = field(default_factory=list)
    patience: Patience = field(default_factory=Patience)
    clock: Callable[[], float] = time.time

    @property
    def folder(self) -> GitFolder:
        """The user's checkout."""
        return self.user.folder

    @property
    def project(self) -> opened.Project:
        """The project as the product opens it, anew each time."""
        project = opened.Project.open(self.folder.path, self.user.environment)
        return replace(project, patience=self.patience, clock=self.clock)

    @property
    def netlify(self) -> Netlify:
        """A client of the host."""
        return Netlify(Settings.of("demo", self.user.environment))

    @property
    def host(self) -> Netlify:
        """A client that has the host's token, also where the publisher has none."""
        return Netlify(Settings.of("demo", {**self.user.environment, "NETLIFY_AUTH_TOKEN": self.info.token}))

    def enter(
        self,
        word: str = "kept",
        *,
        right: int = 30,
        more: str = "",
        started: str = "",
        site: str = "demo",
        timeout: int = 60,
    ) -> str:
        """Commit something, put a run of it into the ledger, and return the run's id."""
        number = len(self.project.runs())
        commit = self.folder.commit(
            {"publisher.toml": CONFIG.format(more=more, site=site, timeout=timeout), "n": str(number)},
            f"Number {number}",
        )
        moment = started or f"202611{number // 24 + 1:02d}T{number % 24:02d}0000Z"
        run = record(commit, started=moment, right=right)
        self.project.ledger.append(history.run_files(run, verdict(run, word), b"samples"), f"{word}\n")
        return run.run_id

    def publish(self, *, right: int = 30, more: str = "") -> Receipt:
        """Publish one more snapshot, show it live and return its receipt."""
        run_id = self.enter(right=right, more=more)
        project = self.project
        desk = self.desk(run_id)
        receipt = deliver.deliver(desk, project.record(run_id))
        live.show_live(desk, receipt, why="newest kept run")
        return receipt

    def deploy(self, *, more: str = "") -> Receipt:
        """Publish one more snapshot, leave the live site where it is, and return its receipt."""
        run_id = self.enter(more=more)
        return deliver.deliver(self.desk(run_id), self.project.record(run_id))

    def desk(self, run_id: str) -> deliver.Desk:
        """Return what publishing a run needs."""
        project = self.project
        run = project.run(run_id)
        assert run is not None
        return deliver.Desk.of_run(project, run, self.notes.append)

    def forge(self, files: dict[str, Any]) -> None:
        """Write anything into the ledger, as everybody can who may push to it."""
        data = {path: value if isinstance(value, bytes) else canonical_json(value) for path, value in files.items()}
        self.folder.git("fetch", "--quiet", "origin", "ledger:refs/scratch")
        parent = self.folder.git("rev-parse", "refs/scratch")
        repository = self.folder.opened
        commit = repository.write_commit(data, message="forged\n", author=author(0), parents=[parent])
        self.folder.git("push", "--quiet", "origin", f"{commit}:refs/heads/ledger")
        self.folder.git("update-ref", "-d", "refs/scratch")

    def shown(self, branch: str = "") -> str:
        """Return the snapshot that a branch's address, or the site's own, shows; empty where it shows none."""
        address = self.netlify.settings.address_of(branch) if branch else self.info.site_url
        answer = Web(attempts=1).request("GET", f"{address}/snapshot.json", what="the site")
        return str(answer.json("the site")["branch"]) if answer.status == 200 else ""

    def remote(self, *arguments: str) -> str:
        """Run git on the remote."""
        return GitFolder(self.folder.path.parent / "origin.git").git(*arguments)


def ending_canaries(on: Shelf) -> Iterator[Shelf]:
    """Yield a shelf for one test, and end the gray release that the test leaves running."""
    yield on
    on.project.ledger.sync()
    if canaries.running(on.project.ledger):
        course.end(on.project, "aborted", why="the test is over", note=print)


def later(on: Shelf, hours: float) -> None:
    """Advance the host's clock."""
    headers = {"Authorization": f"Bearer {on.info.token}"}
    address = f"{on.info.api_url}/__host__/clock"
    requests.post(address, json={"seconds": int(hours * 3600)}, headers=headers, timeout=20).raise_for_status()


@contextmanager
def shelf(path: Path, **host: Any) -> Iterator[Shelf]:
    """Set up a project in `path` whose shelf is still empty; `host` are further options of the host."""
    folder = GitFolder.create(path / "work")
    folder.commit(
        {"netlify.toml": NETLIFY, "build.sh": BUILD, "publisher.toml": CONFIG.format(more="", site="demo", timeout=60)}
    )
    folder.with_remote(path / "origin.git")
    options = HostOptions(
        state=path / "host",
        site="demo",
        repository=str(path / "origin.git"),
        port=0,
        environment={"PATH": os.environ["PATH"]},
        **host,
    )
    with running(options) as info:
        user = Project(folder)
        user.connect(info)
        yield Shelf(user, info)
