from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shelf import Shelf, shelf

KEEP_ONE = "keep = { last = 1, best_per_suite = 0 }\n"
SETTING = "receive.denyDeletes"


@pytest.fixture(name="on")
def on_fixture(tmp_path: Path) -> Iterator[Shelf]:
    """Return a shelf with two snapshots, the second one live, and a remote that allows no branch to be deleted."""
    with shelf(tmp_path) as found:
        found.publish(more=KEEP_ONE)
        found.publish(more=KEEP_ONE)
        found.remote("config", SETTING, "true")
        yield found


def names(on: Shelf) -> list[str]:
    """Return the snapshot branches, oldest first."""
    on.project.ledger.sync()
    return [run.line.snapshot for run in on.project.runs()]


def test_a_takedown_removes_the_pages_and_says_which_branches_stay(on: Shelf) -> None:
    """What the remote refuses is named with its setting; every deploy is gone, and no later command fails on it."""
    branch = names(on)[0]
    assert on.user.run("pin", branch, "math").code == 0
    done = on.user.run("takedown", branch, "--reason", "private")
    assert (done.code, SETTING in done.err, done.err.count("stays")) == (0, True, 2), done.err
    assert (on.netlify.deploys(branch=branch), on.netlify.deploys(branch="math")) == ([], [])
    assert on.remote("for-each-ref", "--format=%(refname:short)", "refs/heads/math") == "math"
    again = on.user.run("reconcile")
    assert (again.code, SETTING in again.err) == (0, True), again.err
    on.remote("config", SETTING, "false")
    assert on.user.run("reconcile").code == 0
    assert on.remote("for-each-ref", f"refs/heads/{branch}", "refs/heads/math") == ""


def test_prune_deletes_the_deploys_and_says_which_branches_stay(on: Shelf) -> None:
    """The snapshot counts as pruned, and the next command has nothing new to do."""
    branch = names(on)[0]
    done = on.user.run("prune", "--delete")
    assert (done.code, SETTING in done.err, "1 snapshot pruned" in done.out) == (0, True, True), done.err
    assert on.netlify.deploys(branch=branch) == []
    on.project.ledger.sync()
    assert on.project.runs()[0].line.pruned
    again = on.user.run("prune", "--delete")
    assert (again.code, "0 snapshots pruned" in again.out) == (0, True), again.err


def test_a_pin_moves_where_branches_can_neither_be_rewritten_nor_deleted(on: Shelf) -> None:
    """It moves back, too, and a takedown still finds the branch."""
    oldest, newest = names(on)
    on.remote("config", "receive.denyNonFastForwards", "true")
    assert on.user.run("pin", oldest, "math").code == 0
    done = on.user.run("pin", newest, "math", "--move")
    assert (done.code, on.shown("math")) == (0, newest), done.err
    done = on.user.run("pin", oldest, "math", "--move")
    assert (done.code, on.shown("math")) == (0, oldest), done.err
    before = on.remote("for-each-ref")
    assert on.user.run("pin", oldest, "math").code == 0
    assert on.remote("for-each-ref") == before
    on.remote("config", SETTING, "false")
    assert on.user.run("takedown", oldest, "--reason", "private").code == 0
    assert on.remote("for-each-ref", "refs/heads/math") == ""
    assert on.netlify.deploys(branch="math")  # those of the other snapshot, which was not taken down
