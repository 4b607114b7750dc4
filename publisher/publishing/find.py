"""Which run or snapshot a word on the command line means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from publisher.errors import UsageError
from publisher.ledger import history

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.ledger.history import Run
    from publisher.publishing.project import Project


def find_snapshot(project: Project, wanted: str) -> Run:
    """Return the snapshot that a branch, a pin, a commit's beginning, a run id or `-N` (N before live) stands for.

    Raises UsageError where there is none, several, or one whose pages were taken down.
    """
    run = find_published(project, wanted)
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
    """Return the run that a run id, a snapshot's branch or a commit's beginning stands for, published or not."""
    found = [run for run in project.runs() if _matches(run, wanted)]
    return _only(found, wanted, "run", "publisher log   lists them")


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
