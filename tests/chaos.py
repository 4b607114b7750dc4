"""The stage of the chaos tests: a project with a remote, its host behind a fault proxy, a publisher, and the oracle."""

from __future__ import annotations

import os
import re
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from publisher.host import HostInfo, HostOptions, running
from tests.fault_proxy import Proxy, fault_proxy
from tests.killing import Order, obeyed
from tests.made import GitFolder
from tests.oracle import Oracle
from tests.project import SITE, Done, config, small_suite

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILD = '[build]\ncommand = "publisher render --into dist"\npublish = "dist"\nignore = "exit 0"\n'
EVERY = 4
"""Of the small suite's problems, so many are left out between two that are used."""
KINDS = {"good": "builtin:abacus@final", "worse": "builtin:abacus@early"}
VERDICTS = {"good": "kept", "worse": "rejected"}
REQUESTS = {
    "hook": "POST /build_hooks",
    "list": "/sites/demo/deploys?",
    "site": "GET /api/v1/sites/demo HTTP",
    "restore": "/restore",
    "manifest": "GET /manifest.json",
}
"""What is spoiled: the words by which the proxy knows the request."""
EXIT = {"kept": 0, "rejected": 1}
swept = pytest.mark.parametrize(
    "every",
    [pytest.param(3, id="sample"), pytest.param(1, id="whole", marks=[pytest.mark.chaos, pytest.mark.timeout(1800)])],
)
"""A sweep tries every third of its cases in `make test`, which meets each kind of them, and all in `make chaos`."""


@dataclass
class Stage:
    """One project and everything around it."""

    folder: GitFolder
    info: HostInfo
    proxy: Proxy
    oracle: Oracle
    temporary: Path
    environment: dict[str, str]
    expected: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def commit(self, kind: str = "good", *, new: bool = False) -> str:
        """Make a commit whose model is good or worse; a `new` one has no samples in common with those before."""
        number = len(self.expected) + 1
        tokens = f"max_tokens = {200 + number if new else 120}"
        text = re.sub(r"max_tokens = \d+", tokens, config(KINDS[kind]))
        commit = self.folder.commit({"publisher.toml": text, "number.txt": str(number)}, f"{kind} {number}")
        self.expected[commit] = VERDICTS[kind]
        return commit

    def run(self, *arguments: str, label: str = "", when: str = "before", **more: Any) -> Done:
        """Run `publisher` in the project, and let something happen to it."""
        order = Order(["--repo", str(self.folder.path), *arguments], self.environment, label, when, **more)
        return self.heard(obeyed(order))[0]

    def heard(self, results: list[Done]) -> list[Done]:
        """Keep what commands said, for the search for secrets; none may end with a traceback."""
        for done in results:
            assert "Traceback" not in done.err, done.err
            self.said += [done.out, done.err]
        return results

    def finish(self) -> None:
        """Run plain `publisher publish` until it is content: one run, and one more for each fault that hits it."""
        wanted = EXIT[self.expected[self.head]]
        for _ in range(4):
            done = self.run("publish")
            if done.code == wanted:
                return
            assert done.code == 3, done.err
        raise AssertionError(done.err)

    @property
    def head(self) -> str:
        """The commit that is published next."""
        return self.folder.git("rev-parse", "HEAD")

    @property
    def newest(self) -> str | None:
        """The newest commit that is kept: what should be live."""
        return next((commit for commit, word in reversed(self.expected.items()) if word == "kept"), None)

    def check(self) -> None:
        """Ask the oracle, look for what was left behind or said, and see that another run does nothing."""
        self.oracle.check(self.expected, self.newest)
        before = self.oracle.state()
        done = self.run("publish")
        assert done.code == EXIT[self.expected[self.head]], done.err
        assert "already" in done.out, done.out
        assert self.oracle.state() == before, "a second run was not a no-op"
        assert not self.debris(), self.debris()
        secrets = [self.info.token, self.info.hook_url.rsplit("/", 1)[-1]]
        assert not [secret for secret in secrets for text in self.said if secret in text]
        self.said.clear()

    def debris(self) -> list[Path]:
        """Return the files that should have gone: pending runs, journals, temporary files and locks."""
        own = self.folder.path / ".git"
        found = [path for path in (own / "publisher").rglob("*") if path.is_file()]
        found += [path for path in own.rglob("*") if path.suffix == ".lock" or path.name.startswith("tmp_")]
        return found + list(self.temporary.rglob("*")) + list(self.folder.path.glob("dist*"))


@contextmanager
def stage(path: Path, *, proxied: bool = False, builders: int = 1) -> Iterator[Stage]:
    """Set a project up in `path` with everything around it; the first commit is not published yet."""
    folder = GitFolder.create(path / "work")
    suite = "\n".join(small_suite().splitlines()[::EVERY]) + "\n"
    folder.commit({"netlify.toml": BUILD, "small.jsonl": suite})
    folder.with_remote(path / "origin.git")
    temporary = path / "tmp"
    temporary.mkdir()
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    options = HostOptions(
        state=path / "host",
        site=SITE,
        repository=str(path / "origin.git"),
        port=0,
        environment={"PATH": programs},
        builders=builders,
    )
    with ExitStack() as stack:
        info = stack.enter_context(running(options))
        proxy = stack.enter_context(fault_proxy(info.port))
        port = proxy.port if proxied else info.port
        environment = {
            **os.environ,
            "TMPDIR": str(temporary),
            "XDG_CACHE_HOME": str(path / "cache"),
            "NETLIFY_API_URL": f"http://127.0.0.1:{port}",
            "NETLIFY_AUTH_TOKEN": info.token,
            "NETLIFY_BUILD_HOOK": info.hook_url.replace(str(info.port), str(port)),
        }
        yield Stage(folder, info, proxy, Oracle(path / "origin.git", info), temporary, environment)
