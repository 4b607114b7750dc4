"""How a site can split its readers, and whether a snapshot can be shown to them: asked before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from publisher.errors import DeployError, NetworkError, UsageError
from publisher.netlify import splits
from publisher.publishing import audit, ending, script
from publisher.publishing.live import is_locked

if TYPE_CHECKING:
    from publisher.ledger.history import Run
    from publisher.publishing.deliver import Desk

Way = Literal["split", "script", "link"]


class NoSplitsError(UsageError):
    """The site has no split tests, which only showed when one was made."""


def way_of(desk: Desk) -> Way:
    """Return how this site can split its readers; UsageError where somebody else is doing so."""
    if not desk.netlify.settings.token:
        desk.note("no NETLIFY_AUTH_TOKEN, so no split test: a script of the live deploy splits the readers")
        return "script"
    try:
        split = splits.running(desk.netlify)
    except NetworkError as error:
        if not splits.has_none(error):
            raise
        desk.note(f"{no_splits(error).message}: a script of the live deploy splits the readers")
        return "script"
    if split is not None:
        raise UsageError(
            f"another split test is active on this site: {', '.join(sorted(split.shares()))[:200]}",
            hint="end it in Netlify → Split testing, then run the same command again",
        )
    return "split"


def check_way(desk: Desk, way: Way, stages: int) -> None:
    """Raise UsageError where a script could not be shown, before anything is written down."""
    if way != "script":
        return
    if is_locked(desk.netlify):
        raise UsageError(
            "the live site is locked, so no deploy with a script would be shown", hint="publisher live --unlock"
        )
    script.check_budget(desk, stages)


def no_splits(error: NetworkError) -> NoSplitsError:
    """Return the error for a site that has no split tests, which says what to type instead."""
    return NoSplitsError(
        f"this site has no split tests: {error.message}",
        hint="publisher canary start SNAPSHOT --script   needs none; it splits the readers by the deploy itself",
    )


def check_branch(desk: Desk, branch: str) -> None:
    """Raise UsageError where the host is known not to build the candidate's branch, before anything is written."""
    settings = desk.netlify.site().build_settings if desk.netlify.settings.token else None
    if settings is not None and not settings.builds(branch):
        raise UsageError(
            f"this site does not build {branch}, only {', '.join(settings.allowed_branches or ())[:200]}",
            hint="Netlify → Build & deploy → Branches: branch deploys: all, or add canary-*",
        )


def check_candidate(desk: Desk, run: Run, live: str) -> None:
    """Raise UsageError for a snapshot that nobody can be shown, DeployError for one that is damaged."""
    receipt = run.receipt
    if receipt is None or ending.lost(run):
        gone = "is not deployed any more" if run.last_receipt else "is not published"
        said = gone if receipt is None else f"is withdrawn: {ending.lost(run)}"
        raise UsageError(
            f"{run.line.snapshot or run.run_id} {said}, so nobody can be shown it",
            hint="publisher snapshots   lists what can be; publisher verify SNAPSHOT --repair brings one back",
        )
    if receipt.run_id == live:
        raise UsageError(f"{receipt.snapshot} is live already: every reader sees it")
    found = audit.check(desk.project, run, receipt)
    if found.damaged and not found.private:
        raise DeployError(
            f"{found.address} does not serve what was rendered, so nobody is shown it",
            hint=f"publisher verify {receipt.snapshot} --repair",
        )
