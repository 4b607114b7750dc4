"""The snapshot's own page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import text
from publisher.render.identity import facts, pinning, reproducing
from publisher.render.parts import Draft
from publisher.render.runs import chart
from publisher.render.suites import basis, gauge, suite_view
from publisher.render.tables import WITHIN_NOISE, differences, history_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from publisher.render.gather import Snapshot
    from publisher.render.parts import Command, Facts
    from publisher.render.runs import ChartView
    from publisher.render.suites import SuiteView
    from publisher.render.tables import HistoryRow
    from publisher.schema import RuleResult

RECENT_ROWS = 12


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule of the gate: what it asked, what it found, and why it decided so."""

    rule: str
    suite: str
    outcome: str
    reason: str
    measured: str
    limit: str


@dataclass(frozen=True, slots=True)
class HomeView:
    """The snapshot's own page."""

    model: str
    suite: str
    subject: str
    author: str
    score: str
    stderr: str
    interval: str
    basis: str
    gauge: Markup
    threshold: str
    verdict: str
    change: str
    """Against the previous kept snapshot; empty where there is none."""
    meaning: str
    noisy: bool
    """Whether a difference is within the noise, which the page then explains."""
    summary: str
    changes: tuple[tuple[str, str, str, str], ...]
    suites: tuple[SuiteView, ...]
    rules: tuple[RuleView, ...]
    chart: ChartView | None
    history: tuple[HistoryRow, ...]
    history_more: int
    facts: tuple[Facts, ...]
    reproduce: tuple[Command, ...]
    pinning: tuple[Command, ...]
    dirty: bool


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the snapshot's own page."""
    view, result = home(snapshot), snapshot.headline
    title = f"{result.suite} {view.score} ± {view.stderr}"
    yield Draft("", title, f"{view.basis}, 95 % interval {view.interval}", view)


def home(snapshot: Snapshot) -> HomeView:
    """Return what the snapshot's own page shows."""
    record, result, limit = snapshot.record, snapshot.headline, snapshot.threshold
    lines = snapshot.history.lines[::-1]
    rules = snapshot.verdict.rules
    changes = differences(snapshot)
    _, change, _, meaning = changes[0] if changes else ("",) * 4
    passed = sum(rule.outcome == "pass" for rule in rules)
    return HomeView(
        model=text.line(record.model.name, 100),
        suite=result.suite,
        subject=text.line(record.commit.subject, 160),
        author=text.line(record.commit.author, 80),
        score=text.points(result.score),
        stderr=text.points(result.stderr),
        interval=text.interval(result.interval.low, result.interval.high),
        basis=basis(snapshot, result),
        gauge=gauge(result, limit),
        threshold="" if limit is None else text.points(limit),
        verdict=snapshot.verdict.verdict,
        change=change,
        meaning=meaning,
        noisy=any(said == WITHIN_NOISE for *_, said in changes),
        summary=f"{passed} of {text.plural(len(rules), 'rule')} passed" if rules else "no rules",
        changes=tuple(changes),
        suites=tuple(suite_view(snapshot, item) for item in record.results),
        rules=tuple(_rule(snapshot, rule) for rule in rules),
        chart=chart(snapshot),
        history=tuple(history_rows(snapshot, lines[:RECENT_ROWS])),
        history_more=max(0, len(lines) - RECENT_ROWS),
        facts=tuple(facts(snapshot)),
        reproduce=tuple(reproducing(snapshot)),
        pinning=tuple(pinning(snapshot)),
        dirty=record.commit.dirty,
    )


def _rule(snapshot: Snapshot, rule: RuleResult) -> RuleView:
    return RuleView(
        rule=text.line(rule.rule, 40),
        suite=text.line(rule.suite or snapshot.headline.suite, 64),
        outcome=rule.outcome,
        reason=text.line(rule.reason, 400),
        measured=text.NONE if rule.measured is None else text.points(rule.measured),
        limit=text.NONE if rule.limit is None else text.points(rule.limit),
    )
