"""What a site needs so that snapshots are built, public, kept for good, and moved by the right token."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from publisher.address import is_loopback
from publisher.errors import NetworkError
from publisher.ledger import canaries
from publisher.netlify.client import MOST_PAGES, PER_PAGE
from publisher.publishing import allowance
from publisher.publishing.canary import course, state
from publisher.publishing.checkup.finding import Finding, checked, fine, note, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.config import Config
    from publisher.ledger.history import Run
    from publisher.netlify.client import BuildSettings, Netlify, Site
    from publisher.publishing.project import Project

PRODUCTION = "live"
_APART = 60.0
"""Seconds that two clocks may differ."""
_EXAMPLE = "snapshot-0123456789ab"
_BRANCHES = "Netlify → Build & deploy → Branches: production branch live, branch deploys: all"


def site_findings(project: Project, config: Config, *, measures: bool) -> Iterator[Finding]:
    """Yield what there is to say about the site; `measures` says whether this machine is of use without a build hook.

    Nothing is changed, and no build is started.
    """
    if not config.netlify.site:
        yield wrong("site", "publisher.toml names no site", '[netlify] site = "NAME"')
        return
    netlify: list[Netlify] = []
    for finding in checked("secrets", lambda: _opened(netlify, project, config)):
        yield finding
        return
    client = netlify[0]
    yield from checked("build hook", lambda: _hook(client, measures=measures))
    runs = project.runs()
    if client.settings.token:
        yield from checked("token", lambda: _reach(client))
        yield from _site(client)
        yield from checked("deploys", lambda: _kept(client, runs))
    else:
        says = "NETLIFY_AUTH_TOKEN is not set: the live site moves by a build, and the site's settings cannot be seen"
        yield note("token", says, "make one: Netlify → User settings → Applications")
    yield from checked("canary", lambda: _canary(project))
    yield from checked("public", lambda: _public(client, runs))
    yield from checked("clock", lambda: _clock(project, client))
    for left in allowance.left(project, config.netlify):
        yield (
            wrong("budget", left, "wait, or raise it in [netlify]") if left.startswith("0 of") else fine("budget", left)
        )


def _opened(into: list[Netlify], project: Project, config: Config) -> None:
    """Make the client, which checks the form of the secrets."""
    into.append(project.netlify(config))


def _hook(netlify: Netlify, *, measures: bool) -> Finding:
    """Say whether the hook is one of the site's; its form was checked when it was read."""
    hook = netlify.settings.hook
    if not hook:
        says = "NETLIFY_BUILD_HOOK is not set: nothing can be published from here"
        do = f'netlify api createSiteBuildHook --data \'{{"site_id": "{netlify.settings.site}.netlify.app", …}}\''
        return note("build hook", says, do) if measures else wrong("build hook", says, do)
    if not netlify.settings.token:
        return fine("build hook", "it has the right form; whether it is this site's only a token can tell")
    ours = hook.reveal().rpartition("/")[2]
    if any(one.id == ours for one in netlify.hooks()):
        return fine("build hook", f"it is one of {netlify.settings.site}")
    says = f"{netlify.settings.site} has no such build hook: it was deleted, or belongs to another site"
    return wrong(
        "build hook", says, "make a new one: Netlify → Build & deploy → Build hooks, then set NETLIFY_BUILD_HOOK"
    )


def _reach(netlify: Netlify) -> Finding:
    """Say how many sites somebody could change who had the token."""
    found = netlify.sites()
    names = ", ".join(site.name for site in found[:5]) + (", …" if len(found) > 5 else "")
    if len(found) < 2:
        return fine("token", f"it reaches {names or 'no site'} only")
    says = f"it reaches {len(found)}{' or more' if len(found) == PER_PAGE else ''} sites: {names}"
    return note("token", says, "use a token of a user who is in the team of this site only")


def _site(netlify: Netlify) -> Iterator[Finding]:
    """Yield what the site's own settings say."""
    sites: list[Site] = []
    for finding in checked("site", lambda: sites.append(netlify.site())):
        yield finding
        return
    yield fine("site", f"{sites[0].name} is there")
    settings = sites[0].build_settings
    if settings is not None:
        yield from (found for found in (production(settings), branches(settings), builds(settings)) if found)


def production(settings: BuildSettings) -> Finding | None:
    """Say whether the main address shows the branch that this program moves."""
    if settings.repo_branch is None:
        return None
    if settings.repo_branch == PRODUCTION:
        return fine("production", f"the production branch is {PRODUCTION}")
    says = f"the production branch is {settings.repo_branch!r}: every push to it would replace the live snapshot"
    return wrong("production", says, _BRANCHES)


def branches(settings: BuildSettings) -> Finding:
    """Say whether snapshot branches are deployed."""
    allowed = settings.allowed_branches
    if allowed is None:
        return note("branch deploys", "the API does not say which branches are deployed", _BRANCHES)
    others = [pattern for pattern in allowed if pattern != settings.repo_branch]
    if not allowed or any(fnmatch.fnmatchcase(_EXAMPLE, pattern) for pattern in others):
        return fine("branch deploys", "snapshot branches are deployed")
    return wrong("branch deploys", f"only these branches are deployed: {', '.join(allowed)[:200]}", _BRANCHES)


def builds(settings: BuildSettings) -> Finding | None:
    """Say whether builds are stopped."""
    if not settings.stop_builds:
        return None
    return wrong(
        "builds", "the site's builds are stopped", "Netlify → Build & deploy → Build settings: activate builds"
    )


def _kept(netlify: Netlify, runs: list[Run]) -> Finding:
    """Say whether each snapshot's deploy is its branch's newest: only those are never deleted for their age."""
    receipts = [run.receipt for run in runs if run.receipt is not None]
    if not receipts:
        return note("deploys", "nothing is published yet")
    deploys = netlify.deploys(state="ready")
    if len(deploys) >= PER_PAGE * MOST_PAGES:
        return note("deploys", f"more than {len(deploys) - 1} deploys: they are not compared", "publisher verify --all")
    newest: dict[str, str] = {}
    for deploy in deploys:
        newest.setdefault(deploy.branch or "", deploy.id)
    lost = [receipt.snapshot for receipt in receipts if newest.get(receipt.snapshot) != receipt.deploy_id]
    if lost:
        says = f"{len(lost)} of {len(receipts)} snapshots are not their branch's newest deploy, such as {lost[0]}"
        return wrong("deploys", says, "publisher verify --all --repair")
    return fine("deploys", f"{len(receipts)} published, each its branch's newest deploy: none is deleted for its age")


def _canary(project: Project) -> Finding | None:
    """Say what is shown to some readers, and whether the host agrees with the ledger; nothing before the first."""
    canary = canaries.last(project.ledger)
    if canary is None:
        return None
    start = canary.start
    found = state.state_of(project, canary, lambda _: None)
    says = f"canary {start.number} of {start.snapshot}: "
    if found.shown is False:
        said = f"the ledger says that {canary.readers} see it, and the host shows another share"
        return wrong("canary", says + said, "publisher canary step")
    if canary.end is not None:
        left = course.unsettled(project) is not None
        end = says + f"{canary.end.outcome}"
        return note("canary", f"{end}, but its pages are still there", "publisher reconcile") if left else None
    if not canary.stages:
        return wrong("canary", says + "its start was interrupted", "publisher canary step")
    return fine("canary", says + f"{canary.readers} see it")


def _public(netlify: Netlify, runs: list[Run]) -> Finding:
    """Ask for the newest snapshot and the main address as a reader would, without a token."""
    shown = [run.receipt for run in runs if run.receipt is not None]
    address = netlify.settings.address_of(shown[-1].snapshot) if shown else netlify.settings.main_address()
    if shown and is_loopback(shown[-1].address) and not is_loopback(address):
        says = f"the newest snapshot is at {shown[-1].address}, on this machine only"
        return note("public", says, "publisher --local doctor   checks the host of publisher serve")
    for place in dict.fromkeys([address, netlify.settings.main_address()]):
        answer = netlify.web.request("GET", f"{place}/", what=place)
        netlify.clock.hear(answer.headers)
        if answer.status in {401, 403}:
            says = f"{place} is private: it answers {answer.status} to readers"
            return wrong("public", says, "Netlify → Project configuration → Visitor access: public, previews too")
        if answer.status != 200 and shown:
            raise NetworkError(f"{place} answers {answer.status}", hint="publisher verify --all --repair")
    return fine("public", f"{address} can be read") if shown else note("public", "nothing is published yet")


def _clock(project: Project, netlify: Netlify) -> Finding:
    heard = netlify.clock.now()
    if heard is None:
        return note("clock", "the host has not told its time")
    apart = project.clock() - heard
    if abs(apart) <= _APART:
        return fine("clock", "it agrees with the host's")
    says = f"this machine's clock is {abs(apart):,.0f} s {'ahead of' if apart > 0 else 'behind'} the host's"
    return wrong("clock", says, "timedatectl set-ntp true")
