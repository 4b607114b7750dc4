"""Lists of runs: the history with its charts, and the runs that were not kept."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import figures, text
from publisher.render.language import say, say_of
from publisher.render.moved import moved
from publisher.render.parts import Draft
from publisher.render.tables import drawn, history_rows
from publisher.render.trend import MOST_ROWS, RECENT_MARKS, ROWS_PER_PAGE, chart, numbered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup

    from publisher.render.gather import Snapshot
    from publisher.render.moved import MovedSuite
    from publisher.render.tables import HistoryRow
    from publisher.render.trend import ChartView
    from publisher.schema import HistoryLine

MOST_CHECKS = 100
MOST_REJECTED = 3 * ROWS_PER_PAGE
"""Runs in the list of those that were not kept, at most."""


@dataclass(frozen=True, slots=True)
class DriftRow:
    """One check of a live commit: when, which run, its headline score on a scale, and what came out otherwise."""

    when: str
    run: str
    score: str
    before: str
    gauge: Markup
    different: str
    changed: str
    dropped: bool


@dataclass(frozen=True, slots=True)
class RunsView:
    """One page of a list of runs, newest first; the chart, and the way to the whole chart, only on the first."""

    rows: tuple[HistoryRow, ...]
    number: int
    pages: int
    newer: str
    older: str
    total: str
    chart: ChartView | None
    overview: str
    left_out: str
    lessons: str = ""
    """How many of the newest rejected runs have a page of their own, and which have none."""
    drift: tuple[DriftRow, ...] = ()
    moved: tuple[MovedSuite, ...] = ()
    """The commits that clearly moved each suite."""


def history(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the pages of the history, newest run first."""
    overview = "history/all/" if len(drawn(snapshot)) > RECENT_MARKS else ""
    recent = chart(snapshot, "../")
    yield from _listing(snapshot, "history/", say("History"), snapshot.history.lines, chart=recent, overview=overview)


def overview(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page with every run in one chart, where the other charts leave some out."""
    total = len(drawn(snapshot))
    if total > RECENT_MARKS:
        yield Draft(
            "history/all/",
            say("All time"),
            say("Every run in one chart."),
            chart(snapshot, "../../", total, "all"),
        )


def rejected(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the pages of the runs that were not kept, newest first."""
    yield from _listing(
        snapshot,
        "rejected/",
        say("Rejected"),
        [line for line in snapshot.history.lines if line.verdict not in {"kept", "passed", "unchanged"}],
        most=MOST_REJECTED,
    )


def _listing(
    snapshot: Snapshot,
    path: str,
    title: str,
    lines: Sequence[HistoryLine],
    *,
    most: int = MOST_ROWS,
    chart: ChartView | None = None,
    overview: str = "",
) -> Iterator[Draft]:
    """Yield the pages of one list of runs, which come oldest first and are shown newest first."""
    rows = history_rows(snapshot, lines[::-1][:most])
    chunks = [rows[start : start + ROWS_PER_PAGE] for start in range(0, len(rows), ROWS_PER_PAGE)] or [[]]
    left_out = text.plural(len(lines) - most, "older run") if len(lines) > most else ""
    for number, chunk in enumerate(chunks, 1):
        view = RunsView(
            rows=tuple(chunk),
            number=number,
            pages=len(chunks),
            total=text.plural(len(lines), "run"),
            newer=numbered(path, number - 1) if number > 1 else "",
            older=numbered(path, number + 1) if number < len(chunks) else "",
            chart=chart if number == 1 else None,
            overview=overview if number == 1 else "",
            left_out=left_out if number == len(chunks) else "",
            lessons=_lessons(snapshot) if path == "rejected/" and number == 1 else "",
            moved=tuple(moved(snapshot)) if path == "history/" and number == 1 else (),
            drift=tuple(_drift(snapshot)) if path == "history/" and number == 1 else (),
        )
        yield Draft(numbered(path, number), title, say("%(total)s, newest first.", total=view.total), view)


def _lessons(snapshot: Snapshot) -> str:
    """Say which of the rejected runs have a page, and why others have none; empty where none was rejected lately."""
    lines, own = snapshot.history.lines, snapshot.own
    others = [line for line in lines[::-1] if line.run_id != own.run_id]
    since = list(itertools.takewhile(lambda line: line.verdict != "kept", others))
    rejected = [line for line in since if line.verdict == "rejected"]
    if not rejected:
        return ""
    there, count = len(snapshot.lessons), len(rejected)
    since_then = say("since the last kept run") if len(since) < len(others) else say("so far")
    words = [
        say_of(
            "%(count)s run was rejected %(since)s.",
            "%(count)s runs were rejected %(since)s.",
            count,
            count=text.count(count),
            since=since_then,
        )
    ]
    if there == count:
        words.append(say("The links lead to what was lost and which answers were wrong."))
    else:
        words.append(
            say(
                "%(there)s of them have a page of what was lost and which answers were wrong; the others did not fit "
                "into this snapshot, could not be read, or are not of the trusted branch.",
                there=text.count(there),
            )
        )
    return " ".join([*words, say("Earlier ones have theirs in the snapshots that followed them.")])


def _drift(snapshot: Snapshot) -> Iterator[DriftRow]:
    """Yield the newest checks of live commits, newest first, by the headline's score."""
    for check in snapshot.history.drift[::-1][:MOST_CHECKS]:
        one = check.scores.get(snapshot.headline.suite)
        if one is None or not all(map(math.isfinite, (one.now, one.then, one.low, one.high))):
            continue
        yield DriftRow(
            when=text.time(check.time),
            run=text.line(check.run_id, 60),
            score=text.points(one.now),
            before=text.points(one.then),
            gauge=figures.gauge(one.now, one.low, one.high, threshold=one.then),
            different=say(
                "%(different)s of %(all)s",
                different=text.count(check.different),
                all=text.count(check.same + check.different),
            ),
            changed=text.line("; ".join(check.changed[:20]), 600) or say("nothing that is recorded"),
            dropped=snapshot.headline.suite in check.dropped,
        )
