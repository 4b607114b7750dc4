"""Lists of runs: the history with its charts, and the runs that were not kept."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import charts, figures, text
from publisher.render.parts import Draft
from publisher.render.tables import history_rows, marks, runs_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup

    from publisher.render.charts import Mark
    from publisher.render.gather import Snapshot
    from publisher.render.tables import HistoryRow
    from publisher.schema import HistoryLine

FEWEST_MARKS = 2
"""A single dot is no chart: the pages say in words that this is the first run."""
RECENT_MARKS = 150
NARROW_MARKS = 24
ROWS_PER_PAGE = 150
MOST_CHECKS = 100
MOST_ROWS = 1_500
"""Runs in the tables at most, so that a build costs the same however long the history is."""


@dataclass(frozen=True, slots=True)
class ChartView:
    """A chart in two sizes, with the words that go with it."""

    wide: Markup
    narrow: Markup
    wide_caption: str
    narrow_caption: str
    note: str
    has_threshold: bool
    has_inconclusive: bool
    has_unreadable: bool
    has_band: bool
    dense: bool


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


def history(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the pages of the history, newest run first."""
    overview = "history/all/" if len(marks(snapshot)) > RECENT_MARKS else ""
    recent = chart(snapshot)
    yield from _listing(snapshot, "history/", "History", snapshot.history.lines, chart=recent, overview=overview)


def overview(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page with every run in one chart, where the other charts leave some out."""
    total = len(marks(snapshot))
    if total > RECENT_MARKS:
        yield Draft("history/all/", "All time", "Every run in one chart.", chart(snapshot, total, "all"))


def rejected(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the pages of the runs that were not kept, newest first."""
    yield from _listing(
        snapshot,
        "rejected/",
        "Rejected",
        [line for line in snapshot.history.lines if line.verdict not in {"kept", "passed", "unchanged"}],
    )


def _listing(
    snapshot: Snapshot,
    path: str,
    title: str,
    lines: Sequence[HistoryLine],
    *,
    chart: ChartView | None = None,
    overview: str = "",
) -> Iterator[Draft]:
    """Yield the pages of one list of runs, which come oldest first and are shown newest first."""
    rows = history_rows(snapshot, lines[::-1][:MOST_ROWS])
    chunks = [rows[start : start + ROWS_PER_PAGE] for start in range(0, len(rows), ROWS_PER_PAGE)] or [[]]
    left_out = text.plural(len(lines) - MOST_ROWS, "older run") if len(lines) > MOST_ROWS else ""
    for number, chunk in enumerate(chunks, 1):
        view = RunsView(
            rows=tuple(chunk),
            number=number,
            pages=len(chunks),
            total=text.plural(len(lines), "run"),
            newer=_numbered(path, number - 1) if number > 1 else "",
            older=_numbered(path, number + 1) if number < len(chunks) else "",
            chart=chart if number == 1 else None,
            overview=overview if number == 1 else "",
            left_out=left_out if number == len(chunks) else "",
            lessons=_lessons(snapshot) if path == "rejected/" and number == 1 else "",
            drift=tuple(_drift(snapshot)) if path == "history/" and number == 1 else (),
        )
        yield Draft(_numbered(path, number), title, f"{view.total}, newest first.", view)


def _lessons(snapshot: Snapshot) -> str:
    """Say which of the rejected runs have a page, and why others have none; empty where none was rejected lately."""
    lines, own = snapshot.history.lines, snapshot.own
    others = [line for line in lines[::-1] if line.run_id != own.run_id]
    since = list(itertools.takewhile(lambda line: line.verdict != "kept", others))
    rejected = [line for line in since if line.verdict == "rejected"]
    if not rejected:
        return ""
    there = len(snapshot.lessons)
    kept = "since the last kept run" if len(since) < len(others) else "so far"
    words = f"{text.plural(len(rejected), 'run')} rejected {kept}: {text.count(there)} with a page of what was lost."
    if there == len(rejected):
        return words
    return (
        f"{words} The others did not fit, could not be read, or were not of the trusted branch; the pages of earlier "
        "ones are in the snapshots that followed them."
    )


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
            different=f"{text.count(check.different)} of {text.count(check.same + check.different)}",
            changed=text.line("; ".join(check.changed[:20]), 600) or "nothing that is recorded",
            dropped=snapshot.headline.suite in check.dropped,
        )


def _numbered(path: str, number: int) -> str:
    """Return the path of a page of runs; the first has no number."""
    return path if number == 1 else f"{path}{number}/"


def chart(snapshot: Snapshot, most: int = RECENT_MARKS, name: str = "recent") -> ChartView | None:
    """Return the chart of the newest `most` runs of this tier on the headline suite; None for a single run or none.

    `name` tells two charts on one page apart; the phone's variant shows the newest few runs of the recent ones.
    """
    drawn = marks(snapshot)
    if len(drawn) < FEWEST_MARKS:
        return None
    shown = drawn[-most:]
    wide, wide_caption = _drawing(snapshot, drawn, shown, charts.WIDE, name)
    few = shown[-NARROW_MARKS:] if name == "recent" else shown
    narrow, narrow_caption = _drawing(snapshot, drawn, few, charts.NARROW, name)
    same = sum(line.verdict == "unchanged" for line in snapshot.history.lines)
    others = len(snapshot.history.lines) - len(drawn) - same
    notes = [f"{text.plural(same, 'run')} that measured the same as a snapshot left out."] if same else []
    notes += [f"{text.plural(others, 'run')} of other tiers or suite versions left out."] if others else []
    shapes = {mark.shape for mark in shown}
    return ChartView(
        wide=wide,
        narrow=narrow,
        wide_caption=wide_caption,
        narrow_caption=narrow_caption,
        note=" ".join(notes),
        has_threshold=snapshot.threshold is not None,
        has_inconclusive="inconclusive" in shapes,
        has_unreadable="unreadable" in shapes,
        has_band=len(shown) > charts.FULL_WHISKERS,
        dense=len(shown) > charts.FULL_DETAIL,
    )


def _drawing(
    snapshot: Snapshot, drawn: Sequence[Mark], shown: Sequence[Mark], frame: charts.Frame, name: str
) -> tuple[Markup, str]:
    """Return the chart of the last of the `drawn` runs, those that are `shown`, and its caption."""
    caption = f"{snapshot.headline.suite}: score of {runs_in_words(shown)}"
    older = [mark.score for mark in drawn[: len(drawn) - len(shown)] if mark.shape == "kept"]
    picture = charts.trend(
        shown,
        frame,
        name=name,
        title=caption,
        description=f"Points with 95 % intervals, oldest left. Latest: {drawn[-1].title}. The table has the figures.",
        threshold=snapshot.threshold,
        best_before=max(older, default=None),
    )
    return picture, caption
