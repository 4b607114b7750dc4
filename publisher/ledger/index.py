"""The ledger as values: every run, pin and move of the live site, read once and then kept up with what is appended."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from publisher import schema
from publisher.errors import StorageError
from publisher.ledger import cache, forms, order
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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from publisher.git import Repository
    from publisher.ledger.store import Ledger

T = TypeVar("T", bound=schema.Struct)
E = TypeVar("E", GivenUp, TakenDown)
_RUN = re.compile(rf"runs/({forms.RUN_ID})/([a-z0-9.-]{{1,100}})\Z")
_PIN = re.compile(r"pins/[a-z0-9-]{1,80}-\d{1,6}\.json\Z")
_MOVE = re.compile(r"live/(\d{6,9})-([0-9a-f]{12})\.json\Z")
_PARTS = re.compile(
    r"(?:summary|snapshot|given-up|taken-down|request-[1-9]\d{0,5}|decision-[1-9]\d{0,5}|receipt-[1-9]\d{0,5}|pruned-[1-9]\d{0,5})\.json\Z"
)
"""The files of a run that its place in the history depends on. The others are large, and read one run at a time."""
LARGEST_PART = 1 << 20
"""Bytes of such a file; a larger one makes the run unreadable, and is not read."""
_MANY = 20
"""Runs that are looked up one by one; more are found faster in a listing of the whole ledger."""


class Run(msgspec.Struct, frozen=True):
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


class Index(msgspec.Struct):
    """What one ledger commit holds. Pins, moves and remarks are by path, runs by id."""

    head: str = ""
    runs: dict[str, Run] = {}
    """In the order in which they came into the ledger, which ids do not tell: they begin with a machine's time."""
    pins: dict[str, Pin] = {}
    moves: dict[str, LiveMove] = {}
    remarks: dict[str, str] = {}
    """Why a pin or a move was left out: one bad file never ends a command."""

    def ordered(self) -> list[Run]:
        """Return the runs in the ledger's order."""
        return list(self.runs.values())

    def copy(self) -> Index:
        """Return an index that can be changed without changing this one."""
        return Index(self.head, dict(self.runs), dict(self.pins), dict(self.moves), dict(self.remarks))


_KNOWN: WeakKeyDictionary[Repository, Index] = WeakKeyDictionary()


def index_of(ledger: Ledger, at: str | None = None) -> Index:
    """Return the ledger's values as of its commit `at`, or as of its newest one."""
    head = ledger.head
    wanted = at or head
    if wanted is None:
        return Index()
    repository = ledger.repository
    known = _KNOWN.get(repository)
    if known is None:
        known = _KNOWN[repository] = cache.load(repository, Index) or Index()
        for path, why in known.remarks.items():
            repository.note(f"{path} is left out: {why}")
    if known.head == wanted:
        return known
    if wanted != head:
        # An older state is a copy, so that the newest one stays at hand.
        known = known.copy()
    changed = _catch_up(known, repository, wanted)
    if wanted == head:
        cache.store(repository, known, changed)
    return known


def _catch_up(index: Index, repository: Repository, head: str) -> int:
    """Bring an index to the ledger's commit `head` and return how many files differed."""
    if index.head and not repository.has(index.head):
        # A cache that was copied from another clone, or a ledger that was replaced.
        index.runs, index.pins, index.moves, index.remarks, index.head = {}, {}, {}, {}, ""
    listing = {} if index.head else repository.tree(head)
    changes = repository.changes(index.head, head) if index.head else listing
    run_ids = {match[1] for path in changes if (match := _RUN.match(path))}
    if len(run_ids) > _MANY and not listing:
        listing = repository.tree(head)
    known = list(index.runs)
    _read_runs(index, repository, _files(repository, head, run_ids, listing))
    fresh = index.runs.keys() - known
    if fresh:
        known = [run_id for run_id in known if run_id in index.runs]
        came = order.ordered(repository, head, fresh, since=index.head, known=known)
        index.runs = {run_id: index.runs[run_id] for run_id in came}
    others = {path: blob for path, blob in changes.items() if _PIN.match(path) or _MOVE.match(path)}
    _read_others(index, repository, others)
    index.head = head
    return len(changes)


def _files(
    repository: Repository, head: str, run_ids: set[str], listing: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Return {run id: {file name: blob}} of the parts that the history depends on."""
    found: dict[str, dict[str, str]] = {run_id: {} for run_id in run_ids}
    if not listing:
        listing = {path: blob for run_id in run_ids for path, blob in repository.below(head, f"runs/{run_id}").items()}
    for path, blob in listing.items():
        match = _RUN.match(path)
        if match and match[1] in found:
            found[match[1]][match[2]] = blob
    return {
        run_id: {name: blob for name, blob in files.items() if _PARTS.match(name)} for run_id, files in found.items()
    }


def _read_runs(index: Index, repository: Repository, files: Mapping[str, Mapping[str, str]]) -> None:
    """Read the parts of some runs and put the runs into the index."""
    blobs = _contents(repository, {blob for parts in files.values() for blob in parts.values()})
    for run_id, parts in files.items():
        if parts:
            index.runs[run_id] = _run(run_id, {name: blobs[blob] for name, blob in parts.items()})
        else:
            index.runs.pop(run_id, None)


def _read_others(index: Index, repository: Repository, changes: Mapping[str, str | None]) -> None:
    """Read pins and moves of the live site; one that cannot be used is a remark."""
    blobs = _contents(repository, {blob for blob in changes.values() if blob})
    for path, blob in changes.items():
        for known in (index.pins, index.moves, index.remarks):
            known.pop(path, None)
        if blob is None:
            continue
        try:
            data = {path: blobs[blob]}
            if path.startswith("pins/"):
                index.pins[path] = _part(path, data, Pin, functools.partial(_check_pin, path))
            else:
                index.moves[path] = _part(path, data, LiveMove, functools.partial(_check_move, path))
        except StorageError as error:
            index.remarks[path] = error.message
            repository.note(f"{path} is left out: {error.message}")


def _contents(repository: Repository, blobs: set[str]) -> dict[str, bytes | None]:
    """Return the contents of blobs by hash, None for one that is too large to be a part of a run."""
    wanted = sorted(blobs)
    return dict(zip(wanted, repository.read_small(wanted, LARGEST_PART), strict=True))


def _run(run_id: str, parts: Mapping[str, bytes | None]) -> Run:
    """Return a run, or a line that stands for it where its files cannot be used."""
    # A run that cannot be read can still be given up, so that nobody hears of it any more.
    given_up = _readable(run_id, "given-up.json", parts, GivenUp)
    taken_down = _readable(run_id, "taken-down.json", parts, TakenDown)
    try:
        run = _readable_run(run_id, parts)
        if "taken-down.json" in parts and taken_down is None:
            # A spoiled entry must not bring removed pages back.
            raise StorageError("taken-down.json cannot be used")
    except StorageError as error:
        run = Run(_tombstone(run_id, error.message))
    line = msgspec.structs.replace(
        run.line,
        given_up=given_up.time if given_up else "",
        taken_down=taken_down.time if taken_down else "",
    )
    return msgspec.structs.replace(run, line=line, given_up=given_up, taken_down=taken_down)


def _readable(run_id: str, name: str, parts: Mapping[str, bytes | None], kind: type[E]) -> E | None:
    """Return the entry that ended a run, None where it is absent or cannot be used."""
    try:
        return _part(name, parts, kind, functools.partial(forms.check_end, run_id)) if name in parts else None
    except StorageError:
        return None


def _readable_run(run_id: str, parts: Mapping[str, bytes | None]) -> Run:
    """Return a run; StorageError when one of its parts is broken, too large, or names what cannot be this run's."""
    if "summary.json" not in parts:
        raise StorageError(f"runs/{run_id} has no summary.json")
    line = _part("summary.json", parts, HistoryLine, lambda found: forms.check_line(run_id, found))
    of_line = {
        kind: functools.partial(check, line)
        for kind, check in (
            ("snapshot", forms.check_snapshot),
            ("request", forms.check_request),
            ("receipt", forms.check_receipt),
            ("pruned", forms.check_pruned),
            ("decision", forms.check_decision),
        )
    }
    snapshot = None
    if "snapshot.json" in parts:
        snapshot = _part("snapshot.json", parts, SnapshotName, of_line["snapshot"])
    requests = [_part(name, parts, BuildRequest, of_line["request"]) for name in _numbered(parts, "request")]
    receipts = [_part(name, parts, Receipt, of_line["receipt"]) for name in _numbered(parts, "receipt")]
    pruned = [_part(name, parts, Pruned, of_line["pruned"]) for name in _numbered(parts, "pruned")]
    decisions = [_part(name, parts, Decision, of_line["decision"]) for name in _numbered(parts, "decision")]
    last = receipts[-1] if receipts else None
    gone = next((part for part in pruned if last and part.number == last.number), None)
    if gone:
        line = msgspec.structs.replace(line, pruned=gone.time)
    if decisions:
        line = msgspec.structs.replace(line, verdict=decisions[-1].verdict, decision=decisions[-1])
    if snapshot:
        line = msgspec.structs.replace(line, snapshot=snapshot.branch, address=snapshot.address)
    return Run(line, snapshot, tuple(requests), last)


def _numbered(parts: Mapping[str, bytes | None], stem: str) -> list[str]:
    """Return the names `stem-1.json`, `stem-2.json`, … in order."""
    return sorted((name for name in parts if name.startswith(f"{stem}-")), key=lambda name: (len(name), name))


def _part(name: str, parts: Mapping[str, bytes | None], kind: type[T], check: Callable[[T], None]) -> T:
    """Return one file as a value whose names have been checked; StorageError says which file and why not."""
    data = parts[name]
    if data is None:
        raise StorageError(f"{name} has more than {LARGEST_PART} bytes")
    value = schema.decode(data, kind, name)
    try:
        check(value)
    except StorageError as error:
        raise StorageError(f"{name} cannot be used: {error.message}") from error
    return value


def _check_pin(path: str, pin: Pin) -> None:
    forms.check_pin(pin)
    if path != f"pins/{pin.name}-{pin.number}.json":
        raise StorageError(f"it is the pin {pin.name} number {pin.number}")


def _check_move(path: str, move: LiveMove) -> None:
    forms.check_move(move)
    match = _MOVE.match(path)
    if match is None or match[2] != move.commit[:12]:
        raise StorageError(f"it moves to {move.commit}")


def _tombstone(run_id: str, why: str) -> HistoryLine:
    """Return the line that stands for a run whose files cannot be used."""
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
