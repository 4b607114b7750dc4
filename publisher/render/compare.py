"""The page that shows the snapshot beside older ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher import forge
from publisher.render import pairs, text
from publisher.render.beside import Beside, SuiteRow, beside
from publisher.render.language import say
from publisher.render.parts import Draft
from publisher.render.tables import comparison, comparisons, permanent, references

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.render.gather import Snapshot
    from publisher.render.tables import Comparison
    from publisher.schema import Comparison as Compared

MOST_COMPARED = 100


@dataclass(frozen=True, slots=True)
class Detailed:
    """One older snapshot beside this one in full."""

    heading: str
    short: str
    subject: str
    date: str
    href: str
    same: bool
    beside: Beside
    difference: str
    """The difference of the two commits on their forge; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """Two older snapshots beside this one in full, and the rest by the headline score."""

    detailed: tuple[Detailed, ...]
    tested: bool
    """Whether the two were tested pair by pair; in snapshots of older publishers they were not."""
    rest: tuple[Comparison, ...]
    omitted: int
    headline: str
    any: str
    """The page on which any two are compared; empty where there is none."""


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page that shows this snapshot beside every older kept one that can be compared with it."""
    report, suite = snapshot.report, snapshot.headline.suite
    tested = {one.base.run_id for one in (report.previous, report.best) if one} if report else set()
    older = [line for line in reversed(snapshot.older) if line.run_id not in tested]
    rest = [comparison(snapshot, "", line, only=suite) for line in older[:MOST_COMPARED]]
    some = pairs.PATH if snapshot.outlines and len(snapshot.outlines.runs) > 1 else ""
    view = ComparisonView(tuple(_detailed(snapshot)), bool(tested), tuple(rest), len(older) - len(rest), suite, some)
    yield Draft("compare/", say("Compare"), say("This snapshot beside older ones."), view)


def _detailed(snapshot: Snapshot) -> Iterator[Detailed]:
    """Yield the previous and the best kept snapshot as the report has them, or as the history has them."""
    report = snapshot.report
    if report is None:
        for one in comparisons(snapshot):
            rows = tuple(
                SuiteRow(row.suite, row.mine, row.theirs, row.change, f"± {row.error}", "", row.meaning, row.word, "")
                for row in one.rows
            )
            shown = Beside(rows, (), "", (), (), ())
            yield Detailed(one.heading, one.short, one.subject, one.date, one.href, one.same, shown, "")
        return
    named = {line.run_id: words for words, line in references(snapshot)}
    for found in filter(None, (report.previous, report.best)):
        yield _reported(snapshot, named.get(found.base.run_id, say("the kept snapshot before")), found)


def _reported(snapshot: Snapshot, words: str, found: Compared) -> Detailed:
    line = next((line for line in snapshot.history.lines if line.run_id == found.base.run_id), None)
    return Detailed(
        heading=say("Against %(words)s", words=words),
        short=text.line(found.base.commit[:12]),
        subject=text.line(found.base.subject, 120),
        date=text.date(line.started if line else found.base.started),
        href=permanent(snapshot, line) if line else "",
        same=line is not None and line.fingerprint == snapshot.record.fingerprint,
        beside=beside(snapshot, found),
        difference=forge.difference(snapshot.record.commit.forge, found.base.commit, snapshot.record.commit.sha),
    )
