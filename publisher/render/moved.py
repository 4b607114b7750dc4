"""The commits that clearly moved a suite, as the gate's own comparison with the baseline found at the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import text
from publisher.render.lessons import addresses
from publisher.render.tables import permanent

if TYPE_CHECKING:
    from publisher.render.gather import Snapshot
    from publisher.schema import HistoryLine

MOST_SUITES = 12
MOST_COMMITS = 5
"""Of one suite, the newest."""


@dataclass(frozen=True, slots=True)
class MovedRow:
    """A commit that clearly moved a suite; `href` is its snapshot, `page` its page here where it was rejected."""

    date: str
    short: str
    subject: str
    href: str
    page: str
    verdict: str
    change: str
    error: str
    word: str
    """`better` or `worse`."""


@dataclass(frozen=True, slots=True)
class MovedSuite:
    """The newest commits that clearly moved a suite, newest first."""

    suite: str
    rows: tuple[MovedRow, ...]
    more: str


def moved(snapshot: Snapshot) -> list[MovedSuite]:
    """Return the commits that clearly moved each suite of this run; suites that none moved are left out."""
    pages = {line.run_id: path for line, path in addresses(snapshot)}
    suites = [result.suite for result in snapshot.record.results][:MOST_SUITES]
    found: dict[str, list[HistoryLine]] = {suite: [] for suite in suites}
    for line in snapshot.history.lines[::-1]:
        if line.verdict != "unchanged" and line.tier == snapshot.record.tier:
            for suite in suites:
                if suite in line.scores and line.scores[suite].moved is not None:
                    found[suite].append(line)
    return [
        MovedSuite(
            suite,
            tuple(_row(snapshot, line, suite, pages.get(line.run_id, "")) for line in lines[:MOST_COMMITS]),
            text.plural(len(lines) - MOST_COMMITS, "older commit") if len(lines) > MOST_COMMITS else "",
        )
        for suite, lines in found.items()
        if lines
    ]


def _row(snapshot: Snapshot, line: HistoryLine, suite: str, page: str) -> MovedRow:
    change, low, high = line.scores[suite].moved or (0.0, 0.0, 0.0)
    return MovedRow(
        date=text.date(line.started),
        short=text.line(line.commit[:7]),
        subject=text.line(line.subject, 100),
        href=permanent(snapshot, line) if line.verdict == "kept" else "",
        page=page,
        verdict=line.verdict,
        change=text.change(change),
        error=text.changes(low, high),
        word="better" if change > 0 else "worse",
    )
