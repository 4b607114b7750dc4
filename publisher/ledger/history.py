"""Runs in the ledger: their paths, reading them back, and the history as a list of compact lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from publisher import schema
from publisher.errors import StorageError
from publisher.files import canonical_json, sha256_hex
from publisher.ledger.forms import LONGEST
from publisher.ledger.index import Run, index_of
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
    Report,
    Rollback,
    SnapshotName,
    TakenDown,
    Verdict,
)

__all__ = ["Run"]

if TYPE_CHECKING:
    from publisher.ledger.index import Index
    from publisher.ledger.store import Ledger

T = TypeVar("T", bound=schema.Struct)
MOST_ROLLBACKS = 100
REPORT = "report.json"
"""What a run's verdict was reported with; runs of older publishers have none."""


def folder(run_id: str) -> str:
    """Return the ledger folder of a run."""
    return f"runs/{run_id}"


def run_files(record: Record, verdict: Verdict, samples: bytes, report: Report | None = None) -> dict[str, bytes]:
    """Return the ledger files of a run that the gate has just decided on."""
    line = with_moved(summarize(record, verdict), report)
    place = folder(record.run_id)
    files = {
        f"{place}/record.json": canonical_json(record),
        f"{place}/verdict.json": canonical_json(verdict),
        f"{place}/summary.json": canonical_json(line),
        f"{place}/samples.jsonl.gz": samples,
    }
    return files if report is None else files | {f"{place}/{REPORT}": canonical_json(report)}


def summarize(record: Record, verdict: Verdict | None = None) -> HistoryLine:
    """Return a record (and its verdict) as one line of history; without a verdict the line says `inconclusive`."""
    suites = {suite.name: suite for suite in record.suites}
    rules = [rule for rule in verdict.rules if rule.effect == "block"] if verdict else []
    # What failed decided it; what is open only counts where nothing failed.
    open_ = sorted((rule for rule in rules if rule.outcome != "pass"), key=lambda rule: rule.outcome != "fail")
    early = record.stopped_early
    seen = f"after {early.samples} of {early.planned} samples: " if early and open_ else ""
    failing = f"{seen}{open_[0].reason}" if open_ else ""
    return HistoryLine(
        run_id=record.run_id,
        commit=record.commit.sha,
        subject=record.commit.subject[:LONGEST],
        tier=record.tier,
        started=record.started,
        verdict=verdict.verdict if verdict else "inconclusive",
        fingerprint=record.fingerprint,
        generation=record.generation,
        salt=record.salt,
        why=failing[:LONGEST],
        scores={result.suite: _score(result, suites[result.suite]) for result in record.results},
        conditions=sha256_hex(canonical_json(record.conditions)) if record.conditions else "",
        stopped_early=record.stopped_early.why if record.stopped_early else "",
        reset=verdict.reset if verdict else "",
        branch=record.commit.branch,
        model=record.model.sha256[:12],
    )


def with_moved(line: HistoryLine, report: Report | None) -> HistoryLine:
    """Return a line with what the report says of each suite that the run clearly moved from its baseline."""
    scores = dict(line.scores)
    for one in report.baseline if report else ():
        if one.suite in scores and one.meaning in {"better", "worse"} and one.interval is not None:
            moved = (one.difference, one.interval.low, one.interval.high)
            scores[one.suite] = msgspec.structs.replace(scores[one.suite], moved=moved)
    return msgspec.structs.replace(line, scores=scores)


def _score(result: schema.SuiteResult, suite: schema.SuiteIdentity) -> HistoryScore:
    grader = f"{suite.grader} {suite.grader_version}{suite.score and f' {suite.score}'}"
    return HistoryScore(
        score=result.score,
        low=result.interval.low,
        high=result.interval.high,
        stderr=result.stderr,
        n=suite.problems,
        k=suite.samples,
        suite=sha256_hex(f"{suite.sha256} {grader}".encode()),
        sampling=result.stderr_sampling,
        tokens=result.tokens / max(1, result.counts.scored + result.counts.error),
        latency=result.latency.p50,
    )


def read_runs(ledger: Ledger, at: str | None = None) -> list[Run]:
    """Return every run in the ledger (as of its commit `at`) in the order in which they came; see `order`.

    An unreadable one is a tombstone line.
    """
    return index_of(ledger, at).ordered()


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


def receipt_file(receipt: Receipt, signature: bytes = b"") -> dict[str, bytes]:
    """Return the ledger file that proves a deploy, and beside it the manifest's signature where there is one."""
    place = f"{folder(receipt.run_id)}/receipt-{receipt.number}"
    return {f"{place}.json": canonical_json(receipt)} | ({f"{place}.sig": signature} if signature else {})


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
    return {pin.name: pin for pin in sorted(index_of(ledger).pins.values(), key=lambda pin: pin.number)}


def pins_of(ledger: Ledger, name: str) -> list[Pin]:
    """Return every pin that a name has had, oldest first."""
    found = [pin for pin in index_of(ledger).pins.values() if pin.name == name]
    return sorted(found, key=lambda pin: pin.number)


def live_file(move: LiveMove, number: int) -> dict[str, bytes]:
    """Return the ledger file that records the `number`-th move of the live site: clocks differ, the ledger counts."""
    return {f"live/{number:06d}-{move.commit[:12]}.json": canonical_json(move)}


def live_moves(ledger: Ledger) -> list[LiveMove]:
    """Return every move of the live site, oldest first."""
    return [move for _, move in sorted(index_of(ledger).moves.items())]


def rollbacks(index: Index) -> list[Rollback]:
    """Return the moves of the live site back to an older snapshot, oldest first, as many of the newest as are shown.

    Older is what came into the ledger before: no clock decides it.
    """
    places = {run.run_id: place for place, run in enumerate(index.ordered())}
    found, shown = [], ""
    for _, move in sorted(index.moves.items()):
        if places.get(move.run_id, len(places)) < places.get(shown, -1):
            found.append(
                Rollback(run_id=move.run_id, previous=shown, time=move.time, who=move.who, why=move.why[:LONGEST])
            )
        shown = move.run_id
    return found[-MOST_ROLLBACKS:]
