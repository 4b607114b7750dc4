"""Turns to call the build hook: who may call, and for how long a call is believed."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from publisher.ledger import calls
from publisher.ledger.store import Ledger
from publisher.netlify.deploys import Look, WantedDeploy
from publisher.publishing.turns import Marks, Patience, Turns, steady
from publisher.schema import BuildAnswer
from tests.made import COMMIT, GitFolder

WANTED = WantedDeploy("snapshot-1", COMMIT, "run-1", "title", 60.0)
MOMENT = "2026-11-20T20:00:00Z"
NOTHING = Look()


def turns(repository: GitFolder, *, api: bool = True, doubt: float = 9.0, seen: str = "seen") -> Turns:
    """Return the turns of one deploy, as a publisher in this clone has them."""
    marks = Marks(repository.path / ".git" / "publisher" / seen)
    return Turns(Ledger(repository.opened), "runs/run-1", marks, 60.0, api, patience=Patience(doubt=doubt))


def test_one_of_two_publishers_gets_the_turn(repository: GitFolder) -> None:
    """The second finds the first one's request and leaves it alone."""
    first, second = turns(repository), turns(repository, seen="other")
    assert first.take(WANTED, NOTHING, moment=MOMENT) is not None
    assert 0 < second.pending(NOTHING) <= 9.0


def test_a_call_without_an_answer_expires(repository: GitFolder) -> None:
    """Its publisher may have died before the call: after the turn's own time another call may be made."""
    one = turns(repository, doubt=1.0)
    assert one.take(WANTED, NOTHING, moment=MOMENT)
    left = one.pending(NOTHING)
    assert left > 0
    time.sleep(left + 0.05)
    assert one.pending(NOTHING) == 0


@pytest.mark.parametrize("api", [True, False])
def test_an_accepted_call_is_believed_for_as_long_as_a_build_may_take(repository: GitFolder, *, api: bool) -> None:
    """An answered call is not a lost call, with a token or without."""
    one = turns(repository, api=api)
    turn = one.take(WANTED, NOTHING, moment=MOMENT)
    assert turn
    one.close(turn, "accepted", moment=MOMENT)
    assert 59.0 < turns(repository, api=api, seen="other").pending(NOTHING) <= 60.0


def test_without_the_api_a_call_in_doubt_is_believed_as_long(repository: GitFolder) -> None:
    """A build that a lost call has started shows nothing until it is ready."""
    assert turns(repository, api=False).take(WANTED, NOTHING, moment=MOMENT)
    assert turns(repository, api=False, seen="other").pending(NOTHING) > 59.0


def test_after_a_call_that_was_not_made_anybody_may_call(repository: GitFolder) -> None:
    """A 429 or a connection that was never made gives the turn up."""
    one = turns(repository)
    turn = one.take(WANTED, NOTHING, moment=MOMENT)
    assert turn
    one.close(turn, "not made", moment=MOMENT)
    assert turns(repository).pending(NOTHING) == 0
    assert turns(repository).take(WANTED, NOTHING, moment=MOMENT)


def test_a_new_deploy_ends_the_wait(repository: GitFolder) -> None:
    """A deploy that was not there before the call is the call's effect; one that was there is not."""
    one = turns(repository)
    assert one.take(WANTED, Look(ids=("old",)), moment=MOMENT)
    assert one.pending(Look(ids=("old",))) > 0
    assert one.pending(Look(ids=("new", "old"))) == 0


def test_a_repair_has_turns_of_its_own(repository: GitFolder) -> None:
    """The calls of the first deploy, long ago, hold nobody up."""
    one = turns(repository)
    turn = one.take(WANTED, NOTHING, moment=MOMENT)
    assert turn
    one.close(turn, "accepted", moment=MOMENT)
    assert replace(one, receipt=2).pending(NOTHING) == 0


def test_what_was_seen_is_remembered_by_the_next_command(repository: GitFolder) -> None:
    """A command that is repeated does not wait again for what it has waited for."""
    first = turns(repository, doubt=1.0)
    assert first.take(WANTED, NOTHING, moment=MOMENT)
    time.sleep(first.pending(NOTHING) + 0.05)
    assert turns(repository).pending(NOTHING) == 0


def test_a_mark_of_another_start_of_the_machine_does_not_count(tmp_path: Path) -> None:
    """The steady clock starts anew with the machine, so an older mark says nothing."""
    (tmp_path / "key.json").write_text(f'{{"boot": "another", "at": {steady() - 1000}}}', "utf-8")
    assert Marks(tmp_path).age("key") < 100


@pytest.mark.parametrize("text", ["", "[]", '{"boot": 1}', "[" * 100_000, '{"boot": "x", "at": "y"}'])
def test_a_spoiled_mark_is_written_anew(tmp_path: Path, text: str) -> None:
    """What a full disk left behind stops nothing."""
    (tmp_path / "key.json").write_text(text, "utf-8")
    assert Marks(tmp_path).age("key") < 100
    Marks(tmp_path).forget()
    assert not list(tmp_path.iterdir())


def test_a_turn_that_took_too_long_to_record_is_given_up(repository: GitFolder, tmp_path: Path) -> None:
    """Others may call next; the following turn asks for as much time as this remote needs."""
    bare = repository.with_remote(tmp_path / "origin.git")
    slow = turns(repository, doubt=0.5)
    slow.ledger = Ledger(repository.opened, "origin")
    slow.ledger.append({"a": b"1"}, "first\n")
    hook = bare.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nsleep 0.4\n", "utf-8")
    hook.chmod(0o755)
    assert slow.take(WANTED, NOTHING, moment=MOMENT) is None
    second = slow.take(WANTED, NOTHING, moment=MOMENT)
    assert second is not None
    assert second.request.patience > 2.4
    assert [call.answer and call.answer.outcome for call in slow.calls()] == ["not made", None]


def test_a_turn_cannot_ask_for_ever(repository: GitFolder) -> None:
    """A ledger file that asks others to wait for a year is believed for an hour."""
    one = turns(repository)
    turn = one.take(WANTED, NOTHING, moment=MOMENT)
    assert turn
    greedy = msgspec.structs.replace(turn.request, patience=3e7)
    one.ledger.append(calls.request_file("runs/run-2", greedy), "greedy\n")
    other = replace(turns(repository), folder="runs/run-2")
    assert other.pending(NOTHING) <= 3600


@pytest.mark.parametrize("data", [b"", b"[]", b'{"schema": 1}', b"x" * 70_000])
def test_a_spoiled_request_is_no_call_but_keeps_its_number(repository: GitFolder, data: bytes) -> None:
    """Hostile or cut files hold nobody up."""
    one = turns(repository)
    one.ledger.append({"runs/run-1/request-1.json": data, "runs/run-1/request-x.json": b"{}"}, "spoiled\n")
    assert one.pending(NOTHING) == 0
    turn = one.take(WANTED, NOTHING, moment=MOMENT)
    assert turn
    assert turn.request.attempt == 2


def test_an_answer_is_written_once(repository: GitFolder) -> None:
    """What became of a call is in the ledger, beside its request."""
    one = turns(repository)
    turn = one.take(WANTED, NOTHING, moment=MOMENT)
    assert turn
    one.close(turn, "accepted", moment=MOMENT)
    (call,) = one.calls()
    assert call.answer == BuildAnswer(attempt=1, outcome="accepted", time=MOMENT)
