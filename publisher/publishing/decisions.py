"""A maintainer has the last word: keep what the gate rejected or held, or withdraw what it kept.

Each is an entry of the ledger with a name and a reason, which the run's pages show for ever. Whoever may push the
ledger may decide.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from publisher.errors import LostRaceError, UsageError
from publisher.ledger import history
from publisher.publishing.give_up import check_reason
from publisher.publishing.project import now
from publisher.schema import Decision, Verdict

if TYPE_CHECKING:
    from publisher.ledger.history import Run
    from publisher.publishing.project import Project

ATTEMPTS = 12


def decided(run: Run, *, kept: bool, reason: str) -> Decision | None:
    """Return the decision on a run that this very command has made: it was interrupted after its entry."""
    made = run.line.decision
    same = made is not None and made.reason == " ".join(reason.split()) and (made.verdict != "rejected") == kept
    return made if same else None


def accept(project: Project, run: Run, *, reason: str) -> Decision:
    """Keep a run that was rejected, left open or held; it is published next, and part of the baseline from then on.

    A run of a tier that publishes nothing has passed then. Done already, for the same reason, is done.

    Raises UsageError for a run that is kept, shares another's snapshot, was stopped early, or is over.
    """
    made = decided(run, kept=True, reason=reason)
    if made is not None:
        return made
    word = run.line.verdict
    if word == "kept":
        raise UsageError(f"{run.run_id} is kept already", hint="publisher reconcile   publishes what is unfinished")
    if word == "passed":
        raise UsageError(f"{run.run_id} has passed, and its tier publishes nothing", hint="publisher publish")
    if word not in {"rejected", "inconclusive", "held"}:
        raise UsageError(f"{run.run_id} is {word}, so there is nothing to keep")
    if run.is_over:
        raise UsageError(f"{run.run_id} was given up", hint="publisher publish --fresh   measures its commit again")
    if run.line.stopped_early:
        raise UsageError(
            f"{run.run_id} was stopped early, and such a score is biased",
            hint=f"publisher publish {run.line.commit[:12]} --complete   measures the rest; accept that run",
        )
    config, _ = project.config(run.line.commit)
    return _decide(project, run, "kept" if config.publishes(run.line.tier) else "passed", reason)


def withdraw(project: Project, run: Run, *, reason: str) -> Decision:
    """Reject a run that was kept: it leaves the baseline, and later pages say so; its own pages never change.

    Raises UsageError for a run that is not kept and has not passed. Done already, for the same reason, is done.
    """
    made = decided(run, kept=False, reason=reason)
    if made is not None:
        return made
    if run.line.verdict not in {"kept", "passed"}:
        raise UsageError(f"{run.run_id} is {run.line.verdict}, not kept")
    return _decide(project, run, "rejected", reason)


def _decide(project: Project, run: Run, word: Literal["kept", "passed", "rejected"], reason: str) -> Decision:
    """Write a decision after those that were made before."""
    reason = check_reason(reason)
    verdict = history.read_part(project.ledger, run.run_id, "verdict.json", Verdict)
    for _ in range(ATTEMPTS):
        there = project.run(run.run_id)
        before = there.line.decision if there else None
        if before is not None and before.verdict == word:
            return before
        made = Decision(
            run_id=run.run_id,
            number=before.number + 1 if before else 1,
            verdict=word,
            reason=reason,
            who=project.who,
            time=now(),
            overrides=_overruled(verdict, word),
        )
        (path,) = history.decision_file(made)
        message = f"{'Reject' if word == 'rejected' else 'Accept'} {run.run_id}\n"
        if project.ledger.append(history.decision_file(made), message, unless=partial(project.ledger.has, path)):
            return made
    raise LostRaceError("other people keep deciding on this run", hint="publisher log   shows what became of it")


def _overruled(verdict: Verdict, word: str) -> list[str]:
    """Return the reasons of the rules that a decision overrules."""
    if word == "rejected":
        return []
    return [
        f"{rule.rule}: {rule.reason}" for rule in verdict.rules if rule.effect == "block" and rule.outcome != "pass"
    ]
