"""The snapshot's own page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import answers, text
from publisher.render.beside import MOST_ROWS, suite_row, turn_rows
from publisher.render.identity import facts, pinning, reproducing
from publisher.render.language import named, say, translated
from publisher.render.lessons import MOST_LISTED, listed
from publisher.render.parts import Draft
from publisher.render.suites import basis, gauge, meanings, suite_view
from publisher.render.tables import WITHIN_NOISE, differences, history_rows
from publisher.render.trend import chart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup

    from publisher.render.beside import SuiteRow, TurnRow
    from publisher.render.gather import Snapshot
    from publisher.render.lessons import LessonRow
    from publisher.render.parts import Command, Fact, Facts
    from publisher.render.suites import SuiteView
    from publisher.render.tables import HistoryRow
    from publisher.render.trend import ChartView
    from publisher.schema import RuleResult

RECENT_ROWS = 12


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule of the gate: what it asked, what it found, and why it decided so."""

    rule: str
    suite: str
    outcome: str
    reason: str
    effect: str
    """`alert` or `note` for a rule that never rejects a run; empty for one that does."""
    measured: str
    limit: str
    change: str
    """Against the runs before, with its 95 % interval; empty where the rule compares nothing."""
    detectable: str


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
    """Against the previous kept snapshot, with its interval or error; empty where there is none."""
    change_href: str
    meaning: str
    noisy: bool
    """Whether a difference is within the noise, which the page then explains."""
    summary: str
    changes: tuple[tuple[str, str, str, str, str], ...]
    suites: tuple[SuiteView, ...]
    rules: tuple[RuleView, ...]
    baseline: tuple[SuiteRow, ...]
    """Each suite beside the pooled runs that the gate compares with."""
    turned: tuple[TurnRow, ...]
    turned_words: str
    turned_more: str
    unseen: tuple[str, ...]
    """What the gate could not have seen, and what its early looks saved."""
    compares: bool
    """Whether a rule compared this run with others: the table then has a column for the change."""
    chart: ChartView | None
    history: tuple[HistoryRow, ...]
    history_more: str
    """How many runs the table leaves out; empty for none."""
    lessons: tuple[LessonRow, ...]
    """The newest runs that were rejected since the last kept one."""
    lessons_more: str
    facts: tuple[Facts, ...]
    reproduce: tuple[Command, ...]
    pinning: tuple[Command, ...]
    metrics: tuple[Fact, ...]
    """What the metrics of the suites mean, by name."""
    notes: tuple[str, ...]
    """What a reader has to know before believing the figures."""


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the snapshot's own page."""
    view, result = home(snapshot), snapshot.headline
    title = f"{result.suite} {view.score} ± {view.stderr}"
    yield Draft(
        "", title, say("%(basis)s, 95 %% interval %(interval)s", basis=view.basis, interval=view.interval), view
    )


def home(snapshot: Snapshot) -> HomeView:
    """Return what the snapshot's own page shows."""
    record, result, limit = snapshot.record, snapshot.headline, snapshot.threshold
    lines = snapshot.history.lines[::-1]
    rules = snapshot.verdict.rules
    changes = differences(snapshot)
    _, change, error, href, meaning = changes[0] if changes else ("",) * 5
    beside = snapshot.report.baseline if snapshot.report else []
    turned = [row for suite in beside for row in turn_rows(suite, answers.places(snapshot, suite.suite))]
    taught = listed(snapshot)
    more = len(turned[MOST_ROWS:]) + sum(suite.unlisted for suite in beside)
    passed = sum(rule.outcome == "pass" for rule in rules)
    older = len(lines) - RECENT_ROWS
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
        verdict=snapshot.word,
        change=f"{change} {error}".strip(),
        change_href=href,
        meaning=meaning,
        noisy=any(said == translated(WITHIN_NOISE) for *_, said in changes),
        summary=text.passed_of(passed, len(rules)) if rules else say("no rules"),
        changes=tuple(changes[1:]),
        suites=tuple(suite_view(snapshot, item) for item in record.results),
        rules=tuple(_rule(snapshot, rule) for rule in rules),
        baseline=tuple(suite_row(suite) for suite in beside),
        turned=tuple(turned[:MOST_ROWS]),
        turned_words=_turned_words(turned, sum(suite.unlisted for suite in beside)),
        turned_more=say("%(problems)s turned.", problems=text.plural(more, "more problem")) if more else "",
        unseen=tuple(_unseen(snapshot)),
        compares=any(rule.difference is not None for rule in rules),
        chart=chart(snapshot, "./"),
        history=tuple(history_rows(snapshot, lines[:RECENT_ROWS])),
        history_more=text.plural(older, "older run") if older > 0 else "",
        lessons=tuple(taught[:MOST_LISTED]),
        lessons_more=text.plural(len(taught) - MOST_LISTED, "more rejected run") if len(taught) > MOST_LISTED else "",
        facts=tuple(facts(snapshot)),
        reproduce=tuple(reproducing(snapshot)),
        pinning=tuple(pinning(snapshot)),
        metrics=tuple(meanings(snapshot)),
        notes=tuple(_notes(snapshot)),
    )


def _turned_words(turned: Sequence[TurnRow], unlisted: int) -> str:
    """Return how many problems turned which way; of those that the report does not list that is not known."""
    if unlisted:
        every = text.plural(len(turned) + unlisted, "problem")
        return say("%(problems)s turned against the baseline", problems=every)
    wrong, right = (sum(row.word == word for row in turned) for word in ("wrong", "right"))
    return say(
        "%(problems)s turned wrong and %(right)s right against the baseline",
        problems=text.plural(wrong, "problem"),
        right=text.count(right),
    )


def _unseen(snapshot: Snapshot) -> Iterator[str]:
    """Yield what the gate could not have seen on each suite, and what stopping early saved."""
    report = snapshot.report
    if report is None or not snapshot.verdict.rules:
        return
    for blind in report.blind:
        suite = text.line(blind.suite, 64)
        if blind.detectable is None:
            yield say(
                "No rule tests %(suite)s against earlier runs: a drop within the limits would go unnoticed.",
                suite=suite,
            )
        else:
            drop = text.points(blind.detectable)
            yield say(
                "On %(suite)s it finds drops of %(drop)s points or more in four runs of five, "
                "and may miss smaller ones.",
                suite=suite,
                drop=drop,
            )
    if report.stopped_early is not None:
        early = report.stopped_early
        yield say(
            "It needed %(needed)s of %(samples)s to decide.",
            needed=text.count(early.samples),
            samples=text.plural(early.planned, "sample"),
        )


def _rule(snapshot: Snapshot, rule: RuleResult) -> RuleView:
    return RuleView(
        rule=text.line(rule.rule, 40),
        suite=text.line(rule.suite or snapshot.headline.suite, 64),
        outcome=rule.outcome,
        reason=text.line(rule.reason, 400),
        effect="" if rule.effect == "block" else rule.effect,
        measured=_figure(rule.measured, rule.unit),
        limit=_figure(rule.limit, rule.unit),
        change=_change(rule),
        detectable="" if rule.detectable is None else text.points(rule.detectable),
    )


def _figure(value: float | None, unit: str) -> str:
    """Return a figure with its unit; scores go without, since all of the page is about points."""
    if value is None:
        return text.NONE
    return text.points(value) if unit == "points" else f"{text.points(value)}\u202f{text.line(unit, 20)}"


def _change(rule: RuleResult) -> str:
    if rule.difference is None:
        return ""
    interval = f" [{text.points(rule.interval.low)}, {text.points(rule.interval.high)}]" if rule.interval else ""
    unit = "" if rule.unit == "points" else f" {text.line(rule.unit, 20)}"
    return f"{text.change(rule.difference)}{interval}{unit}"


def _notes(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.record.commit.dirty:
        yield say("The working tree differed from this commit while it was measured; what was read is the commit.")
    if snapshot.verdict.stopped_early:
        why = text.line(snapshot.verdict.stopped_early, 400).rstrip(".")
        yield say("The run was stopped before it was complete: %(why)s.", why=why)
    if snapshot.verdict.baseline:
        yield f"{text.line(snapshot.verdict.baseline[:1].upper() + snapshot.verdict.baseline[1:], 400)}."
    if overruled := _overruled(snapshot):
        yield overruled


def _overruled(snapshot: Snapshot) -> str:
    """Return who overruled the gate and why; empty where nobody did."""
    decision = snapshot.own.decision
    if decision is None:
        return ""
    who, why = text.line(decision.who, 80), text.line(decision.reason, 400)
    return say(
        "The gate said %(verdict)s. %(who)s decided %(word)s: %(why)s",
        verdict=named(snapshot.verdict.verdict),
        who=who,
        word=named(decision.verdict),
        why=why,
    )
