"""What readers are asked: a quiet line on every page, a form, and a way to report an answer as wrong.

A gray release asks about its candidate, in a deploy of its own that is rendered from a snapshot's tree with
`ledger/canary.json`; `[site] feedback` asks on a snapshot's own pages as well, so that both are rated. The form is a
static one of Netlify's and works without JavaScript. The host rewrites the page that declares it, so that page is in no
manifest.
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
class FeedbackView:
    """What every page says where readers are asked."""

    form: str
    run: str
    live: str
    """On the pages of a candidate, where what is live is shown and stays shown; empty on a snapshot's own."""


@dataclass(frozen=True, slots=True)
class FormView:
    """The form by itself."""

    ratings: tuple[int, ...]
    honeypot: str
    longest: int
    thanks: bool = False


def offered(snapshot: Snapshot) -> bool:
    """Return whether readers of these pages are asked what they think."""
    return snapshot.canary is not None or snapshot.options.feedback


def view(snapshot: Snapshot) -> FeedbackView | None:
    """Return what every page says to readers who are asked; None where they are not."""
    if not offered(snapshot):
        return None
    page = snapshot.canary
    live = f"{text.address(page.other)}/{'?canary=off' if page.script else ''}" if page else ""
    return FeedbackView(FORM, text.line(snapshot.record.run_id, 120), live)


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the form and the page of thanks."""
    if not offered(snapshot):
        return
    form = FormView(RATINGS, HONEYPOT, LONGEST)
    asked = (
        say("Rate this candidate, or report an answer as wrong.")
        if snapshot.canary
        else say("Rate this snapshot, or report an answer as wrong.")
    )
    yield Draft(FOLDER, say("What do you think?"), asked, form)
    thanks = FormView((), HONEYPOT, LONGEST, thanks=True)
    yield Draft(f"{FOLDER}thanks/", say("Thank you"), say("What you sent has arrived."), thanks)
