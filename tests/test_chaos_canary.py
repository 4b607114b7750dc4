"""Gray releases under kills and races: whatever is interrupted, the same command finishes it, once.

make chaos        or: pytest -m chaos tests/test_chaos_canary.py
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from publisher.ledger import canaries, history, snapshots
from publisher.ledger.canaries import Canary
from publisher.netlify import deploys, splits
from publisher.publishing.canary import course
from publisher.schema import LiveMove
from tests.killing import Order, killed_after_each_step, obeyed
from tests.project import PUBLISHER
from tests.shelf import Shelf, shelf

pytestmark = pytest.mark.chaos
LIMITS = "builds_per_day = 0\nbuilds_per_month = 0\nproduction_per_month = 0\n"
POLICY = f"{LIMITS}[canary]\nstages = [10, 50]\nhours = 1\nresponses = 0\n"
Prepared = tuple[list[str], Callable[[], None]]


@pytest.fixture(name="on", scope="module", params=["split", "script"])
def on_fixture(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Shelf]:
    """Return a shelf that all sweeps of this file share, with a token or without; each has candidates of its own."""
    with shelf(tmp_path_factory.mktemp("canary")) as found:
        found.publish(more=POLICY)
        if request.param == "script":
            found.user.environment.pop("NETLIFY_AUTH_TOKEN")
        yield found


def candidate(on: Shelf) -> str:
    """End what is running, and publish a snapshot that is not live."""
    on.project.ledger.sync()
    if canaries.running(on.project.ledger):
        course.end(on.project, "aborted", why="the next one", note=print)
    return on.deploy(more=POLICY).snapshot


def started(on: Shelf) -> str:
    """Start the gray release of a new candidate, and return its snapshot."""
    snapshot = candidate(on)
    course.start(on.project, snapshot, stages=[], hours=None, why="to see", note=on.notes.append)
    return snapshot


def checks(on: Shelf, snapshot: str, outcome: str, *percents: int) -> Callable[[], None]:
    """Return the assertion of how a candidate stands: in the ledger, on the host, and at every address."""
    branch, live = canaries.branch_of(snapshot), history.live_moves(on.project.ledger)
    by_script = "NETLIFY_AUTH_TOKEN" not in on.user.environment

    def check() -> None:
        project = on.project
        project.ledger.sync()
        (found,) = [one for one in canaries.canaries(project.ledger) if one.start.snapshot == snapshot]
        assert [one.percent for one in found.stages] == list(percents)
        assert (found.end.outcome if found.end else "") == outcome
        ready = [deploy for deploy in on.host.deploys(branch=branch) if deploy.ready]
        if outcome:
            assert found.end is not None
            assert found.end.evidence is not None
            assert on.remote("for-each-ref", f"refs/heads/{branch}") == ""
            assert by_script or ready == []
        else:
            assert len(ready) == 1
        moves = history.live_moves(project.ledger)
        assert len(moves) == len(live) + (outcome == "promoted")
        assert moves[-1].snapshot == (snapshot if outcome == "promoted" else live[-1].snapshot)
        assert on.shown(snapshot) == snapshot
        if by_script:
            check_script(on, found, moves[-1])
        else:
            shares = {"live": 100 - percents[-1], branch: percents[-1]} if not outcome else {}
            split = splits.running(on.netlify)
            assert (split.shares() if split else {}) == shares

    return check


def check_script(on: Shelf, found: Canary, move: LiveMove) -> None:
    """Assert that the main address shows the live snapshot and splits as the ledger says, by one deploy per stage."""
    main = on.netlify.settings.main_address()
    run_id, commit = deploys.identity(on.netlify, main)
    tip = snapshots.live_at(on.project.ledger)
    assert tip is not None
    assert (run_id, commit) == (move.run_id, snapshots.shown_by(on.project.repository, tip))
    assert snapshots.live_commit(on.project.ledger) == move.commit
    assert (commit == move.commit) == (found.end is not None)
    assert deploys.fetch_json(on.netlify, f"{main}/split.json").get("percent") == (found.percent or None)
    titles = [deploy.title or "" for deploy in on.host.deploys(branch="live") if deploy.ready]
    for stage in found.stages:
        built = titles.count(f"live, canary {stage.number}: {stage.percent} %")
        assert built == 1 or (built == 0 and found.end is not None), titles


def begin(on: Shelf) -> Prepared:
    """Start the gray release of a new candidate."""
    snapshot = candidate(on)
    return ["canary", "start", snapshot], checks(on, snapshot, "", 10)


def advance(on: Shelf) -> Prepared:
    """Take the step to the next stage."""
    snapshot = started(on)
    headers = {"Authorization": f"Bearer {on.info.token}"}
    clock = f"{on.info.api_url}/__host__/clock"
    requests.post(clock, json={"seconds": 4000}, headers=headers, timeout=20).raise_for_status()
    return ["canary", "step"], checks(on, snapshot, "", 10, 50)


def promote(on: Shelf) -> Prepared:
    """Put a candidate live."""
    return ["canary", "promote", "--why", "all is well"], checks(on, started(on), "promoted", 10)


def abort(on: Shelf) -> Prepared:
    """End a gray release."""
    return ["canary", "abort", "--why", "enough"], checks(on, started(on), "aborted", 10)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("prepare", [abort, advance, promote, begin])
def test_a_canary_that_is_killed_after_any_step_is_finished_by_the_same_command(
    on: Shelf, tmp_path: Path, prepare: Callable[[Shelf], Prepared]
) -> None:
    """SIGKILL after every durable effect: the same command ends as if nothing had been, and a third does nothing."""
    killed_after_each_step(on, tmp_path, prepare)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "label",
    [
        "push canary-* 1",
        "POST the build hook 1",
        "POST a split test 1",
        "POST a split test 2",
        "push live 1",
        "POST the build hook 2",
    ],
)
def test_an_abort_in_the_middle_of_a_start_wins(on: Shelf, label: str) -> None:
    """Somebody aborts while another publisher is still starting: the start ends what it did, and nobody is split."""
    by_script = "NETLIFY_AUTH_TOKEN" not in on.user.environment
    if by_script == ("split" in label) and label not in {"push canary-* 1", "POST the build hook 1"}:
        pytest.skip("the other way has no such step")
    snapshot = candidate(on)
    check = checks(on, snapshot, "aborted", *([10] if "split" in label or "live" in label or "2" in label else []))
    environment = {**os.environ, **on.user.environment}
    rival = ["env", *(f"{key}={value}" for key, value in on.user.environment.items())]
    rival += [str(PUBLISHER), "--repo", str(on.folder.path), "canary", "abort", "--why", "stop"]
    arguments = ["--repo", str(on.folder.path), "canary", "start", snapshot]
    (done,) = obeyed(Order(arguments, environment, label, "overtaken", rival=rival))
    assert (done.code, "Traceback" in done.err) == (2, False), done.err
    assert "ended meanwhile" in done.err
    check()
