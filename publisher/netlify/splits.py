"""Netlify's split tests, as far as a gray release needs them: one at a time, between the live branch and a candidate's.

Source: Open API 2.60.0 (`traffic_splits`) and the documentation of split testing. The body of a test is described there
only as `branch_tests`, an object; the official client sends percentages, and so does this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from publisher.errors import NetworkError

if TYPE_CHECKING:
    from publisher.netlify.client import Netlify

TRIES = 3
"""How often a change whose answer was lost, or that the API failed at, is tried in all: each looks first."""
_REFUSED = frozenset({400, 401, 402, 403, 404, 405, 422})
_UNAUTHORIZED, _CONFLICT, _TOO_MANY = 401, 409, 429


class Split(msgspec.Struct, frozen=True):
    """A split test as the API describes it."""

    id: str
    active: bool | None = None
    branches: list[dict[str, Any]] = []

    def shares(self) -> dict[str, int]:
        """Return {branch: percent}, as far as the answer says it."""
        found = {str(one.get("branch")): one.get("percentage") for one in self.branches}
        return {branch: share for branch, share in found.items() if isinstance(share, int)}


def running(netlify: Netlify) -> Split | None:
    """Return the split test that is active, None where there is none."""
    return next((split for split in _list(netlify) if split.active), None)


def show(netlify: Netlify, live: str, candidate: str, percent: int) -> None:
    """Bring the site to a test that shows `candidate` to `percent` of the readers and `live` to the others.

    Does nothing where that is so already, so that it can be repeated after a crash. Raises NetworkError where the
    site has no split tests, or where somebody else's test is active.
    """
    for left in reversed(range(TRIES)):
        try:
            _show(netlify, {live: 100 - percent, candidate: percent})
        except NetworkError as error:
            if not left or _is_final(error):
                raise
        else:
            return


def _show(netlify: Netlify, wanted: dict[str, int]) -> None:
    """Try once to bring the site to a split test."""
    split = running(netlify)
    if split is not None and set(split.shares()) - set(wanted):
        raise NetworkError(
            f"another split test is active on this site: {', '.join(sorted(split.shares()))[:200]}",
            status=_CONFLICT,
            hint="end it in Netlify → Split testing, then run the same command again",
        )
    if split is None:
        split = next((one for one in _list(netlify) if set(one.shares()) == set(wanted)), None)
        split = split or netlify.call("POST", _path(netlify), Split, "a split test", body={"branch_tests": wanted})
    if split.shares() != wanted:
        netlify.call("PUT", f"{_path(netlify)}/{split.id}", Split, "a split test", body={"branch_tests": wanted})
    if not split.active:
        netlify.send("POST", f"{_path(netlify)}/{split.id}/publish", "a split test")


def end(netlify: Netlify, candidate: str) -> bool:
    """End the test that shows `candidate`, where it is active, and return whether it was."""
    for left in reversed(range(TRIES)):
        split = running(netlify)
        if split is None or candidate not in split.shares():
            return left < TRIES - 1
        try:
            netlify.send("POST", f"{_path(netlify)}/{split.id}/unpublish", "the end of a split test")
        except NetworkError as error:
            if not left or _is_final(error):
                raise
        else:
            return True
    return True


def is_refusal(error: NetworkError) -> bool:
    """Return whether an error says that this site or this token has no split tests."""
    return error.status in _REFUSED


def has_none(error: NetworkError) -> bool:
    """Return whether an error says that this site has no split tests; 401 is about the token alone."""
    return is_refusal(error) and error.status != _UNAUTHORIZED


def _is_final(error: NetworkError) -> bool:
    """Return whether trying again cannot help."""
    return error.status is not None and error.status < 500 and error.status != _TOO_MANY


def _list(netlify: Netlify) -> list[Split]:
    return netlify.call("GET", _path(netlify), list[Split], "the list of split tests")


def _path(netlify: Netlify) -> str:
    return f"/sites/{netlify.site_id}/traffic_splits"
