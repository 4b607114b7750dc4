"""What the host is told when it starts, and what it tells back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from publisher.errors import UsageError
from publisher.git import login

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_SITE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,35}[a-z0-9])?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The most that the host accepts."""

    hook_body: int = 64 * 1024
    """Bytes of a build hook's request body."""
    json_body: int = 8 * 1024 * 1024
    """Bytes of any other request body that is JSON."""
    file: int = 100 * 1024 * 1024
    """Bytes of one published file."""
    files: int = 25_000
    """Files of one deploy."""
    deploy: int = 2 * 1024 * 1024 * 1024
    """Bytes of one deploy."""
    path: int = 1_000
    """Characters of one published path."""
    name: int = 250
    """Characters of a branch name."""
    title: int = 1_000
    """Characters of a deploy's title."""
    log: int = 1024 * 1024
    """Bytes kept of a build's output."""
    queue: int = 10_000
    """Builds waiting at one time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """One site of the host: where it keeps it, what it clones and how it builds."""

    state: Path
    """The folder that everything is kept in; one host at a time uses it."""
    site: str
    """The site's name: the first label of its addresses."""
    repository: str = field(repr=False)
    """The path or address that builds clone from; a login in it is shown nowhere."""
    port: int = 8888
    """The port on 127.0.0.1; 0 takes any free one."""
    token: str = field(default="", repr=False)
    """The API token; empty means one that is made once and kept in the state folder."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The site's own build variables, as they would be set in Netlify's interface."""
    production_branch: str = "live"
    """The branch whose successful builds are published by themselves."""
    branches: tuple[str, ...] = ()
    """Patterns of the branches that the API says are built; none says nothing. Every branch is built all the same."""
    rate_limits: bool = False
    """Whether to enforce Netlify's rate limits. Netlify itself always does."""
    private: str = ""
    """Who may read the site: "" everybody, "previews" all but the main address is private, "all" all of it is."""
    hook_commits: bool = True
    """Whether a deploy that a build hook started tells its commit. Netlify's often say `commit_ref: null`."""
    forms: bool = True
    """Whether forms in pages are detected; on Netlify somebody has to switch it on once."""
    split_tests: bool = True
    """Whether branches may share the main address; on Netlify it is a beta that may not be there."""
    retention_days: int = 30
    """After how many days old deploys are deleted; 0 means never."""
    build_seconds: float = 15 * 60.0
    """How long one build may take."""
    confine: bool = False
    """Whether builds run confined by bubblewrap; see `publisher.host.build.confinement`."""
    readable: tuple[Path, ...] = ()
    """Paths that a confined build may read besides the system and its own folders."""
    builders: int = 1
    """How many builds run at one time."""
    bounds: Bounds = field(default_factory=Bounds)
    """The most that the host accepts."""
    on_ready: Callable[[HostInfo], None] | None = None
    """Called once, when the host answers requests."""

    @property
    def shown_repository(self) -> str:
        """What builds clone from, without a login: what pages, variables and messages may say."""
        return login(self.repository).address

    def check(self) -> None:
        """Raise UsageError when a value cannot work."""
        if not _SITE_NAME.match(self.site):
            raise UsageError(f"the site name {self.site!r} is not 1 to 37 of a-z, 0-9 and -")
        if not 0 <= self.port <= 65535:
            raise UsageError(f"the port {self.port} is not between 0 and 65535")
        if self.private not in {"", "previews", "all"}:
            raise UsageError(f"private is {self.private!r}, not empty, 'previews' or 'all'")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostInfo:
    """How to reach a running host. The token and the hook's address are secrets."""

    api_url: str
    """What `NETLIFY_API_URL` is set to."""
    site_url: str
    """The site's main address; its host name may need to be sent to 127.0.0.1 by hand."""
    hook_url: str
    """The build hook's address."""
    token: str
    """The API token."""
    site_id: str
    """The site's id."""
    site_name: str
    """The site's name."""
    port: int
    """The port on 127.0.0.1."""
