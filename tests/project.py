"""A user's project: a real repository with a remote, a local host for its site, and the real command line."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from publisher.bench.inputs.builtin_files import BUILTIN
from tests import forks
from tests.made import GitFolder

if TYPE_CHECKING:
    from publisher.host import HostInfo

PUBLISHER = Path(sys.executable).with_name("publisher")
SITE = "demo"
PROBLEMS = 48
CONFIG = """
[model]
name = "abacus"
source = "{source}"
context = 512
[model.sampling]
temperature = {temperature}
max_tokens = 200
[prompt]
system = "You are a helpful assistant."
template = "{{problem}} Let's think step by step and output the final answer within \\\\boxed{{}}."
[suites.small]
source = "small.jsonl"
public = true
[tiers.full]
suites = ["small"]
publish = true
[gate]
unchanged = "publish"
rules = [{{ rule = "threshold", min = 40.0 }}, {{ rule = "max-drop", points = 20.0 }}]
[netlify]
site = "demo"
timeout = 120
builds_per_minute = 0
{more}
"""
NETLIFY = """
[build]
command = "bash hooks/netlify-build"
publish = "dist"
ignore = "exit 0"
"""


QUICK = '[build]\ncommand = "publisher render --into dist"\npublish = "dist"\nignore = "exit 0"\n'
"""A netlify.toml whose build takes the publisher that the tests run with, and installs nothing."""


def small_suite() -> str:
    """Return every so many problems of the builtin suite, all kinds among them."""
    lines = (BUILTIN / "abacus.jsonl").read_text(encoding="utf-8").splitlines()
    return "\n".join(lines[:: max(1, len(lines) // PROBLEMS)][:PROBLEMS]) + "\n"


def config(source: str = "builtin:abacus@final", temperature: float = 0.0, more: str = "") -> str:
    """Return a publisher.toml."""
    return CONFIG.format(source=source, temperature=temperature, more=more)


@dataclass
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)


@dataclass
class Project:
    """One project: where it is and how it reaches its site."""

    folder: GitFolder
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 240
    """How long a command may take."""

    @classmethod
    def create(cls, path: Path, *, remote: bool = True) -> Project:
        """Make the project in `path`, with what `publisher init` would write and a small suite."""
        folder = GitFolder.create(path / "work")
        script = Path(__file__).parents[1] / "hooks" / "netlify-build"
        folder.commit(
            {
                "publisher.toml": config(),
                "netlify.toml": NETLIFY,
                "small.jsonl": small_suite(),
                "hooks/netlify-build": script.read_bytes(),
            },
            "First",
        )
        if remote:
            folder.with_remote(path / "origin.git")
        return cls(folder)

    def connect(self, info: HostInfo) -> None:
        """Point the project to a running host."""
        self.environment = {
            "NETLIFY_API_URL": info.api_url,
            "NETLIFY_AUTH_TOKEN": info.token,
            "NETLIFY_BUILD_HOOK": info.hook_url,
        }

    def run(self, *arguments: str, traceback: bool = False, **environment: str) -> Done:
        """Run `publisher` here as a user would; without `traceback` there must be none."""
        command = [str(PUBLISHER), "--repo", str(self.folder.path), *arguments]
        variables = {**os.environ, **self.environment, **environment}
        done = forks.run(command, variables, self.seconds)
        assert traceback or "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def log(self) -> list[dict[str, Any]]:
        """Return every run as `publisher log --json` tells it."""
        runs: list[dict[str, Any]] = self.run("log", "--json").json
        return runs
