"""What the pages of a gray release add: a banner, a form for readers, and a way to report an answer as wrong.

They stand in a deploy of its own, rendered from a snapshot's tree with `ledger/canary.json`; the snapshot's own pages
never change. The form is a static one of Netlify's and works without JavaScript. The host rewrites the page that
declares it, so that page is in no manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import text
from publisher.render.language import say
from publisher.render.parts import Draft

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.render.gather import Snapshot

FOLDER = "feedback/"
PROCESSED = frozenset({f"{FOLDER}index.html"})
"""Pages that the host changes when it takes them: forms are declared in them."""
FORM = "feedback"
HONEYPOT = "bot-field"
RATINGS = (5, 4, 3, 2, 1)
LONGEST = 2_000
"""Characters of a comment."""


@dataclass(frozen=True, slots=True)
class CandidateView:
    """What every page of a candidate says."""

    form: str
    run: str
    live: str
    """The address of what is live."""


@dataclass(frozen=True, slots=True)
class FormView:
    """The form by itself."""

    ratings: tuple[int, ...]
    honeypot: str
    longest: int
    thanks: bool = False


def offered(snapshot: Snapshot) -> bool:
    """Return whether the pages are a candidate's, which readers are asked about."""
    return snapshot.canary is not None


def view(snapshot: Snapshot) -> CandidateView | None:
    """Return what every page says of the gray release; None in every other deploy."""
    if snapshot.canary is None:
        return None
    return CandidateView(FORM, text.line(snapshot.record.run_id, 120), text.line(snapshot.canary.other, 200))


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the form and the page of thanks."""
    if not offered(snapshot):
        return
    form = FormView(RATINGS, HONEYPOT, LONGEST)
    yield Draft(FOLDER, say("What do you think?"), say("Rate this candidate, or report an answer as wrong."), form)
    thanks = FormView((), HONEYPOT, LONGEST, thanks=True)
    yield Draft(f"{FOLDER}thanks/", say("Thank you"), say("What you sent has arrived."), thanks)
