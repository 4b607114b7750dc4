"""Taking a published page down for good: an entry in the ledger, then every deploy, pin and branch that shows it.

The entry comes first. From then on nothing publishes, pins or shows the snapshot again, and whoever finds it half
deleted (the same command, or `reconcile`) deletes the rest. The snapshot's branch goes last: it marks what is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.errors import DeployError
from publisher.git import is_branch_name
from publisher.ledger import canaries, history, snapshots
from publisher.publishing import ending, removal
from publisher.publishing.give_up import check_reason
from publisher.publishing.project import now
from publisher.schema import TakenDown

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.ledger.history import Run
    from publisher.netlify.client import Deploy, Netlify
    from publisher.publishing.failures import Failures
    from publisher.publishing.project import Project
    from publisher.publishing.removal import Target

    Note = Callable[[str], None]


def check(project: Project, run: Run) -> tuple[Target, Netlify]:
    """Return what is to be taken down and where; raises an error where it must not be, or cannot be from here."""
    target = removal.target_of(run)
    removal.check_branch(project, target)
    netlify, _ = project.client_of(run)
    removal.require_token(netlify)
    if removal.is_live(project, target):
        raise _live(target)
    return target, netlify


def _live(target: Target) -> DeployError:
    return DeployError(
        f"{target.branch} is live: show another snapshot first, then take it down",
        hint='publisher rollback OTHER-SNAPSHOT --why "…"   (publisher snapshots lists them)',
    )


def take_down(project: Project, run: Run, *, reason: str, note: Note) -> TakenDown:
    """Remove a snapshot's pages and return the ledger's entry; what was removed in part is removed to the end."""
    target, netlify = check(project, run)
    if run.taken_down is None:
        made = TakenDown(
            run_id=run.run_id,
            snapshot=target.branch,
            commit=target.snapshot,
            who=project.who,
            why=check_reason(reason),
            time=now(),
        )

        def stays() -> bool:
            current = project.run(run.run_id)
            return current is None or current.taken_down is not None or removal.is_live(project, target)

        project.ledger.append(history.taken_down_file(made), f"Take down {target.branch}\n", unless=stays)
    current = project.run(run.run_id)
    entry = current.taken_down if current else None
    if entry is None:
        raise _live(target)
    finish(project, netlify, target, note)
    return entry


def half_taken_down(project: Project) -> list[Run]:
    """Return the runs that the ledger says are taken down and whose branches are still there, oldest first."""
    down = [run for run in project.runs() if run.taken_down]
    there = snapshots.remaining(project.ledger, [run.line.snapshot for run in down]) if down else set()
    return [run for run in down if run.line.snapshot in there]


def finish_all(project: Project, failures: Failures, note: Note) -> None:
    """Finish every takedown that was interrupted; one that cannot be finished does not hold up the next."""
    for run in half_taken_down(project):
        with failures.of(run.run_id):
            target, netlify = check(project, run)
            finish(project, netlify, target, note)


def finish(project: Project, netlify: Netlify, target: Target, note: Note) -> None:
    """Delete every deploy, every pin's branch and last the branch of a snapshot that is to be taken down.

    A gray release that shows it ends.
    """
    for canary in canaries.canaries(project.ledger):
        if canary.start.run_id == target.run_id:
            ending.end_lost(project, netlify, canary, note)
            ending.close(project, netlify, canary, note)
    # A long list is cut, so the branch's own deploys are asked for by name, too.
    listed = {deploy.id: deploy for deploy in [*netlify.deploys(), *netlify.deploys(branch=target.branch)]}
    for deploy in listed.values():
        if _is_of(project, deploy, target):
            note(f"deleting deploy {deploy.id} of {deploy.branch}")
            removal.delete_deploy(project, netlify, target, deploy)
    for name, pin in history.pins(project.ledger).items():
        if pin.run_id == target.run_id and is_branch_name(name):
            # Only where the branch is at the snapshot: a pin's name in a forged ledger may be anybody's branch.
            removal.delete_branch(project, name, target, note)
    removal.delete_branch(project, target.branch, target, note)
    note(f"taken down: {target.branch}")


def _is_of(project: Project, deploy: Deploy, target: Target) -> bool:
    """Return whether a deploy shows a snapshot: its own, a pin's (of former pins too), or one of the branch `live`.

    A deploy that names no commit is only known by its branch.
    """
    if not deploy.commit_ref:
        return deploy.branch == target.branch
    return removal.shows(project, deploy.commit_ref, target.snapshot)
