"""Deleting a snapshot's deploys and its branch, each checked against git and the host first.

Anybody who can push to `ledger` can write what they like into it. So a name that is read from the ledger is only
believed where it has the form of a snapshot's name, belongs to the run's own commit, and the branch that it names was
made for that run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from publisher.errors import DeployError, NetworkError, StorageError, UsageError
from publisher.ledger import history, snapshots

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.ledger.history import Run
    from publisher.netlify.client import Netlify
    from publisher.publishing.project import Project
    from publisher.schema import Receipt

    Note = Callable[[str], None]

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_NUMBER = re.compile(r"(?:-([2-9]|[1-9][0-9]))?\Z")
_NOT_DELETED = "nothing is deleted; see  git log ledger  for who wrote it"


def check_names(run: Run) -> Receipt:
    """Return the run's last receipt; StorageError unless its names are those that this run's snapshot must have."""
    receipt, line = run.last_receipt, run.line
    if receipt is None:
        raise UsageError(f"{run.run_id} was never published", hint="publisher snapshots   lists what was")
    stem = snapshots.branch_name(line.commit)
    named = run.snapshot
    right = (
        bool(_COMMIT.match(line.commit))
        and run.run_id.split("-")[1] == line.commit[:12]
        and receipt.run_id == line.run_id == run.run_id
        and receipt.snapshot.startswith(stem)
        and bool(_NUMBER.match(receipt.snapshot.removeprefix(stem)))
        and bool(_COMMIT.match(receipt.commit))
        and (named is None or (named.run_id, named.branch, named.commit) == (run.run_id, *_place(receipt)))
    )
    if not right:
        raise StorageError(
            f"the ledger says that {run.run_id} is published on {receipt.snapshot[:80]!r} at {receipt.commit[:12]!r}, "
            "which is not a snapshot of its commit",
            hint=_NOT_DELETED,
        )
    return receipt


def _place(receipt: Receipt) -> tuple[str, str]:
    return receipt.snapshot, receipt.commit


def check_branch(project: Project, run: Run, receipt: Receipt) -> bool:
    """Return whether the snapshot's branch is still there; StorageError when it was not made for this run."""
    tip = snapshots.branch_commit(project.ledger, receipt.snapshot)
    if tip is None:
        return False
    commit = project.repository.commit(tip)
    shown = snapshots.trailers(commit.message)
    made_for = (shown.get("Run"), shown.get("Benchmarked-commit"), *commit.parents)
    if tip != receipt.commit or made_for != (run.run_id, run.line.commit, run.line.commit):
        raise StorageError(
            f"the branch {receipt.snapshot} is at {tip[:12]}, which was not made for {run.run_id}", hint=_NOT_DELETED
        )
    return True


def is_live(project: Project, receipt: Receipt) -> bool:
    """Return whether the ledger's last move, or the branch `live` as it is now, shows a snapshot."""
    moves = history.live_moves(project.ledger)
    if moves and moves[-1].run_id == receipt.run_id:
        return True
    live = snapshots.live_commit(project.ledger)
    if live is None or live == receipt.commit:
        return live is not None
    # Where the remote takes fast-forwards only, `live` is a merge whose last parent is the snapshot that it shows.
    parents = project.repository.commit(live).parents
    return len(parents) == 2 and parents[-1] == receipt.commit


def delete(project: Project, netlify: Netlify, receipt: Receipt) -> None:
    """Delete a snapshot's deploys and last its branch, so that a half-finished deletion is seen by its branch.

    The names must have been checked. Raises DeployError when the snapshot is live after all.
    """
    delete_deploys(project, netlify, receipt)
    snapshots.delete_branch(project.ledger, receipt.snapshot, receipt.commit)


def delete_deploys(project: Project, netlify: Netlify, receipt: Receipt) -> None:
    """Delete the deploys of a snapshot's branch, one after the other; DeployError before one that the site shows."""
    for deploy in netlify.deploys(branch=receipt.snapshot):
        if deploy.branch != receipt.snapshot:
            continue
        # Asked before every single deletion: a rollback can make the snapshot live at any moment.
        published = netlify.site().published_deploy
        if is_live(project, receipt) or (published is not None and published.id == deploy.id):
            raise DeployError(
                f"{receipt.snapshot} is live, so it is not deleted",
                hint=f"publisher rollback OTHER, or keep it with  publisher verify {receipt.snapshot} --repair",
            )
        try:
            netlify.delete(deploy.id)
        except NetworkError as error:
            if error.status != 404:  # somebody else deleted it first
                raise


def require_token(netlify: Netlify) -> None:
    """Raise UsageError without an API token: no deploy can be deleted then, so nothing should be started."""
    if not netlify.settings.token:
        raise UsageError("deleting deploys needs an API token", hint="set NETLIFY_AUTH_TOKEN")
