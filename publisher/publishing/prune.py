"""Pruning: delete the deploys of the snapshots that `[netlify] keep` does not hold; their records stay."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from publisher.ledger import canaries, history, snapshots
from publisher.publishing import removal
from publisher.publishing.project import now
from publisher.schema import Pruned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from publisher.config import KeepConfig
    from publisher.ledger.history import Run
    from publisher.publishing.project import Project

    Note = Callable[[str], None]


def keep_policy(project: Project) -> KeepConfig:
    """Return `[netlify] keep` of the commit that the user is on: an old run's own commit does not decide."""
    config, _ = project.config(project.repository.resolve("HEAD"))
    return config.netlify.keep


def prunable(project: Project, keep: KeepConfig) -> list[Run]:
    """Return the snapshots to prune, oldest first: those half pruned, then the published ones that `keep` gives up."""
    held = held_runs(project, keep)
    return half_pruned(project) + [
        run for run in project.runs() if run.receipt and run.run_id not in held and not run.given_up
    ]


def held_runs(project: Project, keep: KeepConfig) -> set[str]:
    """Return the ids of the published runs that must stay: newest, best, pinned, live, labelled, or shown to some."""
    published = [run for run in project.runs() if run.receipt]
    held = {run.run_id for run in published[-keep.last :]}
    held |= {run_id for suite in _suites(published) for run_id in _best(published, suite, keep.best_per_suite)}
    held |= {pin.run_id for pin in history.pins(project.ledger).values()} if keep.pinned else set()
    held |= {move.run_id for move in history.live_moves(project.ledger)[-1:]}
    canary = canaries.running(project.ledger)
    held |= {canary.start.run_id} if canary else set()
    tagged = project.repository.tags() if keep.labels else {}
    labelled = {sha for tag, sha in tagged.items() if any(fnmatch.fnmatch(tag, label) for label in keep.labels)}
    return held | {run.run_id for run in published if run.line.commit in labelled}


def half_pruned(project: Project) -> list[Run]:
    """Return the snapshots that the ledger says are pruned and whose branches are still there, oldest first."""
    pruned = [run for run in project.runs() if run.line.pruned and run.last_receipt and not run.is_over]
    there = snapshots.remaining(project.ledger, [run.line.snapshot for run in pruned]) if pruned else set()
    return [run for run in pruned if run.line.snapshot in there]


def _suites(runs: Sequence[Run]) -> set[str]:
    return {suite for run in runs for suite in run.line.scores}


def _best(runs: Sequence[Run], suite: str, count: int) -> list[str]:
    """Return the ids of the best runs of a suite; of equal ones the older."""
    measured = [run for run in runs if suite in run.line.scores]
    return [run.run_id for run in sorted(measured, key=lambda run: -run.line.scores[suite].score)[:count]]


def prune(project: Project, run: Run, keep: KeepConfig, note: Note) -> bool:
    """Delete a snapshot's deploys and last its branch; return False where it must stay after all, or nothing is there.

    Its record stays, and says so. Raises StorageError where the ledger's names are not this run's, DeployError where
    the snapshot goes live meanwhile.
    """
    target, receipt = removal.target_of(run), run.last_receipt
    removal.check_branch(project, target)
    netlify, _ = project.client_of(run)
    removal.require_token(netlify)
    if receipt is None:
        return False
    made = Pruned(
        run_id=run.run_id,
        snapshot=target.branch,
        commit=target.snapshot,
        number=receipt.number,
        who=project.who,
        time=now(),
    )

    def stays() -> bool:
        # Asked with the newest ledger, and the entry is only pushed on top of that: a pin or a rollback that was
        # written down in between makes the push fail, and this is asked again.
        current = project.run(run.run_id)
        return (
            current is None
            or current.receipt != receipt
            or run.run_id in held_runs(project, keep)
            or removal.is_live(project, target)
        )

    # The ledger first: a snapshot that is half deleted is then known to be on its way out.
    if not run.line.pruned:
        project.ledger.append(history.pruned_file(made), f"Prune {target.branch}\n", unless=stays)
    current = project.run(run.run_id)
    if current is None or not current.line.pruned or removal.is_live(project, target):
        note(f"{target.branch} stays: it was pinned, shown live or repaired meanwhile")
        return False
    done = removal.delete_snapshot(project, netlify, target, note)
    if done:
        note(f"pruned {target.branch}")
    return done
