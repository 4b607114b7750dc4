"""Deleting a snapshot's deploys and its branch, each checked against git and the host first.

Anybody who can push to `ledger` can write what they like into it. So a name that is read from the ledger is only
believed where it has the form of a snapshot's name, belongs to the run's own commit, and the branch that it names was
made for that run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.errors import DeployError, GitError, NetworkError, RemoteRejectedError, StorageError, UsageError
from publisher.ledger import history, snapshots
from publisher.netlify.client import WITHOUT_API

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.ledger.history import Run
    from publisher.netlify.client import Deploy, Netlify
    from publisher.publishing.project import Project
    from publisher.schema import Receipt, SnapshotName

    Note = Callable[[str], None]

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_NUMBER = re.compile(r"(?:-([2-9]|[1-9][0-9]))?\Z")
_NOT_DELETED = "nothing is deleted; see  git log ledger  for who wrote it"


@dataclass(frozen=True, slots=True)
class Target:
    """A snapshot that is to be deleted, with the names that its run must have."""

    run_id: str
    commit: str
    """The benchmarked commit C."""
    branch: str
    snapshot: str
    """The snapshot commit S."""


def target_of(run: Run) -> Target:
    """Return what a run's snapshot must be called; StorageError when the ledger calls it anything else."""
    receipt, named, line = run.last_receipt, run.snapshot, run.line
    places = {(part.run_id, branch, part.commit) for part, branch in _named(receipt, named)}
    if not places:
        raise UsageError(f"{run.run_id} was never published", hint="publisher snapshots   lists what was")
    run_id, branch, snapshot = min(places)
    stem = snapshots.branch_name(line.commit)
    right = (
        len(places) == 1
        and bool(_COMMIT.match(line.commit))
        and run.run_id.split("-")[1] == line.commit[:12]
        and run_id == line.run_id == run.run_id
        and branch.startswith(stem)
        and bool(_NUMBER.match(branch.removeprefix(stem)))
        and bool(_COMMIT.match(snapshot))
    )
    if not right:
        raise StorageError(
            f"the ledger says that {run.run_id} is published on {branch[:80]!r} at {snapshot[:12]!r}, "
            "which is not a snapshot of its commit",
            hint=_NOT_DELETED,
        )
    return Target(run_id, line.commit, branch, snapshot)


def _named(receipt: Receipt | None, named: SnapshotName | None) -> list[tuple[Receipt | SnapshotName, str]]:
    """Return the two places in the ledger that name a snapshot, as far as they are there."""
    return ([(receipt, receipt.snapshot)] if receipt else []) + ([(named, named.branch)] if named else [])


def check_branch(project: Project, target: Target) -> bool:
    """Return whether the snapshot's branch is still there; StorageError when it was not made for this run."""
    tip = snapshots.branch_commit(project.ledger, target.branch)
    if tip is None:
        return False
    commit = project.repository.commit(tip)
    shown = snapshots.trailers(commit.message)
    made_for = (shown.get("Run"), shown.get("Benchmarked-commit"), *commit.parents)
    if tip != target.snapshot or made_for != (target.run_id, target.commit, target.commit):
        raise StorageError(
            f"the branch {target.branch} is at {tip[:12]}, which was not made for {target.run_id}", hint=_NOT_DELETED
        )
    return True


def is_live(project: Project, target: Target) -> bool:
    """Return whether the ledger's last move, or the branch `live` as it is now, shows a snapshot."""
    moves = history.live_moves(project.ledger)
    if moves and moves[-1].run_id == target.run_id:
        return True
    return snapshots.live_commit(project.ledger) == target.snapshot


def shows(project: Project, commit: str, snapshot: str) -> bool:
    """Return whether a commit is a snapshot commit, or one on `live` that was made to show it."""
    if commit == snapshot:
        return True
    try:
        return snapshots.snapshot_of(project.repository, commit) == snapshot
    except GitError:
        return False  # a commit that is not here is none that a snapshot was shown by


def delete_snapshot(project: Project, netlify: Netlify, target: Target, note: Note) -> bool:
    """Delete the deploys of a snapshot's branch and last the branch, by which a half-finished deletion is seen.

    Return whether any of that was there and is not any more. Raises DeployError when the snapshot is live after all.
    """
    deploys = [deploy for deploy in netlify.deploys(branch=target.branch) if deploy.branch == target.branch]
    for deploy in deploys:
        delete_deploy(project, netlify, target, deploy)
    return delete_branch(project, target.branch, target, note) or bool(deploys)


def delete_branch(project: Project, branch: str, target: Target, note: Note) -> bool:
    """Delete a branch that shows a snapshot and return whether it was there; one that the remote keeps is named.

    Its pages are gone all the same, and no command can do more than say who keeps the branch.
    """
    try:
        return snapshots.delete_branch(project.ledger, branch, target.snapshot, run_id=target.run_id)
    except RemoteRejectedError as error:
        note(f"the branch {branch} stays, without a page: {error.message} ({error.hint})")
        return False


def delete_deploy(project: Project, netlify: Netlify, target: Target, deploy: Deploy) -> None:
    """Delete one deploy of a snapshot, or cancel its build; DeployError where the site shows it."""
    # Asked before every single deletion: a rollback can make the snapshot live at any moment.
    published = netlify.site().published_deploy
    if is_live(project, target) or (published is not None and published.id == deploy.id):
        raise DeployError(
            f"{target.branch} is live, so it is not deleted", hint='publisher rollback OTHER-SNAPSHOT --why "…"   first'
        )
    remove(netlify, deploy)


def remove(netlify: Netlify, deploy: Deploy) -> None:
    """Delete a deploy, or cancel its build; one that is gone already is none to complain about."""
    try:
        if not (deploy.ready or deploy.failed):
            netlify.cancel(deploy.id)  # a deploy in progress cannot be deleted
        netlify.delete(deploy.id)
    except NetworkError as error:
        if error.status != 404:  # somebody else deleted it first
            raise


def require_token(netlify: Netlify) -> None:
    """Raise UsageError without an API token: no deploy can be deleted then, so nothing should be started."""
    if not netlify.settings.token:
        raise UsageError("deleting deploys needs an API token", hint=WITHOUT_API)
