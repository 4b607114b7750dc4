"""Bring one snapshot branch to exactly one ready deploy: look first, call the hook once, wait, look again.

A build hook takes no commit and gives no id back, and a call whose answer was lost may still have had its effect. So
every call is preceded by a look, by the API where there is a token and otherwise at the branch's own address, and a
call in doubt is followed by a look before the next.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from publisher.errors import DeployError, NetworkError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.netlify.client import Deploy, Netlify

TRIES = 3
"""How often a build is asked for before publishing gives up."""
DOUBT = 20.0
"""Seconds to look for the effect of a call whose answer was lost."""
_POLL_FIRST, _POLL_LONGEST = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """The deploy that should exist: of which branch at which commit, showing which run."""

    branch: str
    commit: str
    run_id: str
    title: str
    timeout: float
    """Seconds to wait for a build."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deploy that is ready: its id, its immutable address, and how it was found."""

    deploy_id: str
    permalink: str
    via: Literal["api", "hook"]


def ensure(netlify: Netlify, wanted: Wanted, *, before_call: Callable[[int], None], note: Callable[[str], None]
           ) -> Deployed:
    """Return the ready deploy of a snapshot, asking for a build only where there is none.

    `before_call` gets the number of the try before each call of the hook, to write the intent down. Raises DeployError
    when the build fails or never ends, NetworkError when the hook or the API cannot be used.
    """
    for attempt in range(1, TRIES + 1):
        found = find(netlify, wanted)
        if found is None:
            before_call(attempt)
            note(f"calling the build hook for {wanted.branch}")
            found = _call_and_look(netlify, wanted)
        if found is not None or not netlify.settings.token:
            return found if isinstance(found, Deployed) else wait(netlify, wanted, note)
    raise DeployError(f"no deploy of {wanted.branch} appeared after {TRIES} calls of the build hook",
                      hint="does the build hook belong to this site?  publisher reconcile tries again")


def find(netlify: Netlify, wanted: Wanted) -> Deployed | Deploy | None:
    """Look for the snapshot's deploy: one that is ready, else one that is under way, else None."""
    if not netlify.settings.token:
        return find_by_address(netlify, wanted)
    mine = [deploy for deploy in netlify.deploys(branch=wanted.branch) if _shows(deploy, wanted)]
    ready = next((deploy for deploy in mine if deploy.ready), None)
    if ready:
        return _deployed(netlify, ready)
    return next((deploy for deploy in mine if not deploy.failed), None)


def find_by_address(netlify: Netlify, wanted: Wanted) -> Deployed | None:
    """Look at the branch's own address for the snapshot: all that can be done without a token."""
    address = netlify.settings.address_of(wanted.branch)
    if shown_run(netlify, address) != wanted.run_id:
        return None
    own = _fetch_json(netlify, f"{address}/deploy.json")
    deploy_id = str(own.get("deploy_id") or "")
    return Deployed(deploy_id, netlify.settings.address_of(deploy_id) if deploy_id else address, "hook")


def wait(netlify: Netlify, wanted: Wanted, note: Callable[[str], None]) -> Deployed:
    """Wait until the snapshot's deploy is ready; DeployError, with the build's own words, when it fails."""
    deadline = time.monotonic() + wanted.timeout
    pause, seen = _POLL_FIRST, ""
    while time.monotonic() < deadline:
        found = find(netlify, wanted)
        if isinstance(found, Deployed):
            return found
        if found is None and netlify.settings.token:
            _raise_failed(netlify, wanted)
        state = found.state if found is not None else "building"
        if state != seen:
            note(f"{wanted.branch}: {state}")
            seen = state
        time.sleep(pause)
        pause = min(_POLL_LONGEST, pause * 1.3)
    raise DeployError(f"the deploy of {wanted.branch} was not ready after {wanted.timeout:.0f} s",
                      hint="look at its log in Netlify; the same command goes on from here")


def _call_and_look(netlify: Netlify, wanted: Wanted) -> Deployed | Deploy | None:
    """Call the hook, then look until the call shows; an answer that was lost is no failure if the effect is there."""
    lost: NetworkError | None = None
    try:
        netlify.call_hook(wanted.branch, wanted.title)
    except NetworkError as error:
        if not error.ambiguous:
            raise
        lost = error
    if not netlify.settings.token:
        return None
    deadline = time.monotonic() + DOUBT
    pause = _POLL_FIRST
    while time.monotonic() < deadline:
        found = find(netlify, wanted)
        if found is not None:
            return found
        _raise_failed(netlify, wanted)
        time.sleep(pause)
        pause = min(_POLL_LONGEST, pause * 1.3)
    if lost is not None and wanted.timeout < DOUBT:
        raise lost
    return None


def _shows(deploy: Deploy, wanted: Wanted) -> bool:
    """Return whether a deploy of the branch is of the snapshot's commit; one not yet cloned has no commit."""
    return deploy.branch == wanted.branch and deploy.commit_ref in {wanted.commit, None, ""}


def _deployed(netlify: Netlify, deploy: Deploy) -> Deployed:
    return Deployed(deploy.id, netlify.settings.address_of(deploy.id), "api")


def _raise_failed(netlify: Netlify, wanted: Wanted) -> None:
    """Raise DeployError when the newest deploy of the branch has failed, with what the build said."""
    newest = next(iter(netlify.deploys(branch=wanted.branch, pages=1)), None)
    if newest is None or not newest.failed:
        return
    if newest.commit_ref not in {wanted.commit, None, ""}:
        message = f"{wanted.branch} was built at {newest.commit_ref}, not at {wanted.commit}"
        raise DeployError(message, hint="did somebody push to the snapshot branch?")
    raise DeployError(f"the build of {wanted.branch} ended as {newest.state} (deploy {newest.id})",
                      detail=newest.error_message or "", hint="mend the build, then run the same command again")


def publish_live(netlify: Netlify, deployed: Deployed) -> None:
    """Show a deploy at the site's main address and wait until it is there; NetworkError when Netlify refuses."""
    if not netlify.settings.token:
        raise UsageError("moving the live site by the API needs a token", hint="set NETLIFY_AUTH_TOKEN")
    published = netlify.site().published_deploy
    if published is not None and published.id == deployed.deploy_id:
        return
    netlify.restore(deployed.deploy_id)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        published = netlify.site().published_deploy
        if published is not None and published.id == deployed.deploy_id:
            return
        time.sleep(_POLL_FIRST)
    raise DeployError(f"the site did not switch to deploy {deployed.deploy_id} within 60 s",
                      hint="publisher live   shows what it shows now")


def wait_live(netlify: Netlify, run_id: str, timeout: float) -> None:
    """Wait until the site's main address shows a run: how a move by build hook is seen without a token."""
    deadline = time.monotonic() + timeout
    pause = _POLL_FIRST
    while time.monotonic() < deadline:
        if shown_run(netlify, netlify.settings.main_address()) == run_id:
            return
        time.sleep(pause)
        pause = min(_POLL_LONGEST, pause * 1.3)
    raise DeployError(f"the live site did not show {run_id} within {timeout:.0f} s",
                      hint="is `live` the site's production branch?")


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
