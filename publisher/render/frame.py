"""What every page says: names, addresses and the ways around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import text
from publisher.render.card import PREVIEW, SIZE

if TYPE_CHECKING:
    from publisher.render.gather import Snapshot
    from publisher.render.parts import Link

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
    branch: str
    main: str
    pin: str
    commit: str
    short: str
    headline: str
    verdict: str
    published: str
    published_machine: str
    tier: str
    nav: tuple[Link, ...]
    more: tuple[Link, ...]
    data: tuple[str, ...]
    preview: Preview


def site_view(snapshot: Snapshot, nav: tuple[Link, ...], more: tuple[Link, ...]) -> SiteView:
    """Return what every page says; `nav` are the links at the top and `more` those at the bottom."""
    record, result = snapshot.record, snapshot.headline
    return SiteView(
        name=text.line(record.model.name, 60),
        branch=snapshot.branch,
        main=snapshot.main,
        pin=snapshot.pin,
        commit=text.line(record.commit.sha),
        short=text.line(record.commit.sha[:12]),
        headline=f"{result.suite} {text.points(result.score)} ± {text.points(result.stderr)}",
        verdict=snapshot.word,
        published=text.time(record.finished),
        published_machine=text.machine_time(record.finished),
        tier=text.line(record.tier, 40),
        nav=nav,
        more=more,
        data=DATA,
        preview=Preview(PREVIEW, *SIZE),
    )
