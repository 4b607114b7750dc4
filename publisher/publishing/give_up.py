"""Ending a run for good: one entry in the ledger, after which nothing tries to publish or to mend it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.errors import UsageError
from publisher.ledger import history
from publisher.publishing.project import now
from publisher.schema import GivenUp

if TYPE_CHECKING:
    from publisher.ledger.history import Run
    from publisher.publishing.project import Project

LONGEST_REASON = 1000
"""Characters of a reason that the ledger keeps."""


def check_reason(reason: str) -> str:
    """Return a reason on one line; UsageError where the ledger cannot keep it: empty, too long or not UTF-8."""
    flat = " ".join(reason.split())
    if any("\ud800" <= character <= "\udfff" for character in flat):
        raise UsageError("the reason is not UTF-8, so the ledger cannot keep it")
    if not flat:
        raise UsageError("the ledger keeps the reason for ever, so it cannot be empty", hint='--reason "WHY"')
    if len(flat) > LONGEST_REASON:
        raise UsageError(f"the reason has {len(flat)} characters; the ledger keeps {LONGEST_REASON}")
    return flat


def check(run: Run) -> None:
    """Raise UsageError for a run that has nothing to give up: its verdict is final and nothing is left to be done."""
    if run.line.verdict in {"rejected", "inconclusive"}:
        raise UsageError(
            f"{run.run_id} is {run.line.verdict}: it is never published, so there is nothing to give up",
            hint="publisher reconcile --dry-run   lists the unfinished runs",
        )


def give_up(project: Project, run: Run, *, reason: str) -> GivenUp:
    """Write down that a run is given up, and return the entry; the first one counts."""
    check(run)
    if run.given_up is not None:
        return run.given_up
    made = GivenUp(run_id=run.run_id, who=project.who, why=check_reason(reason), time=now())

    def known() -> bool:
        there = project.run(run.run_id)
        return there is not None and there.given_up is not None

    project.ledger.append(history.given_up_file(made), f"Give up {run.run_id}\n", unless=known)
    there = project.run(run.run_id)
    return (there.given_up if there else None) or made
