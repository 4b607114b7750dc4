"""The split by the deploy's own script, where there is no token or no split test: on a real host, with real git."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from publisher.ledger import canaries, history, snapshots
from publisher.netlify import deploys
from publisher.publishing.canary import course
from tests.shelf import Shelf, shelf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.project import Done

POLICY = "production_per_month = 0\n[canary]\nstages = [10, 50]\nhours = 0\nresponses = 0\n"


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
    yield shared
    shared.project.ledger.sync()
    if canaries.running(shared.project.ledger):
        course.end(shared.project, "aborted", why="the test is over", note=print)


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
    assert "10 % of the readers, stage 1 of 1" in cli(on, "canary", "status").out
    done = cli(on, "canary", "abort", "--why", "enough")
    assert (done.code, outcome(on), plain(on)) == (0, "aborted", (True, True)), done.err
    assert on.remote("for-each-ref", f"refs/heads/{canaries.branch_of(snapshot)}") == ""
    address = on.netlify.settings.address_of(canaries.branch_of(snapshot))
    answer = requests.get(
        f"http://127.0.0.1:{on.info.port}/history/",
        headers={"Host": address.removeprefix("http://")},
        allow_redirects=False,
        timeout=20,
    )
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{on.info.site_url}/history/")
