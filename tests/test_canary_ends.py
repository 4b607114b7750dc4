"""How gray releases end when other things happen meanwhile; they leave nothing behind but the ledger's word."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import requests

from publisher.ledger import canaries, history
from publisher.netlify import deploys, splits
from publisher.publishing import prune
from publisher.publishing.canary import course
from publisher.publishing.checkup.examine import findings
from publisher.publishing.decisions import withdraw
from publisher.publishing.find import find_run
from publisher.publishing.reconcile import finish_others, reconcile
from tests.fault_proxy import fault_proxy
from tests.made import GitFolder
from tests.project import PUBLISHER
from tests.shelf import BUILD, CONFIG, Shelf, ending_canaries, later, shelf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from publisher.ledger.canaries import Canary
    from tests.project import Done

POLICY = "keep = { last = 1, best_per_suite = 0 }\n[canary]\nstages = [10, 50]\nhours = 1\nresponses = 0\n"


@pytest.fixture(name="shared", scope="module")
def shared_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Return a shelf that all tests of this file share; each has a candidate of its own."""
    with shelf(tmp_path_factory.mktemp("ends")) as found:
        found.publish(more=POLICY)
        yield found


@pytest.fixture(name="on")
def on_fixture(shared: Shelf) -> Iterator[Shelf]:
    """Return the shelf, and end the gray release that a test leaves running."""
    yield from ending_canaries(shared)


def candidate(on: Shelf) -> str:
    """Publish a snapshot that is not live, and return its branch."""
    return on.deploy(more=POLICY).snapshot


def start(on: Shelf, snapshot: str = "") -> str:
    """Start a gray release of a snapshot, or of a new one, and return the snapshot's branch."""
    wanted = snapshot or candidate(on)
    course.start(on.project, wanted, stages=[], hours=None, why="to see", note=on.notes.append)
    return wanted


def cli(on: Shelf, *arguments: str) -> Done:
    """Run a command, and see that it says no secret and fails without a traceback."""
    done = on.user.run(*arguments)
    said = done.out + done.err
    assert on.info.token not in said
    assert on.info.hook_url.rsplit("/", 1)[-1] not in said
    assert "Traceback" not in said
    return done


def last(on: Shelf) -> Canary:
    """Return the newest gray release."""
    project = on.project
    project.ledger.sync()
    found = canaries.last(project.ledger)
    assert found is not None
    return found


def outcome(on: Shelf) -> str:
    """Return how the newest gray release ended; empty while it runs."""
    end = last(on).end
    return end.outcome if end else ""


def shares(on: Shelf) -> dict[str, int]:
    """Return the shares of the split test that is active; empty where none is."""
    split = splits.running(on.netlify)
    return split.shares() if split else {}


def is_gone(on: Shelf, snapshot: str) -> bool:
    """Return whether a gray release has left neither a split, nor a branch, nor a page."""
    branch = canaries.branch_of(snapshot)
    left = on.remote("for-each-ref", f"refs/heads/{branch}"), on.netlify.deploys(branch=branch), on.shown(branch)
    return (shares(on), *left) == ({}, "", [], "")


def entries(on: Shelf) -> list[str]:
    """Return the ledger's entries of gray releases."""
    return [path for path in on.remote("ls-tree", "-r", "--name-only", "ledger").splitlines() if "canary/" in path]


def test_nothing_is_left_behind(on: Shelf) -> None:
    """After an abort the candidate's own branch, deploy and page are gone, and its snapshot is still there."""
    snapshot = start(on)
    assert not is_gone(on, snapshot)
    assert cli(on, "canary", "abort", "--why", "enough").code == 0
    assert is_gone(on, snapshot)
    assert on.shown(snapshot) == snapshot


def test_the_scene_is_kept(on: Shelf) -> None:
    """Who saw what share for how long, what was heard, by whom it was ended and why: status and audit say it later."""
    snapshot = start(on)
    assert cli(on, "canary", "confirm", "/samples/s/#p7-1", "--why", "17 is odd").code == 0
    assert cli(on, "canary", "abort", "--why", "the tone is off").code == 0
    said = cli(on, "canary", "status").out
    end = last(on).end
    assert end is not None
    assert f"canary {last(on).start.number} of {snapshot}: aborted {end.time}" in said
    assert f"shown      10 % from {last(on).stages[0].time} to {end.time}" in said
    assert "0 answers, 1 confirmed wrong" in said
    trail = cli(on, "audit").out
    assert f"canary {last(on).start.number}: 10 % of the readers see it" in trail
    assert "/samples/s/#p7-1 is wrong" in trail
    assert "the tone is off" in trail


def test_a_promotion_is_not_repeated_after_a_rollback(on: Shelf) -> None:
    """A snapshot that was promoted and then rolled back from stays where it is, however often a step is taken."""
    before = history.live_moves(on.project.ledger)[-1].snapshot
    snapshot = start(on)
    assert cli(on, "canary", "promote", "--why", "all is well").code == 0
    assert (outcome(on), on.shown(), is_gone(on, snapshot)) == ("promoted", snapshot, True)
    assert cli(on, "rollback", before, "--why", "not so well").code == 0
    assert cli(on, "canary", "step").code == 0
    assert cli(on, "canary", "promote", "--why", "again").code == 0
    assert on.shown() == before


def test_a_clone_that_never_saw_the_candidate_promotes_it(on: Shelf, tmp_path: Path) -> None:
    """A colleague's clone that is older than the snapshot brings its commit here and shows it live."""
    on.folder.git("clone", "--quiet", on.folder.git("remote", "get-url", "origin"), str(tmp_path / "theirs"))
    snapshot = start(on)
    theirs = replace(on, user=replace(on.user, folder=GitFolder(tmp_path / "theirs")))
    done = cli(theirs, "canary", "promote", "--why", "good")
    assert (done.code, outcome(on), on.shown()) == (0, "promoted", snapshot), done.err


def test_a_new_kept_run_that_goes_live_ends_it(on: Shelf) -> None:
    """A live move by itself overtakes a gray release as one by hand does."""
    snapshot = start(on)
    newest = on.publish(more=POLICY).snapshot
    assert (outcome(on), on.shown(), is_gone(on, snapshot)) == ("overtaken", newest, True)


def test_live_moves_there_and_back_end_it(on: Shelf) -> None:
    """A gray release whose live site was moved away and back, unseen, is overtaken all the same."""
    snapshot = start(on)
    moves = history.live_moves(on.project.ledger)
    other = next(move for move in reversed(moves) if move.commit != moves[-1].commit)
    for number, move in enumerate((other, moves[-1]), len(moves) + 1):
        on.forge(history.live_file(move, number))
    assert cli(on, "canary", "step").code == 0
    assert (outcome(on), is_gone(on, snapshot)) == ("overtaken", True)


def test_a_takedown_ends_it_and_removes_its_pages(on: Shelf) -> None:
    """A candidate that is taken down is shown to nobody, by no address, and the gray release is aborted."""
    snapshot = start(on)
    assert cli(on, "takedown", snapshot, "--reason", "private").code == 0
    assert (outcome(on), is_gone(on, snapshot), on.shown(snapshot)) == ("aborted", True, "")
    end = last(on).end
    assert end is not None
    assert "taken down" in end.why


def test_pages_of_a_past_one_are_taken_down_too(on: Shelf) -> None:
    """What a gray release that was never cleaned up left behind goes with its snapshot."""
    snapshot = start(on)
    branch = canaries.branch_of(snapshot)
    tip = on.remote("rev-parse", branch)
    assert cli(on, "canary", "abort", "--why", "enough").code == 0
    on.remote("update-ref", f"refs/heads/{branch}", tip)
    assert cli(on, "takedown", snapshot, "--reason", "private").code == 0
    assert is_gone(on, snapshot)


@pytest.mark.parametrize("command", ["reject", "give-up"])
def test_a_withdrawn_candidate_is_aborted_at_once(on: Shelf, command: str) -> None:
    """Whoever rejects a candidate or gives it up has all readers back when the command ends."""
    snapshot = start(on)
    done = cli(on, command, snapshot, "--reason", "leaked")
    assert done.code == 0, done.err
    assert (outcome(on), is_gone(on, snapshot)) == ("aborted", True)
    assert "every reader sees what is live" in done.err


@pytest.mark.parametrize("command", ["step", "publish"])
def test_a_candidate_that_was_withdrawn_elsewhere_is_aborted_by_the_next_command(on: Shelf, command: str) -> None:
    """A decision whose publisher knew no token, or died, is heard by the next step, and by the next publish."""
    finish_others(on.project, "", on.notes.append)  # what other tests left; it would overtake this one
    snapshot = start(on)
    withdraw(on.project, find_run(on.project, snapshot), reason="leaked")
    if command == "step":
        assert cli(on, "canary", "step").code == 0
    else:
        finish_others(on.project, "", on.notes.append)
    assert (outcome(on), is_gone(on, snapshot)) == ("aborted", True)


def test_pruning_spares_the_candidate(on: Shelf) -> None:
    """What is shown to some readers is held, however few snapshots are kept."""
    snapshot = start(on)
    on.deploy(more=POLICY)
    left = [run.line.snapshot for run in prune.prunable(on.project, prune.keep_policy(on.project))]
    assert snapshot not in left
    course.end(on.project, "aborted", why="enough", note=print)
    assert snapshot in [run.line.snapshot for run in prune.prunable(on.project, prune.keep_policy(on.project))]


def test_a_damaged_snapshot_is_shown_to_nobody(on: Shelf) -> None:
    """A snapshot whose address does not serve what was rendered stops the start before anything is written."""
    receipt = on.deploy(more=POLICY)
    before = entries(on)
    on.netlify.delete(receipt.deploy_id)
    done = cli(on, "canary", "start", receipt.snapshot)
    assert done.code == 3, done.err
    assert entries(on) == before


def test_damaged_pages_of_a_candidate_are_built_again(on: Shelf, tmp_path: Path) -> None:
    """A candidate whose first build does not serve what it lists is built a second time before anybody sees it."""
    flag = tmp_path / "built-once"
    damage = f"if [ -f ledger/canary.json ] && [ ! -e {flag} ]; then touch {flag}; echo no > dist/index.html; fi\n"
    on.folder.commit({"build.sh": BUILD + damage}, "A build that fails once")
    snapshot = start(on)
    on.folder.commit({"build.sh": BUILD}, "Mended")
    assert flag.exists()
    assert "is damaged and is built again" in "\n".join(on.notes)
    assert shares(on) == {"live": 90, canaries.branch_of(snapshot): 10}


def test_another_split_test_is_left_alone(on: Shelf) -> None:
    """Somebody else's split test stops the start before anything is written, and is not touched."""
    snapshot, before = candidate(on), entries(on)
    other = on.deploy(more=POLICY).snapshot
    splits.show(on.netlify, "live", other, 20)
    done = cli(on, "canary", "start", snapshot)
    assert (done.code, shares(on), entries(on)) == (2, {"live": 80, other: 20}, before), done.err
    assert "another split test is active" in done.err
    splits.end(on.netlify, other)


def test_an_aborted_candidate_does_not_go_live_by_itself(on: Shelf) -> None:
    """`reconcile` leaves the live site alone while a canary shows the newest snapshot, and after its abort."""
    live = on.shown()
    snapshot = start(on)
    reconcile(on.project, on.notes.append)
    assert outcome(on) == ""
    assert cli(on, "canary", "abort", "--why", "worse").code == 0
    reconcile(on.project, on.notes.append)
    assert on.shown() == live
    assert f"publisher rollback {snapshot}" in on.notes[-1]


def test_a_split_that_somebody_changed_keeps_no_rule_from_aborting(on: Shelf) -> None:
    """A step that cannot bring the split test to its stage aborts all the same once an answer is confirmed wrong."""
    snapshot, other = candidate(on), on.deploy(more=POLICY).snapshot
    start(on, snapshot)
    split, branch = splits.running(on.netlify), canaries.branch_of(snapshot)
    assert split is not None
    requests.put(
        f"{on.info.api_url}/api/v1/sites/{on.netlify.site_id}/traffic_splits/{split.id}",
        json={"branch_tests": {"live": 20, branch: 40, other: 40}},
        headers={"Authorization": f"Bearer {on.info.token}"},
        timeout=20,
    ).raise_for_status()
    assert cli(on, "canary", "step").code == 3
    assert cli(on, "canary", "confirm", "/samples/s/#p1-1", "--why", "the sum is off").code == 0
    assert cli(on, "canary", "step").code == 0
    assert (outcome(on), is_gone(on, snapshot)) == ("aborted", True)


def test_a_branch_of_somebody_else_stays(on: Shelf) -> None:
    """A branch that happens to have the candidate's name is neither moved nor deleted."""
    snapshot = candidate(on)
    branch = canaries.branch_of(snapshot)
    theirs = on.folder.git("rev-parse", "HEAD")
    on.folder.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
    done = cli(on, "canary", "start", snapshot)
    assert done.code == 2, done.err
    assert cli(on, "canary", "abort", "--why", "no room").code == 0
    assert on.remote("rev-parse", branch) == theirs
    on.folder.git("push", "--quiet", "origin", f":refs/heads/{branch}")


@pytest.mark.parametrize("fault", ["500", "500-after", "reset-before", "reset-after", "429"])
def test_an_abort_survives_one_failure_of_the_api(on: Shelf, fault: str) -> None:
    """An end whose call fails once is told again; the readers are back after a few requests."""
    snapshot = start(on)
    with fault_proxy(on.info.port) as proxy:
        own = dict(on.user.environment)
        on.user.environment["NETLIFY_API_URL"] = proxy.url
        proxy.faults.append(("unpublish", fault))
        done = cli(on, "canary", "abort", "--why", "enough")
        on.user.environment.update(own)
    assert done.code == 0, done.err
    assert is_gone(on, snapshot)
    asked = proxy.asked[: 1 + max(number for number, line in enumerate(proxy.asked) if "unpublish" in line)]
    assert len(asked) <= 8, asked


def test_an_abort_needs_three_requests(on: Shelf) -> None:
    """All readers are back once the third request of an abort is answered: the time, the split test, its end."""
    start(on)
    with fault_proxy(on.info.port) as proxy:
        on.user.environment["NETLIFY_API_URL"] = proxy.url
        assert cli(on, "canary", "abort", "--why", "enough").code == 0
        on.user.environment["NETLIFY_API_URL"] = on.info.api_url
    before = [line.split()[0] + " " + line.split()[1].rsplit("/", 1)[-1] for line in proxy.asked[:3]]
    assert before == ["GET demo", "GET traffic_splits", "POST unpublish"]


def test_an_end_that_the_host_does_not_hear_is_told_later(on: Shelf) -> None:
    """An abort is written down while the API fails, says what to type, and the next step brings the readers back."""
    snapshot = start(on)
    with fault_proxy(on.info.port) as proxy:
        on.user.environment["NETLIFY_API_URL"] = proxy.url
        proxy.faults += [("unpublish", "500")] * 9
        done = cli(on, "canary", "abort", "--why", "enough")
        on.user.environment["NETLIFY_API_URL"] = on.info.api_url
    assert (done.code, outcome(on)) == (3, "aborted")
    assert "some readers may still see the candidate" in done.err
    assert "publisher canary step" in done.err
    assert any(one.what == "canary" and one.state == "wrong" for one in findings(on.project))
    assert cli(on, "canary", "step").code == 0
    assert is_gone(on, snapshot)


def test_reconcile_finishes_an_end(on: Shelf) -> None:
    """`reconcile` tells the host what the ledger says, and --dry-run names what was left behind."""
    snapshot = start(on)
    with fault_proxy(on.info.port) as proxy:
        on.user.environment["NETLIFY_API_URL"] = proxy.url
        proxy.faults += [("unpublish", "500")] * 9
        assert cli(on, "canary", "abort", "--why", "enough").code == 3
        on.user.environment["NETLIFY_API_URL"] = on.info.api_url
    assert snapshot in cli(on, "reconcile", "--dry-run").out
    reconcile(on.project, on.notes.append)
    assert is_gone(on, snapshot)


def test_a_start_that_was_interrupted_is_finished_by_a_step(on: Shelf) -> None:
    """A gray release without a stage shows nobody anything; doctor says so, and a step builds and begins it."""
    snapshot = start(on)
    course.end(on.project, "aborted", why="enough", note=print)
    number = last(on).start.number + 1
    begun = replace_start(last(on), number, moves=len(history.live_moves(on.project.ledger)))
    on.forge(canaries.canary_file(begun))
    assert any(one.what == "canary" and "interrupted" in one.says for one in findings(on.project))
    assert "not built yet" in cli(on, "canary", "status").out
    assert cli(on, "canary", "step").code == 0
    assert [one.percent for one in last(on).stages] == [10]
    assert shares(on) == {"live": 90, canaries.branch_of(snapshot): 10}


def replace_start(found: Canary, number: int, **change: Any) -> Any:
    """Return the start of a further gray release of the same snapshot."""
    return msgspec.structs.replace(found.start, number=number, **change)


def test_a_clock_that_was_set_back_waits(on: Shelf) -> None:
    """A stage whose time is in the future has lasted no time: nothing is advanced, and nothing fails."""
    start(on)
    stage = last(on).stages[0]
    on.forge(canaries.canary_file(msgspec.structs.replace(stage, stage=2, percent=50, time="2099-01-01T00:00:00Z")))
    found = course.step(on.project, on.notes.append)
    assert found is not None
    assert (found.decision.outcome, found.heard.stage_hours) == ("wait", 0.0)
    assert sorted(shares(on).values()) == [50, 50]


def test_this_machines_clock_changes_nothing(on: Shelf) -> None:
    """Stages last by the host's clock: a publisher whose own is a year ahead does not advance."""
    start(on)
    ahead = replace(on.project, clock=lambda: 4e9)
    found = course.step(ahead, on.notes.append)
    assert found is not None
    assert found.decision.outcome == "wait"


def test_the_trusted_branch_decides(on: Shelf) -> None:
    """With --policy-ref the candidate's own `[canary]` counts for nothing."""
    on.folder.git("branch", "-f", "trusted", on.folder.commit({"publisher.toml": toml(responses=7)}, "stricter"))
    on.folder.git("push", "--quiet", "--force", "origin", "trusted")
    start(on)
    later(on, 1.5)
    done = on.user.run("--policy-ref", "trusted", "canary", "status")
    assert "wait: 0 of 7 ratings" in done.out, done.err


def toml(responses: int) -> str:
    """Return a publisher.toml whose gray releases need so many responses."""
    more = POLICY.replace("responses = 0", f"responses = {responses}")
    return CONFIG.format(more=more, site="demo", timeout=60)


@pytest.mark.parametrize(
    "options",
    [
        ["--percent", "0"],
        ["--percent", "101"],
        ["--percent", "10", "--stages", "10,50"],
        ["--stages", "50,10"],
        ["--stages", "0,50"],
        ["--stages", "10,,50"],
        ["--stages", "ten"],
        ["--every", "soon"],
        ["--every", "-1h"],
        ["--every", "nanh"],
        ["--stages", "10,50", "--every", "365d"],
    ],
)
def test_wrong_shares_and_times_are_usage_errors(on: Shelf, options: list[str]) -> None:
    """Shares that are none, in no order or given twice, and times that are none: exit code 2, and nothing happens."""
    before = entries(on)
    snapshot = next(run.line.snapshot for run in reversed(on.project.runs()) if run.receipt and run.line.snapshot)
    done = cli(on, "canary", "start", snapshot, *options)
    assert (done.code, entries(on)) == (2, before), done.err


def test_steps_at_once_are_one_stage(on: Shelf) -> None:
    """Three publishers take a step at once: one more stage, one split test."""
    start(on)
    later(on, 1.5)
    command = [str(PUBLISHER), "--repo", str(on.folder.path), "canary", "step"]
    environment = {**os.environ, **on.user.environment}
    running = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in running:
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
    assert [one.percent for one in last(on).stages] == [10, 50]
    assert sorted(shares(on).values()) == [50, 50]


def test_a_site_without_split_tests_splits_by_a_script(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where split tests are not to be had, a script does it, and an abort restores the live snapshot's own deploy."""
    with shelf(tmp_path_factory.mktemp("none"), split_tests=False) as on:
        on.publish(more=POLICY)
        snapshot = candidate(on)
        done = cli(on, "canary", "start", snapshot)
        assert done.code == 0, done.err
        assert "a script of the live deploy splits the readers" in done.err
        first, second = canaries.canaries(on.project.ledger)
        assert (first.end is not None, second.start.via) == (True, "script")
        main = on.netlify.settings.main_address()
        assert deploys.fetch_json(on.netlify, f"{main}/split.json")["percent"] == 10
        own = on.project.runs()[0].receipt
        published = on.netlify.site().published_deploy
        assert own is not None
        assert published is not None
        assert published.id != own.deploy_id
        assert cli(on, "canary", "abort", "--why", "enough").code == 0
        published = on.netlify.site().published_deploy
        assert published is not None
        assert (published.id, outcome(on)) == (own.deploy_id, "aborted")
        assert deploys.fetch_json(on.netlify, f"{main}/split.json") == {}
        done = cli(on, "canary", "start", snapshot, "--link")
        assert done.code == 0, done.err
        assert on.shown(canaries.branch_of(snapshot)) == snapshot


def test_a_link_needs_no_token(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without a token the candidate is shown by its own address, judged by reviews, and promoted by the build hook."""
    with shelf(tmp_path_factory.mktemp("link")) as on:
        first = on.publish(more=POLICY.replace("responses = 0", "responses = 1")).snapshot
        snapshot = on.deploy(more=POLICY.replace("responses = 0", "responses = 1")).snapshot
        token = on.user.environment.pop("NETLIFY_AUTH_TOKEN")
        done = cli(on, "canary", "start", snapshot, "--link", "--percent", "10")
        assert done.code == 2, done.err
        done = cli(on, "canary", "start", snapshot, "--link")
        assert done.code == 0, done.err
        address = on.netlify.settings.address_of(canaries.branch_of(snapshot))
        assert address in done.err
        assert (on.shown(canaries.branch_of(snapshot)), on.shown()) == (snapshot, first)
        said = cli(on, "canary", "status").out
        assert "readers who follow its link, stage 1 of 1" in said
        assert address in said
        assert "0 of 1 ratings" in cli(on, "canary", "step").out
        done = cli(on, "canary", "promote", "--why", "all is well")
        assert done.code == 0, done.err
        assert (outcome(on), on.shown()) == ("promoted", snapshot)
        assert "its pages stay at" in done.err
        on.user.environment["NETLIFY_AUTH_TOKEN"] = token
        assert shares(on) == {}
