"""The order of things, and nothing else: measure, decide, append, deliver, show live.

Each step leaves its result in the ledger (or in the pending folder while there is no verdict yet), so a run that was
interrupted anywhere goes on from there, and a step that finds its result already there does nothing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from publisher.bench.workspace import end_fresh, fresh_salt
from publisher.errors import DeployError, GitError, LostRaceError, NetworkError
from publisher.gate.baseline import Measured
from publisher.gate.policy import decide, needed
from publisher.ledger import history
from publisher.publishing import takedown
from publisher.publishing.deliver import check_settings, deliver
from publisher.publishing.failures import Failures
from publisher.publishing.live import show_live
from publisher.publishing.project import Project, now
from publisher.schema import Receipt, Record, Verdict

if TYPE_CHECKING:
    from publisher.bench.measure import Observer
    from publisher.ledger.history import Run

MOST_REQUESTS = 5
"""How many calls of the build hook `publish` makes for a run of somebody else's before it leaves it to `reconcile`."""
ATTEMPTS = 12
NEWEST = "newest kept run"
"""Why the live site moves by itself."""
News = Literal["published", "already published", "refused", "already refused", "inconclusive", "given up", "taken down"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `publish` came to: the verdict, and the receipt where the run was published."""

    record: Record
    verdict: Verdict
    receipt: Receipt | None
    news: News


def bench(
    project: Project, revision: str, tier: str, observer: Observer, *, fresh: bool = False, reuse: bool = True
) -> Record:
    """Measure a commit, or find the run that did, and return its record; a new one is left in the pending folder.

    With `fresh` it is measured with new seeds; without `reuse` every sample is generated, whatever earlier runs have.
    A fresh measurement that was interrupted continues.
    """
    record = _measured(project, revision, tier, observer, fresh=fresh, reuse=reuse)
    if fresh:
        end_fresh(project.workspace, record.commit.sha, record.tier)
    return record


def _measured(
    project: Project, revision: str, tier: str, observer: Observer, *, fresh: bool, reuse: bool = True
) -> Record:
    """Do what `bench` does, but leave it to the caller to say when a fresh measurement has served its purpose."""
    commit = project.repository.resolve(revision)
    config, digest = project.config(commit)
    tier = tier or config.publishing_tier
    config.tier(tier)
    started = dt.datetime.now(dt.UTC)
    salt = fresh_salt(project.workspace, commit, tier, started.isoformat()) if fresh else ""
    known = project.measured(commit, tier, salt=salt) if reuse or fresh else None
    if known is not None:
        again = "by the same command, which was interrupted later" if fresh else "already (--fresh measures it again)"
        observer.note(f"{known.run_id} measured this commit {again}")
        return known
    # What infers is absent where sites are built.
    from publisher.bench.measure import Job, measure  # noqa: PLC0415
    from publisher.engine.fleet import Fleet  # noqa: PLC0415

    job = Job(
        project.repository,
        commit,
        config,
        digest,
        tier,
        project.repository.is_dirty(),
        salt,
        started,
    )
    measurement = measure(
        job,
        start=Fleet,
        workspace=project.workspace,
        reusable=project.reusable if reuse else lambda _: (),
        observer=observer,
        lengths=lambda: project.lengths(tier),
    )
    project.pending.store(measurement.record, measurement.packed)
    measurement.forget_journal()
    return measurement.record


def verdict_of(project: Project, record: Record) -> Verdict:
    """Return what the gate says of a run: the verdict that it has in the ledger, or a new one that is not stored."""
    runs = project.runs()
    if any(run.run_id == record.run_id and run.line.verdict != "unreadable" for run in runs):
        return stored_verdict(project, record.run_id)
    config, _ = project.config(record.commit.sha)
    earlier = [run.line for run in runs if run.run_id < record.run_id]
    run = Measured(history.summarize(record), record)
    return decide(run, earlier, config, records=project.records(needed(run, earlier, config)), decided=now())


def publish(project: Project, revision: str, tier: str, observer: Observer, *, fresh: bool = False) -> Outcome:
    """Take a commit all the way: measured, decided on, recorded and, when kept, published and shown live."""
    outcome = _published(project, revision, tier, observer, fresh=fresh)
    if fresh:
        end_fresh(project.workspace, outcome.record.commit.sha, outcome.record.tier)
    return outcome


def _published(project: Project, revision: str, tier: str, observer: Observer, *, fresh: bool) -> Outcome:
    """Do what `publish` does; every step looks first whether it is done already."""
    commit = project.repository.resolve(revision)
    config, _ = project.config(commit)
    netlify = project.netlify(config)
    check_settings(netlify)
    project.ledger.sync()
    finish_others(project, commit, observer)
    record = _measured(project, revision, tier, observer, fresh=fresh)
    record, verdict, known = enter(project, record)
    if verdict.verdict != "kept":
        refused: News = "already refused" if known else "refused"
        return Outcome(record, verdict, None, "inconclusive" if verdict.verdict == "inconclusive" else refused)
    if known is not None and (known.taken_down or known.given_up):
        return Outcome(record, verdict, None, _ended(known, observer))
    if known is not None and known.line.pruned:
        observer.note(f"its deploy was pruned {known.line.pruned}: publisher verify {known.line.snapshot} --repair")
        return Outcome(record, verdict, known.last_receipt, "already published")
    before = known.receipt if known else None
    receipt = before or deliver(project, netlify, record, config, observer.note)
    show_live(project, netlify, receipt, config, why=NEWEST, note=observer.note)
    return Outcome(record, verdict, receipt, "already published" if before else "published")


def _ended(run: Run, observer: Observer) -> News:
    """Say that a run is never published any more, by whose decision, and return the word for it."""
    news: News = "taken down" if run.taken_down else "given up"
    entry = run.taken_down or run.given_up
    if entry is not None:
        observer.note(f"{run.run_id} was {news} by {entry.who or 'somebody'} on {entry.time}: {entry.why}")
    observer.note("publisher publish --fresh   measures the commit again")
    return news


def enter(project: Project, record: Record) -> tuple[Record, Verdict, Run | None]:
    """Judge a run and put it into the ledger, unless an equal one of the same commit is there: then that one counts.

    Returns the record that counts, its verdict, and its run where it was there before.
    """
    for _ in range(ATTEMPTS):
        known = equal_run(project, record)
        if known is not None:
            project.pending.discard(record.run_id)
            return project.record(known.run_id), stored_verdict(project, known.run_id), known
        verdict = verdict_of(project, record)
        files = history.run_files(record, verdict, project.pending.samples(record.run_id))
        overtaken = partial(_is_overtaken, project, record, verdict)
        if project.ledger.append(files, f"{verdict.verdict}: {record.run_id}\n", unless=overtaken):
            project.pending.discard(record.run_id)
            return record, verdict, None
    raise LostRaceError("other publishers keep changing the history", hint="run the same command again")


def equal_run(project: Project, record: Record) -> Run | None:
    """Return the ledger's run that measured the same commit in the same way, where there is one."""
    wanted = (record.commit.sha, record.tier, record.fingerprint, record.salt)
    return next((run for run in project.runs() if run.line.identity == wanted), None)


def _is_overtaken(project: Project, record: Record, verdict: Verdict) -> bool:
    """Return whether the ledger has changed so that a run is there already or would be judged in another way now."""
    return equal_run(project, record) is not None or verdict_of(project, record).rules != verdict.rules


def stored_verdict(project: Project, run_id: str) -> Verdict:
    """Return the verdict that the ledger holds of a run."""
    return history.read_part(project.ledger, run_id, "verdict.json", Verdict)


def finish_others(project: Project, commit: str, observer: Observer) -> None:
    """Finish other commits' runs that were left half published; one that cannot be does not hold up the next."""
    for run in unfinished(project):
        if run.line.commit == commit:
            continue
        if len(run.requests) >= MOST_REQUESTS:
            observer.note(f"{run.run_id} was asked for {len(run.requests)} times in vain: publisher reconcile")
            continue
        try:
            finish(project, run, observer)
        except (DeployError, NetworkError, GitError) as error:
            observer.note(f"{run.run_id} is still not published: {error.message}")
    try:
        finish_move(project, observer)
    except (DeployError, NetworkError, GitError) as error:
        observer.note(f"the live site is still not moved: {error.message}")


def finish_move(project: Project, observer: Observer) -> None:
    """Show the newest published run live, where its publisher was interrupted just before that."""
    newest = next((run for run in reversed(project.runs()) if run.receipt and not run.is_over), None)
    if newest is None or newest.receipt is None:
        return
    if all(move.run_id != newest.run_id for move in history.live_moves(project.ledger)):
        config, _ = project.config(newest.line.commit)
        show_live(project, project.netlify(config), newest.receipt, config, why=NEWEST, note=observer.note)


def unfinished(project: Project) -> list[Run]:
    """Return the kept runs that have no receipt, oldest first."""
    return [
        run for run in project.runs() if run.line.verdict == "kept" and run.last_receipt is None and not run.is_over
    ]


def finish(project: Project, run: Run, observer: Observer) -> Receipt:
    """Bring one kept run to its end."""
    record = project.record(run.run_id)
    config, _ = project.config(record.commit.sha)
    netlify = project.netlify(config)
    check_settings(netlify)
    receipt = deliver(project, netlify, record, config, observer.note)
    show_live(project, netlify, receipt, config, why=NEWEST, note=observer.note)
    return receipt


def reconcile(project: Project, observer: Observer) -> list[Receipt]:
    """Finish every kept run that was not published to the end, oldest first, and return the new receipts."""
    project.ledger.sync()
    failures = Failures(observer.note)
    takedown.finish_all(project, failures, observer.note)
    receipts = [finish(project, run, observer) for run in unfinished(project)]
    finish_move(project, observer)
    failures.check("finished")
    return receipts
