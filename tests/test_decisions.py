from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from publisher.errors import UsageError
from publisher.ledger import history
from publisher.publishing import decisions
from publisher.schema import HistoryIndex, StoppedEarly, decode
from tests.made import record, verdict
from tests.shelf import Shelf, shelf


@pytest.fixture(name="on")
def on_fixture(tmp_path: Path) -> Iterator[Shelf]:
    """Return a shelf without snapshots."""
    with shelf(tmp_path) as found:
        yield found


def test_an_accepted_run_is_kept_published_and_says_who_and_why(on: Shelf) -> None:
    """The snapshot's own history has the decision, the gate's verdict stays beside it, and reconcile publishes it."""
    run_id = on.enter("rejected")
    done = on.user.run("accept", run_id, "--reason", "twice as fast", "--json")
    assert (done.code, done.json["verdict"], done.json["who"]) == (0, "kept", on.project.who)
    assert done.json["overrides"], "the rules that are overruled are named"
    assert on.user.run("reconcile").code == 0
    (run,) = on.project.runs()
    assert (run.line.verdict, run.receipt is not None) == ("kept", True)
    shown = on.project.repository.read(run.receipt.commit if run.receipt else "", "ledger/history.json")
    line = decode(shown or b"", HistoryIndex, "history.json").lines[-1]
    assert line.decision is not None
    assert (line.verdict, line.decision.reason) == ("kept", "twice as fast")
    assert on.user.run("accept", run_id, "--reason", "again").code == 2
    assert on.user.run("publish").code == 0, "the same commit is kept now"


def test_a_kept_run_can_be_withdrawn(on: Shelf) -> None:
    """It is rejected from then on, its page stays, and it can be accepted again."""
    on.publish()
    (run,) = on.project.runs()
    assert on.user.run("reject", run.line.snapshot, "--reason", "the suite leaked").code == 0
    (withdrawn,) = on.project.runs()
    assert (withdrawn.line.verdict, withdrawn.receipt is not None) == ("rejected", True)
    assert on.user.run("gate").code == 1
    assert "the suite leaked" in on.user.run("log").out
    assert "the suite leaked" in on.user.run("publish").err
    assert on.user.run("reject", run.run_id, "--reason", "again").code == 2
    assert on.user.run("accept", run.run_id, "--reason", "a false alarm").code == 0
    (back,) = on.project.runs()
    assert back.line.decision is not None
    assert (back.line.verdict, back.line.decision.number) == ("kept", 2)


def test_a_decision_that_was_interrupted_after_its_entry_is_done(on: Shelf) -> None:
    """The same command again succeeds and adds nothing; with another reason it is another decision."""
    run_id = on.enter("rejected")
    for command, word, reason in (("accept", "kept", "fast  enough"), ("reject", "rejected", "leaked")):
        assert on.user.run(command, run_id, "--reason", reason).code == 0
        before = on.remote("for-each-ref")
        again = on.user.run(command, run_id, "--reason", reason, "--json")
        assert (again.code, again.json["verdict"], on.remote("for-each-ref") == before) == (0, word, True), again.err
        assert on.user.run(command, run_id, "--reason", "another").code == 2
    assert on.user.run("accept", run_id, "--reason", "fast enough").code == 0, "an older decision is not this one"
    approved = on.user.run("approve", run_id, "--reason", "fast enough")
    assert (approved.code, on.project.runs()[0].line.decision.number) == (0, 3)  # type: ignore[union-attr]


def test_a_run_that_was_stopped_early_cannot_be_accepted(on: Shelf) -> None:
    """Its score is biased; the hint says how to measure the rest."""
    on.enter()
    made = msgspec.structs.replace(
        record(started="20261130T000000Z"),
        stopped_early=StoppedEarly(look=1, share=0.1, samples=4, planned=40, why="hopeless"),
    )
    on.project.ledger.append(history.run_files(made, verdict(made, "rejected"), b""), "rejected\n")
    run = on.project.run(made.run_id)
    assert run is not None
    with pytest.raises(UsageError) as caught:
        decisions.accept(on.project, run, reason="please")
    assert "--complete" in caught.value.hint


@pytest.mark.parametrize("reason", ["", "x" * 1001])
def test_a_decision_needs_a_reason(on: Shelf, reason: str) -> None:
    """The ledger keeps it for ever."""
    run_id = on.enter("inconclusive")
    assert on.user.run("accept", run_id, "--reason", reason).code == 2
