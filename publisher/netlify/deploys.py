"""Bring one snapshot branch to exactly one ready deploy: look first, call the hook once, wait, look again.

A build hook takes no commit and gives no id back, and a call whose answer was lost may still have had its effect. So
every call is preceded by a look, by the API where there is a token and otherwise at the branch's own address, and a
call in doubt is followed by a look before the next.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from publisher.errors import DeployError, NetworkError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.netlify.client import Deploy, Netlify

TRIES = 3
"""How often a deploy is waited for, and where need be asked for, before publishing gives up."""
_POLL_FIRST, _POLL_LONGEST = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class WantedDeploy:
    """The deploy that should exist: of which branch at which commit, showing which run."""

    branch: str
    commit: str
    run_id: str
    title: str
    timeout: float
    """Seconds to wait for a build."""
    doubt: float = 20.0
    """Seconds to look for the effect of a call whose answer was lost before it is made again."""
    replacing: str = ""
    """The id of a deploy that will not do any more, because it is damaged."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deploy that is ready: its id, its immutable address, and how it was found."""

    deploy_id: str
    permalink: str
    via: Literal["api", "hook"]


def ensure(
    netlify: Netlify, wanted: WantedDeploy, *, may_call: Callable[[int], bool], note: Callable[[str], None]
) -> Deployed:
    """Return the ready deploy of a snapshot, asking for a build only where there is none.

    `may_call` is asked before each call of the hook, with the number of deploys that the branch has: it writes the
    intent down, or says that another call, made by somebody else or by a publisher that crashed, may still take effect.
    A deploy that is not ready after `wanted.timeout` is cancelled and asked for again, `TRIES` times in all. Raises
    DeployError when the build fails or never ends, NetworkError when the hook or the API cannot be used.
    """
    for _ in range(TRIES):
        older = _ids(netlify, wanted)
        found = find(netlify, wanted)
        if isinstance(found, Deployed):
            return found
        if found is None and may_call(len(older)):
            note(f"calling the build hook for {wanted.branch}")
            _call(netlify, wanted)
        deployed = _wait(netlify, wanted, older - {found.id if found else ""}, note)
        if deployed is not None:
            return deployed
    raise DeployError(
        f"{wanted.branch} is not deployed after {TRIES} tries of {wanted.timeout:.0f} s",
        hint="does the build hook belong to this site?  publisher reconcile tries again",
    )


def find(netlify: Netlify, wanted: WantedDeploy) -> Deployed | Deploy | None:
    """Look for the snapshot's deploy: the branch's newest ready one where it is ours, else one under way, else None."""
    if not netlify.settings.token:
        return find_by_address(netlify, wanted)
    known = netlify.deploys(branch=wanted.branch)
    # A branch's address shows its newest ready deploy: an older one of ours (a pin that was moved back) will not do.
    shown = next((deploy for deploy in known if deploy.ready), None)
    if shown is not None and _shows(shown, wanted):
        return Deployed(shown.id, netlify.settings.address_of(shown.id), "api")
    return next((deploy for deploy in known if _shows(deploy, wanted) and not (deploy.failed or deploy.ready)), None)


def find_by_address(netlify: Netlify, wanted: WantedDeploy) -> Deployed | None:
    """Look at the branch's own address for the snapshot: all that can be done without a token."""
    address = netlify.settings.address_of(wanted.branch)
    if shown_run(netlify, address) != wanted.run_id:
        return None
    own = _fetch_json(netlify, f"{address}/deploy.json")
    deploy_id = str(own.get("deploy_id") or "")
    if wanted.replacing and deploy_id == wanted.replacing:
        return None
    return Deployed(deploy_id, netlify.settings.address_of(deploy_id) if deploy_id else address, "hook")


def _call(netlify: Netlify, wanted: WantedDeploy) -> None:
    """Call the hook; an answer that was lost is no failure yet, because the wait that follows looks for the effect."""
    try:
        netlify.call_hook(wanted.branch, wanted.title)
    except NetworkError as error:
        if not error.ambiguous:
            raise


def _wait(netlify: Netlify, wanted: WantedDeploy, older: set[str], note: Callable[[str], None]) -> Deployed | None:
    """Wait for the deploy; None when none has appeared (the call was lost) or the one that did was stuck and cancelled.

    `older` are deploys whose failure is not news. Raises DeployError, with the build's own words, when ours fails.
    """
    started = time.monotonic()
    pause, seen = _POLL_FIRST, ""
    while True:
        found = find(netlify, wanted)
        if isinstance(found, Deployed):
            return found
        waited = time.monotonic() - started
        if found is None and netlify.settings.token:
            _raise_failed(netlify, wanted, older)
            if waited > wanted.doubt:
                return None
        if found is not None and found.state != seen:
            note(f"{wanted.branch}: {found.state}")
            seen = found.state
        if waited > wanted.timeout or (found is not None and _age(found) > wanted.timeout):
            _give_up(netlify, wanted, found, note)
            return None
        time.sleep(pause)
        pause = min(_POLL_LONGEST, pause * 1.3)


def _give_up(netlify: Netlify, wanted: WantedDeploy, found: Deploy | None, note: Callable[[str], None]) -> None:
    """Cancel a deploy that is stuck; without a token there is nothing to cancel and nothing more to see."""
    if found is None:
        raise DeployError(
            f"{netlify.settings.address_of(wanted.branch)} did not show the snapshot within {wanted.timeout:.0f} s",
            hint="look at the build's log in Netlify; with NETLIFY_AUTH_TOKEN its failure would be seen here",
        )
    note(f"{wanted.branch}: stuck in {found.state} for more than {wanted.timeout:.0f} s; cancelling deploy {found.id}")
    netlify.cancel(found.id)


def _age(deploy: Deploy) -> float:
    """Return the seconds since a deploy was created, 0 where it does not say."""
    try:
        return time.time() - dt.datetime.fromisoformat(deploy.created_at or "").timestamp()
    except ValueError:
        return 0.0


def _ids(netlify: Netlify, wanted: WantedDeploy) -> set[str]:
    """Return the ids of the branch's deploys, empty without a token."""
    return {deploy.id for deploy in netlify.deploys(branch=wanted.branch)} if netlify.settings.token else set()


def _shows(deploy: Deploy, wanted: WantedDeploy) -> bool:
    """Return whether a deploy of the branch is of the snapshot's commit; one not yet cloned has no commit."""
    same = deploy.branch == wanted.branch and deploy.commit_ref in {wanted.commit, None, ""}
    return same and deploy.id != wanted.replacing


def _raise_failed(netlify: Netlify, wanted: WantedDeploy, older: set[str]) -> None:
    """Raise DeployError when a new deploy of the branch has failed, with what the build said."""
    news = [deploy for deploy in netlify.deploys(branch=wanted.branch, pages=1) if deploy.id not in older]
    newest = next(iter(news), None)
    if newest is None:
        return
    if newest.commit_ref not in {wanted.commit, None, ""}:
        raise DeployError(
            f"{wanted.branch} was built at {newest.commit_ref}, not at {wanted.commit}",
            hint="did somebody push to the snapshot branch?",
        )
    if newest.failed:
        raise DeployError(
            f"the build of {wanted.branch} ended as {newest.state} (deploy {newest.id})",
            detail=newest.error_message or "",
            hint="mend the build, then run the same command again",
        )


def publish_live(netlify: Netlify, deployed: Deployed) -> None:
    """Show a deploy at the site's main address and wait until it is there; NetworkError when Netlify refuses."""
    if not netlify.settings.token:
        raise UsageError("moving the live site by the API needs a token", hint="set NETLIFY_AUTH_TOKEN")
    if _is_published(netlify, deployed.deploy_id):
        return
    _restore(netlify, deployed.deploy_id)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if _is_published(netlify, deployed.deploy_id):
            return
        time.sleep(_POLL_FIRST)
    raise DeployError(
        f"the site did not switch to deploy {deployed.deploy_id} within 60 s",
        hint="publisher live   shows what it shows now",
    )


def _is_published(netlify: Netlify, deploy_id: str) -> bool:
    """Return whether the site's main address shows a deploy."""
    published = netlify.site().published_deploy
    return published is not None and published.id == deploy_id


def _restore(netlify: Netlify, deploy_id: str) -> None:
    """Ask for a deploy to be published, again where the answer was lost: once or twice comes to the same."""
    for left in reversed(range(TRIES)):
        try:
            netlify.restore(deploy_id)
        except NetworkError as error:
            if not (error.ambiguous and left):
                raise
        else:
            return


def wait_live(netlify: Netlify, run_id: str, timeout: float) -> None:
    """Wait until the site's main address shows a run: how a move by build hook is seen without a token."""
    deadline = time.monotonic() + timeout
    pause = _POLL_FIRST
    while time.monotonic() < deadline:
        if shown_run(netlify, netlify.settings.main_address()) == run_id:
            return
        time.sleep(pause)
        pause = min(_POLL_LONGEST, pause * 1.3)
    raise DeployError(
        f"the live site did not show {run_id} within {timeout:.0f} s", hint="is `live` the site's production branch?"
    )


def shown_run(netlify: Netlify, address: str) -> str:
    """Return the id of the run that an address shows, empty where it shows none."""
    return str(_fetch_json(netlify, f"{address}/snapshot.json").get("run_id") or "")


def _fetch_json(netlify: Netlify, url: str) -> dict[str, Any]:
    """Return the JSON object at a public address, empty where there is none yet."""
    answer = netlify.web.request("GET", url, what="the deployed site", limit=32 << 20)
    if answer.status != 200:
        return {}
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}
