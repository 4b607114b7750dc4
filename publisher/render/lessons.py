"""What the rejected runs since the last kept snapshot teach: a page each, as far as the snapshot carries them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import reading, text
from publisher.render.beside import MOST_ROWS, change_row, suite_row, turn_rows
from publisher.render.formulas import Formulas
from publisher.render.language import say
from publisher.render.material import site_folder
from publisher.render.parts import Draft
from publisher.render.reading import Reader
from publisher.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from publisher.render.beside import ChangeRow, SuiteRow, TurnRow
    from publisher.render.gather import Snapshot
    from publisher.schema import HistoryLine, Lesson, Sample

MOST_LISTED = 5
"""Rejected runs that the first page names."""


@dataclass(frozen=True, slots=True)
class WrongAnswer:
    """A wrong answer: the problem, what was expected and said, and the end of what the model wrote."""

    problem: str
    suite: str
    statement: Markup
    expected: str
    outcome: str
    answer: str
    reason: str
    folded: str
    """What it wrote before its answer; empty for nothing."""
    body: Markup
    left_out: str


@dataclass(frozen=True, slots=True)
class LessonView:
    """The page of one rejected run."""

    short: str
    subject: str
    when: str
    machine_when: str
    decided: str
    """Who rejected it and why, where that was a maintainer; empty where it was the gate."""
    stopped: bool
    """Whether it was stopped before it was complete."""
    reasons: tuple[tuple[str, str, str, str], ...]
    """(outcome, rule, suite, reason) of each rule that it did not pass, what failed first."""
    passed: str
    rows: tuple[SuiteRow, ...]
    turned: tuple[TurnRow, ...]
    turned_more: str
    several: bool
    beside: str
    """The kept run that the changes are against; empty where there is none."""
    changes: tuple[ChangeRow, ...]
    wrong: tuple[WrongAnswer, ...]
    wrong_more: str


@dataclass(frozen=True, slots=True)
class LessonRow:
    """A rejected run in a list: what was tried, what came of it, and where its page is."""

    href: str
    short: str
    subject: str
    change: str
    """Of the headline's score, with its interval; empty where nothing could be compared."""
    why: str


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield a page for each rejected run that the snapshot carries."""
    if not snapshot.lessons:
        return
    told = sum(len(lesson.wrong) for lesson in snapshot.lessons.values())
    reader = Reader(Formulas(site_folder() / "vendor/temml/temml.min.js"), told)
    for line, path in addresses(snapshot):
        view = _view(line, snapshot.lessons[line.run_id], reader)
        yield Draft(
            path,
            say("Rejected: %(short)s", short=view.subject or view.short),
            say("Why a run was rejected, and what it lost."),
            view,
        )


def addresses(snapshot: Snapshot) -> list[tuple[HistoryLine, str]]:
    """Return the rejected runs that have a page, newest first, with its path: the commit, numbered after the first."""
    found, taken = [], dict[str, int]()
    for line in snapshot.history.lines[::-1]:
        if line.run_id in snapshot.lessons:
            name = line.commit[:12]
            taken[name] = taken.get(name, 0) + 1
            found.append((line, f"rejected/{name}{f'-{taken[name]}' if taken[name] > 1 else ''}/"))
    return found


def listed(snapshot: Snapshot) -> list[LessonRow]:
    """Return the rejected runs that have a page as rows, newest first."""
    return [_row(snapshot, line, path) for line, path in addresses(snapshot)]


def _row(snapshot: Snapshot, line: HistoryLine, path: str) -> LessonRow:
    beside = snapshot.lessons[line.run_id].baseline
    lost = next((suite_row(one) for one in beside if one.suite == snapshot.headline.suite), None)
    return LessonRow(
        href=path,
        short=text.line(line.commit[:7]),
        subject=text.line(line.subject, 100),
        change=f"{lost.change} {lost.error}".strip() if lost else "",
        why=text.line(line.why, 400),
    )


def _view(line: HistoryLine, lesson: Lesson, reader: Reader) -> LessonView:
    turned = [row for suite in lesson.baseline for row in turn_rows(suite)]
    more = len(turned[MOST_ROWS:]) + sum(suite.unlisted for suite in lesson.baseline)
    blocking = [rule for rule in lesson.verdict.rules if rule.effect == "block"]
    passed = sum(rule.outcome == "pass" for rule in blocking)
    decision = line.decision
    return LessonView(
        short=text.line(line.commit[:12]),
        subject=text.line(line.subject, 160),
        when=text.time(line.started),
        machine_when=text.machine_time(line.started),
        stopped=bool(lesson.verdict.stopped_early),
        decided=f"{text.line(decision.who, 80)}: {text.line(decision.reason, 400)}" if decision else "",
        reasons=tuple(
            (rule.outcome, text.line(rule.rule, 40), text.line(rule.suite, 64), text.line(rule.reason, 400))
            for rule in sorted(blocking, key=lambda rule: rule.outcome != "fail")
            if rule.outcome != "pass"
        ),
        passed=say("%(summary)s.", summary=text.passed_of(passed, len(blocking))),
        rows=tuple(suite_row(suite) for suite in lesson.baseline),
        turned=tuple(turned[:MOST_ROWS]),
        turned_more=say("%(problems)s turned.", problems=text.plural(more, "more problem")) if more else "",
        several=len(lesson.baseline) > 1,
        beside=text.line(lesson.beside.commit[:12]) if lesson.beside else "",
        changes=tuple(change_row(change) for change in lesson.changes),
        wrong=tuple(_wrong(sample, reader) for sample in lesson.wrong),
        wrong_more=f"{text.plural(lesson.wrong_more, 'further answer')}" if lesson.wrong_more else "",
    )


def _wrong(sample: Sample, reader: Reader) -> WrongAnswer:
    found = reading.parts(visible(sample.text))
    before, end = reader.split(found.rest)
    return WrongAnswer(
        problem=text.line(sample.problem, 120),
        suite=text.line(sample.suite, 64),
        statement=reader.statement(visible(sample.statement)),
        expected=text.line(sample.expected, 200),
        outcome=sample.outcome,
        answer=text.line(sample.answer, 200),
        reason=text.line(sample.reason, 300),
        folded="\n".join(part for part in (found.thought, before) if part),
        body=reader.answer(end, sample.outcome, text.line(sample.expected, 60)),
        left_out=say("%(characters)s left out", characters=text.plural(sample.clipped, "character"))
        if sample.clipped
        else "",
    )
