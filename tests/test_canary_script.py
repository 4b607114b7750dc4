"""The split by the deploy's own script, where there is no token or no split test: on a real host, with real git."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from publisher.ledger import canaries, history, snapshots
from publisher.ledger.store import author
from publisher.netlify import deploys
from publisher.publishing import deliver, live, prune
from publisher.publishing.canary import course
from publisher.publishing.checkup.examine import findings
from publisher.schema import CanaryEnd
from tests.shelf import BUILD, Shelf, ending_canaries, shelf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.project import Done

POLICY = "live = 'approve'\nproduction_per_month = 0\n[canary]\nstages = [10, 50]\nhours = 0\nresponses = 0\n"


@pytest.fixture(name="shared", scope="module")
def shared_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Return a shelf without a token that all tests of this file share; each has a candidate of its own."""
    with shelf(tmp_path_factory.mktemp("script")) as found:
        found.publish(more=POLICY)
        found.user.environment.pop("NETLIFY_AUTH_TOKEN")
        yield found


@pytest.fixture(name="on")
def on_fixture(shared: Shelf) -> Iterator[Shelf]:
    """Return the shelf, and end the canary that a test leaves running."""
    yield from ending_canaries(shared)


def candidate(on: Shelf, more: str = POLICY) -> str:
    """Publish a snapshot that is not live, and return its branch."""
    return on.deploy(more=more).snapshot


def start(on: Shelf, **more: Any) -> str:
    """Start a canary of a new candidate, and return the snapshot's branch."""
    wanted = candidate(on)
    course.start(on.project, wanted, **{"stages": [], "hours": None, "why": "to see", "note": on.notes.append, **more})
    return wanted


def cli(on: Shelf, *arguments: str) -> Done:
    """Run a command, which fails without a traceback."""
    done = on.user.run(*arguments)
    assert "Traceback" not in done.err
    return done


def split(on: Shelf) -> dict[str, Any]:
    """Return what the main address says of a split; empty where it has none."""
    return deploys.fetch_json(on.netlify, f"{on.netlify.settings.main_address()}/split.json")


def plain(on: Shelf) -> tuple[bool, bool]:
    """Return whether the main address, and the branch `live`, show the snapshot that the ledger says, as it is."""
    project = on.project
    project.ledger.sync()
    move = history.live_moves(project.ledger)[-1]
    tip = snapshots.live_at(project.ledger) or ""
    served = deploys.identity(on.netlify, on.netlify.settings.main_address())
    shown = snapshots.shown_by(project.repository, tip)
    return (served == (move.run_id, move.commit) and not split(on)), shown == move.commit


def leads(on: Shelf, snapshot: str) -> str:
    """Return where a page of a candidate leads; empty where it is shown."""
    host = on.netlify.settings.address_of(canaries.branch_of(snapshot)).removeprefix("http://")
    answer = requests.get(
        f"http://127.0.0.1:{on.info.port}/history/", headers={"Host": host}, allow_redirects=False, timeout=20
    )
    return answer.headers.get("Location", "")


def outcome(on: Shelf) -> str:
    """Return how the newest canary ended; empty while it runs."""
    on.project.ledger.sync()
    found = canaries.canaries(on.project.ledger)[-1].end
    return found.outcome if found else ""


def test_without_a_token_a_script_splits_the_readers(on: Shelf) -> None:
    """`start` says that a script does it; the main address splits, and counts as the live snapshot all the same."""
    live = history.live_moves(on.project.ledger)[-1]
    snapshot = candidate(on)
    done = cli(on, "canary", "start", snapshot, "--percent", "10")
    assert done.code == 0, done.err
    assert "a script of the live deploy splits the readers" in done.err
    found = split(on)
    assert (found["percent"], found["candidate"]) == (10, on.netlify.settings.address_of(canaries.branch_of(snapshot)))
    assert on.shown() == live.snapshot
    assert on.shown(live.snapshot) == live.snapshot
    assert snapshots.live_commit(on.project.ledger) == live.commit
    assert len(history.live_moves(on.project.ledger)) == 1
    assert "10 % of the readers (by a script), stage 1 of 1" in cli(on, "canary", "status").out
    done = cli(on, "canary", "abort", "--why", "enough")
    assert (done.code, outcome(on), plain(on)) == (0, "aborted", (True, True)), done.err
    assert on.remote("for-each-ref", f"refs/heads/{canaries.branch_of(snapshot)}") == ""
    assert leads(on, snapshot) == f"{on.info.site_url}/history/"


def test_stages_are_further_deploys_and_the_promotion_a_usual_move(on: Shelf) -> None:
    """Each step shows another share by another build of `live`; the last puts the candidate live and splits nobody."""
    snapshot = start(on)
    deployed = {str(split(on)["percent"])}
    before = len(history.live_moves(on.project.ledger))
    done = cli(on, "canary", "step")
    assert done.code == 0, done.err
    deployed.add(str(split(on)["percent"]))
    assert deployed == {"10", "50"}
    assert len(history.live_moves(on.project.ledger)) == before
    done = cli(on, "canary", "step")
    assert done.code == 0, done.err
    assert (outcome(on), on.shown(), plain(on)) == ("promoted", snapshot, (True, True))
    assert len(history.live_moves(on.project.ledger)) == before + 1


def test_a_command_that_is_repeated_builds_nothing(on: Shelf) -> None:
    """Status, reconcile and a start that is repeated leave a split that is shown as it is."""
    snapshot = start(on, stages=[10])
    before = on.remote("for-each-ref"), deploy(on)
    assert cli(on, "canary", "start", snapshot, "--percent", "10").code == 0
    assert cli(on, "reconcile").code == 0
    assert "by a script" in cli(on, "canary", "status").out
    assert (on.remote("for-each-ref"), deploy(on)) == before


def test_what_is_live_is_what_it_was(on: Shelf) -> None:
    """`live` names the snapshot, a rollback to it has nothing to do, and it is neither pruned nor taken down."""
    live = history.live_moves(on.project.ledger)[-1].snapshot
    start(on)
    assert cli(on, "live").out.startswith(live)
    before = deploy(on)
    done = cli(on, "rollback", live, "--why", "to be sure")
    assert (done.code, deploy(on), outcome(on)) == (0, before, ""), done.err
    assert len(split(on)) > 0
    assert live not in [run.line.snapshot for run in prune.prunable(on.project, prune.keep_policy(on.project))]
    assert [one.state for one in findings(on.project) if one.what == "canary"] == ["fine"]


def test_a_rollback_ends_the_split(on: Shelf) -> None:
    """A rollback to another snapshot during a split shows that one, as it is, and the canary is overtaken."""
    other = candidate(on)
    start(on)
    done = cli(on, "rollback", other, "--why", "older is better")
    assert done.code == 0, done.err
    assert (outcome(on), on.shown(), plain(on)) == ("overtaken", other, (True, True))


def test_an_end_that_was_interrupted_is_finished(on: Shelf) -> None:
    """Where the ledger says that it is over and the host still splits, doctor says so and the next step mends it."""
    start(on)
    found = canaries.canaries(on.project.ledger)[-1].start
    moves = len(history.live_moves(on.project.ledger))
    end = CanaryEnd(number=found.number, outcome="aborted", who="a", why="b", time="2026-11-20T10:00:00Z", moves=moves)
    on.forge(canaries.canary_file(end))
    assert any(one.what == "canary" and one.state == "wrong" for one in findings(on.project))
    done = cli(on, "canary", "step")
    assert (done.code, plain(on)) == (0, (True, True)), done.err


def test_readers_come_back_although_somebody_deleted_the_candidates_branch(on: Shelf) -> None:
    """An abort brings the main address back, and leads the candidate's readers there, whoever tidied branches up."""
    snapshot = start(on)
    branch = canaries.branch_of(snapshot)
    on.remote("update-ref", "-d", f"refs/heads/{branch}")
    done = cli(on, "canary", "abort", "--why", "worse")
    assert (done.code, plain(on)) == (0, (True, True)), done.err
    assert leads(on, snapshot) == f"{on.netlify.settings.main_address()}/history/"
    assert on.remote("for-each-ref", f"refs/heads/{branch}") == ""


def test_a_second_canary_of_a_snapshot_is_taken_down_with_it(on: Shelf) -> None:
    """A takedown ends the canary that is running although the same snapshot had one before."""
    snapshot = start(on)
    assert cli(on, "canary", "abort", "--why", "worse").code == 0
    course.start(on.project, snapshot, stages=[], hours=None, why="again", note=on.notes.append)
    done = on.user.run("takedown", snapshot, "--reason", "leaked", NETLIFY_AUTH_TOKEN=on.info.token)
    assert (done.code, outcome(on), plain(on)) == (0, "aborted", (True, True)), done.err


def test_a_split_that_is_gone_comes_back(on: Shelf) -> None:
    """Where `live` was moved back by hand, the next step splits again as the ledger says."""
    start(on, stages=[10])
    live = history.live_moves(on.project.ledger)[-1].commit
    tip = on.remote("rev-parse", "live")
    on.remote("update-ref", "refs/heads/live", live)
    done = cli(on, "canary", "status")
    assert done.code == 0, done.err
    course.settle(on.project, on.notes.append)
    assert on.remote("rev-parse", "live") == tip


def test_the_budget_has_to_hold_all_stages_and_the_end(on: Shelf) -> None:
    """A canary whose production deploys the month's budget does not hold is refused before anything is written."""
    more = POLICY.replace("production_per_month = 0", "production_per_month = 2")
    wanted = candidate(on, more)
    before = on.remote("rev-parse", "ledger")
    done = cli(on, "canary", "start", wanted)
    assert done.code == 2, done.err
    assert "2 stages and their end need 3 production deploys" in done.err
    assert on.remote("rev-parse", "ledger") == before


def test_an_older_renderer_is_said_and_nothing_stays(on: Shelf) -> None:
    """A live snapshot whose renderer knows no split ends the start with one message, and everything is as before."""
    before = on.deploy(more=POLICY)
    old = BUILD.replace("if [ -f ledger/split.json ]", "if false")
    on.folder.commit({"build.sh": old}, "A renderer that knows no split")
    run_id = on.enter(more=POLICY)
    on.folder.commit({"build.sh": BUILD}, "The new one")
    receipt = deliver.deliver(on.desk(run_id), on.project.record(run_id))
    live.show_live(on.desk(run_id), receipt, why="old", by_hand=True)
    wanted = candidate(on)
    done = cli(on, "canary", "start", wanted)
    assert done.code == 2, done.err
    assert "is rendered by an older publisher" in done.err
    assert (outcome(on), plain(on)) == ("aborted", (True, True))
    assert on.remote("for-each-ref", f"refs/heads/{canaries.branch_of(wanted)}") == ""
    live.show_live(on.desk(before.run_id), before, why="new", by_hand=True)


def test_two_ways_at_once_are_a_usage_error(on: Shelf) -> None:
    """--link and --script exclude each other."""
    assert cli(on, "canary", "start", on.project.runs()[0].line.snapshot, "--link", "--script").code == 2


def deploy(on: Shelf) -> str:
    """Return the deploy that the main address shows."""
    return str(deploys.fetch_json(on.netlify, f"{on.netlify.settings.main_address()}/deploy.json")["deploy_id"])


def test_a_remote_that_takes_fast_forwards_only(on: Shelf) -> None:
    """Where `live` can only be moved forward, stages and the end are commits on top, and count as the same snapshot."""
    on.remote("config", "receive.denyNonFastForwards", "true")
    try:
        live = history.live_moves(on.project.ledger)[-1]
        start(on)
        assert cli(on, "canary", "step").code == 0
        assert (split(on)["percent"], snapshots.live_commit(on.project.ledger)) == (50, live.commit)
        assert cli(on, "canary", "status").out.count("does not show that share") == 0
        done = cli(on, "canary", "abort", "--why", "enough")
        assert (done.code, plain(on)) == (0, (True, True)), done.err
    finally:
        on.remote("config", "--unset", "receive.denyNonFastForwards")


def test_an_abort_brings_everybody_back_within_two_minutes(on: Shelf) -> None:
    """From the abort to plain pages at the main address, and to pages of the candidate that lead there."""
    snapshot = start(on)
    began = time.monotonic()
    assert cli(on, "canary", "abort", "--why", "enough").code == 0
    assert plain(on) == (True, True)
    assert leads(on, snapshot) == f"{on.info.site_url}/history/"
    assert time.monotonic() - began < 120


def test_a_commit_that_only_says_so_does_not_count_as_the_snapshot(on: Shelf) -> None:
    """A commit on `live` counts as a snapshot if it differs from it by the one file, whatever its message says."""
    project = on.project
    live = history.live_moves(project.ledger)[-1].commit
    message, repository = f"Canary\n\nSnapshot-commit: {live}\n", project.repository
    for files, counts in (({"ledger/split.json": b"{}"}, True), ({"ledger/split.json": b"{}", "n": b"x"}, False)):
        made = repository.write_commit(files, message=message, author=author(0), parents=[live], tree=live)
        assert (snapshots.snapshot_of(repository, made) == live) is counts
    unsaid = repository.write_commit({"ledger/split.json": b"{}"}, message="m\n", author=author(0), parents=[live])
    assert snapshots.snapshot_of(repository, unsaid) == unsaid
