"""Which run or snapshot a word on the command line means."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.errors import ConfigError, PublisherError, UsageError
from publisher.gate.baseline import Measured
from publisher.ledger import history
from publisher.schema import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.ledger.history import Run
    from publisher.publishing.project import Project
    from publisher.schema import Record


def find_snapshot(project: Project, wanted: str) -> Run:
    """Return the snapshot that a branch, a pin, a commit, a run id or `-N` (N before live) stands for.

    A commit that measures what a kept run did has no snapshot of its own: it stands for the one that it shares.
    Raises UsageError where there is none, several, or one whose pages were taken down.
    """
    try:
        run = find_published(project, wanted)
    except UsageError:
        shared = _shared(project, wanted)
        if shared is None:
            raise
        run = shared
    if run.taken_down is not None:
        raise UsageError(
            f"{run.line.snapshot} was taken down by {run.taken_down.who or 'somebody'} on {run.taken_down.time}: "
            f"{run.taken_down.why}",
            hint="publisher snapshots   lists the others",
        )
    return run


def find_repairable(project: Project, wanted: str) -> Run:
    """Return the snapshot that `wanted` stands for, or the kept run that was never published to the end."""
    left = [
        run
        for run in project.runs()
        if run.line.verdict == "kept" and run.last_receipt is None and not run.is_over and _matches(run, wanted)
    ]
    return left[0] if len(left) == 1 else find_snapshot(project, wanted)


def find_published(project: Project, wanted: str, *, named: bool = False) -> Run:
    """Return the snapshot that `wanted` stands for, as `find_snapshot` does, even if its pages were taken down.

    With `named`, a run counts from when its branch is named in the ledger: a build may show it already.
    """
    published = [run for run in project.runs() if run.last_receipt or (named and run.snapshot)]
    if re.fullmatch(r"-\d{1,6}", wanted):
        return _before_live(project, [run for run in published if run.receipt], int(wanted[1:]))
    pin = history.pins(project.ledger).get(wanted)
    found = [run for run in published if _matches(run, wanted) or (pin is not None and pin.run_id == run.run_id)]
    if not found:  # a revision that only git knows, such as HEAD or a tag
        with suppress(UsageError):
            commit = _commit(project, wanted)
            found = [run for run in published if run.line.commit == commit]
    return _only(found, wanted, "published snapshot", "publisher snapshots   lists them")


def find_named(project: Project, wanted: str) -> Run:
    """Return the run whose pages `wanted` stands for, published to the end or not; UsageError where it has none."""
    try:
        return find_published(project, wanted, named=True)
    except UsageError as error:
        recorded = [run for run in project.runs() if _matches(run, wanted) and not run.snapshot]
        if len(recorded) != 1:
            raise
        run = recorded[0]
        raise UsageError(
            f"{run.run_id} was recorded but never published, so there is no page to take down",
            hint=f"publisher give-up {run.run_id} --reason WHY   keeps it from being published"
            if run.line.verdict == "kept" and not run.is_over
            else "the ledger keeps every run; nothing shows this one",
        ) from error


def find_run(project: Project, wanted: str) -> Run:
    """Return the run that a run id, a snapshot, a pin or a revision stands for, published or not."""
    pin = history.pins(project.ledger).get(wanted)
    found = [run for run in project.runs() if _matches(run, wanted) or (pin is not None and pin.run_id == run.run_id)]
    if not found:
        commit = _commit(project, wanted)
        found = [run for run in project.runs() if run.line.commit == commit]
    return _only(found, wanted, "run", "publisher log   lists them")


SMOKE = "smoke"
"""The word for the smoke run that was measured last."""


@dataclass(frozen=True, slots=True)
class Found:
    """A measured run: with its state in the ledger, or pending, without a verdict."""

    record: Record
    run: Run | None
    smoke: bool = False
    """Whether it is a smoke run, which never gets a verdict."""

    @property
    def measured(self) -> Measured:
        """The run as the gate sees it; the line of a pending one says `inconclusive`."""
        return Measured(self.run.line if self.run else history.summarize(self.record), self.record)


def find_measured(project: Project, wanted: str, tier: str = "", *, unfinished: bool = False) -> Found:
    """Return the run that a run id, snapshot, pin, `-N` (N before live) or revision stands for, pending ones included.

    Of several runs of a commit it is the newest of `tier`, or of the tier that the commit publishes; with `unfinished`
    one counts that is still being measured here. `smoke` is the smoke run that was measured last. Raises UsageError
    where there is none, or where that does not tell which one is meant.
    """
    if wanted == SMOKE:
        return Found(_last_smoke(project), None, smoke=True)
    if re.fullmatch(r"-\d{1,6}", wanted):
        before = find_snapshot(project, wanted)
        return Found(project.record(before.run_id), before)
    runs, waiting = project.runs(), [*project.pending.records(), *(project.running.records() if unfinished else [])]
    pin = history.pins(project.ledger).get(wanted)
    named = [run for run in runs if _matches(run, wanted) or (pin is not None and pin.run_id == run.run_id)]
    pending = [
        one for one in waiting if wanted == one.run_id or (len(wanted) >= 7 and one.commit.sha.startswith(wanted))
    ]
    if not named and not pending:
        commit = _commit(project, wanted)
        named = [run for run in runs if run.line.commit == commit]
        pending = [one for one in waiting if one.commit.sha == commit]
    entered = {run.run_id: run for run in named}
    tiers = {run_id: run.line.tier for run_id, run in entered.items()} | {one.run_id: one.tier for one in pending}
    chosen = _newest(project, tiers, wanted, tier)
    record = next((one for one in pending if one.run_id == chosen), None)
    run = entered.get(chosen)
    if run is not None:
        return Found(project.record(chosen), run)
    if record is None:
        raise UsageError(f"{wanted!r} names no run", hint="publisher log   lists them")
    return Found(record, None)


def _last_smoke(project: Project) -> Record:
    """Return the smoke run that was measured last; UsageError where there is none."""
    for record in project.smoke.records():
        return record
    raise UsageError("no smoke run was measured yet", hint="publisher bench --limit 10")


def _shared(project: Project, wanted: str) -> Run | None:
    """Return the snapshot that a commit without one shares, since it changed nothing; None where it shares none."""
    commit = ""
    with suppress(UsageError):
        commit = _commit(project, wanted)
    found = [
        run
        for run in project.runs()
        if run.line.verdict == "unchanged" and (run.line.commit == commit or _matches(run, wanted))
    ]
    if not found:
        return None
    verdict = history.read_part(project.ledger, found[-1].run_id, "verdict.json", Verdict)
    run = project.run(verdict.same_as)
    return run if run is not None and run.last_receipt is not None else None


def _commit(project: Project, wanted: str) -> str:
    """Return the commit of a revision; UsageError in our words where it names neither a run nor a commit."""
    try:
        return project.repository.resolve(wanted)
    except PublisherError as error:
        raise UsageError(
            f"{wanted!r} names no run, snapshot, pin or commit", hint="publisher log   lists the runs"
        ) from error


def _newest(project: Project, tiers: dict[str, str], wanted: str, tier: str) -> str:
    """Return the newest of some runs, given with their tiers, the pending ones last."""
    known = [run_id for run_id, its in tiers.items() if tier in {"", its}]
    if not known:
        of = f" of tier {tier}" if tier else ""
        raise UsageError(f"{wanted!r} names no run{of}", hint="publisher log   lists them; publisher bench   makes one")
    if len({tiers[run_id] for run_id in known}) > 1:
        published = [run_id for run_id in known if tiers[run_id] == _published_tier(project, known[-1])]
        if not published:
            raise UsageError(
                f"{wanted!r} names runs of several tiers", hint="add --tier, or give a run id", detail="\n".join(known)
            )
        known = published
    return known[-1]


def _published_tier(project: Project, run_id: str) -> str:
    """Return the tier that the commit of a run publishes; empty where its configuration does not tell."""
    try:
        config, _ = project.config(project.repository.resolve(run_id.split("-")[1]))
    except (ConfigError, UsageError):
        return ""
    return config.publishing_tier


def _matches(run: Run, wanted: str) -> bool:
    return wanted in {run.run_id, run.line.snapshot} or (len(wanted) >= 7 and run.line.commit.startswith(wanted))


def _only(found: Sequence[Run], wanted: str, what: str, hint: str) -> Run:
    """Return the one run that was found; UsageError where there is none, or more than one."""
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"{wanted!r} names no {what}", hint=hint)
    ids = "".join(f"\n{run.run_id}" for run in found[:10])
    raise UsageError(f"{wanted!r} names {len(found)} {what}s", hint="give a whole run id", detail=ids.strip())


def _before_live(project: Project, published: Sequence[Run], steps: int) -> Run:
    """Return the snapshot `steps` before the live one."""
    moves = history.live_moves(project.ledger)
    shown = next((number for number, run in enumerate(published) if moves and run.run_id == moves[-1].run_id), None)
    if shown is None or shown < steps:
        raise UsageError(f"there is no snapshot {steps} before the live one", hint="publisher snapshots   lists them")
    return published[shown - steps]
