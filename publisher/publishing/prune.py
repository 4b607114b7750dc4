"""Pruning: the snapshots that no rule keeps, and giving up their deploys; records stay."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from publisher.ledger import history, snapshots
from publisher.publishing.project import now
from publisher.schema import Pruned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from publisher.ledger.history import Run
    from publisher.publishing.project import Project

    Note = Callable[[str], None]


def prunable(project: Project) -> list[Run]:
    """Return the published snapshots that no rule of `[netlify] keep` holds, after those that are pruned by half."""
    published = [run for run in project.runs() if run.receipt]
    if not published:
        return half_pruned(project)
    _, config = project.client_of(published[-1])
    keep = config.netlify.keep
    kept = {run.run_id for run in published[-keep.last :]}
    kept |= {run_id for suite in _suites(published) for run_id in _best(published, suite, keep.best_per_suite)}
    kept |= {pin.run_id for pin in history.pins(project.ledger).values()} if keep.pinned else set()
    kept |= {move.run_id for move in history.live_moves(project.ledger)[-1:]}
    tagged = project.repository.tags() if keep.labels else {}
    labelled = {sha for tag, sha in tagged.items() if any(fnmatch.fnmatch(tag, label) for label in keep.labels)}
    given_up = [run for run in published if run.run_id not in kept and run.line.commit not in labelled]
    return half_pruned(project) + given_up


def half_pruned(project: Project) -> list[Run]:
    """Return the snapshots that the ledger says are pruned and whose branches are still there, oldest first."""
    pruned = [run for run in project.runs() if run.line.pruned]
    there = snapshots.remaining(project.ledger, [run.line.snapshot for run in pruned]) if pruned else set()
    return [run for run in pruned if run.line.snapshot in there]


def _suites(runs: Sequence[Run]) -> set[str]:
    return {suite for run in runs for suite in run.line.scores}


def _best(runs: Sequence[Run], suite: str, count: int) -> list[str]:
    """Return the ids of the best runs of a suite; of equal ones the older."""
    measured = [run for run in runs if suite in run.line.scores]
    return [run.run_id for run in sorted(measured, key=lambda run: -run.line.scores[suite].score)[:count]]


def prune(project: Project, run: Run, note: Note) -> None:
    """Delete a snapshot's deploys and last its branch; its record stays, and says so."""
    netlify, _ = project.client_of(run)
    branch, receipt = run.line.snapshot, run.last_receipt
    if receipt is None:
        return
    if not run.line.pruned:
        made = Pruned(
            run_id=run.run_id,
            snapshot=branch,
            commit=receipt.commit,
            number=receipt.number,
            who=project.who,
            time=now(),
        )
        # The ledger first: a snapshot that is half deleted is then known to be on its way out.
        project.ledger.append(history.pruned_file(made), f"Prune {branch}\n")
    for deploy in netlify.deploys(branch=branch):
        netlify.delete(deploy.id)
    snapshots.delete_branch(project.ledger, branch, receipt.commit)
    note(f"pruned {branch}")
