"""What there is of one wanted deploy, asking for it, and watching until it is ready: look, call, wait.

A build hook takes no commit and gives no id back, and a call whose answer was lost may still have had its effect. So
these functions only look, call once and watch, and return what they found as values. Whether another call may be made
is decided in `publishing/deliver.py`, which knows the turns in the ledger.

Where there is a token the API is asked, otherwise the deploy's own address. Ages of builds are differences of the
host's own times; this machine's clock is never compared with the host's.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from publisher.errors import DeployError, NetworkError, UsageError
from publisher.netlify.client import WITHOUT_API

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.netlify.client import Deploy, Netlify

    Note = Callable[[str], None]

TRIES = 3
"""How often a deploy is restored whose answer was lost."""
NEVER = float("inf")
_POLL_FIRST, _POLL_LONGEST = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class WantedDeploy:
    """The deploy that should exist: of which branch at which commit, showing which run."""

    branch: str
    commit: str
    run_id: str
    title: str
    timeout: float
    """Seconds that a build may take."""
    address: str = ""
    """Where the result is to be seen, if that is not the branch's own address but the site's main one."""
    damaged: frozenset[str] = frozenset()
    """The ids of deploys that will not do, because what they serve is damaged."""
    shown: str = ""
    """The commit that `snapshot.json` has to name there, where two commits show the same run."""
    require: Callable[[], None] | None = None
    """Raises an error once nobody wants this deploy any more; called now and then while it is awaited."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deploy that is ready: its id, its immutable address, and how it was found."""

    deploy_id: str
    permalink: str
    via: Literal["api", "hook"]


@dataclass(frozen=True, slots=True)
class Look:
    """What there was of a wanted deploy at one moment."""

    deployed: Deployed | None = None
    under_way: Deploy | None = None
    """A build of it that has neither failed nor become ready."""
    age: float = 0.0
    """How many seconds that build has been under way, by the host's own times."""
    ids: tuple[str, ...] = ()
    """The branch's deploys, newest first; without a token the one that the address shows, if any."""
    newest: Deploy | None = None
    """The branch's newest deploy; None without a token."""
    alike: tuple[Deploy, ...] = ()
    """Every deploy of the same snapshot, ready or under way: more than one are duplicates."""


@dataclass(frozen=True, slots=True)
class Called:
    """What became of a call of the build hook."""

    outcome: Literal["accepted", "not made", "lost"]
    """`lost`: no believable answer came, so the call may or may not have its effect."""
    error: NetworkError | None = None
    """Why it was not accepted."""

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the call may be made again; None where that cannot help."""
        if self.error is None or self.error.status not in {None, 429, 503}:
            return None
        return self.error.retry_after or 0.0


def look(netlify: Netlify, wanted: WantedDeploy) -> Look:
    """Return what there is of a deploy: by the API where there is a token, otherwise at its address."""
    by_address = bool(wanted.address) or not netlify.settings.token
    shown = _look_at_address(netlify, wanted) if by_address else Look()
    if not netlify.settings.token:
        return shown
    known = netlify.deploys(branch=wanted.branch)
    ours = [deploy for deploy in known if _is_of(deploy, wanted)]
    # The branch's address shows its newest ready deploy: an older one of ours (of a pin that was moved back) will not
    # do. Of several in a row that are ours, every publisher takes the oldest and so removes the same duplicates.
    leading = list(takewhile(lambda deploy: _is_of(deploy, wanted), [deploy for deploy in known if deploy.ready]))
    chosen = leading[-1] if leading else None
    pending = [deploy for deploy in ours if not (deploy.failed or deploy.ready)]
    api = Deployed(chosen.id, netlify.settings.address_of(chosen.id), "api") if chosen else None
    return Look(
        deployed=shown.deployed if by_address else api,
        under_way=pending[-1] if pending else None,
        age=_age(netlify, pending[-1]) if pending else 0.0,
        ids=tuple(deploy.id for deploy in known),
        newest=known[0] if known else None,
        alike=(*leading, *pending),
    )


def _look_at_address(netlify: Netlify, wanted: WantedDeploy) -> Look:
    """Look at an address for the snapshot: all that can be done without a token."""
    address = wanted.address or netlify.settings.address_of(wanted.branch)
    run_id, commit = identity(netlify, address)
    if not run_id:
        return Look()
    deploy_id = str(fetch_json(netlify, f"{address}/deploy.json").get("deploy_id") or "")
    ids = (deploy_id,) if deploy_id else ()
    if run_id != wanted.run_id or deploy_id in wanted.damaged or (wanted.shown and commit != wanted.shown):
        return Look(ids=ids)
    permalink = netlify.settings.address_of(deploy_id) if deploy_id else address
    return Look(Deployed(deploy_id, permalink, "hook"), ids=ids)


def call(netlify: Netlify, wanted: WantedDeploy, *, longest: float) -> Called:
    """Call the build hook once for a deploy; an answer that takes more than `longest` seconds is lost."""
    try:
        netlify.call_hook(wanted.branch, wanted.title, longest=longest)
    except NetworkError as error:
        return Called("lost" if error.ambiguous else "not made", error)
    return Called("accepted")


def wait(netlify: Netlify, wanted: WantedDeploy, before: Look, appear: float, note: Note) -> Look:
    """Watch until a deploy is ready, is stuck, or has not appeared within `appear` seconds; return the last look.

    A failed deploy that is not in the look `before` raises DeployError with the build's own words. A build is stuck,
    and still under way in the look that is returned, when it takes more than `wanted.timeout` seconds.
    """
    started = time.monotonic()
    older = set(before.ids) - ({before.under_way.id} if before.under_way else set())
    first_seen: dict[str, float] = {}
    asked, pause, state = started, _POLL_FIRST, ""
    while True:
        found = look(netlify, wanted)
        if found.deployed:
            return found
        now = time.monotonic()
        if found.under_way is None:
            _raise_failed(wanted, found, older)
            if now - started > appear:
                return found
        else:
            # A host that gives no times is timed from the first look.
            watched = now - first_seen.setdefault(found.under_way.id, now)
            if max(found.age, watched) > wanted.timeout:
                return found
            if found.under_way.state != state:
                state = found.under_way.state
                note(f"{wanted.branch}: {state}")
        if wanted.require is not None and now - asked > _POLL_LONGEST:
            wanted.require()
            asked = now
        time.sleep(pause)
        pause = min(_POLL_LONGEST, pause * 1.3)


def cancel(netlify: Netlify, deploy_id: str) -> None:
    """Cancel a build; one that has ended or gone meanwhile is no error."""
    try:
        netlify.cancel(deploy_id)
    except NetworkError as error:
        if error.status not in {404, 409, 422}:
            raise


def remove(netlify: Netlify, found: tuple[Deploy, ...], *, keep: str, note: Note) -> None:
    """Cancel or delete duplicates of a deploy, but never the one to `keep` and never the published one."""
    if not any(deploy.id != keep for deploy in found):
        return
    published = netlify.site().published_deploy
    for deploy in found:
        if deploy.id == keep or (published is not None and deploy.id == published.id):
            continue
        note(f"removing deploy {deploy.id}, a duplicate of {keep}")
        if not deploy.ready:
            cancel(netlify, deploy.id)
            continue
        try:
            netlify.delete(deploy.id)
        except NetworkError as error:
            if error.status not in {404, 422}:
                raise


def _age(netlify: Netlify, deploy: Deploy) -> float:
    """Return the seconds since a deploy was created, both times being the host's; 0 where it does not say."""
    now = netlify.clock.now()
    try:
        created = dt.datetime.fromisoformat(deploy.created_at or "").timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return 0.0 if now is None else max(0.0, now - created)


def _is_of(deploy: Deploy, wanted: WantedDeploy) -> bool:
    """Return whether a deploy of the branch is of the snapshot's commit; one not yet cloned has no commit."""
    same = deploy.branch == wanted.branch and deploy.commit_ref in {wanted.commit, None, ""}
    return same and deploy.id not in wanted.damaged


def _raise_failed(wanted: WantedDeploy, found: Look, older: set[str]) -> None:
    """Raise DeployError when a new deploy of the branch has failed, with what the build said."""
    newest = found.newest
    if newest is None or newest.id in older:
        return
    if newest.commit_ref not in {wanted.commit, None, ""} and not wanted.address:
        raise DeployError(
            f"{wanted.branch} was built at {newest.commit_ref}, not at {wanted.commit}",
            hint=f"did somebody push to the branch {wanted.branch}?",
        )
    if newest.failed:
        raise DeployError(
            f"the build of {wanted.branch} ended as {newest.state} (deploy {newest.id})",
            detail=newest.error_message or "",
            hint=_hint(newest.error_message or ""),
        )


def _hint(said: str) -> str:
    """Return what to do about a failed build: where its host could not get the branch, no build can be mended."""
    if re.search(r"cannot clone|could not read from remote|preparing repo|repository", said, re.IGNORECASE):
        return (
            "the host cannot fetch the branch: check which repository it builds from (publisher serve --source, or the "
            "one that the site is connected to on Netlify), then run the same command again"
        )
    return "mend the build, as its log says, then run the same command again"


def publish_live(netlify: Netlify, deployed: Deployed) -> None:
    """Show a deploy at the site's main address and wait until it is there; NetworkError when Netlify says no."""
    if not netlify.settings.token:
        raise UsageError("moving the live site by the API needs a token", hint=WITHOUT_API)
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


def shown_run(netlify: Netlify, address: str) -> str:
    """Return the id of the run that an address shows, empty where it shows none."""
    return identity(netlify, address)[0]


def identity(netlify: Netlify, address: str) -> tuple[str, str]:
    """Return the run that an address shows and the commit that it was rendered from; empty where it says none."""
    found = fetch_json(netlify, f"{address}/snapshot.json")
    return str(found.get("run_id") or ""), str(found.get("snapshot") or "")


def fetch_json(netlify: Netlify, url: str) -> dict[str, Any]:
    """Return the JSON object at a public address, empty where there is none yet."""
    answer = netlify.web.request("GET", url, what="the deployed site", limit=32 << 20)
    netlify.clock.hear(answer.headers)
    if answer.status != 200:
        return {}
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return {}
