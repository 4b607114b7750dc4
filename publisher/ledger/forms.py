"""What the names in a ledger file must look like before anybody acts on them.

Everybody who can push can write a ledger file. A run's files name branches, commits, deploys and addresses that later
commands push, delete and fetch, so each must have the form that `publisher` writes and must belong to its run.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from publisher.errors import StorageError
from publisher.git import is_full_hash

if TYPE_CHECKING:
    from publisher.schema import (
        BuildRequest,
        Decision,
        GivenUp,
        HistoryLine,
        LiveMove,
        Pin,
        Pruned,
        Receipt,
        SnapshotName,
        TakenDown,
    )

RUN_ID = r"\d{8}T\d{6}Z-[0-9a-f]{12}-[a-z0-9][a-z0-9._-]{0,63}"
_RUN_ID = re.compile(rf"{RUN_ID}\Z")
_SNAPSHOT = re.compile(r"snapshot-([0-9a-f]{12})(?:-[1-9]\d{0,5})?\Z")
_PIN = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,62}\Z")
_DEPLOY = re.compile(r"[A-Za-z0-9_-]{0,64}\Z")
_ADDRESS = re.compile(r"[!-~]{0,300}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[0-9T:.Z+-]{0,30}\Z")
LONGEST = 2000
"""Characters of a subject or a reason."""
_LONGEST_NAME, _MOST_SUITES = 100, 1000


def check_line(run_id: str, line: HistoryLine) -> None:
    """Raise StorageError unless a line of history is about the run in whose folder it lies."""
    _, commit, tier = run_id.split("-", 2)
    _require(line.run_id == run_id, "run_id", line.run_id)
    _require(is_full_hash(line.commit) and line.commit.startswith(commit), "commit", line.commit)
    _require(line.tier == tier, "tier", line.tier)
    longest = max(line.subject, line.why, line.branch, key=len)
    _require(len(longest) <= LONGEST, "subject, reason or branch", longest)
    short = (line.started, line.fingerprint, line.generation, line.salt, line.reset, line.model, *line.scores)
    _require(max(map(len, short)) <= _LONGEST_NAME, "name", max(short, key=len))
    _require(len(line.scores) <= _MOST_SUITES, "number of suites", str(len(line.scores)))


def check_snapshot(line: HistoryLine, name: SnapshotName) -> None:
    """Raise StorageError unless a snapshot's name is one that this run can have."""
    _of_run(line, name.run_id, name.branch, name.commit)
    _require(bool(_ADDRESS.match(name.address)), "address", name.address)


def check_request(line: HistoryLine, request: BuildRequest) -> None:
    """Raise StorageError unless a request is for a snapshot that this run can have."""
    _of_run(line, request.run_id, request.branch, request.commit)
    check_time(request.time)


def check_receipt(line: HistoryLine, receipt: Receipt) -> None:
    """Raise StorageError unless a receipt is of a snapshot that this run can have."""
    _of_run(line, receipt.run_id, receipt.snapshot, receipt.commit)
    _require(bool(_DEPLOY.match(receipt.deploy_id)), "deploy", receipt.deploy_id)
    _require(bool(_DIGEST.match(receipt.manifest_sha256)), "manifest digest", receipt.manifest_sha256)
    for address in (receipt.address, receipt.permalink):
        _require(bool(_ADDRESS.match(address)), "address", address)
    for moment in (receipt.requested, receipt.ready, receipt.verified):
        check_time(moment)


def check_pruned(line: HistoryLine, pruned: Pruned) -> None:
    """Raise StorageError unless what was pruned is a snapshot that this run can have."""
    _of_run(line, pruned.run_id, pruned.snapshot, pruned.commit)
    check_time(pruned.time)


def check_decision(line: HistoryLine, decision: Decision) -> None:
    """Raise StorageError unless a decision of a person is about this run."""
    _require(decision.run_id == line.run_id, "run_id", decision.run_id)
    _require(len(decision.who) <= _LONGEST_NAME and len(decision.reason) <= LONGEST, "who or reason", decision.who)
    check_time(decision.time)


def check_end(run_id: str, end: GivenUp | TakenDown) -> None:
    """Raise StorageError unless the entry that ended a run is about that run."""
    _require(end.run_id == run_id, "run_id", end.run_id)
    _require(len(end.who) <= _LONGEST_NAME and len(end.why) <= LONGEST, "who or why", end.who)
    check_time(end.time)


def check_pin(pin: Pin) -> None:
    """Raise StorageError unless a pin can be an address and leads to a snapshot of its run."""
    _require(bool(_PIN.match(pin.name)), "pin", pin.name)
    _of_any_run(pin.run_id, pin.snapshot, pin.commit)
    _require(bool(_ADDRESS.match(pin.address)), "address", pin.address)
    _require(len(pin.who) <= _LONGEST_NAME, "who", pin.who)
    check_time(pin.time)


def check_move(move: LiveMove) -> None:
    """Raise StorageError unless a move of the live site leads to a snapshot of its run."""
    _of_any_run(move.run_id, move.snapshot, move.commit)
    _require(bool(_DEPLOY.match(move.deploy_id)), "deploy", move.deploy_id)
    _require(not move.previous or is_full_hash(move.previous), "previous commit", move.previous)
    _require(len(move.who) <= _LONGEST_NAME and len(move.why) <= LONGEST, "who or why", move.who)
    check_time(move.time)


def is_snapshot_of(branch: str, commit: str) -> bool:
    """Return whether a branch can be a snapshot of the benchmarked commit, of which 12 digits suffice."""
    found = _SNAPSHOT.match(branch)
    return found is not None and found[1] == commit[:12]


def check_time(text: str) -> None:
    """Raise StorageError unless a text is a time as publisher writes it."""
    try:
        right = bool(_TIME.match(text)) and dt.datetime.fromisoformat(text) is not None
    except ValueError:
        right = False
    _require(right, "time", text)


def _of_run(line: HistoryLine, run_id: str, branch: str, commit: str) -> None:
    _require(run_id == line.run_id, "run_id", run_id)
    _require(is_snapshot_of(branch, line.commit), "snapshot", branch)
    _require(is_full_hash(commit), "commit", commit)


def _of_any_run(run_id: str, branch: str, commit: str) -> None:
    _require(bool(_RUN_ID.match(run_id)), "run_id", run_id)
    _require(is_snapshot_of(branch, run_id.split("-")[1]), "snapshot", branch)
    _require(is_full_hash(commit), "commit", commit)


def _require(right: bool, what: str, found: str) -> None:
    if not right:
        raise StorageError(f"its {what} is not one that publisher writes here: {found[:80]!r}")
