from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from publisher.errors import DeployError, StorageError, UsageError
from publisher.ledger import history, snapshots
from publisher.publishing import prune, removal
from publisher.schema import Pin, Receipt
from tests.shelf import Shelf, shelf

KEEP_ONE = "keep = { last = 1, best_per_suite = 0 }\n"


@contextmanager
def two_snapshots(path: Path) -> Iterator[Shelf]:
    """Set up a shelf with two snapshots; the second is live, and the policy keeps only that."""
    with shelf(path) as found:
        found.publish(more=KEEP_ONE)
        found.publish(more=KEEP_ONE)
        yield found


@pytest.fixture(name="two")
def two_fixture(tmp_path: Path) -> Iterator[Shelf]:
    """Return a shelf with two snapshots that a test has to itself."""
    with two_snapshots(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def stained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shelf, Receipt]]:
    """Return a shelf on which each forged receipt replaces the one before, and the older snapshot's own receipt."""
    with two_snapshots(tmp_path_factory.mktemp("stained")) as found:
        receipt = older(found).receipt
        assert receipt
        yield found, receipt


def older(on: Shelf) -> history.Run:
    """Return the first snapshot of a shelf."""
    return on.project.runs()[0]


def forged(on: Shelf, own: Receipt | None, **changes: Any) -> None:
    """Put a second receipt beside the older snapshot's own, which says what a forger likes."""
    assert own
    receipt = msgspec.structs.replace(own, number=2, **changes)
    on.forge({f"{history.folder(own.run_id)}/receipt-2.json": receipt})


@pytest.mark.parametrize("name", ["release", "main", "ledger", "live", "snapshot-0123456789ab", "../x", "--all"])
def test_a_forged_receipt_deletes_nothing(stained: tuple[Shelf, Receipt], name: str) -> None:
    """A ledger that names another branch than the snapshot's own cannot make `prune --delete` delete it."""
    two, own = stained
    tip = two.folder.git("rev-parse", "HEAD")
    two.folder.git("push", "--quiet", "origin", "HEAD:refs/heads/release")
    two.netlify.call_hook("release", "release")
    forged(two, own, snapshot=name, commit=tip)
    before = two.remote("for-each-ref", "--format=%(refname)"), len(two.netlify.deploys())
    done = two.user.run("prune", "--delete")
    assert (done.code, "its snapshot is not one that publisher writes" in done.err) == (3, True), done.err
    assert (two.remote("for-each-ref", "--format=%(refname)"), len(two.netlify.deploys())) == before


def test_a_branch_that_was_not_made_for_the_run_is_not_deleted(two: Shelf) -> None:
    """Names of the right form are not enough: the branch's own commit must carry the run's trailers."""
    run = older(two)
    assert run.receipt
    branch, main = run.receipt.snapshot, two.folder.git("rev-parse", "HEAD")
    two.remote("update-ref", f"refs/heads/{branch}", main)
    with pytest.raises(StorageError, match="was not made for"):
        prune.prune(two.project, run, prune.keep_policy(two.project), two.notes.append)
    assert two.remote("rev-parse", branch) == main
    assert len(two.netlify.deploys(branch=branch)) == 1


def test_one_bad_run_does_not_keep_the_others_from_being_pruned(two: Shelf) -> None:
    """The good one is pruned, the bad one is named, and the exit code says that something is left."""
    good = two.publish(more=KEEP_ONE)
    two.publish(more=KEEP_ONE)
    forged(two, older(two).receipt, snapshot="release")
    done = two.user.run("prune", "--delete")
    assert (done.code, "2 snapshots pruned" in done.out) == (3, True), done.err
    assert older(two).run_id in done.err
    assert two.remote("for-each-ref", f"refs/heads/{good.snapshot}") == ""


def test_the_policy_is_that_of_the_commit_that_the_user_is_on(two: Shelf) -> None:
    """An old run's configuration does not decide what is deleted today."""
    assert [run.run_id for run in prune.prunable(two.project, prune.keep_policy(two.project))] == [older(two).run_id]
    text = (two.folder.path / "publisher.toml").read_text("utf-8").replace("last = 1", "last = 5")
    two.folder.commit({"publisher.toml": text})
    assert prune.prunable(two.project, prune.keep_policy(two.project)) == []


def test_a_pin_that_comes_in_between_saves_the_snapshot(two: Shelf) -> None:
    """What was chosen for pruning and is pinned before the deletion stays, and nothing says that it was pruned."""
    project, run = two.project, older(two)
    assert run.receipt
    pin = Pin(
        name="math",
        number=1,
        snapshot=run.line.snapshot,
        run_id=run.run_id,
        commit=run.receipt.commit,
        address="x",
        who="",
        time="2026-11-20T20:11:33Z",
    )
    two.forge(history.pin_file(pin))
    assert not prune.prune(project, run, prune.keep_policy(project), two.notes.append)
    assert not older(two).line.pruned
    assert two.shown(run.line.snapshot) == run.line.snapshot


def test_a_rollback_that_comes_in_between_saves_the_snapshot(two: Shelf) -> None:
    """The branch `live` is read again at the moment of deletion, whatever the ledger says so far."""
    project, run = two.project, older(two)
    assert run.receipt
    snapshots.move_live(two.project.ledger, run.receipt.commit, two.remote("rev-parse", "live"))
    assert not prune.prune(project, run, prune.keep_policy(project), two.notes.append)
    assert two.shown(run.line.snapshot) == run.line.snapshot


def test_the_published_deploy_is_never_deleted(two: Shelf) -> None:
    """A restore whose move is written down nowhere yet is enough."""
    run = older(two)
    assert run.receipt
    two.netlify.restore(run.receipt.deploy_id)
    with pytest.raises(DeployError, match="is live"):
        removal.delete_snapshot(two.project, two.netlify, removal.target_of(run), two.notes.append)
    assert two.remote("rev-parse", run.receipt.snapshot) == run.receipt.commit


def test_without_a_token_nothing_is_begun(two: Shelf) -> None:
    """Deploys are deleted by the API only, and the ledger must not say that they were."""
    del two.user.environment["NETLIFY_AUTH_TOKEN"]
    with pytest.raises(UsageError, match="needs an API token"):
        prune.prune(two.project, older(two), prune.keep_policy(two.project), two.notes.append)
    assert not older(two).line.pruned


def test_the_lock_is_taken_off_the_deploy_that_the_site_shows(two: Shelf) -> None:
    """A repair gives the live snapshot another deploy; the last move in the ledger still names the one before."""
    moves = history.live_moves(two.project.ledger)
    two.netlify.lock(moves[-1].deploy_id)
    stale = msgspec.structs.replace(moves[-1], deploy_id="0" * 24)
    two.forge(history.live_file(stale, len(moves) + 1))
    done = two.user.run("live", "--unlock")
    assert done.code == 0, done.err
    published = two.netlify.site().published_deploy
    assert published
    assert not published.locked
