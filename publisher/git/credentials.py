"""The token for the remote: only commands that talk to a remote get it, and git sends it to one server only.

`PUBLISHER_GIT_TOKEN` replaces a checkout that keeps its credentials on disk, where every later step of a job could read
them. The server is `GITHUB_SERVER_URL`, or https://github.com.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from publisher.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOKEN = "PUBLISHER_GIT_TOKEN"  # noqa: S105 - the variable's name
_REMOTE_COMMANDS = frozenset({"fetch", "ls-remote", "push"})
_NEVER = ("NETLIFY_AUTH_TOKEN", "NETLIFY_BUILD_HOOK")
"""Secrets that no git process needs."""
_SERVER = re.compile(r"https://[A-Za-z0-9.-]+(?::\d{1,5})?|http://(?:127\.0\.0\.1|localhost)(?::\d{1,5})?")
# The helper reads the token from its environment, so that it stands in no argument list. Git appends the operation.
_PRINTS = f"""printf 'username=x-access-token\\npassword=%s\\n' "${TOKEN}\""""
_HELPER = f"""!f() {{ if test "$1" = get; then {_PRINTS}; fi; }}; f"""


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
