"""What a check of the set-up found, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from publisher.errors import PublisherError
from publisher.schema import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was looked at. Texts may quote what others wrote, so they are shown as such."""

    what: str
    state: Literal["fine", "note", "wrong"]
    """`note`: it cannot be known here, or it is worth knowing; only `wrong` makes the set-up unhealthy."""
    says: str
    do: str = ""
    """A command or an edit; empty where there is nothing to do."""


def fine(what: str, says: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(what=what, state="fine", says=says)


def note(what: str, says: str, do: str = "") -> Finding:
    """Return a finding that is no fault."""
    return Finding(what=what, state="note", says=says, do=do)


def wrong(what: str, says: str, do: str = "") -> Finding:
    """Return a finding that has to be mended."""
    return Finding(what=what, state="wrong", says=says, do=do)


def of_error(what: str, error: PublisherError) -> Finding:
    """Return an error as a finding."""
    return wrong(what, error.message, error.hint)


def checked(what: str, check: Callable[[], Finding | None]) -> Iterator[Finding]:
    """Yield what a check finds; an error of it is a finding too, so that one fault never hides the others."""
    try:
        found = check()
    except PublisherError as error:
        found = of_error(what, error)
    if found is not None:
        yield found
