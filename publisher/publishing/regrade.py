"""The recorded answers of a run, scored with today's grader beside what was recorded. Nothing is written anywhere."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING

import msgspec

from publisher.bench.plan import Job, PlannedSample, load_suites
from publisher.bench.record import suite_result
from publisher.bench.redaction import Redactor
from publisher.bench.scoring import Scorer, is_gradable
from publisher.errors import UsageError
from publisher.graders import make
from publisher.publishing.extend import as_measured
from publisher.publishing.listing import WIDTH
from publisher.publishing.report import one_line
from publisher.quality.samples import Measurer
from publisher.schema import Outcome  # noqa: TC001 - msgspec reads it while running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from publisher.bench.plan import PlannedSuite
    from publisher.publishing.project import Project
    from publisher.schema import Record, Sample

SHOWN = 20
"""Changed answers of a suite that people are shown; programs get all."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is scored otherwise today."""

    problem: str
    sample: int
    """From 0."""
    before: Outcome
    after: Outcome
    answer: str = ""
    """As it is extracted today; empty for a private suite."""
    expected: str = ""
    reason: str = ""


class Regraded(msgspec.Struct, frozen=True, kw_only=True):
    """A suite of a run with today's grader."""

    suite: str
    grader: str
    version: str
    recorded_grader: str
    recorded_version: str
    before: float
    """The score in the record, in points."""
    after: float
    """The score today, in points."""
    graded: int
    """Answers that were scored again."""
    believed: int
    """Answers that keep their outcome: their words were withheld, redacted or cut off, or the engine failed."""
    changed: list[Change]


def regrade(project: Project, record: Record, grader: str = "", suite: str = "") -> list[Regraded]:
    """Score a run's recorded answers again, with its commit's graders as they are today or with `grader`.

    Raises UsageError where the run has no such suite; ConfigError for an unknown grader; SuiteError, GraderError,
    NetworkError or StorageError where a suite, a grader or the samples are not to be had.
    """
    names = [part.name for part in record.suites]
    if suite and suite not in names:
        raise UsageError(f"{record.run_id} has no suite {suite!r}", hint=f"it has {', '.join(names)}")
    job = _job(project, record)
    planned = {part.suite.name: _with(part, grader, job) for part in load_suites(job)}
    by_suite: dict[str, list[Sample]] = {name: [] for name in names if suite in {"", name} and name in planned}
    for sample in project.samples(record.run_id):
        if sample.suite in by_suite:
            by_suite[sample.suite].append(sample)
    with contextlib.ExitStack() as stack:
        again = _scorer(stack, job, planned)
        return [_regraded(record, planned[name], samples, again) for name, samples in by_suite.items()]


def _job(project: Project, record: Record) -> Job:
    config, digest = project.config(record.commit.sha)
    return Job(
        project.repository,
        record.commit.sha,
        as_measured(config, record.tier, record),
        digest,
        record.tier,
        record.commit.dirty,
        record.salt,
        dt.datetime.now(dt.UTC),
        project.policy(record.commit.sha),
    )


def _with(part: PlannedSuite, grader: str, job: Job) -> PlannedSuite:
    """Return a suite with another grader than its own, where one is asked for."""
    if not grader:
        return part
    opened = make(grader, job.grader_file)
    return part._replace(grader=grader, grader_version=opened.version, code=opened.form == "code")


def _scorer(
    stack: contextlib.ExitStack, job: Job, planned: Mapping[str, PlannedSuite]
) -> Callable[[Sample, PlannedSample], Sample]:
    """Return what scores a recorded sample again."""
    graders = {
        name: stack.enter_context(make(name, job.grader_file)) for name in {one.grader for one in planned.values()}
    }
    redactor = stack.enter_context(Redactor(job.config.ledger.redact))
    measurer = stack.enter_context(Measurer())
    return Scorer(planned, graders, redactor, measurer, job.config.ledger.clip).again


def _regraded(
    record: Record, part: PlannedSuite, samples: list[Sample], again: Callable[[Sample, PlannedSample], Sample]
) -> Regraded:
    problems = {problem.id: problem for problem in part.suite.problems}
    scored, changed, graded = [], [], 0
    for sample in samples:
        problem = problems.get(sample.problem)
        # An error with its words is graded as well: the grader may have been mended.
        if problem is None or not is_gradable(msgspec.structs.replace(sample, outcome="wrong")):
            scored += [sample] if problem is not None else []
            continue
        graded += 1
        here = again(sample, PlannedSample(sample.suite, problem, sample.sample, sample.seed))
        scored.append(here)
        if here.outcome != sample.outcome:
            changed.append(_change(sample, here, public=part.suite.public))
    recorded = next(one for one in record.suites if one.name == part.suite.name)
    return Regraded(
        suite=part.suite.name,
        grader=part.grader,
        version=part.grader_version,
        recorded_grader=recorded.grader,
        recorded_version=recorded.grader_version,
        before=next((one.score for one in record.results if one.suite == part.suite.name), 0.0),
        after=suite_result(part, scored, slots=1).score,
        graded=graded,
        believed=len(samples) - graded,
        changed=changed,
    )


def _change(before: Sample, after: Sample, *, public: bool) -> Change:
    words = {"answer": after.answer, "expected": after.expected, "reason": after.reason} if public else {}
    return Change(problem=before.problem, sample=before.sample, before=before.outcome, after=after.outcome, **words)


def lines(found: list[Regraded]) -> Iterator[str]:
    """Yield what today's grader says of a run, in lines that fit 80 columns."""
    for one in found:
        yield f"{one.suite}: {one.before:.1f} → {one.after:.1f} points ({one.after - one.before:+.1f})"
        was, now = f"{one.recorded_grader} {one.recorded_version}", f"{one.grader} {one.version}"
        yield f"  graded by {one_line(was, 70)}" + ("" if was == now else f",\n  today by {one_line(now, 70)}")
        kept = f"; {one.believed} without their words keep their outcome" if one.believed else ""
        yield f"  {len(one.changed)} of {one.graded} answers are scored otherwise{kept}"
        for change in one.changed[:SHOWN]:
            name = f"{one_line(change.problem, 24)} #{change.sample + 1}"
            why = change.reason or (f"answer {change.answer}" if change.answer else "")
            begin = f"  {name:<16}  {change.before} → {change.after}  "
            yield f"{begin}{one_line(why, max(12, WIDTH - len(begin)))}".rstrip()
        if len(one.changed) > SHOWN:
            yield f"  … and {len(one.changed) - SHOWN} more (--json has all)"


def as_json(record: Record, found: list[Regraded]) -> dict[str, object]:
    """Return the same as plain values."""
    return {"run_id": record.run_id, "suites": msgspec.to_builtins(found)}
