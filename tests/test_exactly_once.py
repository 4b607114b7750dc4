"""One good deploy for each kept snapshot, whatever hosts, remotes, clocks and other publishers do."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from publisher.errors import DeployError
from publisher.ledger import history
from publisher.ledger.calls import read_calls
from publisher.netlify import deploys
from publisher.publishing import deliver
from publisher.publishing.reconcile import finish_move, reconcile
from publisher.schema import LiveEvidence
from tests.delivery import branch, publish, stage
from tests.made import GitFolder, record, verdict

HOUR = 3600.0


@pytest.mark.parametrize("token", [True, False], ids=["token", "hook-only"])
def test_two_clones_and_a_slow_build_make_one_call(tmp_path: Path, *, token: bool) -> None:
    """The build takes three times as long as a lost call is in doubt; the snapshot and `live` are asked for once."""
    with stage(tmp_path, token=token, doubt=0.8, build="sleep 1.5\n") as on:
        run_id = on.shelf.enter()
        other = on.clone()
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda one: publish(one, run_id), [on.shelf, other])
        assert first == second
        assert (on.accepted(branch(run_id)), on.accepted("live")) == (1, 0 if token else 1)
        assert on.shelf.shown() == branch(run_id)


@pytest.mark.parametrize("token", [True, False], ids=["token", "hook-only"])
def test_after_a_crash_an_accepted_call_is_not_made_again(tmp_path: Path, *, token: bool) -> None:
    """The publisher died while it waited for the build; another clone waits for the same build."""
    with stage(tmp_path, token=token, doubt=0.3, build="sleep 1.5\n") as on:
        run_id = on.shelf.enter()
        desk = on.shelf.desk(run_id)
        deliver.name_snapshot(desk.project, desk.netlify, desk.project.record(run_id))
        run = desk.project.run(run_id)
        assert run
        assert run.snapshot
        wanted = deploys.WantedDeploy(run.snapshot.branch, run.snapshot.commit, run_id, "title", 60.0)
        turns = desk.turns(history.folder(run_id))
        turn = None
        while turn is None:  # a machine under load may need more than one
            turn = turns.take(wanted, deploys.Look(), moment=desk.moment())
        turns.close(turn, deploys.call(desk.netlify, wanted, longest=5.0).outcome, moment=desk.moment())
        publish(on.clone(), run_id)
        assert on.accepted(branch(run_id)) == 1


def test_an_effect_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    """The hook answers at once and the build appears long after the doubt: an answered call is not a lost call."""
    with stage(tmp_path, doubt=0.5) as on:
        run_id = on.shelf.enter()
        on.proxy.faults.append(("POST /build_hooks", "late 2"))
        publish(on.shelf, run_id)
        assert on.accepted(branch(run_id)) == 1


def test_an_api_that_is_stale_leads_to_no_second_call(tmp_path: Path) -> None:
    """The list of deploys lies behind by more than the doubt."""
    with stage(tmp_path, doubt=0.5) as on:
        run_id = on.shelf.enter()
        on.proxy.stale = 2.0
        publish(on.shelf, run_id)
        assert on.accepted(branch(run_id)) == 1


def test_a_turn_is_given_up_before_a_long_pause(tmp_path: Path) -> None:
    """The hook asks to wait for longer than the turn lasts: another publisher may call meanwhile, and only one does."""
    with stage(tmp_path, doubt=0.8) as on:
        run_id = on.shelf.enter()
        other = on.clone()
        on.proxy.faults.append(("POST /build_hooks", "wait 3"))
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(publish, on.shelf, run_id)
            time.sleep(1.0)
            second = pool.submit(publish, other, run_id)
            assert first.result() == second.result()
        made = read_calls(on.shelf.project.ledger, history.folder(run_id))
        assert [call.answer and call.answer.outcome for call in made] == ["not made", "accepted"]
        assert on.accepted(branch(run_id)) == 1


def test_a_duplicate_that_slipped_through_is_removed(tmp_path: Path) -> None:
    """The first call's answer is lost, its effect comes after the doubt, and so there are two deploys: one stays."""
    with stage(tmp_path, doubt=0.6, build="sleep 1\n") as on:
        run_id = on.shelf.enter()
        on.proxy.faults.append(("POST /build_hooks", "lost 1.5"))
        receipt = publish(on.shelf, run_id)
        until = time.monotonic() + 60
        while on.accepted(branch(run_id)) < 2:
            assert time.monotonic() < until, "the lost call had no effect"
            time.sleep(0.1)
        reconcile(on.shelf.project, on.shelf.notes.append)
        assert on.ready(branch(run_id)) == [receipt.deploy_id]
        assert on.shelf.shown() == on.shelf.shown(branch(run_id)) == branch(run_id)


def test_a_remote_with_slow_pushes_can_be_published_to(tmp_path: Path) -> None:
    """Each push takes as long as a turn lasts at first: the turn asks for more time, and one call is made."""
    with stage(tmp_path, doubt=0.4) as on:
        run_id = on.shelf.enter()
        hook = tmp_path / "origin.git" / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\nsleep 0.4\n", "utf-8")
        hook.chmod(0o755)
        publish(on.shelf, run_id)
        assert on.accepted(branch(run_id)) == 1


@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_a_clock_that_is_an_hour_off_changes_nothing(tmp_path: Path, ahead: float) -> None:
    """A healthy build is not cancelled, one call is made, the times are the host's, and the clock is named."""
    with stage(tmp_path, doubt=0.8, build="sleep 1\n") as on:
        run_id = on.shelf.enter()
        wrong = replace(on.clone(), clock=lambda: time.time() + ahead)
        with ThreadPoolExecutor(2) as pool:
            receipts = list(pool.map(lambda one: publish(one, run_id), [wrong, on.shelf]))
        assert receipts[0] == receipts[1]
        assert on.accepted(branch(run_id)) == 1
        run = on.shelf.project.run(run_id)
        assert run
        for moment in [run.requests[0].time, receipts[0].ready]:
            assert abs(datetime.fromisoformat(moment).timestamp() - time.time()) < 60
        assert [note for note in wrong.notes if "clock is 36" in note or "clock is 35" in note]
        assert not [note for note in on.shelf.notes if "clock is 36" in note or "clock is 35" in note]


def test_requests_of_a_future_hour_hold_nobody_up(tmp_path: Path) -> None:
    """An older publisher whose clock was wrong wrote them; the rate of builds is kept without waiting for that hour."""
    with stage(tmp_path) as on:
        old = on.shelf.enter()
        publish(on.shelf, old)
        run = on.shelf.project.run(old)
        assert run
        future = msgspec.structs.replace(run.requests[0], attempt=2, time="2096-01-01T00:00:00Z")
        on.shelf.forge({f"runs/{old}/request-2.json": future})
        run_id = on.shelf.enter(more="")
        desk = on.shelf.desk(run_id)
        began = time.monotonic()
        limits = msgspec.structs.replace(desk.limits, builds_per_minute=2)
        deliver._keep_to_the_rate(replace(desk, limits=limits))
        assert time.monotonic() - began < 5


def test_what_came_into_the_ledger_last_goes_live(tmp_path: Path) -> None:
    """A run whose name is of next year does not keep a later one from going live, nor does it come back by itself."""
    with stage(tmp_path) as on:
        ahead = on.shelf.enter(started="20270101T000000Z")
        publish(on.shelf, ahead)
        later = on.shelf.enter()
        assert ahead > later
        publish(on.shelf, later)
        publish(on.shelf, ahead)
        finish_move(on.shelf.project, on.shelf.notes.append)
        assert on.shelf.shown() == branch(later)


def test_a_damaged_first_deploy_is_built_again(tmp_path: Path) -> None:
    """What the first build serves is not what its manifest lists: a second build replaces it, and the first goes."""
    flag = tmp_path / "built-once"
    damage = f'trap "test -e {flag} || (touch {flag}; echo damaged > dist/index.html)" EXIT\n'
    with stage(tmp_path, build=damage) as on:
        run_id = on.shelf.enter()
        receipt = publish(on.shelf, run_id)
        assert on.accepted(branch(run_id)) == 2
        assert on.ready(branch(run_id)) == [receipt.deploy_id]
        assert "is damaged and is built again" in "\n".join(on.shelf.notes)


def test_a_snapshot_that_is_always_damaged_is_built_a_few_times_only(tmp_path: Path) -> None:
    """Then the command fails and lists what is wrong."""
    with stage(tmp_path, build='trap "echo damaged > dist/index.html" EXIT\n') as on:
        run_id = on.shelf.enter()
        with pytest.raises(DeployError, match="does not serve what was rendered"):
            publish(on.shelf, run_id)
        assert on.accepted(branch(run_id)) == deliver.BUILDS


def test_one_bad_run_holds_up_no_other(tmp_path: Path) -> None:
    """A run whose site is unknown and one whose configuration is broken are reported; the others are published."""
    with stage(tmp_path) as on:
        on.shelf.folder.commit({"publisher.toml": "[model"}, "Broken")
        broken = record(on.shelf.folder.git("rev-parse", "HEAD"), started="20261101T000000Z")
        on.shelf.project.ledger.append(history.run_files(broken, verdict(broken), b"samples"), "broken\n")
        unknown = on.shelf.enter(site="elsewhere", started="20261102T000000Z")
        good = on.shelf.enter()
        done = on.shelf.user.run("reconcile")
        assert done.code == 3, done.err
        assert broken.run_id in done.err
        assert unknown in done.err
        assert f"published: {on.shelf.netlify.settings.address_of(branch(good))}" in done.out
        assert "Traceback" not in done.err


def test_a_shallow_clone_finishes_what_others_left(tmp_path: Path) -> None:
    """A commit that the clone does not have is fetched, and its run is published."""
    with stage(tmp_path) as on:
        run_id = on.shelf.enter()
        on.shelf.folder.commit({"more": "1"})
        on.shelf.folder.git("push", "--quiet", "origin", "main")
        origin = (tmp_path / "origin.git").as_uri()
        on.shelf.folder.git("clone", "--quiet", "--depth=1", origin, str(tmp_path / "shallow"))
        shallow = replace(on.shelf.user, folder=GitFolder(tmp_path / "shallow"))
        done = shallow.run("reconcile")
        assert done.code == 0, done.err
        assert f"published: {on.shelf.netlify.settings.address_of(branch(run_id))}" in done.out


def test_a_remote_that_accepts_fast_forwards_only_is_published_to(tmp_path: Path) -> None:
    """`live` advances by commits with the tree of the snapshot, and a rollback is such a commit, too."""
    with stage(tmp_path) as on:
        on.shelf.remote("config", "receive.denyNonFastForwards", "true")
        first, second = on.shelf.enter(), on.shelf.enter()
        publish(on.shelf, first)
        publish(on.shelf, second)
        tip = on.shelf.remote("rev-parse", "live")
        shown = on.shelf.remote("rev-parse", branch(second))
        assert tip != shown
        assert on.shelf.remote("rev-parse", "live^2") == shown
        assert on.shelf.remote("rev-parse", "live^{tree}") == on.shelf.remote("rev-parse", f"{shown}^{{tree}}")
        done = on.shelf.user.run("rollback", "-1", "--why", "a test")
        assert done.code == 0, done.err
        assert on.shelf.remote("merge-base", "live", tip) == tip
        assert on.shelf.shown() == branch(first)
        before = on.shelf.remote("for-each-ref")
        publish(on.shelf, first)
        assert on.shelf.remote("for-each-ref") == before


def test_live_may_be_checked_out_in_a_worktree(tmp_path: Path) -> None:
    """The remote's `live` moves, and the folder keeps what its user checked out."""
    with stage(tmp_path) as on:
        publish(on.shelf, on.shelf.enter())
        on.shelf.folder.git("worktree", "add", "--quiet", str(tmp_path / "seen"), "live")
        second = on.shelf.enter()
        publish(on.shelf, second)
        assert on.shelf.shown() == branch(second)
        assert GitFolder(tmp_path / "seen").git("status", "--porcelain") == ""


def test_a_rollback_needs_a_reason_and_records_what_was_live(tmp_path: Path) -> None:
    """Without a reason nothing moves; the entry says what the newer snapshot served, its verdict and the difference."""
    with stage(tmp_path) as on:
        publish(on.shelf, on.shelf.enter(right=30))
        second = on.shelf.enter(right=36)
        publish(on.shelf, second)
        done = on.shelf.user.run("rollback", "-1")
        assert (done.code, "--why" in done.err) == (2, True)
        assert on.shelf.user.run("rollback", "-1", "--reason", "its answers are cut off").code == 0
        on.shelf.project.ledger.sync()
        move = history.live_moves(on.shelf.project.ledger)[-1]
        assert move.why == "its answers are cut off"
        assert move.evidence == LiveEvidence(
            snapshot=branch(second), run_id=second, verdict="kept", state="whole", files=2, difference={"s": -15.0}
        )
