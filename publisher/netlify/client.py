"""Netlify's API and build hook, as far as publishing needs them (Open API 2.60.0; build-hooks documentation).

Where the settings come from: `NETLIFY_BUILD_HOOK` and `NETLIFY_AUTH_TOKEN` are secrets of the environment;
`NETLIFY_API_URL` points somewhere else than Netlify, to a host on this machine above all. The same code talks to both.
"""

from __future__ import annotations

import re
import time
import urllib.parse
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from publisher import address
from publisher.errors import NetworkError, UsageError
from publisher.secret import Secret, redacted
from publisher.web import READ_TIMEOUT, Answer, Web, http_date

if TYPE_CHECKING:
    from collections.abc import Mapping

API_URL = "https://api.netlify.com"
_HOOK_PATH = re.compile(r"/build_hooks/[0-9a-f]{24}\Z")
_HOOK_WRONG = "NETLIFY_BUILD_HOOK is not the address of a Netlify build hook (not shown: it is a secret)"
_API_HINT = "unset NETLIFY_API_URL for Netlify itself; publisher serve says what to set for its host"
_ID = re.compile(r"[0-9A-Za-z._-]{1,253}\Z")
WITHOUT_API = "set NETLIFY_AUTH_TOKEN, or with the host of publisher serve: publisher --local …"
"""What to do where the API is needed and there is no token."""
PER_PAGE = 100
MOST_PAGES = 20


class Deploy(msgspec.Struct, frozen=True):
    """A deploy as the API describes it; Netlify leaves out or nulls what it does not know."""

    id: str
    state: str = ""
    branch: str | None = None
    commit_ref: str | None = None
    title: str | None = None
    error_message: str | None = None
    deploy_ssl_url: str | None = None
    ssl_url: str | None = None
    created_at: str | None = None
    published_at: str | None = None
    skipped: bool | None = None
    locked: bool | None = None
    context: str | None = None

    @property
    def failed(self) -> bool:
        """Whether this deploy will never be ready."""
        return self.state in {"error", "rejected", "canceled", "cancelled", "skipped"} or bool(self.skipped)

    @property
    def ready(self) -> bool:
        """Whether this deploy can be opened."""
        return self.state in {"ready", "current", "old"}


class BuildSettings(msgspec.Struct, frozen=True):
    """How a site builds; a host leaves out what it does not know."""

    repo_branch: str | None = None
    """The production branch."""
    allowed_branches: list[str] | None = None
    """The branches that are built; none where all are."""
    stop_builds: bool | None = None

    def builds(self, branch: str) -> bool:
        """Return whether a branch is built, as far as the host says; it names patterns, or nothing where all are."""
        allowed = self.allowed_branches
        return not allowed or any(fnmatchcase(branch, pattern) for pattern in allowed)


class Site(msgspec.Struct, frozen=True):
    """A site as the API describes it."""

    id: str
    name: str
    ssl_url: str | None = None
    url: str | None = None
    published_deploy: Deploy | None = None
    build_settings: BuildSettings | None = None


class BuildHook(msgspec.Struct, frozen=True):
    """A build hook as the API describes it, without its address, which is a secret."""

    id: str
    branch: str | None = None


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """Which site, where its API is, and the secrets that open it; either secret may be empty."""

    site: str
    hook: Secret = field(default_factory=lambda: Secret(""))
    token: Secret = field(default_factory=lambda: Secret(""))
    api_url: str = API_URL

    @classmethod
    def of(cls, site: str, environment: Mapping[str, str]) -> Settings:
        """Return the settings that the environment gives, with the hook and the API address checked.

        Raises UsageError for a hook or an API address that secrets must not be sent to; the value is not shown.
        """
        api_url = environment.get("NETLIFY_API_URL", "").rstrip("/") or API_URL
        try:
            secure = address.split(api_url).scheme == "https"
        except ValueError as error:
            raise UsageError(f"NETLIFY_API_URL is not an address: {error}", hint=_API_HINT) from None
        if not (secure or address.is_loopback(api_url)):
            raise UsageError("NETLIFY_API_URL must be an https address, or one on this machine", hint=_API_HINT)
        token = environment.get("NETLIFY_AUTH_TOKEN", "").strip()
        if not (token.isascii() and token.isprintable()):
            raise UsageError(
                "NETLIFY_AUTH_TOKEN has a character that no token has (not shown: it is a secret)",
                hint="make a new token: Netlify → User settings → Applications, and set NETLIFY_AUTH_TOKEN",
            )
        hook = environment.get("NETLIFY_BUILD_HOOK", "").strip()
        _check_hook(hook, local=address.is_loopback(api_url))
        return cls(site, Secret(hook), Secret(token), api_url)

    def main_address(self) -> str:
        """Return the site's main address, such as https://SITE.netlify.app, without a final slash."""
        if not address.is_loopback(self.api_url):
            return f"https://{self.site}.netlify.app"
        port = urllib.parse.urlsplit(self.api_url).port
        return f"http://{self.site}.localhost" + (f":{port}" if port else "")

    def address_of(self, label: str) -> str:
        """Return the permanent address of a branch or of a deploy id: LABEL--SITE before the host."""
        scheme, _, host = self.main_address().partition("://")
        return f"{scheme}://{label}--{host}"


def _check_hook(hook: str, *, local: bool) -> None:
    """Refuse a build hook that is not one: anybody who knows the address can spend the team's builds."""
    if not hook:
        return
    hint = "set NETLIFY_BUILD_HOOK to https://api.netlify.com/build_hooks/ and 24 hexadecimal digits"
    try:
        parts = address.split(hook)
    except ValueError:
        raise UsageError(_HOOK_WRONG, hint=hint) from None
    plain = not (parts.query or parts.fragment)
    netlify = parts.scheme == "https" and parts.hostname == "api.netlify.com" and parts.port in {None, 443}
    here = local and parts.scheme == "http" and address.is_loopback(hook)
    if not (plain and (netlify or here) and _HOOK_PATH.match(parts.path)):
        raise UsageError(_HOOK_WRONG, hint=hint)


@dataclass(slots=True)
class HostClock:
    """The host's time of day, as the `Date` header of its answers gives it.

    Between two answers it advances with this machine's monotonic clock, so a wrong wall clock here changes nothing.
    """

    _heard: float | None = None
    _at: float = 0.0

    def hear(self, headers: Mapping[str, str]) -> None:
        """Take the time from an answer, if it gives one."""
        sent = http_date(headers.get("date", ""))
        if sent is not None:
            self._heard, self._at = sent, time.monotonic()

    def now(self) -> float | None:
        """Return the host's time as Unix time, None before its first answer."""
        return None if self._heard is None else self._heard + time.monotonic() - self._at


@dataclass(frozen=True, slots=True)
class Netlify:
    """One site on Netlify, or on a host that speaks the same API."""

    settings: Settings
    web: Web = field(default_factory=Web)
    clock: HostClock = field(default_factory=HostClock, compare=False)

    # -- the build hook ------------------------------------------------------------------------------------------

    def call_hook(self, branch: str, title: str, *, longest: float = READ_TIMEOUT) -> None:
        """Ask once for a build of `branch`, and wait at most `longest` seconds for the answer.

        A 2xx means accepted; the body means nothing. Raises UsageError without a hook, NetworkError otherwise:
        `ambiguous` where the build may have been started. Nothing is tried again here, because a turn to call must
        not be used after it has expired: the caller decides.
        """
        if not self.settings.hook:
            raise UsageError("there is no build hook to call", hint="set NETLIFY_BUILD_HOOK")
        parameters = {"trigger_branch": branch, "trigger_title": title}
        once = replace(self.web, attempts=1, read_timeout=min(longest, self.web.read_timeout))
        answer = once.request(
            "POST", self.settings.hook, what="the build hook", parameters=parameters, body={}, limit=1 << 16
        )
        self.clock.hear(answer.headers)
        if 300 <= answer.status < 400:
            raise NetworkError(
                "the build hook answered with a redirect, which is never followed",
                status=answer.status,
                hint="check NETLIFY_BUILD_HOOK",
            )
        if answer.status in {401, 404, 410}:
            raise NetworkError(
                f"the build hook does not exist any more (it answered {answer.status})",
                status=answer.status,
                hint="make a new one: Netlify → Build & deploy → Build hooks, then set NETLIFY_BUILD_HOOK",
            )
        if not 200 <= answer.status < 300:
            raise NetworkError(
                f"the build hook answered {answer.status}",
                status=answer.status,
                hint="run the same command again later",
            )

    # -- the API -------------------------------------------------------------------------------------------------

    def site(self) -> Site:
        """Return the site, with the deploy that its main address shows."""
        return self.call("GET", f"/sites/{self.site_id}", Site, "the site")

    def sites(self) -> list[Site]:
        """Return the sites that the token reaches, the first page of them."""
        return self.call("GET", "/sites", list[Site], "the list of sites", {"per_page": str(PER_PAGE)})

    def hooks(self) -> list[BuildHook]:
        """Return the site's build hooks."""
        return self.call("GET", f"/sites/{self.site_id}/build_hooks", list[BuildHook], "the list of build hooks")

    def deploys(self, *, branch: str = "", state: str = "", pages: int = MOST_PAGES) -> list[Deploy]:
        """Return the site's deploys, newest first, of one branch and in one state where those are given."""
        found: list[Deploy] = []
        for page in range(1, pages + 1):
            query = {"page": str(page), "per_page": str(PER_PAGE), "branch": branch, "state": state}
            part = self.call(
                "GET",
                f"/sites/{self.site_id}/deploys",
                list[Deploy],
                "the list of deploys",
                {key: value for key, value in query.items() if value},
            )
            found += part
            if len(part) < PER_PAGE:
                break
        return found

    def deploy(self, deploy_id: str) -> Deploy:
        """Return one deploy."""
        return self.call("GET", f"/deploys/{_checked(deploy_id)}", Deploy, "the deploy")

    def has(self, deploy_id: str) -> bool:
        """Return whether a deploy is still there, ready."""
        try:
            return self.deploy(deploy_id).ready
        except NetworkError as error:
            if error.status != 404:
                raise
            return False

    def restore(self, deploy_id: str) -> Deploy:
        """Show a deploy at the site's main address."""
        return self.call("POST", f"/sites/{self.site_id}/deploys/{_checked(deploy_id)}/restore", Deploy, "restore")

    def lock(self, deploy_id: str) -> Deploy:
        """Stop automatic publishing at the published deploy."""
        return self.call("POST", f"/deploys/{_checked(deploy_id)}/lock", Deploy, "lock")

    def unlock(self, deploy_id: str) -> Deploy:
        """Let automatic publishing continue."""
        return self.call("POST", f"/deploys/{_checked(deploy_id)}/unlock", Deploy, "unlock")

    def cancel(self, deploy_id: str) -> Deploy:
        """Stop a deploy that has not become ready."""
        return self.call("POST", f"/deploys/{_checked(deploy_id)}/cancel", Deploy, "cancel")

    def delete(self, deploy_id: str) -> None:
        """Delete a deploy for good."""
        self._answer("DELETE", f"/deploys/{_checked(deploy_id)}", "delete", {})

    @property
    def site_id(self) -> str:
        """The id by which the API knows the site: on Netlify its domain, which its name alone is not."""
        name = self.settings.site
        if not name:
            raise UsageError("no site is named", hint='add  [netlify] site = "NAME"  to publisher.toml')
        return _checked(name if address.is_loopback(self.settings.api_url) else f"{name}.netlify.app")

    def send(self, method: str, path: str, what: str) -> None:
        """Call the API where its answer says nothing more."""
        self._answer(method, path, what, {})

    def call(
        self,
        method: str,
        path: str,
        kind: type[T],
        what: str,
        query: dict[str, str] | None = None,
        body: object = None,
    ) -> T:
        """Call the API and return its answer as `kind`; NetworkError when it does not fit."""
        answer = self._answer(method, path, what, query or {}, body)
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except msgspec.MsgspecError as error:
            problem = str(error)
        except RecursionError:
            problem = "it is nested too deeply"
        raise NetworkError(f"{what}: the API's answer cannot be understood: {problem}", status=answer.status)

    def _answer(self, method: str, path: str, what: str, query: dict[str, str], body: object = None) -> Answer:
        if not self.settings.token:
            raise UsageError(f"{what} needs an API token", hint=WITHOUT_API)
        headers: dict[str, str | Secret] = {
            "Authorization": Secret(f"Bearer {self.settings.token.reveal()}"),
            "Accept": "application/json",
        }
        base = self.settings.api_url
        prefix = "" if urllib.parse.urlsplit(base).path else "/api/v1"
        answer = self.web.request(
            method, f"{base}{prefix}{path}", what=what, headers=headers, parameters=query, body=body
        )
        self.clock.hear(answer.headers)
        if answer.status in {401, 403}:
            raise NetworkError(
                f"{what}: the API refused the token ({answer.status})",
                status=answer.status,
                hint="make a new token and set NETLIFY_AUTH_TOKEN",
            )
        if not 200 <= answer.status < 300:
            raise NetworkError(f"{what}: the API answered {answer.status}{_message(answer)}", status=answer.status)
        return answer


def _message(answer: Answer) -> str:
    """Return what the API said of an error, cut to a line."""
    try:
        said = msgspec.json.decode(answer.body, type=dict[str, Any]).get("message")
    except (msgspec.MsgspecError, RecursionError):
        return ""
    # An API may repeat the token that it was sent.
    return f": {redacted(' '.join(str(said).split()))[:200]}" if said else ""


def _checked(part: str) -> str:
    """Return an id that is safe inside a path."""
    if not _ID.match(part):
        raise NetworkError(f"{part[:40]!r} is not an id")
    return part
