from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from publisher.errors import DeployError, UsageError
from publisher.ledger import history
from publisher.publishing import deliver, takedown
from publisher.publishing.find import find_snapshot
from tests.shelf import Shelf, shelf


@contextmanager
def two_snapshots(path: Path) -> Iterator[Shelf]:
    """Set up a shelf with two snapshots, of which the second is live."""
    with shelf(path) as found:
        found.publish()
        found.publish()
        yield found


@pytest.fixture(name="on")
def on_fixture(tmp_path: Path) -> Iterator[Shelf]:
    """Return a shelf with two snapshots that a test has to itself."""
    with two_snapshots(tmp_path) as found:
        yield found


@pytest.fixture(name="shared", scope="module")
def shared_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Return a shelf for the tests that leave both snapshots as they are; each of them enters runs of its own."""
    with two_snapshots(tmp_path_factory.mktemp("ending")) as found:
        yield found


def first(on: Shelf) -> history.Run:
    """Return the older snapshot, as the remote's ledger tells of it."""
    on.project.ledger.sync()
    return on.project.runs()[0]


def test_a_run_that_was_given_up_is_left_alone_and_says_who_and_why(on: Shelf) -> None:
    """Reconcile and verify pass it by, log shows it, and the reason stays in the ledger."""
    run_id = on.enter()
    assert run_id in on.user.run("reconcile", "--dry-run").out
    done = on.user.run("give-up", run_id, "--reason", "the site was renamed", "--json")
    assert (done.code, done.json["why"]) == (0, "the site was renamed")
    assert on.user.run("reconcile", "--dry-run").out == ""
    assert on.user.run("publish").code == 0
    assert "given up" in on.user.run("log").out
    assert on.remote("for-each-ref", f"refs/heads/snapshot-{on.folder.git('rev-parse', 'HEAD')[:12]}") == ""


def test_giving_up_twice_is_once(shared: Shelf) -> None:
    """The second command changes nothing and tells what the first one said."""
    run_id = shared.enter()
    assert shared.user.run("give-up", run_id, "--reason", "first").code == 0
    before = shared.remote("for-each-ref")
    again = shared.user.run("give-up", run_id, "--reason", "second")
    assert (again.code, "first" in again.out, shared.remote("for-each-ref") == before) == (0, True, True)


def test_a_run_that_cannot_be_read_can_be_given_up(on: Shelf) -> None:
    """A tombstone stays a tombstone, but is no unfinished business any more."""
    run_id = first(on).run_id
    on.forge({f"runs/{run_id}/receipt-9.json": b"{"})
    assert first(on).line.verdict == "unreadable"
    assert on.user.run("give-up", run_id, "--reason", "spoiled").code == 0
    assert first(on).given_up


@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 1001, "\udcff"])
def test_an_ending_needs_a_reason_that_the_ledger_can_keep(shared: Shelf, reason: str) -> None:
    """Not none, no book, and no bytes that are not text; a rollback for such a reason moves nothing."""
    for command in ("give-up", "takedown"):
        assert shared.user.run(command, first(shared).run_id, "--reason", reason).code == 2
    before = shared.remote("for-each-ref")
    assert shared.user.run("rollback", first(shared).run_id, "--why", reason).code == 2
    assert shared.remote("for-each-ref") == before


def test_a_rejected_run_has_nothing_to_give_up(shared: Shelf) -> None:
    """Its verdict is its end."""
    done = shared.user.run("give-up", shared.enter("rejected"), "--reason", "why not")
    assert (done.code, "never published" in done.err) == (2, True)


def test_a_takedown_removes_every_place_that_shows_the_snapshot(on: Shelf) -> None:
    """Deploys, a pin, a former pin and the branch go; record, samples and the reason stay; the rest is untouched."""
    run = first(on)
    assert run.receipt
    branch = run.line.snapshot
    second = on.project.runs()[1].line.snapshot
    assert on.user.run("pin", branch, "math").code == 0
    assert on.user.run("pin", branch, "moved").code == 0
    assert on.user.run("pin", second, "moved", "--move").code == 0
    permalinks = [deploy.id for deploy in on.netlify.deploys() if deploy.commit_ref == run.receipt.commit]
    assert len(permalinks) == 3
    assert "would take down" in on.user.run("takedown", branch, "--reason", "r", "--dry-run").out
    assert len(on.netlify.deploys(branch=branch)) == 1
    done = on.user.run("takedown", branch, "--reason", "it shows a private problem")
    assert done.code == 0, done.err
    assert [on.shown(name) for name in (branch, "math", "moved", "", *permalinks)] == [
        "",
        "",
        second,
        second,
        "",
        "",
        "",
    ]
    assert on.remote("for-each-ref", "--format=%(refname:short)", f"refs/heads/{branch}", "refs/heads/math") == ""
    assert on.project.record(run.run_id).run_id == run.run_id
    assert "taken down" in on.user.run("log").out
    assert first(on).line.taken_down


def test_what_was_taken_down_never_comes_back(on: Shelf) -> None:
    """No command that publishes does so again: each says that, by whom and why."""
    branch = first(on).line.snapshot
    assert on.user.run("takedown", branch, "--reason", "private").code == 0
    before = on.remote("for-each-ref")
    for arguments in (["rollback", branch], ["pin", branch, "name"], ["verify", branch, "--repair"]):
        done = on.user.run(*arguments)
        assert (done.code, "was taken down" in done.err, "private" in done.err) == (2, True, True), done
    for arguments in (["verify", "--all", "--repair"], ["reconcile"], ["prune", "--delete"]):
        done = on.user.run(*arguments)
        assert done.code == 0, done.err
    assert on.remote("for-each-ref") == before


def test_a_live_snapshot_is_not_taken_down(shared: Shelf) -> None:
    """The message says what to type first, and nothing has happened."""
    branch = shared.project.runs()[1].line.snapshot
    done = shared.user.run("takedown", branch, "--reason", "private")
    assert (done.code, "publisher rollback" in done.err) == (3, True)
    assert shared.shown(branch) == branch
    assert shared.project.runs()[1].taken_down is None


def test_a_rollback_between_check_and_entry_wins(on: Shelf) -> None:
    """The entry is only made on top of a ledger in which the snapshot is not live."""
    project, run = on.project, first(on)
    target, _ = takedown.check(project, run)
    assert on.user.run("rollback", target.branch, "--why", "back").code == 0
    with pytest.raises(DeployError, match="is live"):
        takedown.take_down(project, run, reason="private", note=on.notes.append)
    assert on.shown() == target.branch


def test_reconcile_finishes_a_takedown(on: Shelf) -> None:
    """With the entry in the ledger and nothing deleted yet, the rest follows."""
    project, run = on.project, first(on)
    target, _ = takedown.check(project, run)
    entry = {"schema": 1, "run_id": run.run_id, "snapshot": target.branch, "commit": target.snapshot}
    on.forge({f"runs/{run.run_id}/taken-down.json": entry | {"who": "", "why": "private", "time": "2026-11-21"}})
    assert on.user.run("reconcile").code == 0
    assert on.remote("for-each-ref", f"refs/heads/{target.branch}") == ""
    assert on.shown(target.branch) == ""


def test_a_spoiled_takedown_brings_nothing_back(on: Shelf) -> None:
    """An entry that cannot be read makes the run unreadable, not published."""
    branch = first(on).line.snapshot
    on.forge({f"runs/{first(on).run_id}/taken-down.json": b"[" * 10_000})
    assert first(on).line.verdict == "unreadable"
    with pytest.raises(UsageError):
        find_snapshot(on.project, branch)


def test_pages_without_a_receipt_can_be_taken_down(on: Shelf) -> None:
    """A build that nobody verified is public all the same; nothing publishes the run again."""
    run_id = on.enter()
    desk = on.desk(run_id)
    snapshot = deliver.name_snapshot(desk.project, desk.netlify, desk.project.record(run_id))
    on.netlify.call_hook(snapshot.branch, "a call whose publisher died")
    wait_until_ready(on, snapshot.branch)
    done = on.user.run("takedown", run_id, "--reason", "private")
    assert (done.code, on.shown(snapshot.branch)) == (0, ""), done.err
    assert on.remote("for-each-ref", f"refs/heads/{snapshot.branch}") == ""
    assert on.user.run("reconcile").code == 0
    assert on.shown(snapshot.branch) == ""


def wait_until_ready(on: Shelf, branch: str) -> None:
    """Wait until a branch has a page."""
    deadline = time.monotonic() + 60
    while not on.shown(branch):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(("word", "hint"), [("kept", "publisher give-up"), ("rejected", "nothing shows this one")])
def test_a_run_without_pages_cannot_be_taken_down(shared: Shelf, word: str, hint: str) -> None:
    """The message says that there is no page, and what ends the run instead."""
    run_id = shared.enter(word)
    before = shared.remote("for-each-ref")
    done = shared.user.run("takedown", run_id, "--reason", "private")
    assert (done.code, "no page to take down" in done.err, hint in done.err) == (2, True, True), done.err
    assert shared.remote("for-each-ref") == before


def test_reconcile_and_prune_answer_programs(on: Shelf) -> None:
    """With --json each prints one document: what is to be done, what was done, and what could not be."""
    run_id = on.enter(more="keep = { last = 1, best_per_suite = 0 }")
    bad = on.enter(site="nowhere")
    todo = on.user.run("reconcile", "--dry-run", "--json")
    assert todo.json == {"unfinished": [run_id, bad], "takedowns": [], "canary": None}
    on.folder.git("reset", "--quiet", "--hard", "HEAD~1")
    done = on.user.run("reconcile", "--json")
    assert (done.code, [one["run_id"] for one in done.json["published"]], list(done.json["failed"])) == (
        3,
        [run_id],
        [bad],
    )
    left = on.user.run("prune", "--json")
    assert (left.code, len(left.json["prunable"]), left.json["pruned"]) == (0, 2, [])
    gone = on.user.run("prune", "--delete", "--json")
    assert (gone.code, gone.json["failed"]) == (0, {})
    assert gone.json["pruned"] == [run["run_id"] for run in left.json["prunable"]]
