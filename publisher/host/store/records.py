"""What the host writes down: one small JSON file each, with a schema version."""

from __future__ import annotations

import secrets

import msgspec

SCHEMA = 1
"""The version of every file that this package writes."""


def new_id() -> str:
    """Return a fresh id of the kind that Netlify uses: 24 hexadecimal digits."""
    return secrets.token_hex(12)


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """A build hook: anyone who knows its id may start builds."""

    id: str
    title: str
    branch: str
    created_at: float


class Value(msgspec.Struct, frozen=True):
    """What a variable is in one deploy context."""

    id: str
    value: str
    context: str = "all"
    """`all`, `dev`, `dev-server`, `branch-deploy`, `deploy-preview`, `production` or `branch`."""
    parameter: str = ""
    """The branch, where the context is `branch`."""


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """A build variable that was set through the API."""

    key: str
    values: tuple[Value, ...]
    scopes: tuple[str, ...]
    secret: bool
    updated_at: float


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """A split test: branches, and the share of readers in percent that each of them gets."""

    id: str
    name: str
    shares: dict[str, int]
    active: bool
    created_at: float
    updated_at: float
    ended_at: float = 0.0


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """A form that some deploy declared; submissions name it."""

    id: str
    name: str
    paths: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    """Name and type of each field."""
    honeypot: str
    created_at: float


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What one reader sent by a form."""

    schema: int
    id: str
    number: int
    """Submissions of a site are numbered in the order in which they arrive."""
    form_id: str
    created_at: float
    data: dict[str, str]


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """The one site that a host has."""

    schema: int
    id: str
    name: str
    account_id: str
    created_at: float
    updated_at: float
    hooks: tuple[Hook, ...]
    published: str = ""
    """The id of the deploy that the main address shows; empty before the first."""
    previous: str = ""
    """The id of the deploy that was published before; what `rollback` goes back to."""
    cache: str = "first"
    """The name of the home folder that builds share; a build with a cleared cache starts a new one."""
    clock: float = 0.0
    """Seconds by which the host's clock has been advanced."""
    metadata: dict[str, str | int | float | bool | None] = {}
    """What a client keeps at the site."""
    variables: tuple[Variable, ...] = ()
    splits: tuple[Split, ...] = ()
    forms: tuple[Form, ...] = ()


class Deploy(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the site, from the moment it is requested."""

    schema: int
    id: str
    number: int
    """Deploys are numbered in the order in which they are created."""
    state: str
    context: str
    branch: str
    title: str
    created_at: float
    updated_at: float
    source: str
    """`hook`, `api` or `upload`."""
    build_id: str = ""
    commit: str = ""
    error: str = ""
    published_at: float = 0.0
    skipped: bool = False
    locked: bool = False
    draft: bool = False

    @property
    def final(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in {"ready", "error"}


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the build command, and what asked for it."""

    schema: int
    id: str
    deploy_id: str
    created_at: float
    hook_id: str = ""
    hook_title: str = ""
    hook_body: str = ""
    """The hook's request body, percent-encoded."""
    clear_cache: bool = False
    done: bool = False


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a deploy that is uploaded by digest; the blobs say which of them have arrived."""

    schema: int
    deploy_id: str
    files: dict[str, str]
    """Path to SHA-1, as the client declared them."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One published file: its digest names the blob, and is its ETag."""

    sha256: str
    size: int


class HeaderRule(msgspec.Struct, frozen=True):
    """Headers for the paths that a pattern matches."""

    path: str
    values: dict[str, str]


class RedirectRule(msgspec.Struct, frozen=True):
    """One line of `_redirects`."""

    source: str
    target: str
    status: int = 301
    force: bool = False
    query: dict[str, str] = {}


class DeclaredForm(msgspec.Struct, frozen=True):
    """A form in a deploy's pages that is marked for Netlify."""

    name: str
    path: str
    fields: tuple[tuple[str, str], ...]
    honeypot: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a deploy serves: path to blob, and the rules that apply."""

    schema: int
    files: dict[str, Entry]
    headers: tuple[HeaderRule, ...] = ()
    redirects: tuple[RedirectRule, ...] = ()
    problems: tuple[str, ...] = ()
    """Rules that were left out, and why; Netlify reports them and deploys all the same."""
    forms: tuple[DeclaredForm, ...] = ()
    """The forms that readers may send."""
