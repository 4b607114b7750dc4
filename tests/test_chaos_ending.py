from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.killing import killed_after_each_step
from tests.shelf import Shelf, shelf

NUMBERS = itertools.count(1)
KEEP_ONE = "keep = { last = 1, best_per_suite = 0 }\nbuilds_per_day = 0\nbuilds_per_month = 0\n"
Prepared = tuple[list[str], Callable[[], None]]


@pytest.fixture(name="on", scope="module")
def on_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Return a shelf that all sweeps of this file share; each works on snapshots of its own."""
    with shelf(tmp_path_factory.mktemp("ending")) as found:
        found.publish(more=KEEP_ONE)
        yield found


def older(on: Shelf) -> str:
    """Publish two snapshots and return the branch of the first, which is not live."""
    branch = on.publish(more=KEEP_ONE).snapshot
    on.publish(more=KEEP_ONE)
    return branch


def files(on: Shelf, part: str) -> list[str]:
    """Return the files of the remote's ledger that have `part` in their paths."""
    return [path for path in on.remote("ls-tree", "-r", "--name-only", "ledger").splitlines() if part in path]


def gone(on: Shelf, *branches: str) -> None:
    """Assert that branches have neither a commit, nor a deploy, nor a page."""
    for branch in branches:
        assert on.remote("for-each-ref", f"refs/heads/{branch}") == ""
        assert on.netlify.deploys(branch=branch) == []
        assert on.shown(branch) == ""


def give_up(on: Shelf) -> Prepared:
    """End a run that was never published."""
    run_id = on.enter(more=KEEP_ONE)
    ended = len(files(on, "/given-up.json"))

    def check() -> None:
        assert len(files(on, "/given-up.json")) == ended + 1

    return ["give-up", run_id, "--reason", "no site"], check


def overrule(on: Shelf) -> Prepared:
    """Keep a run that the gate rejected."""
    run_id = on.enter("rejected", more=KEEP_ONE)
    return ["accept", run_id, "--reason", "fast"], entered_once(on, f"{run_id}/decision-")


def withdraw(on: Shelf) -> Prepared:
    """Reject a snapshot that is not live."""
    branch = older(on)
    run_id = next(run.run_id for run in on.project.runs() if run.line.snapshot == branch)
    return ["reject", branch, "--reason", "leaked"], entered_once(on, f"{run_id}/decision-")


def label(on: Shelf) -> Prepared:
    """Attach a word to a run."""
    run_id = on.enter("rejected", more=KEEP_ONE)
    return ["label", run_id, "odd"], entered_once(on, f"{run_id}/odd")


def entered_once(on: Shelf, part: str) -> Callable[[], None]:
    """Return the assertion that the ledger has one entry of a kind."""

    def check() -> None:
        assert len(files(on, part)) == 1, files(on, part)

    return check


def take_down(on: Shelf) -> Prepared:
    """Remove a snapshot that is pinned."""
    branch, name = older(on), f"down-{next(NUMBERS)}"
    assert on.user.run("pin", branch, name).code == 0
    ended = len(files(on, "/taken-down.json"))

    def check() -> None:
        assert len(files(on, "/taken-down.json")) == ended + 1
        gone(on, branch, name)

    return ["takedown", branch, "--reason", "private"], check


def prune(on: Shelf) -> Prepared:
    """Give up the oldest snapshots by the policy of the newest commit."""
    branch = older(on)
    live = on.shown()

    def check() -> None:
        gone(on, branch)
        assert len([path for path in files(on, "/pruned-") if branch[9:21] in path]) == 1
        assert on.shown() == live

    return ["prune", "--delete"], check


def move_pin(on: Shelf) -> Prepared:
    """Move a pin from one snapshot to another."""
    first, second, name = on.publish(more=KEEP_ONE), on.publish(more=KEEP_ONE), f"moved-{next(NUMBERS)}"
    assert on.user.run("pin", first.snapshot, name).code == 0

    def check() -> None:
        assert on.shown(name) == second.snapshot
        assert on.remote("rev-parse", name) == second.commit
        assert [path for path in files(on, f"pins/{name}-") if path.startswith("pins/")] == [
            f"pins/{name}-1.json",
            f"pins/{name}-2.json",
        ]
        assert len([deploy for deploy in on.netlify.deploys(branch=name) if deploy.ready]) == 2

    return ["pin", second.snapshot, name, "--move"], check


@pytest.mark.timeout(1200)
@pytest.mark.chaos
@pytest.mark.parametrize("prepare", [give_up, overrule, withdraw, label, take_down, prune, move_pin])
def test_an_ending_that_is_killed_after_any_step_is_finished_by_the_same_command(
    on: Shelf, tmp_path: Path, prepare: Callable[[Shelf], Prepared]
) -> None:
    """SIGKILL after every durable effect: the same command ends as if nothing had been, and a third does nothing."""
    killed_after_each_step(on, tmp_path, prepare)
