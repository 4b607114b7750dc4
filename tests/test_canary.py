"""The course of a gray release on a real host: start, stages, promotion, abort, races and what must not happen."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import requests

from publisher.errors import UsageError
from publisher.gate.canary import Decision
from publisher.ledger import canaries, history
from publisher.netlify import splits
from publisher.publishing import live
from publisher.publishing.canary import course, state
from tests.project import PUBLISHER
from tests.shelf import Shelf, later, shelf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POLICY = "[canary]\nstages = [10, 50]\nhours = 1\nresponses = 2\n"


@pytest.fixture(name="on")
def on_fixture(tmp_path: Path) -> Iterator[Shelf]:
    """Return a shelf whose second snapshot is live; the newest, which is not, is the candidate."""
    with shelf(tmp_path) as found:
        found.publish()
        found.publish()
        found.publish(more=POLICY)
        live.rollback(found.project, found.project.runs()[1].line.snapshot, why="for now", lock=False, note=print)
        yield found


def candidate(on: Shelf) -> str:
    """Return the candidate's branch."""
    return on.project.runs()[2].line.snapshot


def start(on: Shelf, **more: Any) -> None:
    """Start the candidate's gray release."""
    given: dict[str, Any] = {"stages": [], "hours": None, "why": "to see", "note": on.notes.append}
    course.start(on.project, candidate(on), **{**given, **more})


def shares(on: Shelf) -> dict[str, int]:
    """Return the shares of the split test that is active; empty where none is."""
    split = splits.running(on.netlify)
    return split.shares() if split else {}


def send(on: Shelf, number: int = 2, **data: str) -> None:
    """Send the form, about the run of this number."""
    sent = {"form-name": "feedback", "run": on.project.runs()[number].run_id, **data}
    host = {"Host": on.info.site_url.removeprefix("http://")}
    answer = requests.post(on.info.api_url, data=sent, headers=host, timeout=20)
    assert answer.status_code == 200, answer.text


def step(on: Shelf) -> Decision:
    """Take one step of the policy."""
    found = course.step(on.project, on.notes.append)
    assert found is not None
    return found.decision


def ended(on: Shelf) -> str:
    """Return how the last gray release ended, empty while it runs."""
    on.project.ledger.sync()
    end = canaries.canaries(on.project.ledger)[-1].end
    return end.outcome if end else ""


def test_a_candidate_is_shown_to_its_share(on: Shelf) -> None:
    """The start builds the candidate's branch, splits the readers, and leaves the live site where it is."""
    start(on)
    branch = candidate(on).replace("snapshot-", "canary-")
    assert shares(on) == {"live": 90, branch: 10}
    assert on.shown(branch) == candidate(on)
    assert on.shown() in {candidate(on), on.project.runs()[1].line.snapshot}
    assert history.live_moves(on.project.ledger)[-1].snapshot == on.project.runs()[1].line.snapshot


def test_a_good_candidate_is_promoted_through_its_stages(on: Shelf) -> None:
    """With enough ratings each stage is followed by the next after its hours, and the last by the live site."""
    start(on)
    for rating in ("4", "5", "5"):
        send(on, rating=rating)
    assert step(on).outcome == "wait"
    later(on, 1.1)
    assert step(on).outcome == "advance"
    assert list(shares(on).values()) == [50, 50]
    assert step(on).outcome == "wait"
    later(on, 1.1)
    assert step(on).outcome == "promote"
    assert (ended(on), shares(on), on.shown()) == ("promoted", {}, candidate(on))
    end = canaries.canaries(on.project.ledger)[-1].end
    assert end is not None
    assert end.evidence is not None
    assert (end.evidence.responses, end.evidence.candidate.count) == (3, 3)


def test_a_confirmed_wrong_answer_aborts_at_once(on: Shelf) -> None:
    """A reported answer alone changes nothing; when a person confirms it, the next step aborts."""
    start(on)
    send(on, rating="2", answer="/answers/7/#s1", comment="17 is not even")
    assert step(on).outcome == "wait"
    done = on.user.run("canary", "confirm", "/answers/7/#s1", "--why", "17 is odd")
    assert done.code == 0, done.err
    assert step(on).outcome == "abort"
    assert (ended(on), shares(on)) == ("aborted", {})
    assert on.shown() == on.project.runs()[1].line.snapshot


def test_abort_brings_everybody_back(on: Shelf) -> None:
    """After an abort by hand every reader, whatever the cookie says, sees what is live; the reason is kept."""
    start(on, stages=[100])
    assert on.shown() == candidate(on)
    done = on.user.run("canary", "abort", "--why", "the tone is off")
    assert done.code == 0, done.err
    assert on.shown() == on.project.runs()[1].line.snapshot
    found = canaries.canaries(on.project.ledger)[-1].end
    assert found is not None
    assert found.why == "the tone is off"
    assert found.evidence is not None
    assert on.user.run("canary", "abort", "--why", "again").code == 0
    assert len(canaries.canaries(on.project.ledger)) == 1
    assert on.user.run("canary", "promote", "--why", "after all").code == 2


def test_a_rollback_during_a_canary_ends_it(on: Shelf) -> None:
    """A move of the live site by hand overtakes the canary: it ends, and that is said."""
    start(on)
    done = on.user.run("rollback", on.project.runs()[0].line.snapshot, "--why", "older is better")
    assert done.code == 0, done.err
    assert "canary" in done.err
    assert (ended(on), shares(on)) == ("overtaken", {})
    assert on.shown() == on.project.runs()[0].line.snapshot


def test_one_canary_at_a_time(on: Shelf) -> None:
    """A second candidate is refused while one runs; the same again continues it."""
    start(on)
    with pytest.raises(UsageError, match="one at a time"):
        course.start(
            on.project, on.project.runs()[0].line.snapshot, stages=[], hours=None, why="x", note=on.notes.append
        )
    start(on)
    assert len(canaries.canaries(on.project.ledger)) == 1
    assert len(canaries.canaries(on.project.ledger)[0].stages) == 1


def test_what_is_live_or_gone_is_no_candidate(on: Shelf) -> None:
    """The live snapshot, one that is not deployed any more, and an unknown one are refused before anything happens."""
    runs = on.project.runs()
    for wanted in (runs[1].line.snapshot, "snapshot-000000000000"):
        done = on.user.run("canary", "start", wanted)
        assert done.code == 2, done.err
    assert canaries.canaries(on.project.ledger) == []


def test_starts_at_once_are_one_canary(on: Shelf) -> None:
    """Three publishers start the same candidate at once: one canary, one stage, one split test."""
    command = [str(PUBLISHER), "--repo", str(on.folder.path), "canary", "start", candidate(on)]
    environment = {**os.environ, **on.user.environment}
    running = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in running:
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
    on.project.ledger.sync()
    (found,) = canaries.canaries(on.project.ledger)
    assert [one.percent for one in found.stages] == [10]
    assert sum(shares(on).values()) == 100


def test_spam_is_set_aside_and_said(on: Shelf) -> None:
    """Submissions that our form does not send, repeats and a flooded hour do not count, and a flood waits."""
    start(on)
    send(on, rating="9")
    send(on, rating="5", comment="buy now")
    send(on, rating="5", comment="BUY NOW")
    found = state.state(on.project, on.notes.append)
    assert found is not None
    assert (found.feedback.malformed, found.feedback.repeated, len(found.heard.candidate)) == (1, 1, 1)
    for number in range(70):
        send(on, rating="1", comment=f"terrible {number}")
    found = state.state(on.project, on.notes.append)
    assert found is not None
    assert (found.feedback.flooded >= 70, list(found.heard.candidate)) == (True, [])
    assert "a person must look" in " ".join(found.decision.reasons)


def test_status_says_what_is_known(on: Shelf) -> None:
    """Status prints shares, ratings, reports and what the policy would do, hostile text harmless; `live` names it."""
    assert "no canary yet" in on.user.run("canary", "status").out
    start(on)
    send(on, rating="4", comment="\x1b[31mred\u202e <script>", answer="/answers/7/")
    said = on.user.run("canary", "status").out
    assert "10 % of the readers, stage 1 of 2" in said
    assert "ratings    4.00" in said
    assert "reported   /answers/7/" in said
    assert "\x1b" not in said
    assert "wait: 1 of 2 ratings" in said
    assert "canary 1: 10 % of the readers see" in on.user.run("live").out
