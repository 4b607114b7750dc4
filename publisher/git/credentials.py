"""Secrets for remotes: only commands that talk to a remote get one, and git sends it to one server only.

`PUBLISHER_GIT_TOKEN` replaces a checkout that keeps its credentials on disk, where every later step of a job could read
them. The server is `GITHUB_SERVER_URL`, or https://github.com.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from publisher.errors import GitError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOKEN = "PUBLISHER_GIT_TOKEN"  # noqa: S105 - the variable's name
_REMOTE_COMMANDS = frozenset({"fetch", "lfs", "ls-remote", "push"})
_NEVER = ("NETLIFY_AUTH_TOKEN", "NETLIFY_BUILD_HOOK")
"""Secrets that no git process needs."""
_SERVER = re.compile(r"https://[A-Za-z0-9.-]+(?::\d{1,5})?|http://(?:127\.0\.0\.1|localhost)(?::\d{1,5})?")
# The helper reads the token from its environment, so that it stands in no argument list. Git appends the operation.
_PRINTS = f"""printf 'username=x-access-token\\npassword=%s\\n' "${TOKEN}\""""
_USERNAME, _PASSWORD = "PUBLISHER_LOGIN_USERNAME", "PUBLISHER_LOGIN_PASSWORD"
_LOGIN_PRINTS = f"""printf 'username=%s\\npassword=%s\\n' "${_USERNAME}" "${_PASSWORD}\""""
_LOGIN_HELPER = f"""!f() {{ if test "$1" = get; then {_LOGIN_PRINTS}; fi; }}; f"""
_WITH_LOGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]*)@(.*)", re.DOTALL)
_HELPER = f"""!f() {{ if test "$1" = get; then {_PRINTS}; fi; }}; f"""


@dataclass(frozen=True, slots=True)
class Login:
    """An address without the user information that was in it, and that information, which nothing prints."""

    address: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def secret(self) -> str:
        """The part that must not be shown: the password, or a token in the place of the user; empty where none is."""
        return self.password or self.username

    @property
    def settings(self) -> list[str]:
        """The settings (NAME=VALUE) by which git finds the login, for the server of this address only."""
        if not self.secret:
            return []
        server = "/".join(self.address.split("/", 3)[:3])
        return [f"credential.{server}.helper=", f"credential.{server}.helper={_LOGIN_HELPER}"]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the helper reads: arguments can be seen by every process of the machine."""
        return {_USERNAME: self.username, _PASSWORD: self.password} if self.secret else {}


def login(address: str) -> Login:
    """Take the user information out of a remote's address; a path or `user@host:path` is returned as it is.

    Raises GitError where the information has control characters, with which it could say more to git than it is.
    """
    match = _WITH_LOGIN.fullmatch(address)
    if match is None:
        return Login(address)
    scheme, information, rest = match.groups()
    username, _, password = (urllib.parse.unquote(part) for part in information.partition(":"))
    if any(ord(character) < 32 for character in username + password):
        raise GitError(f"the login in the address {scheme}{rest} has control characters")
    if scheme.lower() == "ssh://":  # the user is part of where to go, and ssh takes no password from an address
        return Login(f"{scheme}{information.partition(':')[0]}@{rest}")
    return Login(f"{scheme}{rest}", username, password)


def withheld(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the secret variables that git must not inherit when it runs `arguments`."""
    names = _NEVER if arguments[0] in _REMOTE_COMMANDS else (*_NEVER, TOKEN)
    return [name for name in names if name in environment]


def settings(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the settings (NAME=VALUE) by which a command that talks to a remote finds the token.

    Raises UsageError where the token would be sent in the clear.
    """
    if arguments[0] not in _REMOTE_COMMANDS or not environment.get(TOKEN):
        return []
    server = environment.get("GITHUB_SERVER_URL", "").rstrip("/") or "https://github.com"
    if not _SERVER.fullmatch(server):
        raise UsageError(f"{TOKEN} is only sent over https", hint="set GITHUB_SERVER_URL to https://HOST")
    # The empty value first clears helpers that the machine's configuration names for that server.
    return [f"credential.{server}.helper=", f"credential.{server}.helper={_HELPER}"]
