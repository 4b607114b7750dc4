"""The variables that a build sees: Netlify's documented ones, the site's own, and as little else as works."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from publisher.host.store.records import Value, Variable

_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFacts:
    """What is known about a build before its command runs."""

    build_id: str
    deploy_id: str
    site_id: str
    site_name: str
    account_id: str
    repository: str
    branch: str
    commit: str
    cached_commit: str
    """The commit of the last build that filled the cache; `commit` where there is none."""
    context: str
    site_url: str
    deploy_url: str
    branch_url: str
    home: str
    hook_url: str = ""
    hook_title: str = ""
    hook_body: str = ""
    """Percent-encoded, as Netlify hands it on."""


def site_variables(
    started_with: Mapping[str, str], variables: Iterable[Variable], context: str, branch: str
) -> dict[str, str]:
    """Return the site's own variables in a deploy context: a branch's value wins over a context's, that over `all`.

    What was set through the API wins over what the host was started with.
    """
    chosen = dict(started_with)
    for variable in variables:
        if "builds" in variable.scopes:
            ranked = {_rank(value, context, branch): value.value for value in variable.values}
            best = max(ranked)
            if best:
                chosen[variable.key] = ranked[best]
    return chosen


def _rank(value: Value, context: str, branch: str) -> int:
    """Return how closely a value fits, 0 where it does not."""
    if value.context == "branch":
        return 3 if value.parameter == branch else 0
    return {context: 2, "all": 1}.get(value.context, 0)


def build_environment(facts: BuildFacts, site: Mapping[str, str], tree: Mapping[str, str]) -> dict[str, str]:
    """Return a build's whole environment. `tree` (netlify.toml) wins over `site`, and what Netlify sets over both."""
    own = {name: value for name, value in {**site, **tree}.items() if not _is_secret(name)}
    return {"CI": "true", **_machine(facts.home), **own, **_documented(facts), **_hook(facts)}


def _is_secret(name: str) -> bool:
    """Tell whether a variable belongs to whoever runs the host, or would change what git does."""
    return name.startswith(("NETLIFY_", "GIT_")) and not name.startswith("GIT_LFS_")


def _machine(home: str) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", _PATH), "HOME": home, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


def _documented(facts: BuildFacts) -> dict[str, str]:
    return {
        "NETLIFY": "true",
        "BUILD_ID": facts.build_id,
        "CONTEXT": facts.context,
        "REPOSITORY_URL": facts.repository,
        "BRANCH": facts.branch,
        "HEAD": facts.branch,
        "COMMIT_REF": facts.commit,
        "CACHED_COMMIT_REF": facts.cached_commit,
        "PULL_REQUEST": "false",
        "URL": facts.site_url,
        "DEPLOY_URL": facts.deploy_url,
        "DEPLOY_PRIME_URL": facts.branch_url,
        "DEPLOY_ID": facts.deploy_id,
        "SITE_NAME": facts.site_name,
        "SITE_ID": facts.site_id,
        "ACCOUNT_ID": facts.account_id,
    }


def _hook(facts: BuildFacts) -> dict[str, str]:
    if not facts.hook_url:
        return {}
    return {
        "INCOMING_HOOK_URL": facts.hook_url,
        "INCOMING_HOOK_TITLE": facts.hook_title,
        "INCOMING_HOOK_BODY": facts.hook_body,
    }
