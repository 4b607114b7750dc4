"""The history as rows, marks and differences: what the tables, the chart and the comparison are made of."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import figures, text
from publisher.render.beside import MEANINGS
from publisher.render.language import named, say, translated
from publisher.render.lessons import addresses
from publisher.render.marks import Mark, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from markupsafe import Markup

    from publisher.render.gather import Snapshot
    from publisher.schema import HistoryLine, HistoryScore, SuiteComparison

Drawn = tuple["HistoryLine", "HistoryScore | None"]
"""A run that a chart draws, with its score on the headline suite."""
Z95 = 1.959964
WITHIN_NOISE = MEANINGS["noise"]


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One run in a table of the history; `href` is its permanent address, where it has one."""

    anchor: str
    date: str
    machine_date: str
    short: str
    subject: str
    tier: str
    verdict: str
    href: str
    score: str
    stderr: str
    interval: str
    gauge: Markup | None
    detail: str
    why: str
    own: bool
    lesson: str
    """The page, from the site's root, that says why a rejected run was; empty where the snapshot has none."""
    gone: str
    """Why its pages are not there any more, with the day; empty where they are."""


@dataclass(frozen=True, slots=True)
class CompareRow:
    """One suite's score here and in an older snapshot; `meaning` says whether the difference is more than noise."""

    suite: str
    mine: str
    theirs: str
    change: str
    error: str
    meaning: str
    word: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """An older snapshot beside this one."""

    heading: str
    short: str
    subject: str
    date: str
    href: str
    same: bool
    rows: tuple[CompareRow, ...]


def permanent(snapshot: Snapshot, line: HistoryLine) -> str:
    """Return a line's permanent address; nothing where it has none that leads anywhere."""
    if line.run_id == snapshot.record.run_id:
        return snapshot.pin
    return "" if line.pruned or line.taken_down or line.given_up else text.address(line.address)


def anchor(run_id: str) -> str:
    """Return the name of a run's row, which stands in addresses."""
    return f"run-{text.line(run_id, 120)}".replace(" ", "-")


def history_rows(snapshot: Snapshot, lines: Iterable[HistoryLine]) -> list[HistoryRow]:
    """Return table rows for `lines`, in their order."""
    lessons = {line.run_id: path for line, path in addresses(snapshot)}
    return [_row(snapshot, line, lessons.get(line.run_id, "")) for line in lines]


def _row(snapshot: Snapshot, line: HistoryLine, lesson: str) -> HistoryRow:
    suite = snapshot.headline.suite
    score = line.scores.get(suite)
    own = line.run_id == snapshot.record.run_id
    others = [
        f"{text.line(name, 64)} {text.points(other.score)}"
        for name, other in sorted(line.scores.items())
        if name != suite
    ]
    return HistoryRow(
        anchor=anchor(line.run_id),
        date=text.date(line.started),
        machine_date=text.machine_time(line.started),
        short=text.line(line.commit[:12]),
        subject=text.line(line.subject, 120),
        tier=text.line(line.tier, 40),
        verdict=line.verdict,
        href=permanent(snapshot, line) if line.verdict == "kept" else "",
        score=text.points(score.score) if score else text.NONE,
        stderr=text.points(score.stderr) if score else "",
        interval=text.interval(score.low, score.high) if score else "",
        gauge=figures.gauge(score.score, score.low, score.high) if score else None,
        detail=" · ".join([_basis(snapshot, line), *others]),
        why=_why(line),
        own=own,
        lesson=lesson,
        gone="" if own else _gone(line),
    )


def _why(line: HistoryLine) -> str:
    """Return the reason for a line's verdict: the gate's, or that of a maintainer who overruled it."""
    if line.decision is None:
        return text.line(line.why, 400)
    return text.line(
        say(
            "%(word)s by %(who)s: %(reason)s",
            word=named(line.decision.verdict),
            who=line.decision.who,
            reason=line.decision.reason,
        ),
        400,
    )


def _gone(line: HistoryLine) -> str:
    ends = ((say("taken down"), line.taken_down), (say("given up"), line.given_up), (say("pruned"), line.pruned))
    return next((f"{word} {text.date(when)}" for word, when in ends if when), "")


def _basis(snapshot: Snapshot, line: HistoryLine) -> str:
    """Return how many answers a line's score rests on, or what was planned, and whether the suite was another one."""
    score = line.scores.get(snapshot.headline.suite)
    if score is None:
        return ""
    other = "" if snapshot.score(line) else say(", another suite version")
    planned = text.each(score.n, score.k)
    return (say("stopped early, planned: %(planned)s", planned=planned) if line.stopped_early else planned) + other


_SHAPES: dict[str, Shape] = {"kept": "kept", "rejected": "rejected", "unreadable": "unreadable"}


@functools.lru_cache(maxsize=1)
def drawn(snapshot: Snapshot) -> list[Drawn]:
    """Return the runs that a chart draws: of this tier on this version of the headline suite, and each tombstone."""
    found = ((line, snapshot.score(line)) for line in snapshot.history.lines if line.tier == snapshot.record.tier)
    # An unchanged run is its snapshot's mark once more.
    of_tier = ((line, score) for line, score in found if line.verdict not in {"unchanged", "passed"})
    return [(line, score) for line, score in of_tier if score is not None or line.verdict == "unreadable"]


def mark_of(
    snapshot: Snapshot,
    line: HistoryLine,
    score: HistoryScore | None,
    *,
    lesson: str = "",
    row: str = "",
) -> Mark:
    """Return a run's mark; `lesson` is the page of a rejected one, `row` its line in the tables."""
    short, when = text.line(line.commit[:12]), text.date(line.started)
    if score is None:
        title = say("%(short)s, %(when)s: the run's files cannot be read", short=short, when=when)
        return Mark(0.0, 0.0, 0.0, "unreadable", title, line.started, short=short[:7], row=row)
    shape = _SHAPES.get(line.verdict, "inconclusive")
    own = line.run_id == snapshot.record.run_id
    figures = f"{text.points(score.score)} ± {text.points(score.stderr)}, 95 % {text.interval(score.low, score.high)}"
    subject = text.line(line.subject, 60)
    title = f"{short}, {when}: {figures}, {named(line.verdict)}{f' ({subject})' if subject else ''}"
    href = permanent(snapshot, line) if line.verdict == "kept" else lesson
    return Mark(score.score, score.low, score.high, shape, title, line.started, href, own, short[:7], row)


def specks(snapshot: Snapshot, lines: Iterable[Drawn], rows: Mapping[str, str]) -> Iterator[Mark]:
    """Yield the marks of thousands of runs, without titles and links: nobody could hit one.

    `rows` has the lines in the tables, by run id.
    """
    for line, score in lines:
        shape: Shape = _SHAPES.get(line.verdict, "inconclusive") if score else "unreadable"
        points = (score.score, score.low, score.high) if score else (0.0, 0.0, 0.0)
        yield Mark(
            *points,
            shape,
            "",
            line.started,
            own=line.run_id == snapshot.record.run_id,
            short=line.commit[:7],
            row=rows.get(line.run_id, ""),
        )


def runs_in_words(drawn: Sequence[Mark]) -> str:
    """Return how many runs a chart shows and what became of them."""
    found = [mark.shape for mark in drawn]
    words = ("kept", "rejected", "inconclusive", "unreadable")
    parts = [say("%(count)s %(word)s", count=found.count(word), word=named(word)) for word in words if word in found]
    return f"{text.plural(len(drawn), 'run')} ({', '.join(parts)})"


def references(snapshot: Snapshot) -> list[tuple[str, HistoryLine]]:
    """Return the older snapshots worth a comparison of their own: the previous kept one and the best."""
    best, older = _best(snapshot), snapshot.older
    if best is None:
        return []
    previous = older[-1]
    if best is previous:
        return [(say("the previous kept snapshot, also the best before"), previous)]
    return [(say("the previous kept snapshot"), previous), (say("the best kept snapshot before"), best)]


@functools.lru_cache(maxsize=1)
def _best(snapshot: Snapshot) -> HistoryLine | None:
    """Return the kept run before this one with the best score."""

    def height(line: HistoryLine) -> float:
        score = snapshot.score(line)
        return score.score if score else -math.inf

    return max(snapshot.older, key=height, default=None)


def differences(snapshot: Snapshot) -> list[tuple[str, str, str, str, str]]:
    """Return (words, change, its interval or error, the older snapshot's address, meaning) for each reference."""
    rows = []
    tested = _tested(snapshot)
    for words, line in references(snapshot):
        suite = tested.get(line.run_id)
        if suite is not None and suite.interval is not None:
            change, error = text.change(suite.difference), text.changes(suite.interval.low, suite.interval.high)
            meaning = translated(MEANINGS[suite.meaning])
        else:
            row = _compare(snapshot, line, snapshot.headline.suite)
            change, error, meaning = row.change, f"± {row.error}", row.meaning
        named = say("against %(words)s (%(commit)s)", words=words, commit=text.line(line.commit[:7]))
        rows.append((named, change, error, permanent(snapshot, line), meaning))
    return rows


def _tested(snapshot: Snapshot) -> dict[str, SuiteComparison]:
    """Return the paired test of the headline suite for each run that the report has beside this one."""
    found = [one for one in (snapshot.report.previous, snapshot.report.best) if one] if snapshot.report else []
    return {one.base.run_id: suite for one in found for suite in one.suites if suite.suite == snapshot.headline.suite}


def comparisons(snapshot: Snapshot) -> list[Comparison]:
    """Return this snapshot beside the previous kept and the best kept one, suite by suite."""
    return [comparison(snapshot, say("Against %(words)s", words=words), line) for words, line in references(snapshot)]


def comparison(snapshot: Snapshot, heading: str, line: HistoryLine, *, only: str = "") -> Comparison:
    """Return this snapshot beside one older run, for every suite (or `only` one) that both measured."""
    shared = [
        result.suite for result in snapshot.record.results if result.suite in line.scores and only in {"", result.suite}
    ]
    return Comparison(
        heading=heading,
        short=text.line(line.commit[:12]),
        subject=text.line(line.subject, 120),
        date=text.date(line.started),
        href=permanent(snapshot, line),
        same=line.fingerprint == snapshot.record.fingerprint,
        rows=tuple(_compare(snapshot, line, suite) for suite in shared),
    )


def _compare(snapshot: Snapshot, line: HistoryLine, suite: str) -> CompareRow:
    """Compare two scores as independent ones, which overstates the noise where the problems were the same."""
    mine, theirs = snapshot.own.scores[suite], line.scores[suite]
    delta, error = mine.score - theirs.score, math.hypot(mine.stderr, theirs.stderr)
    if mine.suite != theirs.suite:
        word, meaning = "other", say("another version of the suite: not comparable")
    elif abs(delta) <= Z95 * error:
        word, meaning = "noise", translated(WITHIN_NOISE)
    else:
        word, meaning = ("better", say("clearly better")) if delta > 0 else ("worse", say("clearly worse"))
    return CompareRow(
        suite=suite,
        mine=f"{text.points(mine.score)} ± {text.points(mine.stderr)}",
        theirs=f"{text.points(theirs.score)} ± {text.points(theirs.stderr)}",
        change=text.change(delta),
        error=text.points(error),
        meaning=meaning,
        word=word,
    )
