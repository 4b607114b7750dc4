"""Split tests: which branches share the main address, who sees which, and when a test may start.

Source: Netlify's documentation of split testing: branch deploys only, one test at a time, percentages that sum to 100,
and the cookie `nf_ab`, which holds a number from 0 to 1 or the name of a branch to opt in.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from msgspec.structs import replace

from publisher.host.store.records import Split, new_id
from publisher.host.store.state import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.host.store.records import Deploy
    from publisher.host.store.state import State

COOKIE = "nf_ab"
_RESOLUTION = 10**6
_MOST_BRANCHES = 10


def create(state: State, shares: object) -> Split:
    """Store a test that is not active yet. Raises RefusedError (422) for shares that cannot work."""
    checked, now = _checked(state, shares), state.clock.now()
    split = Split(id=new_id(), name="", shares=checked, active=False, created_at=now, updated_at=now)
    return _save(state, split, "split made")


def change(state: State, split: Split, shares: object) -> Split:
    """Give the branches other shares."""
    changed = replace(split, shares=_checked(state, shares), updated_at=state.clock.now())
    return _save(state, changed, "split changed")


def start(state: State, split: Split) -> Split:
    """Start a test. Raises RefusedError (422) while another one runs."""
    running = active(state)
    if running is not None and running.id != split.id:
        raise RefusedError(422, "Another split test is active")
    _checked(state, split.shares)
    return _save(state, replace(split, active=True, updated_at=state.clock.now(), ended_at=0.0), "split started")


def end(state: State, split: Split) -> Split:
    """End a test: everybody sees the published deploy."""
    now = state.clock.now()
    return _save(state, replace(split, active=False, updated_at=now, ended_at=now), "split ended")


def find(state: State, split_id: str) -> Split:
    """Return one test. Raises RefusedError (404)."""
    found = next((split for split in state.store.site.splits if split.id == split_id), None)
    if found is None:
        raise RefusedError(404, "Not Found")
    return found


def active(state: State) -> Split | None:
    """Return the test that is running, or None."""
    return next((split for split in state.store.site.splits if split.active), None)


def assign(state: State, split: Split, cookie: str) -> tuple[Deploy | None, str]:
    """Return the deploy that a reader sees, and the cookie to set; empty where the reader's own stays.

    A branch's name opts in to it. A number from 0 to 1 falls into the share of one branch; anything else is drawn anew.
    """
    if cookie in split.shares:
        return _deployed(state, cookie), ""
    drawn = "" if _fraction(cookie) is not None else f"{secrets.randbelow(_RESOLUTION) / _RESOLUTION:.6f}"
    at = 100 * (_fraction(drawn or cookie) or 0.0)
    for branch, share in split.shares.items():
        at -= share
        if at < 0:
            return _deployed(state, branch), drawn
    return _deployed(state, next(reversed(split.shares))), drawn


def _fraction(text: str) -> float | None:
    try:
        value = float(text) if len(text) <= 20 else -1.0
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _deployed(state: State, branch: str) -> Deploy | None:
    """Return the newest deploy of a branch that git built; for the production branch the published one."""
    if branch == state.options.production_branch:
        return state.store.published()
    built = (one for one in state.store.newest_first(branch) if one.state == "ready" and one.source != "upload")
    return next(built, None)


def _checked(state: State, shares: object) -> dict[str, int]:
    if not isinstance(shares, dict) or not 2 <= len(shares) <= _MOST_BRANCHES:
        raise RefusedError(422, f"branch_tests must name 2 to {_MOST_BRANCHES} branches and their percentages")
    for branch, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, int) or not 0 <= share <= 100:
            raise RefusedError(422, f"The share of {branch} is not a percentage from 0 to 100")
        if _deployed(state, branch) is None:
            raise RefusedError(422, f"{branch} has no deploy that git built")
    _check_sum(shares)
    return dict(shares)


def _check_sum(shares: Mapping[str, int]) -> None:
    if sum(shares.values()) != 100:
        raise RefusedError(422, f"The percentages sum to {sum(shares.values())}, not to 100")


def _save(state: State, split: Split, effect: str) -> Split:
    others = [one for one in state.store.site.splits if one.id != split.id]
    state.store.save_site(replace(state.store.site, splits=(*others, split)))
    shares = ", ".join(f"{branch} {share}" for branch, share in split.shares.items())
    state.effects.record(effect, split=split.id, shares=shares)
    return split
