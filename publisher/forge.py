"""Where a repository can be looked at: the web addresses of commits and differences on GitHub, GitLab, Gitea, Codeberg.

A forge is told by its host alone, so nothing is asked. Of a remote's address only host and path are kept: user names,
passwords, tokens, queries and ports of other protocols are dropped.
"""

from __future__ import annotations

import re

_HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
_WEB = re.compile(rf"https?://(?:[^@/\s]*@)?({_HOST})(?::(\d{{1,5}}))?/((?:{_NAME}/){{1,6}}{_NAME})/?\Z", re.IGNORECASE)
_SSH = re.compile(
    rf"(?:ssh|git)://(?:[^@/\s]*@)?({_HOST})(?::\d{{1,5}})?/((?:{_NAME}/){{1,6}}{_NAME})/?\Z", re.IGNORECASE
)
_SHORT = re.compile(rf"(?:[^@/:\s]*@)?({_HOST}):/?((?:{_NAME}/){{1,6}}{_NAME})/?\Z", re.IGNORECASE)
_HOME = re.compile(rf"https://({_HOST}(?::\d{{1,5}})?)/((?:{_NAME}/){{1,6}}{_NAME})\Z")
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")
_KINDS = frozenset({"github", "gitlab", "gitea", "forgejo"})
_DOMAINS = {"github.com": "github", "gitlab.com": "gitlab", "gitea.com": "gitea", "codeberg.org": "forgejo"}


def home(remote: str) -> str:
    """Return the web address of the repository that a remote's URL names; empty where its forge is none known."""
    if len(remote) > 500:
        return ""
    web = _WEB.match(remote)
    port = f":{web[2]}" if web and web[2] and remote.lower().startswith("https:") else ""
    found = web or _SSH.match(remote) or _SHORT.match(remote)
    if not found:
        return ""
    address = f"https://{found[1].lower()}{port}/{found[found.re.groups].removesuffix('.git')}"
    return address if _kind(address) else ""


def _kind(address: str) -> str:
    """Return which forge an address is on, by its host: a known one, or one named like `gitlab.example.org`."""
    match = _HOME.match(address)
    if match is None:
        return ""
    host = match[1].partition(":")[0]
    named = host.partition(".")[0]
    own = named in _KINDS and not any(host.startswith(f"{domain}.") for domain in _DOMAINS)
    kind = _DOMAINS.get(host, named if own else "")
    # All but GitLab have owners and names, and nothing above them.
    return kind if kind == "gitlab" or match[2].count("/") == 1 else ""


def commit(address: str, sha: str) -> str:
    """Return where a commit is shown, given the repository's web address; empty where either is of another form."""
    between = "/-" if (kind := _kind(address)) == "gitlab" else ""
    return f"{address}{between}/commit/{sha}" if kind and _COMMIT.match(sha) else ""


def difference(address: str, old: str, new: str) -> str:
    """Return where the difference of two commits is shown; empty where anything is of another form."""
    between = "/-" if (kind := _kind(address)) == "gitlab" else ""
    known = kind and _COMMIT.match(old) and _COMMIT.match(new)
    return f"{address}{between}/compare/{old}...{new}" if known else ""
