"""The order of things, and nothing else: commit, bench, gate, ledger, deploy, live.

Each step leaves its result in the ledger (or in the pending folder while there is no verdict yet), so a run that was
interrupted anywhere continues from there, and a step that finds its result already there does nothing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec

from publisher.bench.workspace import end_fresh, end_trimmed, fresh_salt
from publisher.errors import LostRaceError, ModelError, UsageError
from publisher.gate.baseline import Measured
from publisher.gate.policy import decide, needed
from publisher.git import graph, signing
from publisher.ledger import history
from publisher.publishing import notify
from publisher.publishing.compare import compared, new_report
from publisher.publishing.deliver import Desk, check_settings, deliver, remove_duplicates
from publisher.publishing.extend import extended, extension, has
from publisher.publishing.project import Project, Target, now
from publisher.publishing.reconcile import finish_others, show_newest
from publisher.publishing.report import one_line
from publisher.publishing.resets import reset_of
from publisher.publishing.watching import watch_for_rejection
from publisher.schema import Receipt, Record, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from publisher.bench.measure import Observer
    from publisher.ledger.history import Run

    Note = Callable[[str], None]

ATTEMPTS = 12
News = Literal[
    "published",
    "already published",
    "passed",
    "rejected",
    "already rejected",
    "inconclusive",
    "unchanged",
    "held",
    "given up",
    "taken down",
]

Until = Literal["measured", "decided", "complete"]
"""When a measurement ends: once every sample is there, or at a look that rejects it; `complete` does not take a run
that was stopped for the whole, and measures what it lacks."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `publish` came to: the verdict, and the receipt where the run was published."""

    record: Record
    verdict: Verdict
    receipt: Receipt | None
    news: News


@dataclass(frozen=True, slots=True)
class Entry:
    """A run that is in the ledger with its verdict; `known` is its state there, where it was there before."""

    record: Record
    verdict: Verdict
    known: Run | None


def publish(
    project: Project,
    revision: str,
    tier: str,
    observer: Observer,
    *,
    fresh: bool = False,
    complete: bool = False,
    archive: Path | None = None,
    branch: str = "",
) -> Outcome:
    """Take a commit all the way: measured, compared, recorded and, when kept, published and shown live.

    A run that is rejected at a look ends there, unless `complete` is asked for. With `archive` nothing is measured:
    the run in that file, which another machine measured, is checked and taken. A tier that publishes nothing ends with
    the verdict. `branch` is where the commit was pushed to, for the conventions of `[branches]`.
    """
    target = project.target(revision, tier, branch)
    outcome = publish_target(project, target, observer, fresh=fresh, complete=complete, archive=archive)
    if fresh:
        end_fresh(project.workspace, target.commit, target.salted_by)
    return outcome


def publish_target(
    project: Project,
    target: Target,
    observer: Observer,
    *,
    fresh: bool = False,
    complete: bool = False,
    archive: Path | None = None,
) -> Outcome:
    """Do what `publish` does for one tier; the caller ends a fresh measurement."""
    if not target.recordable and project.trusted is not None:
        raise UsageError(
            f"{target.commit[:12]} is not on {project.trusted.name}, so nothing of it is recorded or published",
            hint=f"publisher gate {target.commit[:12]}   says what the gate says of a measured commit",
        )
    desk = Desk(project, project.netlify(target.config), target.config.netlify, observer.note)
    check_settings(desk.netlify)
    signing.require(project.repository.setting)
    project.ledger.sync()
    if len(project.runs()) >= graph.FEWEST:
        graph.refresh(project.repository)
    finish_others(project, target.commit, observer.note, patient=False)
    until: Until = "complete" if complete else "decided"
    if archive is None:
        entry = _measured_and_entered(project, target, observer, fresh=fresh, until=until)
    else:
        entry = enter(project, _handed_over(project, target, archive, observer.note, fresh=fresh))
    with notify.about(project, entry.record, entry.verdict, observer.note, is_news=entry.known is None):
        receipt, news = publish_entry(desk, entry)
    finish_others(project, target.commit, observer.note)
    return Outcome(entry.record, entry.verdict, receipt, news)


def _handed_over(project: Project, target: Target, archive: Path, note: Note, *, fresh: bool) -> Record:
    """Return the run that another machine measured, checked."""
    # Its imports would slow down every other command.
    from publisher.publishing.handover import take_over  # noqa: PLC0415

    return take_over(project, target, archive, note, fresh=fresh)


def publish_entry(desk: Desk, entry: Entry) -> tuple[Receipt | None, News]:
    """Publish a run that is in the ledger, if it is kept, and show it live; return its receipt and what is new."""
    known, word = entry.known, entry.verdict.verdict
    decision = known.line.decision if known else None
    if decision is not None:
        desk.note(f"{decision.verdict} by {decision.who or 'somebody'}: {one_line(decision.reason, 200)}")
    if word in {"inconclusive", "held", "passed"}:
        return None, word
    if word == "unchanged":
        same = desk.project.run(entry.verdict.same_as)
        if same is None or same.is_over or same.line.verdict != "kept":
            desk.note(f"{entry.verdict.same_as}, whose snapshot it shares, was withdrawn, given up or taken down")
            desk.note("publisher publish --fresh   measures the commit again, for a snapshot of its own")
        return same.receipt if same else None, "unchanged"
    if word != "kept":
        return None, "already rejected" if known else "rejected"
    if known is not None and known.is_over:
        return None, _ended(known, desk.note)
    if known is not None and known.line.pruned:
        desk.note(f"its deploy was pruned {known.line.pruned}: publisher verify {known.line.snapshot} --repair")
        return known.last_receipt, "already published"
    before = known.receipt if known else None
    if before is not None and known is not None and len(known.requests) > before.number:
        remove_duplicates(desk, before)
    receipt = before or deliver(desk, entry.record)
    show_newest(desk, receipt)
    return receipt, "already published" if before else "published"


def bench(
    project: Project,
    revision: str,
    tier: str,
    observer: Observer,
    *,
    fresh: bool = False,
    reuse: bool = True,
    until: Until = "measured",
) -> Record:
    """Measure a commit, or find the run that did, and return its record; a new one is left in the pending folder.

    With `fresh` it is measured with new seeds; without `reuse` every sample is generated, whatever earlier runs have.
    A fresh measurement that was interrupted continues.
    """
    target = project.target(revision, tier)
    record = measure_target(project, target, observer, fresh=fresh, reuse=reuse, until=until)
    if fresh:
        end_fresh(project.workspace, target.commit, target.salted_by)
    return record


def measure_target(
    project: Project,
    target: Target,
    observer: Observer,
    *,
    fresh: bool = False,
    reuse: bool = True,
    until: Until = "measured",
    samples: Mapping[str, int] | None = None,
) -> Record:
    """Do what `bench` does for a commit whose configuration is read already; `samples` per problem at least.

    The caller says (`end_fresh`) when a fresh measurement has served its purpose: until then, it is this one again.
    """
    started = dt.datetime.fromtimestamp(project.clock(), dt.UTC)
    salt = fresh_salt(project.workspace, target.commit, target.salted_by, started.isoformat()) if fresh else ""
    known = project.measured(target.commit, target.tier, salt=salt) if reuse or fresh else None
    if known is not None and has(known, samples or {}) and _is_done(project, known, until):
        again = "by the same command, which was interrupted later" if fresh else "already (--fresh measures it again)"
        observer.note(f"{known.run_id} measured this commit {again}")
        return known
    # What infers is absent where sites are built.
    try:
        from publisher.bench.measure import Job, measure  # noqa: PLC0415
        from publisher.engine.fleet import Fleet  # noqa: PLC0415
        from publisher.publishing.minutes import fitting  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        what = f"measuring needs the package {missing.name}"
        raise ModelError(what, hint="pip install 'snapshot-publisher[bench]'") from missing

    started = _free_moment(project, target, started)
    job = Job(
        project.repository,
        target.commit,
        target.config,
        target.digest,
        target.tier,
        project.repository.is_dirty(),
        salt,
        started,
        target.policy,
        target.branch,
    )
    with project.running.shown() as so_far:
        measurement = measure(
            job,
            start=Fleet,
            workspace=project.workspace,
            reusable=project.reusable if reuse else lambda _: (),
            observer=observer,
            lengths=lambda: project.lengths(target.tier),
            watch=watch_for_rejection(project, target.commit, target.config) if until == "decided" else None,
            fit=fitting(project, job, observer.note),
            so_far=so_far,
        )
        project.pending.store(measurement.record, measurement.packed)
    measurement.forget_journal()
    end_trimmed(project.workspace, target.commit, target.tier, salt)
    if known is not None and known.stopped_early and until == "decided":
        project.pending.discard(known.run_id)  # its samples are part of the new run, and nothing rejected it
    return measurement.record


def _is_done(project: Project, record: Record, until: Until) -> bool:
    """Return whether a measured run is all that is wanted; one that was stopped only if it is rejected for good.

    A look rejects by the baseline that it sees. Where that is another one now and does not, the run continues.
    """
    if record.stopped_early is None:
        return True
    return until == "measured" or (until == "decided" and verdict_of(project, record).verdict == "rejected")


def _free_moment(project: Project, target: Target, started: dt.datetime) -> dt.datetime:
    """Return the start that a run's id says: a second later where another run of the commit began in the same one."""
    taken = {run.run_id for run in project.runs()} | {record.run_id for record in project.pending.records()}
    while f"{started:%Y%m%dT%H%M%SZ}-{target.commit[:12]}-{target.tier}" in taken:
        started += dt.timedelta(seconds=1)
    return started


def measure_decided(
    project: Project, target: Target, observer: Observer, *, fresh: bool = False, until: Until = "measured"
) -> Record:
    """Measure a commit, and again with more samples for as long as the gate is undecided and the policy allows it."""
    if until == "complete":
        _enter_stopped(project, target)
    record = measure_target(project, target, observer, fresh=fresh, until=until)
    while more := extension(verdict_of(project, record), record, target.config):
        words = ", ".join(f"{k} per problem of {suite}" for suite, k in more.items())
        observer.note(f"the gate is undecided: measuring more samples, {words}")
        longer = replace(target, config=extended(target.config, target.tier, more))
        try:
            shorter, record = record, measure_target(project, longer, observer, fresh=fresh, until=until, samples=more)
        except UsageError as error:
            observer.note(f"no more samples: {error.message}")
            break
        if shorter.run_id != record.run_id:
            project.pending.discard(shorter.run_id)
    return record


def _enter_stopped(project: Project, target: Target) -> None:
    """Enter what looks have rejected and nobody has recorded yet: completing a run must not lose that verdict."""
    for record in list(project.pending.records()):
        if record.stopped_early and (record.commit.sha, record.tier) == (target.commit, target.tier):
            _entered(project, record)


def verdict_of(project: Project, record: Record) -> Verdict:
    """Return what the gate says of a run: the verdict that it has in the ledger, or a new one that is not stored."""
    runs = project.runs()
    if any(run.run_id == record.run_id and run.line.verdict != "unreadable" for run in runs):
        return stored_verdict(project, record.run_id)
    config, _ = project.config(record.commit.sha)
    # Whatever is in the ledger came before a run that is not, whatever their machines' clocks said.
    earlier = [run.line for run in runs]
    run = Measured(history.summarize(record), record, reset_of(project, record.commit.sha, config, earlier))
    return decide(run, earlier, config, records=project.records(needed(run, earlier, config)), decided=now())


def _ended(run: Run, note: Note) -> News:
    """Say that a run is never published any more, by whose decision, and return the word for it."""
    news: News = "taken down" if run.taken_down else "given up"
    entry = run.taken_down or run.given_up
    if entry is not None:
        note(f"{run.run_id} was {news} by {entry.who or 'somebody'} on {entry.time}: {entry.why}")
    note("publisher publish --fresh   measures the commit again")
    return news


def enter(project: Project, record: Record) -> Entry:
    """Decide on a run and put it into the ledger, unless an equal one of the same commit is there: that one counts.

    Raises LostRaceError where others keep changing the ledger, or have changed the baseline by which a look stopped it.
    """
    entry = _entered(project, record)
    if entry is None:
        raise LostRaceError(
            "the baseline has changed since a look stopped the run, which would not stop it now",
            hint="measure the commit again: it continues from its samples",
        )
    return entry


def _entered(project: Project, record: Record) -> Entry | None:
    """Do what `enter` does; None, and nothing is written, for a stopped run that would not be rejected any more."""
    for _ in range(ATTEMPTS):
        head = project.ledger.head
        known = equal_run(project, record)
        if known is not None:
            project.pending.discard(record.run_id)
            verdict = stored_verdict(project, known.run_id)
            return Entry(project.record(known.run_id), verdict, known)
        verdict = verdict_of(project, record)
        if record.stopped_early is not None and verdict.verdict != "rejected":
            return None
        report = new_report(project, record, verdict)
        files = history.run_files(record, verdict, project.pending.samples(record.run_id), report)
        overtaken = partial(_is_overtaken, project, record, verdict, compared(project, record, verdict), head)
        if project.ledger.append(files, f"{verdict.verdict}: {record.run_id}\n", unless=overtaken):
            project.pending.discard(record.run_id)
            return Entry(record, verdict, None)
    raise LostRaceError("other publishers keep changing the history", hint="run the same command again")


def _measured_and_entered(project: Project, target: Target, observer: Observer, *, fresh: bool, until: Until) -> Entry:
    """Measure a commit until the gate has decided on it, and put the run into the ledger.

    Where others have changed the baseline since a look rejected the run, and the look would not now, it continues.
    """
    for _ in range(ATTEMPTS):
        record = measure_decided(project, target, observer, fresh=fresh, until=until)
        entry = _entered(project, record)
        if entry is not None:
            return entry
        observer.note("the baseline has changed since the look that stopped the run: it continues")
    raise LostRaceError("other publishers keep changing the history", hint="run the same command again")


def equal_run(project: Project, record: Record) -> Run | None:
    """Return the ledger's run that measured the same commit in the same way, where there is one."""
    return next((run for run in project.runs() if run.line.identity == record.identity), None)


def _is_overtaken(project: Project, record: Record, verdict: Verdict, beside: list[str], head: str | None) -> bool:
    """Return whether a run is in the ledger by now, or its verdict or the runs `beside` it would be others.

    All of them were found while the ledger was at `head`.
    """
    if project.ledger.head == head:
        return False
    if equal_run(project, record) is not None:
        return True
    return verdict_of(project, record).rules != verdict.rules or compared(project, record, verdict) != beside


def stored_verdict(project: Project, run_id: str) -> Verdict:
    """Return the verdict that the ledger holds of a run; where a maintainer overruled it, with their word."""
    verdict = history.read_part(project.ledger, run_id, "verdict.json", Verdict)
    run = project.run(run_id)
    decision = run.line.decision if run else None
    return msgspec.structs.replace(verdict, verdict=decision.verdict, no_gain=False) if decision else verdict
