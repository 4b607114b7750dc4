"""The order of things, and nothing else: measure, decide, append, deliver, show live.

Each step leaves its result in the ledger (or in the pending folder while there is no verdict yet), so a run that was
interrupted anywhere goes on from there, and a step that finds its result already there does nothing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from publisher.deliver import check_settings, deliver, show_live
from publisher.errors import DeployError, GitError, LostRaceError, NetworkError
from publisher.gate.policy import decide
from publisher.ledger import history
from publisher.place import Place, now
from publisher.schema import Receipt, Record, Verdict

if TYPE_CHECKING:
    from publisher.bench.measure import Observer
    from publisher.ledger.history import Run

MOST_REQUESTS = 5
"""How many calls of the build hook `publish` makes for a run of somebody else's before it leaves it to `reconcile`."""
ATTEMPTS = 12
NEWEST = "newest kept run"
"""Why the live site moves by itself."""
News = Literal["published", "already published", "refused", "already refused", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `publish` came to: the verdict, and the receipt where the run was published."""

    record: Record
    verdict: Verdict
    receipt: Receipt | None
    news: News


def bench(place: Place, revision: str, tier: str, observer: Observer, *, fresh: bool = False,
          reuse: bool = True) -> Record:  # fmt: skip
    """Measure a commit, or find the run that did, and return its record; a new one is left in the pending folder.

    With `fresh` it is measured with new seeds; without `reuse` every sample is generated, whatever earlier runs have.
    """
    commit = place.repository.resolve(revision)
    config, digest = place.config(commit)
    tier = tier or config.publishing_tier
    config.tier(tier)
    known = place.measured(commit, tier) if reuse and not fresh else None
    if known is not None:
        observer.note(f"{known.run_id} measured this commit already (--fresh measures it again)")
        return known
    from publisher.bench.measure import Job, measure  # noqa: PLC0415 - what infers is absent where sites are built

    started = dt.datetime.now(dt.UTC)
    job = Job(place.repository, commit, config, digest, tier, place.repository.is_dirty(),
              started.isoformat() if fresh else "", started)
    measurement = measure(job, workspace=place.workspace, reusable=place.reusable if reuse else lambda _: (),
                          observer=observer, lengths=lambda: place.lengths(tier))  # fmt: skip
    place.pending.store(measurement.record, measurement.packed)
    measurement.forget_journal()
    return measurement.record


def judge(place: Place, record: Record) -> Verdict:
    """Return what the gate says of a run: the verdict that it has in the ledger, or a new one that is not stored."""
    runs = place.runs()
    if any(run.run_id == record.run_id and run.line.verdict != "unreadable" for run in runs):
        return stored_verdict(place, record.run_id)
    config, _ = place.config(record.commit.sha)
    earlier = [run.line for run in runs if run.run_id < record.run_id]
    return decide(history.summarize(record), earlier, config, decided=now())


def publish(place: Place, revision: str, tier: str, observer: Observer, *, fresh: bool = False) -> Outcome:
    """Take a commit all the way: measured, judged, recorded and, when kept, published and shown live."""
    commit = place.repository.resolve(revision)
    config, _ = place.config(commit)
    netlify = place.netlify(config)
    check_settings(netlify)
    place.ledger.sync()
    finish_others(place, commit, observer)
    record = bench(place, revision, tier, observer, fresh=fresh)
    record, verdict, known = enter(place, record)
    if verdict.verdict != "kept":
        refused: News = "already refused" if known else "refused"
        return Outcome(record, verdict, None, "inconclusive" if verdict.verdict == "inconclusive" else refused)
    if known is not None and known.line.pruned:
        observer.note(f"its deploy was pruned {known.line.pruned}: publisher verify {known.line.snapshot} --repair")
        return Outcome(record, verdict, known.last_receipt, "already published")
    before = known.receipt if known else None
    receipt = before or deliver(place, netlify, record, config, observer.note)
    show_live(place, netlify, receipt, config, why=NEWEST, note=observer.note)
    return Outcome(record, verdict, receipt, "already published" if before else "published")


def enter(place: Place, record: Record) -> tuple[Record, Verdict, Run | None]:
    """Judge a run and put it into the ledger, unless an equal one of the same commit is there: then that one counts.

    Returns the record that counts, its verdict, and its run where it was there before.
    """
    for _ in range(ATTEMPTS):
        known = equal_run(place, record)
        if known is not None:
            place.pending.discard(record.run_id)
            return place.record(known.run_id), stored_verdict(place, known.run_id), known
        verdict = judge(place, record)
        files = history.run_files(record, verdict, place.pending.samples(record.run_id))
        overtaken = partial(_is_overtaken, place, record, verdict)
        if place.ledger.append(files, f"{verdict.verdict}: {record.run_id}\n", unless=overtaken):
            place.pending.discard(record.run_id)
            return record, verdict, None
    raise LostRaceError("other publishers keep changing the history", hint="run the same command again")


def equal_run(place: Place, record: Record) -> Run | None:
    """Return the ledger's run that measured the same commit in the same way, where there is one."""
    wanted = (record.commit.sha, record.tier, record.fingerprint, record.salt)
    return next((run for run in place.runs() if run.line.identity == wanted), None)


def _is_overtaken(place: Place, record: Record, verdict: Verdict) -> bool:
    """Return whether the ledger has changed so that a run is there already or would be judged in another way now."""
    return equal_run(place, record) is not None or judge(place, record).rules != verdict.rules


def stored_verdict(place: Place, run_id: str) -> Verdict:
    """Return the verdict that the ledger holds of a run."""
    return history.read_part(place.ledger, run_id, "verdict.json", Verdict)


def finish_others(place: Place, commit: str, observer: Observer) -> None:
    """Finish other commits' runs that were left half published; one that cannot be does not hold up the next."""
    for run in unfinished(place):
        if run.line.commit == commit:
            continue
        if len(run.requests) >= MOST_REQUESTS:
            observer.note(f"{run.run_id} was asked for {len(run.requests)} times in vain: publisher reconcile")
            continue
        try:
            finish(place, run, observer)
        except (DeployError, NetworkError, GitError) as error:
            observer.note(f"{run.run_id} is still not published: {error.message}")
    try:
        finish_move(place, observer)
    except (DeployError, NetworkError, GitError) as error:
        observer.note(f"the live site is still not moved: {error.message}")


def finish_move(place: Place, observer: Observer) -> None:
    """Show the newest published run live, where its publisher was interrupted just before that."""
    newest = next((run for run in reversed(place.runs()) if run.receipt is not None), None)
    if newest is None or newest.receipt is None:
        return
    if all(move.run_id != newest.run_id for move in history.live_moves(place.ledger)):
        config, _ = place.config(newest.line.commit)
        show_live(place, place.netlify(config), newest.receipt, config, why=NEWEST, note=observer.note)


def unfinished(place: Place) -> list[Run]:
    """Return the kept runs that have no receipt, oldest first."""
    return [run for run in place.runs() if run.line.verdict == "kept" and run.last_receipt is None]


def finish(place: Place, run: Run, observer: Observer) -> Receipt:
    """Bring one kept run to its end."""
    record = place.record(run.run_id)
    config, _ = place.config(record.commit.sha)
    netlify = place.netlify(config)
    check_settings(netlify)
    receipt = deliver(place, netlify, record, config, observer.note)
    show_live(place, netlify, receipt, config, why=NEWEST, note=observer.note)
    return receipt


def reconcile(place: Place, observer: Observer) -> list[Receipt]:
    """Finish every kept run that was not published to the end, oldest first, and return the new receipts."""
    place.ledger.sync()
    receipts = [finish(place, run, observer) for run in unfinished(place)]
    finish_move(place, observer)
    return receipts
