"""Finish what was left half published: kept runs without a receipt, and the last move of the live site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.errors import PublisherError
from publisher.ledger import history
from publisher.publishing import takedown
from publisher.publishing.canary import course
from publisher.publishing.deliver import Desk, check_settings, deliver, remove_duplicates
from publisher.publishing.failures import CANARY, SITE, Failures
from publisher.publishing.live import contenders, show_live

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.ledger.history import Run
    from publisher.publishing.project import Project
    from publisher.schema import Receipt

    Note = Callable[[str], None]

MOST_REQUESTS = 5
"""How many calls of the build hook `publish` makes for a run of somebody else's before it leaves it to `reconcile`."""
NEWEST = "newest kept run"
"""Why the live site moves by itself."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What `reconcile` came to: the new receipts, and what could not be finished."""

    receipts: list[Receipt]
    failures: Failures


def finish_others(project: Project, commit: str, note: Note, *, patient: bool = True) -> None:
    """Finish other commits' runs that were left half published; none of them holds up anything else.

    What another publisher is at is only waited for where `patient`.
    """
    for run in unfinished(project):
        if run.line.commit == commit:
            continue
        if len(run.requests) >= MOST_REQUESTS:
            note(f"{run.run_id} was asked for {len(run.requests)} times in vain: publisher reconcile")
            continue
        try:
            finish(Desk.of_run(project, run, note, patient=patient), run)
        except PublisherError as error:
            note(f"{run.run_id} is still not published: {error.message}")
    try:
        finish_move(project, note)
    except PublisherError as error:
        note(f"the live site is still not moved: {error.message}")
    try:
        course.settle_lost(project, note)
    except PublisherError as error:
        note(f"{error.message}: {error.hint}")
    if not unfinished(project):
        project.marks.forget()


def finish_move(project: Project, note: Note) -> None:
    """Show the newest published run live, where its publisher was interrupted just before that."""
    published = contenders(project)
    moved = {move.run_id for move in history.live_moves(project.ledger)}
    newest = next(reversed(published), "")
    receipt = published[newest].receipt if newest and newest not in moved else None
    if receipt is not None:
        desk = Desk.of_run(project, published[newest], note)
        if desk.limits.live == "auto":
            show_live(desk, receipt, why=NEWEST)


def unfinished(project: Project) -> list[Run]:
    """Return the kept runs that have no receipt, oldest first."""
    return [
        run for run in project.runs() if run.line.verdict == "kept" and run.last_receipt is None and not run.is_over
    ]


def finish(desk: Desk, run: Run) -> Receipt:
    """Bring one kept run to its end."""
    check_settings(desk.netlify)
    receipt = deliver(desk, desk.project.record(run.run_id))
    show_newest(desk, receipt)
    return receipt


def show_newest(desk: Desk, receipt: Receipt) -> None:
    """Show a new snapshot live, unless `[netlify] live` leaves that to a person."""
    if desk.limits.live == "approve":
        desk.note(f'[netlify] live = "approve": publisher rollback {receipt.snapshot}   shows it on the live site')
    else:
        show_live(desk, receipt, why=NEWEST)


def reconcile(project: Project, note: Note) -> Reconciled:
    """Finish every kept run that was not published to the end, oldest first; one that cannot be holds up no other."""
    project.ledger.sync()
    failures = Failures(note)
    takedown.finish_all(project, failures, note)
    receipts = []
    for run in unfinished(project):
        with failures.of(run.run_id):
            receipts.append(finish(Desk.of_run(project, run, note), run))
    for run in project.runs():
        if run.receipt is not None and not run.is_over and len(run.requests) > run.receipt.number:
            with failures.of(run.run_id):
                remove_duplicates(Desk.of_run(project, run, note), run.receipt)
    with failures.of(SITE):
        finish_move(project, note)
    with failures.of(CANARY):
        course.settle(project, note)
    if not unfinished(project):
        project.marks.forget()
    return Reconciled(receipts, failures)
