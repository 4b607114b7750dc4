"""Runs in the ledger: their paths, reading them back, and the history as a list of compact lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from publisher import schema
from publisher.errors import StorageError
from publisher.files import canonical_json, sha256_hex
from publisher.schema import (
    BuildRequest,
    Decision,
    GivenUp,
    HistoryLine,
    HistoryScore,
    LiveMove,
    Pin,
    Pruned,
    Receipt,
    Record,
    SnapshotName,
    TakenDown,
    Verdict,
)

if TYPE_CHECKING:
    from publisher.git import Repository
    from publisher.ledger.store import Ledger

T = TypeVar("T", bound=schema.Struct)
_LARGE = frozenset({"record.json", "verdict.json", "samples.jsonl.gz"})
"""What a line of history does not need."""
_RUN = re.compile(r"runs/(\d{8}T\d{6}Z-[0-9a-f]{12}-[a-z0-9][a-z0-9._-]{0,63})/([a-z0-9.-]+)\Z")


@dataclass(frozen=True, slots=True)
class Run:
    """A run in the ledger: its line of history, and what publishing has left behind so far."""

    line: HistoryLine
    snapshot: SnapshotName | None = None
    requests: tuple[BuildRequest, ...] = ()
    """Every call of the build hook that was intended, in order."""
    last_receipt: Receipt | None = None
    """The newest receipt, whether or not its deploy was pruned since: a repaired snapshot has more than one."""
    given_up: GivenUp | None = None
    """Who ended this run for good, and why."""
    taken_down: TakenDown | None = None
    """Who removed this run's pages for good, and why."""

    @property
    def receipt(self) -> Receipt | None:
        """The receipt of the deploy that should be there now: None before the first, and once it was deleted."""
        return None if self.line.pruned or self.taken_down else self.last_receipt

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be published of this run any more: it was given up or taken down."""
        return self.given_up is not None or self.taken_down is not None

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.line.run_id


def folder(run_id: str) -> str:
    """Return the ledger folder of a run."""
    return f"runs/{run_id}"


def run_files(record: Record, verdict: Verdict, samples: bytes) -> dict[str, bytes]:
    """Return the ledger files of a run that has just been judged."""
    line = summarize(record, verdict)
    place = folder(record.run_id)
    return {
        f"{place}/record.json": canonical_json(record),
        f"{place}/verdict.json": canonical_json(verdict),
        f"{place}/summary.json": canonical_json(line),
        f"{place}/samples.jsonl.gz": samples,
    }


def summarize(record: Record, verdict: Verdict | None = None) -> HistoryLine:
    """Return a record (and its verdict) as one line of history; without a verdict the line says `inconclusive`."""
    suites = {suite.name: suite for suite in record.suites}
    rules = [rule for rule in verdict.rules if rule.effect == "block"] if verdict else []
    failing = next((rule.reason for rule in rules if rule.outcome != "pass"), "")
    return HistoryLine(
        run_id=record.run_id,
        commit=record.commit.sha,
        subject=record.commit.subject,
        tier=record.tier,
        started=record.started,
        verdict=verdict.verdict if verdict else "inconclusive",
        fingerprint=record.fingerprint,
        generation=record.generation,
        salt=record.salt,
        why=failing,
        scores={result.suite: _score(result, suites[result.suite]) for result in record.results},
        conditions=sha256_hex(canonical_json(record.conditions)) if record.conditions else "",
    )


def _score(result: schema.SuiteResult, suite: schema.SuiteIdentity) -> HistoryScore:
    grader = f"{suite.grader} {suite.grader_version}"
    return HistoryScore(
        score=result.score,
        low=result.interval.low,
        high=result.interval.high,
        stderr=result.stderr,
        n=suite.problems,
        k=suite.samples,
        suite=sha256_hex(f"{suite.sha256} {grader}".encode()),
        sampling=result.stderr_sampling,
    )


@dataclass(slots=True)
class _Seen:
    """The runs of one ledger as they were read last; the ledger only grows, so the next look reads what is new."""

    head: str = ""
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)


_SEEN: WeakKeyDictionary[Repository, _Seen] = WeakKeyDictionary()
_VALUES: WeakKeyDictionary[Repository, dict[str, Any]] = WeakKeyDictionary()
"""Stored values by the hash of their blob."""


def read_runs(ledger: Ledger, at: str | None = None) -> list[Run]:
    """Return every run in the ledger (as of its commit `at`), oldest first; an unreadable one is a tombstone line."""
    head = at or ledger.head
    if head is None:
        return []
    seen = _SEEN.setdefault(ledger.repository, _Seen())
    if seen.head != head:
        _catch_up(seen, ledger.repository, head)
    return [run for _, run in sorted(seen.runs.items())]


def _catch_up(seen: _Seen, repository: Repository, head: str) -> None:
    """Read the runs that differ between the ledger as it was seen and as it is at `head`."""
    changes = repository.changes(seen.head, head) if seen.head else repository.tree(head)
    changed: set[str] = set()
    for path, blob in changes.items():
        match = _RUN.match(path)
        if match:
            changed.add(match[1])
            files = seen.files.setdefault(match[1], {})
            files.pop(match[2], None)
            files |= {match[2]: blob} if blob else {}
    wanted = sorted({blob for run_id in changed for name, blob in seen.files[run_id].items() if name not in _LARGE})
    blobs = dict(zip(wanted, repository.read_many(wanted), strict=True))
    for run_id in changed:
        seen.runs.pop(run_id, None)
        if seen.files[run_id]:
            seen.runs[run_id] = _run(run_id, seen.files[run_id], blobs)
    seen.head = head


def _run(run_id: str, files: dict[str, str], blobs: dict[str, bytes | None]) -> Run:
    given_up = _readable(files, blobs, "given-up.json", GivenUp)
    taken_down = _readable(files, blobs, "taken-down.json", TakenDown)
    try:
        line = _part(files, blobs, "summary.json", HistoryLine)
        snapshot = _part(files, blobs, "snapshot.json", SnapshotName)
        requests = _numbered(files, blobs, "request", BuildRequest)
        receipts = _numbered(files, blobs, "receipt", Receipt)
        pruned = _numbered(files, blobs, "pruned", Pruned)
        # A spoiled entry must not bring removed pages back: the run is then as unreadable as by any other part.
        taken_down = _part(files, blobs, "taken-down.json", TakenDown)
        decisions = _numbered(files, blobs, "decision", Decision)
        if line is None:
            raise StorageError(f"{folder(run_id)} has no summary.json")
    except StorageError as error:
        # A run that cannot be read can still be given up, so that nobody hears of it any more.
        line = _tombstone(run_id, error.message)
        return Run(_ended(line, given_up, taken_down), given_up=given_up, taken_down=taken_down)
    last = receipts[-1] if receipts else None
    gone = next((part for part in pruned if last and part.number == last.number), None)
    if gone:
        line = msgspec.structs.replace(line, pruned=gone.time)
    if decisions:
        line = msgspec.structs.replace(line, verdict=decisions[-1].verdict, decision=decisions[-1])
    if snapshot:
        line = msgspec.structs.replace(line, snapshot=snapshot.branch, address=snapshot.address)
    return Run(_ended(line, given_up, taken_down), snapshot, tuple(requests), last, given_up, taken_down)


def _ended(line: HistoryLine, given_up: GivenUp | None, taken_down: TakenDown | None) -> HistoryLine:
    """Return a line of history that says when its run was given up or its pages were removed."""
    return msgspec.structs.replace(
        line,
        given_up=given_up.time if given_up else "",
        taken_down=taken_down.time if taken_down else "",
    )


def _readable(files: dict[str, str], blobs: dict[str, bytes | None], name: str, kind: type[T]) -> T | None:
    """Return a part of a run, None where it is absent or cannot be read."""
    try:
        return _part(files, blobs, name, kind)
    except StorageError:
        return None


def _numbered(files: dict[str, str], blobs: dict[str, bytes | None], stem: str, kind: type[T]) -> list[T]:
    """Return the parts `stem-1.json`, `stem-2.json`, … in order."""
    names = [name for name in files if name.startswith(f"{stem}-")]
    parts = [_part(files, blobs, name, kind) for name in sorted(names, key=lambda name: (len(name), name))]
    return [part for part in parts if part is not None]


def _part(files: dict[str, str], blobs: dict[str, bytes | None], name: str, kind: type[T]) -> T | None:
    data = blobs.get(files.get(name, ""))
    return schema.decode(data, kind, name) if data is not None else None


def _tombstone(run_id: str, why: str) -> HistoryLine:
    """Return the line that stands for a run whose files cannot be read."""
    started, commit, tier = run_id.split("-", 2)
    return HistoryLine(
        run_id=run_id,
        commit=commit,
        subject="",
        tier=tier,
        started=started,
        verdict="unreadable",
        fingerprint="",
        scores={},
        why=why,
    )


def read_part(ledger: Ledger, run_id: str, name: str, kind: type[T]) -> T:
    """Return one stored part of a run, such as `record.json`; StorageError when it is absent or unreadable."""
    path = f"{folder(run_id)}/{name}"
    data = ledger.read(path)
    if data is None:
        raise StorageError(f"the ledger has no {path}", hint="git fetch origin ledger:ledger")
    return schema.decode(data, kind, path)


def request_file(request: BuildRequest) -> dict[str, bytes]:
    """Return the ledger file that says that the build hook is about to be called."""
    return {f"{folder(request.run_id)}/request-{request.attempt}.json": canonical_json(request)}


def snapshot_file(name: SnapshotName) -> dict[str, bytes]:
    """Return the ledger file that names a run's snapshot branch."""
    return {f"{folder(name.run_id)}/snapshot.json": canonical_json(name)}


def receipt_file(receipt: Receipt) -> dict[str, bytes]:
    """Return the ledger file that proves a deploy."""
    return {f"{folder(receipt.run_id)}/receipt-{receipt.number}.json": canonical_json(receipt)}


def pruned_file(pruned: Pruned) -> dict[str, bytes]:
    """Return the ledger file that says that a snapshot's deploy was deleted."""
    return {f"{folder(pruned.run_id)}/pruned-{pruned.number}.json": canonical_json(pruned)}


def given_up_file(given_up: GivenUp) -> dict[str, bytes]:
    """Return the ledger file that ends a run for good."""
    return {f"{folder(given_up.run_id)}/given-up.json": canonical_json(given_up)}


def taken_down_file(taken_down: TakenDown) -> dict[str, bytes]:
    """Return the ledger file that says that a snapshot's pages are removed for good."""
    return {f"{folder(taken_down.run_id)}/taken-down.json": canonical_json(taken_down)}


def decision_file(decision: Decision) -> dict[str, bytes]:
    """Return the ledger file that says that a maintainer overruled the gate."""
    return {f"{folder(decision.run_id)}/decision-{decision.number}.json": canonical_json(decision)}


def pin_file(pin: Pin) -> dict[str, bytes]:
    """Return the ledger file of a pin."""
    return {f"pins/{pin.name}-{pin.number}.json": canonical_json(pin)}


def pins(ledger: Ledger) -> dict[str, Pin]:
    """Return the pins as they are now, by name."""
    found: dict[str, Pin] = {}
    for pin in sorted(_all_below(ledger, "pins/", Pin), key=lambda pin: pin.number):
        found[pin.name] = pin
    return found


def _all_below(ledger: Ledger, prefix: str, kind: type[T]) -> list[T]:
    """Return every stored value below a folder of the ledger, in the order of its paths; what is known is not read."""
    known: dict[str, Any] = _VALUES.setdefault(ledger.repository, {})
    blobs = sorted(ledger.paths(below=prefix).items())
    news = [(path, blob) for path, blob in blobs if blob not in known]
    for (path, blob), data in zip(news, ledger.repository.read_many([blob for _, blob in news]), strict=True):
        known[blob] = schema.decode(data or b"", kind, path)
    return [known[blob] for _, blob in blobs]


def live_file(move: LiveMove, number: int) -> dict[str, bytes]:
    """Return the ledger file that records the `number`-th move of the live site: clocks differ, the ledger counts."""
    return {f"live/{number:06d}-{move.commit[:12]}.json": canonical_json(move)}


def live_moves(ledger: Ledger) -> list[LiveMove]:
    """Return every move of the live site, oldest first."""
    return _all_below(ledger, "live/", LiveMove)
