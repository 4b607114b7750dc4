"""What every page says: names, addresses and the ways around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher import forge
from publisher.render import feedback, split, text
from publisher.render.card import PREVIEW, SIZE
from publisher.render.tables import permanent

if TYPE_CHECKING:
    from publisher.render.feedback import FeedbackView
    from publisher.render.gather import Snapshot
    from publisher.render.parts import Link
    from publisher.render.split import SplitView

DATA = (
    "snapshot.json",
    "history.json",
    "manifest.json",
    "badge.json",
    "feed.xml",
    "metrics.txt",
    "every_eval_ever.json",
)
"""The files for programs that every page links to."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The picture that a link to the site is shared with, and its size in pixels."""

    path: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class SiteView:
    """What every page of the site says."""

    name: str
    lang: str
    branch: str
    main: str
    pin: str
    commit: str
    short: str
    commit_href: str
    """The commit on its forge; empty where that is not known."""
    previous: str
    """The permanent address of the kept snapshot before; empty where there is none."""
    headline: str
    verdict: str
    published: str
    published_machine: str
    tier: str
    nav: tuple[Link, ...]
    more: tuple[Link, ...]
    data: tuple[str, ...]
    preview: Preview
    feedback: FeedbackView | None
    """What is said where readers are asked what they think; None on every other site."""
    split: SplitView | None
    """What the script is told that splits readers; None on every other site."""


def site_view(snapshot: Snapshot, nav: tuple[Link, ...], more: tuple[Link, ...]) -> SiteView:
    """Return what every page says; `nav` are the links at the top and `more` those at the bottom."""
    record, result = snapshot.record, snapshot.headline
    return SiteView(
        name=text.line(record.model.name, 60),
        lang=snapshot.lang,
        branch=snapshot.branch,
        main=snapshot.main,
        pin=snapshot.pin,
        commit=text.line(record.commit.sha),
        short=text.line(record.commit.sha[:12]),
        commit_href=forge.commit(record.commit.forge, record.commit.sha),
        previous=_previous(snapshot),
        headline=f"{result.suite} {text.points(result.score)} ± {text.points(result.stderr)}",
        verdict=snapshot.word,
        published=text.time(record.finished),
        published_machine=text.machine_time(record.finished),
        tier=text.line(record.tier, 40),
        nav=nav,
        more=more,
        data=DATA,
        preview=Preview(PREVIEW, *SIZE),
        feedback=feedback.view(snapshot),
        split=split.view(snapshot),
    )


def _previous(snapshot: Snapshot) -> str:
    """Return the permanent address of the newest kept snapshot before this one that has one."""
    return next(filter(None, (permanent(snapshot, line) for line in reversed(snapshot.older))), "")
