"""The audit trail: who did what to which run, when and why, as the ledger tells it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from typing import TYPE_CHECKING, NamedTuple

from publisher import schema
from publisher.errors import StorageError, UsageError
from publisher.ledger import canaries, history
from publisher.ledger.forms import check_time
from publisher.ledger.labels import read_labels
from publisher.schema import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from publisher.ledger.canaries import Canary
    from publisher.ledger.history import Run
    from publisher.publishing.project import Project

_DURATION = re.compile(r"(\d{1,4})([hdw])\Z")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LARGEST = 4 << 20
"""Bytes of one verdict."""
_AT_ONCE = 64
"""Verdicts that are in memory at a time."""


class Event(NamedTuple):
    """One entry: its time (UTC, ISO 8601), what happened, to which run and commit, by whom, and why."""

    time: str
    event: str
    run_id: str
    commit: str
    who: str
    what: str
    why: str


_STEPS = {"verdict": 0, "decision": 1, "request": 2, "receipt": 3, "live": 4}
"""The order of what happens to a run, for entries of the same second."""
GATE, PUBLISHER = "the gate", "publisher"
"""Who decides and who publishes where no person does."""


def trail(project: Project, since: str = "") -> list[Event]:
    """Return every event from `since` on (a date, a time or a duration such as 30d), oldest first."""
    start = moment(since, dt.datetime.now(dt.UTC)) if since else ""
    found = [event for event in _events(project) if event.time >= start]
    return sorted(found, key=lambda event: (event.time, event.run_id, _STEPS.get(event.event, len(_STEPS)), event))


def moment(text: str, today: dt.datetime) -> str:
    """Return a date, a time or a duration before `today` as stored times are written; UsageError for anything else."""
    duration = _DURATION.match(text)
    try:
        if duration:
            return _stored(today - dt.timedelta(**{_UNITS[duration[2]]: int(duration[1])}))
        then = dt.datetime.fromisoformat(text)
        return _stored(then if then.tzinfo else then.replace(tzinfo=dt.UTC))
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text!r} is no date and no duration", hint="--since 2026-11-01   or   --since 30d"
        ) from error


def _stored(then: dt.datetime) -> str:
    """Return a time as stored times are written: in UTC, with four digits of the year."""
    return then.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _events(project: Project) -> Iterator[Event]:
    """Yield every event that the ledger tells of, in no order."""
    runs = project.runs()
    commits = {run.run_id: run.line.commit for run in runs}
    yield from _verdicts(project, runs)
    for run in runs:
        yield from _published(run)
    for move in history.live_moves(project.ledger):
        what = f"{move.snapshot} is live"
        yield Event(move.time, "live", move.run_id, commits.get(move.run_id, ""), move.who, what, move.why)
    for canary in canaries.canaries(project.ledger):
        yield from _canary(project, canary, commits)
    for pin in history.pins(project.ledger).values():
        commit = commits.get(pin.run_id, "")
        yield Event(pin.time, "pin", pin.run_id, commit, pin.who, f"{pin.name} shows {pin.snapshot}", "")
    for label in read_labels(project.ledger):
        word = "label" if label.on else "unlabel"
        yield Event(label.time, word, label.run_id, commits.get(label.run_id, ""), label.who, label.name, label.why)


def _canary(project: Project, canary: Canary, commits: Mapping[str, str]) -> Iterator[Event]:
    """Yield who showed a snapshot to whom for how long, what people found in it, and how it ended."""
    start, run_id = canary.start, canary.start.run_id
    commit, name = commits.get(run_id, ""), f"canary {canary.start.number}"
    yield Event(start.time, "canary", run_id, commit, start.who, f"{name} of {start.snapshot} begins", start.why)
    for stage in canary.stages:
        who = "who follows its link" if start.via == "link" else f"{stage.percent} % of the readers"
        yield Event(stage.time, "canary", run_id, commit, stage.who, f"{name}: {who} see it", stage.why)
    for answer, look in canaries.confirmations(project.ledger, run_id).items():
        what = f"{answer} is {'wrong' if look.wrong else 'right'}"
        yield Event(look.time, "confirm", run_id, commit, look.who, what, look.why)
    if canary.end is not None:
        end = canary.end
        yield Event(end.time, "canary", run_id, commit, end.who, f"{name} is {end.outcome}", end.why)


def _verdicts(project: Project, runs: Iterable[Run]) -> Iterator[Event]:
    """Yield each run's verdict, a few at a time; one that is too large or cannot be read is left out."""
    listed = [run for run in runs if run.line.verdict != "unreadable"]
    for start in range(0, len(listed), _AT_ONCE):
        yield from _some_verdicts(project, listed[start : start + _AT_ONCE])


def _some_verdicts(project: Project, runs: Sequence[Run]) -> Iterator[Event]:
    head = project.ledger.head
    names = [f"{head}:{history.folder(run.run_id)}/verdict.json" for run in runs]
    for run, data in zip(runs, project.repository.read_small(names, _LARGEST), strict=True):
        try:
            verdict = schema.decode(data or b"", Verdict, f"{run.run_id}/verdict.json")
            check_time(verdict.decided)
        except StorageError:
            continue
        reasons = "; ".join(f"{rule.rule}: {rule.reason}" for rule in verdict.rules)
        yield Event(verdict.decided, "verdict", run.run_id, run.line.commit, GATE, verdict.verdict, reasons)


def _published(run: Run) -> Iterator[Event]:
    """Yield what publishing and people left of one run."""
    line, receipt = run.line, run.last_receipt
    for request in run.requests:
        what = f"call {request.attempt} of the build hook"
        yield Event(request.time, "request", line.run_id, line.commit, PUBLISHER, what, "")
    if receipt is not None:
        what = f"{receipt.address} is deploy {receipt.deploy_id}"
        yield Event(receipt.verified, "receipt", line.run_id, line.commit, PUBLISHER, what, "")
    if line.pruned:
        yield Event(line.pruned, "prune", line.run_id, line.commit, "", f"{line.snapshot} was pruned", "")
    if line.decision is not None:
        made = line.decision
        yield Event(made.time, "decision", line.run_id, line.commit, made.who, made.verdict, made.reason)
    for word, entry in (("give-up", run.given_up), ("takedown", run.taken_down)):
        if entry is not None:
            yield Event(entry.time, word, line.run_id, line.commit, entry.who, "", entry.why)


def as_csv(events: Iterable[Event]) -> str:
    """Return events as CSV; a cell that a spreadsheet would take for a formula is made text."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(Event._fields)
    for event in events:
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in event])
    return stream.getvalue()
