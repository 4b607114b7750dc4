"""The table of pages: where each kind of page is, which template shows it, and what fills it.

A new page is a row here, a function that yields its drafts, and a template. The navigation and the names that a team's
own pages cannot have follow from the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import answers, card, compare, feedback, find, home, lessons, pairs, runs, split, suites, trying
from publisher.render.language import phrase, say, translated
from publisher.render.parts import Draft, Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from publisher.render.gather import Snapshot


def _always(_: Snapshot) -> bool:
    """Return True: most kinds of pages are in every site."""
    return True


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of page; the addresses of its pages start with `folder`, and `label` is its entry in the navigation."""

    section: str
    folder: str
    template: str
    drafts: Callable[[Snapshot], Iterable[Draft]]
    label: str = ""
    shown: Callable[[Snapshot], bool] = _always
    """Whether a snapshot's site has pages of this kind."""


def _not_found(_: Snapshot) -> Iterator[Draft]:
    """Yield the page that the host shows where there is none."""
    yield Draft("404.html", say("Not found"), say("There is no such page in this snapshot."))


PAGES = (
    Kind("snapshot", "", "home.html", home.pages, phrase("Snapshot")),
    Kind("samples", "samples/", "samples.html", suites.pages, phrase("Answers")),
    Kind("samples", "samples/", "answers.html", answers.pages),
    Kind("samples", "samples/", "find.html", find.pages),
    Kind("history", "history/", "history.html", runs.history, phrase("History")),
    Kind("history", "history/", "overview.html", runs.overview),
    Kind("compare", "compare/", "compare.html", compare.pages, phrase("Compare")),
    Kind("compare", "compare/", "pairs.html", pairs.pages),
    Kind("rejected", "rejected/", "rejected.html", runs.rejected, phrase("Rejected")),
    Kind("rejected", "rejected/", "lesson.html", lessons.pages),
    Kind("try", trying.FOLDER, "try.html", trying.pages, phrase("Try it"), trying.offered),
    Kind("feedback", feedback.FOLDER, "feedback.html", feedback.pages, shown=feedback.offered),
    Kind("canary", split.FOLDER, "canary.html", split.pages, shown=split.offered),
    Kind("card", card.FOLDER, "card.html", card.pages),
    Kind("", "404.html", "404.html", _not_found),
)
PROSE = "content.html"
"""The template of the pages of prose, `content/*.md`, which a team may add to."""
IN_NAVIGATION = ("method", "pin")
"""The pages of prose that are at the top of every page; the others are at the bottom."""
RESERVED = frozenset({kind.section for kind in PAGES} | {"assets", "lines", "permalink"})
"""Names that a page of prose cannot have: sections, the folders of assets and lines, the redirect to the pin."""


def navigation(snapshot: Snapshot, prose: Iterable[Link]) -> tuple[tuple[Link, ...], tuple[Link, ...]]:
    """Return the links at the top and at the bottom of every page."""
    named = {link.section: link for link in prose}
    top = [
        Link(translated(kind.label), kind.folder, kind.section) for kind in PAGES if kind.label and kind.shown(snapshot)
    ]
    top += [named.pop(name) for name in IN_NAVIGATION if name in named]
    return tuple(top), tuple(named.values())
